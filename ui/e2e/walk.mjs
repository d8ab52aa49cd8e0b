// SPDX-License-Identifier: Apache-2.0
/**
 * Walks through every page of a running dashboard as a user would, in both themes and two sizes:
 *
 *	node ui/e2e/walk.mjs http://127.0.0.1:9090
 */
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { assert, baseUrl, check, finish, openPage, shoot } from "./browser.mjs";
import { PAGES } from "./pages.mjs";

const base = baseUrl();
const url = (path) => base + path;

const SIZES = [
  { name: "1440x900", width: 1440, height: 900 },
  { name: "390x844", width: 390, height: 844 },
];

async function noSideScroll(page) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert(over <= 0, `the page is ${over} px wider than the window`);
}

const open = ({ width, height }, colorScheme) => openPage(base, { viewport: { width, height }, colorScheme });

for (const size of SIZES) {
  for (const theme of ["light", "dark"]) {
    const { context, page, problems } = await open(size, theme);
    for (const { name, path, content } of PAGES) {
      await check(`${name} ${size.name} ${theme}`, async () => {
        problems.length = 0;
        await page.goto(url(path));
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

const { page, problems, param } = await open(SIZES[0], "light");
const cursor = () => page.getByTestId("flame-cursor").textContent();

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

/** The made-up data of a preview cannot be exported. */
const exporting = (await page.request.get(url("/api/export/collapsed?from=now-1h"))).ok();

if (exporting) await check("every format of the export menu downloads as a whole file", async () => {
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

for (const [name, path] of [["overview", "/"], ["timeline", "/timeline"], ["flame graph", "/flamegraph"]]) await check(`a note marks the ${name}, and leads to the comparison around it`, async () => {
  const at = Date.now() - 60_000;
  const text = `walked ${name} at ${at}`;
  const added = await page.request.post(url("/api/v1/annotations"), { data: { text, time: at } });
  assert(added.ok(), `the note was refused: ${await added.text()}`);
  const { id } = await added.json();
  try {
    await page.goto(url(path));
    const mark = page.locator(".mark").filter({ has: page.locator("span") }).and(page.getByLabel(text)).first();
    await mark.waitFor();
    await shoot(page, `mark-${name.replace(" ", "-")}`);
    await mark.click();
    await page.waitForURL(/\/compare\?/);
    assert(param("from") === String(at) && param("a_to") === String(at), `it leads to ${page.url()}`);
    assert(Number(param("a_to")) - Number(param("a_from")) === 1_800_000, "not half an hour before");
    await page.getByRole("region", { name: "Side A" }).waitFor();
  } finally {
    await page.request.delete(url(`/api/v1/annotations/${id}`));
  }
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

await check("the timeline is of one service, chosen beside its chart", async () => {
  await page.goto(url("/timeline?from=now-6h"));
  const services = page.getByRole("combobox", { name: "Service" });
  await services.getByRole("option").nth(1).waitFor({ state: "attached" });
  const name = await services.getByRole("option").nth(1).innerText();
  await services.selectOption(name);
  await page.waitForURL((u) => u.searchParams.get("filter") === `{service="${name}"}`);
  await page.getByRole("table", { name: "Layers" }).getByRole("row").nth(1).waitFor();
  await services.selectOption("");
  await page.waitForURL((u) => !u.searchParams.has("filter"));
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
  const stacks = detail.getByRole("region", { name: `Stacks of ${name}` });
  await stacks.or(detail.getByText("No stacks of this call")).first().waitFor();
  const types = await (await fetch(url("/api/v1/profile-types?from=now-1h&to=now"))).json();
  if (types.types.some((t) => t.name === "syscall:count" && t.available)) {
    await stacks.getByTestId("flamegraph").waitFor();
    await stacks.getByRole("button", { name: "Time", exact: true }).click();
    await page.waitForURL(/s\.type=syscall%3Ananoseconds/);
    await shoot(page, "syscall-stacks");
    assert(/type=syscall%3Ananoseconds.*filter=|filter=.*type=syscall%3Ananoseconds/.test(await stacks.getByRole("link", { name: "Open as flame graph" }).getAttribute("href")), "the link names neither type nor call");
  }
  await detail.getByRole("button", { name: "pid", exact: true }).click();
  await page.waitForURL(/by=pid/);
  await detail.getByRole("table", { name: `${name} by pid` }).getByRole("row").nth(1).click();
  await page.waitForURL(/filter=/);
  await page.getByRole("table", { name: "System calls" }).getByRole("row").nth(1).waitFor();
});

await check("system calls are compared with another range, and the address says with which", async () => {
  await page.goto(url("/syscalls?from=now-30m"));
  const table = page.getByRole("table", { name: "System calls" });
  await table.getByRole("row").nth(1).waitFor();
  await page.getByRole("combobox", { name: "Compare" }).selectOption("previous");
  await page.waitForURL(/vs=previous/);
  const change = table.getByRole("columnheader", { name: "Change of time/s" });
  await change.waitFor();
  assert((await change.getAttribute("aria-sort")) === "descending", "not sorted by the change of time");
  await page.getByRole("combobox", { name: "Compare" }).selectOption("range");
  await page.getByRole("button", { name: /^Time range to compare with/ }).click();
  await page.getByLabel("From", { exact: true }).fill("now-30m");
  await page.getByLabel("To", { exact: true }).fill("now");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.waitForURL((u) => u.searchParams.get("vs") === "range" && u.searchParams.get("a_from") === "now-30m" && u.searchParams.get("a_to") === "now");
  await page.reload();
  await change.waitFor();
  await page.getByText("Before").first().waitFor();
  await table.getByRole("row").nth(1).focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/call=/);
  const detail = page.getByRole("region", { name: param("call").split("@")[0], exact: true });
  // One range against itself, but for the moment between the two questions.
  const calls = detail.getByRole("table", { name: "Figures of both ranges" }).getByRole("row", { name: /^Calls a second/ });
  await calls.getByText(/^[+−]?\d(\.\d)? %$/).waitFor();
  await detail.locator(".call-facts .latency .before").waitFor();
  await detail.getByRole("button", { name: "host", exact: true }).click();
  await detail.getByRole("table", { name: / by host$/ }).getByRole("columnheader", { name: "Change of time/s" }).waitFor();
  await page.waitForLoadState("networkidle");
  await shoot(page, "syscalls-compared");
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

await check("an agent profiles more for a time, and is reset", async () => {
  await page.goto(url("/agents"));
  await page.getByRole("table", { name: "Agents" }).getByRole("row").nth(1).click();
  const panel = page.getByRole("region", { name: /^Settings of / });
  await panel.getByText("Its own settings are in force.").waitFor();
  await panel.getByLabel("Rate, Hz").fill("1001");
  await panel.getByText("this agent's limit").waitFor();
  assert(await panel.getByRole("button", { name: "Apply…" }).isDisabled(), "a rate above the limit can be asked for");
  await panel.getByLabel("Rate, Hz").fill("251");
  await panel.getByLabel("Off CPU").check();
  await panel.getByLabel("For").selectOption({ label: "5 min" });
  await panel.getByRole("button", { name: "Apply…" }).click();
  const confirm = page.getByRole("dialog", { name: "Confirm the settings" });
  await confirm.getByText(/offcpu.* at 251 Hz.* for 5 min/).waitFor();
  await confirm.getByRole("button", { name: "Start" }).click();
  await panel.getByText(/at 251 Hz for 4:\d\d more/).waitFor();
  await page.getByRole("table", { name: "Agents" }).getByText(/^for 4:\d\d$/).waitFor();
  await shoot(page, "agent-settings");
  await panel.getByRole("button", { name: "Reset" }).click();
  await panel.getByText("Its own settings are in force.").waitFor();
});

await check("a host is silenced, and the silence is ended", async () => {
  await page.goto(url("/alerts"));
  const panel = page.getByRole("region", { name: "Silences" });
  await panel.getByLabel("Hosts or services").fill('{host="walked"}');
  await panel.getByRole("button", { name: "Silence", exact: true }).click();
  const row = panel.getByRole("row").filter({ hasText: "walked" });
  await row.waitFor();
  await row.getByRole("button", { name: "End now" }).click();
  await row.waitFor({ state: "detached" });
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
  assert(command.startsWith(`aperture symbols push --server ${new URL(base).origin} `), `the command is ${command}`);
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

await finish();
