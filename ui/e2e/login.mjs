// SPDX-License-Identifier: Apache-2.0
/**
 * Logs in to a dashboard that asks for a token, as an administrator would, and out again:
 *
 *	TOKEN=apt_… node ui/e2e/login.mjs https://127.0.0.1:9090
 */
import { assert, baseUrl, check, finish, openPage } from "./browser.mjs";

const base = baseUrl();
const token = process.env.TOKEN;
assert(token, "TOKEN is not set");

const { context, page } = await openPage(base, { timeout: 20_000, ignoreHTTPSErrors: true });
const field = page.getByLabel("Token", { exact: true });
const enter = page.getByRole("button", { name: "Log in" });

await check("every page is a form that asks for a token", async () => {
  for (const path of ["/", "/agents", "/settings"]) {
    await page.goto(base + path);
    await field.waitFor();
    assert((await page.getByRole("navigation").count()) === 0, "there is a page behind it");
  }
});

await check("a wrong token is refused in words, and leaves the field", async () => {
  await field.fill("apt_wrong");
  await enter.click();
  await page.getByRole("alert").filter({ hasText: "not known here" }).waitFor();
  assert((await field.inputValue()) === "", "the field keeps it");
});

await check("a token opens the page that was asked for, and no script can read the session", async () => {
  await field.fill(token);
  await enter.click();
  await page.getByRole("heading", { name: "Settings", level: 1 }).waitFor();
  assert((await page.evaluate(() => document.cookie)) === "", "the cookie is readable");
  const [cookie] = await context.cookies();
  assert(cookie.httpOnly && cookie.secure && cookie.sameSite === "Strict", JSON.stringify({ ...cookie, value: "" }));
  await page.reload();
  await page.getByRole("button", { name: "Log out" }).waitFor();
});

await check("tokens are made, shown once and revoked", async () => {
  const panel = page.getByRole("region", { name: "Tokens" });
  await panel.getByRole("cell", { name: "admin" }).first().waitFor();
  await panel.getByLabel("Name").fill("browser-made");
  await panel.getByLabel("Role").selectOption("read");
  await panel.getByRole("button", { name: "Make a token" }).click();
  await panel.getByText(/^apt_[0-9a-f]{48}$/).waitFor();
  const row = panel.getByRole("row").filter({ hasText: "browser-made" });
  await row.getByRole("button", { name: "Revoke" }).click();
  await row.getByRole("button", { name: "Really revoke browser-made" }).click();
  await row.waitFor({ state: "detached" });
});

await check("the audit log tells of it", async () => {
  const panel = page.getByRole("region", { name: "Audit log" });
  await panel.getByText("DELETE /api/v1/tokens/browser-made").waitFor();
  await panel.getByText("POST /api/v1/tokens", { exact: true }).waitFor();
});

await check("the Agents page makes the command for another host", async () => {
  await page.getByRole("link", { name: "Agents" }).click();
  await page.getByLabel(/Name of the host/).fill("web-9");
  await page.getByRole("button", { name: "Make its command" }).click();
  await page.getByText(/aperture:\/\/apt_[0-9a-f]{48}@.*aperture-agent join/).waitFor();
});

await check("after a log-out the form is back, and the session is over", async () => {
  const before = await context.cookies();
  await page.getByRole("button", { name: "Log out" }).click();
  await field.waitFor();
  await context.addCookies(before);
  await page.goto(base);
  await field.waitFor();
});

await finish();
