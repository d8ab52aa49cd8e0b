// SPDX-License-Identifier: Apache-2.0
/** The pages that walk.mjs opens, and what each must show of a running aggregator with data. */
import { assert } from "./browser.mjs";

export const PAGES = [
  {
    name: "overview",
    path: "/",
    async content(page) {
      await page.getByRole("table", { name: "Services" }).getByRole("row").nth(1).waitFor();
      const cores = await page.locator(".tile .value").first().innerText();
      assert(/\d/.test(cores), `no figure in the first tile: ${cores}`);
      await page.locator(".chart canvas").waitFor();
    },
  },
  {
    name: "flamegraph",
    path: "/flamegraph",
    async content(page) {
      await page.getByTestId("flamegraph").waitFor();
      const text = await page.getByTestId("flame-cursor").textContent();
      assert(/of all/.test(text ?? ""), `the cursor describes nothing: ${text}`);
      await page.getByText(/complete stacks/).first().waitFor();
    },
  },
  {
    name: "top",
    path: "/top",
    async content(page) {
      const rows = page.getByRole("table", { name: "Top functions" }).getByRole("row");
      await rows.nth(3).waitFor();
      assert(/%/.test(await rows.nth(1).innerText()), "no percentage in the first row");
    },
  },
  {
    name: "syscalls",
    path: "/syscalls",
    async content(page) {
      const rows = page.getByRole("table", { name: "System calls" }).getByRole("row");
      await rows.nth(2).waitFor();
      assert(/ (ns|µs|ms|s|min|h|d)\b/.test(await rows.nth(1).innerText()), "no time in the first row");
    },
  },
  {
    name: "locks",
    path: "/locks",
    async content(page) {
      const table = page.getByRole("table", { name: "Locks", exact: true });
      const none = page.getByText("aperture-agent --mode cpu,lock");
      await table.or(none).first().waitFor();
      if (await none.isVisible()) return;
      assert(/%/.test(await table.getByRole("row").nth(1).innerText()), "no percentage in the first row");
      for (const side of ["Who waits", "Who lets go"]) await page.getByRole("region", { name: side }).getByTestId("flamegraph").waitFor();
      await page.getByRole("table", { name: "Who blocks whom" }).getByRole("row").nth(1).waitFor();
    },
  },
  {
    name: "compare",
    path: "/compare",
    async content(page) {
      await page.getByRole("region", { name: "Side A" }).waitFor();
      await page.getByRole("region", { name: "Side B" }).waitFor();
      await page.getByTestId("flamegraph").waitFor();
      await page.getByText("More in B").waitFor();
    },
  },
  {
    name: "timeline",
    path: "/timeline",
    async content(page) {
      await page.locator(".chart canvas").waitFor();
      const rows = page.getByRole("table", { name: "Layers" }).getByRole("row");
      await rows.filter({ hasText: "On the CPU" }).getByText(/\d (ns|µs|ms|s|min|h|d)$/).waitFor();
      const switches = page.getByRole("group", { name: /^Layers/ }).getByRole("switch");
      assert((await switches.count()) >= 4, "a layer has no switch");
      const sleeping = page.getByRole("switch", { name: /^Sleeping (\d|not recorded)/ });
      assert((await sleeping.getAttribute("aria-checked")) === "false", "sleeping threads are not switched off");
      await page.getByTestId("heatmap").waitFor();
      await page.getByText(/^0 to [\d.]+ cores$/).waitFor();
    },
  },
  {
    name: "callers",
    path: "/callers?function=main",
    async content(page) {
      for (const side of ["Callers", "Callees"]) await page.getByRole("region", { name: side }).getByTestId("flamegraph").or(page.getByText("No stack has main")).first().waitFor();
    },
  },
  {
    name: "agents",
    path: "/agents",
    async content(page) {
      await page.getByRole("table", { name: "Agents" }).getByRole("row").nth(1).waitFor();
      await page.getByRole("region", { name: "Ledger" }).getByText("Sampling").waitFor();
      await page.getByText("aperture-agent").first().waitFor();
    },
  },
  {
    name: "alerts",
    path: "/alerts?edit=new",
    async content(page) {
      await page.getByRole("table", { name: "Rules" }).getByRole("row").nth(2).waitFor();
      await page.getByRole("region", { name: "New rule" }).getByText("Least samples").waitFor();
      await page.getByRole("region", { name: "History" }).waitFor();
    },
  },
  {
    name: "aggregator",
    path: "/aggregator",
    async content(page) {
      const now = page.getByRole("region", { name: "Now" });
      await now.getByText("since the start").first().waitFor();
      assert(/\d (B|KiB|MiB|GiB)/.test(await now.getByText("Write-ahead log").locator("..").innerText()), "no bytes of the log");
      await page.getByRole("region", { name: "Store" }).getByText("ClickHouse").waitFor();
    },
  },
  {
    name: "settings",
    path: "/settings",
    async content(page) {
      const store = page.getByRole("region", { name: "Store" });
      await store.getByText("Kept for").waitFor();
      await store.getByText("On disk").first().waitFor();
      await store.getByRole("cell", { name: "samples", exact: true }).waitFor();
      await page.getByRole("region", { name: "Modules without symbols" }).waitFor();
    },
  },
];
