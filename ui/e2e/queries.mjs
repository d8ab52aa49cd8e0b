// SPDX-License-Identifier: Apache-2.0
/** node e2e/queries.mjs URL: from the heatmap and from a function to its flame graphs, in a real browser. */
import { assert, baseUrl, check, finish, openPage } from "./browser.mjs";

const base = baseUrl();
const url = (path) => base + path;
const { page, problems, param } = await openPage(base);

await check("a stretch of the heatmap leads to its flame graph", async () => {
  await page.goto(url("/timeline?from=now-15m"));
  const heatmap = page.getByTestId("heatmap");
  await page.getByText(/^0 to [\d.]+ cores$/).waitFor();
  await heatmap.scrollIntoViewIfNeeded();
  const box = await heatmap.boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + box.height * 0.2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.7, box.y + box.height * 0.6, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/\/flamegraph\?/);
  const seconds = (Number(param("to")) - Number(param("from"))) / 1000;
  assert(seconds > 60 && seconds < 900 && Number.isInteger(seconds), `not a stretch of seconds: ${page.url()}`);
  await page.goBack();
  await heatmap.focus();
  for (const key of ["Home", "ArrowRight", "Shift+ArrowDown", "Shift+ArrowDown"]) await page.keyboard.press(key);
  assert(/ to /.test(await page.getByTestId("heatmap-cell").innerText()), "the selection is not said");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/flamegraph\?/);
  assert(Number(param("to")) - Number(param("from")) === 3000, `not the three seconds chosen: ${page.url()}`);
  assert(problems.length === 0, problems.join("; "));
});

await check("a function in Top leads to its callers and callees, and on to theirs", async () => {
  await page.goto(url("/top?order=total"));
  await page.getByRole("table", { name: "Top functions" }).getByRole("link", { name: /^Callers and callees of/ }).first().click();
  await page.waitForURL(/\/callers\?/);
  const name = param("function");
  for (const side of ["Callers", "Callees"]) {
    const region = page.getByRole("region", { name: side });
    await region.getByTestId("flamegraph").waitFor();
    await region.getByTestId("flamegraph").focus();
    await page.keyboard.press(side === "Callers" ? "ArrowUp" : "ArrowDown");
    const cursor = await region.getByTestId("flame-cursor").textContent();
    assert(cursor?.startsWith(`${name}, `), `${side} do not begin with ${name}: ${cursor}`);
  }
  await page.keyboard.press("Shift+F10");
  await page.getByRole("menuitem", { name: "Callers and callees" }).waitFor();
  await page.keyboard.press("Escape");
  assert(problems.length === 0, problems.join("; "));
});

await finish();
