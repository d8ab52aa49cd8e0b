// SPDX-License-Identifier: Apache-2.0
/**
 * What the scripts beside this one share: a browser, pages that remember everything they should not have
 * done, and checks that are counted. CHROMIUM names another browser; APERTURE_SHOTS=DIR keeps screenshots
 * there. The last line is "N passed, N failed", and the exit status is 1 if anything failed.
 */
import { mkdir } from "node:fs/promises";
import { chromium } from "playwright-core";

const shots = process.env.APERTURE_SHOTS;
let browser;
let passed = 0;
let failed = 0;

export function assert(condition, message) {
  if (!condition) throw new Error(message);
}

export async function check(name, test) {
  try {
    await test();
    passed++;
    console.log(`ok    ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${String(error.message ?? error).split("\n").slice(0, 6).join(" | ")}`);
  }
}

/** The dashboard's address from the command line, without a slash at its end. */
export function baseUrl() {
  const base = process.argv[2];
  if (!base) {
    console.error(`usage: node ${process.argv[1]} BASE_URL`);
    process.exit(2);
  }
  return base.replace(/\/$/, "");
}

/** A page in a context of its own. `home` is the address of which it may ask the origin, and no other. */
export async function openPage(home, { timeout = 60_000, ...options } = {}) {
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  const problems = [];
  const origin = new URL(home).origin;
  page.on("console", (m) => m.type() === "error" && problems.push(`console: ${m.text()}`));
  page.on("pageerror", (e) => problems.push(`exception: ${e.message}`));
  page.on("request", (r) => {
    const url = new URL(r.url());
    if (url.origin !== origin && url.protocol !== "data:" && url.protocol !== "blob:") problems.push(`external request: ${r.url()}`);
  });
  page.setDefaultTimeout(timeout);
  /** A parameter of the address. */
  const param = (name) => new URL(page.url()).searchParams.get(name);
  return { context, page, problems, param };
}

export async function shoot(page, name) {
  if (!shots) return;
  await mkdir(shots, { recursive: true });
  await page.screenshot({ path: `${shots}/${name}.png` });
}

/** Ends the browser and the script. */
export async function finish() {
  await browser?.close();
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed > 0 ? 1 : 0);
}
