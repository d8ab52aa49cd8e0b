// SPDX-License-Identifier: Apache-2.0
/** node e2e/alerts.mjs URL: a rule's life on the Alerts page, in a real browser. */
import { assert, baseUrl, check, finish, openPage, shoot } from "./browser.mjs";

const base = baseUrl();
const { page, problems } = await openPage(base);
page.on("dialog", (d) => void d.accept());

await check("a rule is made, tried, fires, is silenced, switched off, changed and deleted", async () => {
  await page.goto(`${base}/alerts`);
  const rules = page.getByRole("table", { name: "Rules" });
  await rules.getByText("Agent silent").waitFor();

  await page.getByRole("button", { name: "New rule" }).click();
  const form = page.getByRole("region", { name: "New rule" });
  await form.getByLabel("Name", { exact: true }).fill("leaf in python");
  await form.getByLabel(/^Metric/).selectOption("function_share");
  await form.getByLabel("Function", { exact: true }).fill("leaf");
  await form.getByLabel("Filter", { exact: true }).fill('{service="');
  await form.getByLabel(/^Threshold/).fill("0.4");
  await form.getByLabel(/^Holds for/).fill("0");
  await form.getByRole("button", { name: "Add rule" }).click();
  await form.getByRole("alert").getByText("filter").waitFor();
  await form.getByLabel("Filter", { exact: true }).fill('{service="python"}');
  await form.getByRole("button", { name: "Try over the last day" }).click();
  await form.getByText(/Over the last day it would have fired/).waitFor();
  await shoot(page, "alerts-dry-run");
  await form.getByRole("button", { name: "Add rule" }).click();
  const row = rules.getByRole("row").filter({ hasText: "leaf in python" });
  await row.click();

  const actions = page.getByRole("region", { name: "Rule leaf in python" });
  await actions.getByRole("button", { name: "Evaluate now" }).click();
  await row.getByText("firing").waitFor();
  await page.getByRole("region", { name: "History" }).getByText("quiet → firing").waitFor();
  await actions.getByLabel("Silence").selectOption("4");
  await row.getByText("silenced").waitFor();
  await page.getByRole("region", { name: "Silences" }).getByRole("button", { name: "End now" }).click();
  await actions.getByRole("button", { name: "Switch off" }).click();
  await row.getByText("off").waitFor();
  await actions.getByRole("button", { name: "Change" }).click();
  const threshold = await page.getByRole("region", { name: "Change leaf in python" }).getByLabel(/^Threshold/).inputValue();
  assert(threshold === "0.4", `the threshold is ${threshold}`);
  await actions.getByRole("button", { name: "Delete" }).click();
  await row.waitFor({ state: "detached" });
  /* The refused filter is the one request that fails. */
  const others = problems.filter((p) => !p.includes("400"));
  assert(others.length === 0, others.join("; "));
});

await finish();
