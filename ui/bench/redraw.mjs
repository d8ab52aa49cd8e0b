// SPDX-License-Identifier: Apache-2.0
/**
 * Redraw time of the flame graph in headless Chromium at 1440×800, one JSON line per tree size. Each
 * time holds a zoom, the drawing and its rasterisation by the CPU.
 */
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
const bundled = await build({
  root,
  configFile: false,
  logLevel: "warn",
  publicDir: false,
  build: { write: false, target: "es2022", lib: { entry: `${root}bench/entry.ts`, formats: ["iife"], name: "bench", fileName: "bench" } },
});
const script = [bundled].flat()[0].output[0].code;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
await page.setContent("<!doctype html><body></body>");
await page.addScriptTag({ content: script });
for (const [size, rounds] of [[100_000, 120], [1_000_000, 60]]) {
  const result = await page.evaluate(([n, r]) => window.redraw(n, r), [size, rounds]);
  console.log(JSON.stringify({ bench: "flamegraph_redraw", ...result }));
}
await browser.close();
