// SPDX-License-Identifier: Apache-2.0
/**
 * Walks through every page of a running dashboard as a user would, in both themes and two sizes:
 *
 *	node ui/e2e/walk.mjs http://127.0.0.1:9090
 *
 * APERTURE_SHOTS=DIR keeps screenshots there; CHROMIUM names another browser. The last line is
 * "N passed, N failed", and the exit status is 1 if anything failed.
 */
import { mkdir, readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { chromium } from "playwright-core";

const base = process.argv[2];
if (!base) {
  console.error("usage: node ui/e2e/walk.mjs BASE_URL");
  process.exit(2);
}
const origin = new URL(base).origin;
const shots = process.env.APERTURE_SHOTS;
if (shots) await mkdir(shots, { recursive: true });

let passed = 0;
let failed = 0;

async function check(name, test) {
  try {
    await test();
    passed++;
    console.log(`ok    ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${String(error.message ?? error).split("\n").slice(0, 6).join(" | ")}`);
  }
}

function assert(condition, message) {
  if (!condition) throw new Error(message);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

const SIZES = [
  { name: "1440x900", width: 1440, height: 900 },
  { name: "390x844", width: 390, height: 844 },
];

/** A page that remembers everything it should not have done. */
async function openPage(size, theme) {
  const context = await browser.newContext({ viewport: { width: size.width, height: size.height }, colorScheme: theme, reducedMotion: "reduce" });
  const page = await context.newPage();
  const problems = [];
  page.on("console", (m) => m.type() === "error" && problems.push(`console: ${m.text()}`));
  page.on("pageerror", (e) => problems.push(`exception: ${e.message}`));
  page.on("request", (r) => {
    const url = new URL(r.url());
    if (url.origin !== origin && url.protocol !== "data:" && url.protocol !== "blob:") problems.push(`external request: ${r.url()}`);
  });
  page.setDefaultTimeout(15_000);
  return { context, page, problems };
}

const PAGES = [
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
      assert(/ (ns|µs|ms|s|min)\b/.test(await rows.nth(1).innerText()), "no time in the first row");
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

async function noSideScroll(page) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert(over <= 0, `the page is ${over} px wider than the window`);
}

async function shoot(page, name) {
  if (shots) await page.screenshot({ path: `${shots}/${name}.png` });
}

for (const size of SIZES) {
  for (const theme of ["light", "dark"]) {
    const { context, page, problems } = await openPage(size, theme);
    for (const { name, path, content } of PAGES) {
      await check(`${name} ${size.name} ${theme}`, async () => {
        problems.length = 0;
        await page.goto(base.replace(/\/$/, "") + path);
        await content(page);
        assert((await page.evaluate(() => document.documentElement.dataset.theme)) === theme, "the theme does not follow the system");
        await noSideScroll(page);
        await page.waitForLoadState("networkidle");
        await shoot(page, `${name}-${size.name}-${theme}`);
        assert(problems.length === 0, problems.join("; "));
      });
    }
    await context.close();
  }
}

const { context, page, problems } = await openPage(SIZES[0], "light");
const url = (path) => base.replace(/\/$/, "") + path;
const cursor = () => page.getByTestId("flame-cursor").textContent();
const param = (name) => new URL(page.url()).searchParams.get(name);

await check("flame graph by keyboard: move, zoom, back out", async () => {
  await page.goto(url("/flamegraph"));
  const graph = page.getByTestId("flamegraph");
  await graph.waitFor();
  // The averages that describe a frame come with a second answer.
  await page.waitForLoadState("networkidle");
  await graph.focus();
  const root = await cursor();
  await page.keyboard.press("ArrowDown");
  await page.waitForFunction((old) => document.querySelector('[data-testid="flame-cursor"]').textContent !== old, root);
  const child = await cursor();
  await page.keyboard.press("ArrowUp");
  await page.waitForFunction((old) => document.querySelector('[data-testid="flame-cursor"]').textContent === old, root);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  const deep = await cursor();
  assert(deep !== child && deep !== root, "two steps down did not move");
  assert((await page.getByRole("treeitem").getAttribute("aria-level")) === "3", "the level is not announced");
  await page.keyboard.press("Enter");
  await page.waitForURL(/zoom=/);
  await page.getByText("Zoomed to").waitFor();
  await shoot(page, "flamegraph-zoomed");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.waitForURL((u) => !u.searchParams.has("zoom"));
});

await check("flame graph zoom survives a reload", async () => {
  await page.getByTestId("flamegraph").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(/zoom=/);
  const chip = await page.locator(".applied .chip").innerText();
  await page.reload();
  await page.getByText("Zoomed to").waitFor();
  assert((await page.locator(".applied .chip").innerText()) === chip, "another frame is zoomed after the reload");
});

await check("flame graph search from the keyboard tells hits and share", async () => {
  await page.goto(url("/flamegraph"));
  await page.getByTestId("flamegraph").focus();
  const first = (await page.getByRole("table", { name: "Functions" }).locator(".fn .name").first().innerText()).trim();
  await page.keyboard.press("/");
  await page.keyboard.type(first);
  await page.getByText(/[\d,]+ frames? · [\d.]+ %/).first().waitFor();
  assert(param("search") === first, "the search is not in the address");
  await page.keyboard.press("Enter");
  await page.waitForFunction((name) => document.querySelector('[data-testid="flame-cursor"]').textContent.toLowerCase().includes(name.toLowerCase()), first);
  await shoot(page, "flamegraph-search");
  await page.keyboard.press("Escape");
  await page.waitForURL((u) => !u.searchParams.has("search"));
});

await check("flame graph menu: hide and undo", async () => {
  await page.getByTestId("flamegraph").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Shift+F10");
  await page.getByRole("menuitem", { name: /Hide this function/ }).waitFor();
  await shoot(page, "flamegraph-menu");
  await page.getByRole("menuitem", { name: /Hide this function/ }).click();
  await page.waitForURL(/hide=/);
  await page.getByRole("button", { name: /^Undo: Without/ }).click();
  await page.waitForURL((u) => !u.searchParams.has("hide"));
});

const LINES = /^(?:[^;\n]+;)*[^;\n]+ \d+\n/;

/** By the title in the menu: what each file ends in, and whether its bytes are what that promises. */
const EXPORTS = {
  pprof: { end: ".pb.gz", whole: (bytes) => gunzipSync(bytes).length > 100 },
  "Collapsed stacks": { end: ".collapsed", whole: (bytes) => bytes.toString().split(/(?<=\n)/).every((line) => LINES.test(line)) },
  Speedscope: { end: ".speedscope.json", whole: (bytes) => JSON.parse(bytes).profiles.length > 0 },
  JSON: { end: ".json", whole: (bytes) => JSON.parse(bytes).samples.value.length > 0 },
  SVG: {
    end: ".svg",
    whole: (bytes) =>
      page.evaluate((text) => {
        const svg = new DOMParser().parseFromString(text, "image/svg+xml");
        return !svg.querySelector("parsererror") && svg.querySelectorAll("rect").length > 3;
      }, bytes.toString()),
  },
};

await check("every format of the export menu downloads as a whole file", async () => {
  const menu = page.getByRole("button", { name: "Export" });
  await menu.click();
  const titles = (await page.getByRole("menuitem").allInnerTexts()).map((text) => text.split("\n")[0].trim());
  assert(String(titles) === String(Object.keys(EXPORTS)), `the menu offers ${titles}`);
  await shoot(page, "flamegraph-export");
  await page.keyboard.press("Escape");
  for (const [title, { end, whole }] of Object.entries(EXPORTS)) {
    await menu.click();
    const coming = page.waitForEvent("download");
    await page.getByRole("menuitem", { name: title }).click();
    const file = await coming;
    assert(file.suggestedFilename().endsWith(end), `${title} is named ${file.suggestedFilename()}`);
    assert(await whole(await readFile(await file.path())), `${title} is not whole`);
  }
});

await check("hover shows self and total", async () => {
  const box = await page.getByTestId("flamegraph").boundingBox();
  await page.mouse.move(box.x + 60, box.y + 30);
  await page.locator(".flame-tip").getByText("Total").waitFor();
  await page.locator(".flame-tip").getByText("Self").waitFor();
  await shoot(page, "flamegraph-hover");
  await page.mouse.move(2, 2);
});

await check("a service leads to its flame graph", async () => {
  await page.goto(url("/"));
  const row = page.getByRole("table", { name: "Services" }).getByRole("row").nth(1);
  await row.waitFor();
  const name = (await row.locator(".service").innerText()).trim();
  await row.click();
  await page.waitForURL(/\/flamegraph\?/);
  assert(param("filter") === `{service="${name}"}`, `filter is ${param("filter")}`);
  await page.getByTestId("flamegraph").waitFor();
});

for (const [name, path] of [["overview", "/"], ["timeline", "/timeline"]]) await check(`dragging over the ${name}'s chart narrows the range, and back undoes it`, async () => {
  await page.goto(url(path));
  const plot = page.locator(".chart .u-over");
  await plot.waitFor();
  await plot.scrollIntoViewIfNeeded();
  const box = await plot.boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.8, box.y + 40, { steps: 8 });
  await page.mouse.up();
  await page.waitForURL(/from=\d{13}&to=\d{13}/);
  const length = Number(param("to")) - Number(param("from"));
  assert(length > 60_000 && length < 3_600_000, `the new range is ${length} ms`);
  await page.goBack();
  await page.waitForURL((u) => !u.searchParams.has("from"));
});

await check("a layer of the timeline is switched, and the address says which are off", async () => {
  await page.goto(url("/timeline?from=now-6h"));
  const sleeping = page.getByRole("switch", { name: /^Sleeping/ });
  await sleeping.click();
  await page.waitForURL((u) => u.searchParams.get("off") === "lock");
  assert((await sleeping.getAttribute("aria-checked")) === "true", "the switch did not move");
  await page.getByRole("switch", { name: /^On the CPU/ }).click();
  await page.waitForURL((u) => u.searchParams.get("off") === "cpu,lock");
  await page.reload();
  await page.getByRole("switch", { name: /^On the CPU/, checked: false }).waitFor();
  await page.getByRole("switch", { name: /^On the CPU/ }).click();
  await sleeping.click();
  await page.waitForURL((u) => !u.searchParams.has("off") && u.searchParams.get("from") === "now-6h");
});

await check("a layer of the timeline leads to its flame graph, from the table and from the chart", async () => {
  const row = page.getByRole("table", { name: "Layers" }).getByRole("row").filter({ hasText: "Blocked" });
  await row.click();
  await page.waitForURL(/\/flamegraph\?/);
  assert(param("type") === "offcpu:nanoseconds" && param("filter") === '{state="blocked"}' && param("from") === "now-6h", page.url());
  await page.getByRole("main").getByText(/waits/).first().waitFor();
  await page.locator("nav").getByRole("link", { name: "Timeline" }).click();
  await page.getByText("each state is a layer").waitFor();
  await page.getByRole("button", { name: "Remove it" }).click();
  await page.waitForURL((u) => !u.searchParams.has("filter"));
  // The largest value is on the CPU, whatever else was recorded, at the foot of the chart's end with data.
  await page.goto(url("/timeline?from=now-15m"));
  const plot = page.locator(".chart .u-over");
  await plot.waitFor();
  await page.waitForLoadState("networkidle");
  const box = await plot.boundingBox();
  for (let x = box.width - 2; x > 0 && !(await page.locator(".u-over.pickable").count()); x -= 8) await page.mouse.move(box.x + x, box.y + box.height - 2);
  await page.locator(".chart-card").getByText("flame graph of “On the CPU”").waitFor();
  await shoot(page, "timeline-hover");
  await page.mouse.down();
  await page.mouse.up();
  await page.waitForURL(/\/flamegraph\?/);
  assert(param("type") === null && param("from") === "now-15m", page.url());
});

await check("a function in Top leads to a search in the flame graph", async () => {
  await page.goto(url("/top"));
  const row = page.getByRole("table", { name: "Top functions" }).getByRole("row").nth(1);
  await row.waitFor();
  const name = (await row.locator(".name").innerText()).trim();
  await row.click();
  await page.waitForURL(/\/flamegraph\?/);
  assert(param("search") === name, `searched for ${param("search")} instead of ${name}`);
});

await check("a system call shows its course and who makes it", async () => {
  await page.goto(url("/syscalls"));
  const row = page.getByRole("table", { name: "System calls" }).getByRole("row").nth(1);
  await row.waitFor();
  const name = (await row.locator(".name").innerText()).trim();
  await row.click();
  await page.waitForURL(/call=/);
  const detail = page.getByRole("region", { name, exact: true });
  await detail.locator(".chart canvas").waitFor();
  await detail.getByRole("button", { name: "p99", exact: true }).first().click();
  await page.waitForURL(/curve=p99/);
  await detail.getByRole("button", { name: "pid", exact: true }).click();
  await page.waitForURL(/by=pid/);
  await detail.getByRole("table", { name: `${name} by pid` }).getByRole("row").nth(1).click();
  await page.waitForURL(/filter=/);
  await page.getByRole("table", { name: "System calls" }).getByRole("row").nth(1).waitFor();
});

await check("time range, live mode and filter are in the address", async () => {
  await page.goto(url("/flamegraph"));
  await page.getByRole("button", { name: /^Time range/ }).click();
  await page.getByRole("button", { name: "Last 15 minutes" }).click();
  await page.waitForURL(/from=now-15m/);
  await page.getByRole("button", { name: "Live" }).click();
  await page.waitForURL(/live=1/);
  const again = page.waitForResponse((r) => r.url().includes("/api/v1/flamegraph"), { timeout: 8000 });
  await again;
  await page.getByRole("button", { name: "Live" }).click();
  await page.getByRole("button", { name: "Filter", exact: true }).click();
  await page.locator(".value-list button").first().click();
  await page.waitForURL(/filter=/);
  await page.getByTestId("flamegraph").waitFor();
});

await check("sorting a table is announced and kept in the address", async () => {
  await page.goto(url("/top"));
  await page.getByRole("button", { name: /^Total/ }).click();
  await page.waitForURL(/order=total/);
  const header = page.getByRole("columnheader", { name: /^Total/ });
  assert((await header.getAttribute("aria-sort")) === "descending", "aria-sort is not set");
});

await check("an agent shows its own ledger", async () => {
  await page.goto(url("/agents"));
  await page.getByRole("table", { name: "Agents" }).getByRole("row").nth(1).click();
  await page.waitForURL(/agent=/);
  await page.getByText(/^Ledger of /).waitFor();
  await page.getByText("CPU cost").waitFor();
  await page.waitForLoadState("networkidle");
  await shoot(page, "agent-details");
});

await check("a lock is chosen by keyboard, and its two flame graphs are told apart", async () => {
  await page.goto(url("/locks?kind=all"));
  const rows = page.getByRole("table", { name: "Locks", exact: true }).getByRole("row");
  const none = page.getByText("aperture-agent --mode cpu,lock");
  await rows.nth(1).or(none).first().waitFor();
  if (await none.isVisible()) return;
  await rows.nth(1).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(/lock=0x/);
  assert((await rows.nth(2).getAttribute("aria-selected")) === "true", "the row is not marked as chosen");
  const side = page.getByRole("region", { name: "Who waits" });
  await side.getByRole("textbox", { name: "Search functions" }).fill("lock");
  await page.waitForURL(/w\.search=lock/);
  assert(param("e.search") === null && param("search") === null, "the search is not of one side alone");
  await page.getByRole("combobox", { name: "Kind" }).selectOption("mutex");
  await page.waitForURL(/kind=mutex/);
  await page.waitForLoadState("networkidle");
  await shoot(page, "locks-mutex");
  await side.getByRole("link", { name: /^Open/ }).click();
  await page.waitForURL(/\/flamegraph\?.*type=lock/);
  assert(/kind="mutex"/.test(param("filter") ?? ""), `filter is ${param("filter")}`);
});

await check("a module without symbols says how to name it", async () => {
  await page.goto(url("/settings"));
  const rows = page.getByRole("table", { name: "Modules without symbols" }).getByRole("row");
  await rows.nth(1).waitFor();
  const stripped = rows.filter({ hasText: /[0-9a-f]{40}/ }).first();
  const name = (await stripped.locator(".name").innerText()).trim();
  const id = (await stripped.locator("code").innerText()).trim();
  await stripped.click();
  await page.waitForURL(new RegExp(`module=${id}`));
  const how = page.getByRole("region", { name: `How to name ${name}` });
  const command = await how.locator(".command code").first().innerText();
  assert(command.startsWith(`aperture symbols push --server ${origin} `), `the command is ${command}`);
  assert((await how.innerText()).includes(`debuginfod-find debuginfo ${id}`), "the build-id is not in the command");
  await page.waitForLoadState("networkidle");
  await shoot(page, "settings-module");
});

await check("the theme is switched and remembered", async () => {
  await page.goto(url("/"));
  await page.locator(".rail").getByRole("button", { name: /dark theme/ }).click();
  await page.reload();
  assert((await page.evaluate(() => document.documentElement.dataset.theme)) === "dark", "the choice was forgotten");
});

await check("nothing but this server was asked, and nothing was logged as an error", async () => {
  assert(problems.length === 0, problems.join("; "));
});

await check("a malformed filter says which parameter is wrong", async () => {
  await page.goto(url(`/flamegraph?filter=${encodeURIComponent("{service=}")}`));
  await page.getByRole("alert").waitFor();
  assert(/filter/.test(await page.getByRole("alert").innerText()), "the field is not named");
  await shoot(page, "error");
});

await check("a range without data says what to do", async () => {
  await page.goto(url("/flamegraph?from=1000000000000&to=1000000600000"));
  await page.getByText("No samples in this selection").waitFor();
  await shoot(page, "empty");
});

await check("an address that is no page says so", async () => {
  await page.goto(url("/nowhere"));
  await page.getByText("There is no such page").waitFor();
});

await context.close();
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
