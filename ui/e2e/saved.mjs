// SPDX-License-Identifier: Apache-2.0
/**
 * Opens dist/standalone.html from disk as `aperture record --format html` leaves it:
 *
 *	node ui/e2e/saved.mjs [FILE]
 *
 * With a FILE that already holds a profile, that one is opened; else a small profile is put in.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { assert, check, finish, openPage, shoot } from "./browser.mjs";

const MARKER = "<!--APERTURE_PROFILE_DATA-->";
const PROFILE = {
  type: "cpu:nanoseconds",
  unit: "nanoseconds",
  from: 1_700_000_000_000,
  to: 1_700_000_010_000,
  filter: "",
  total: 8e9,
  nodes: { depth: [0, 1, 2, 2], name: [1, 2, 3, 4], module: [0, 5, 5, 5], kind: [0, 0, 0, 0], total: [8e9, 8e9, 5e9, 2e9], self: [0, 1e9, 5e9, 2e9] },
  strings: ["", "all", "main", "compute", "</script><b>render", "demo"],
  folded_nodes: 0,
  folded_total: 0,
  coverage: { hosts_reporting: 1, hosts_expected: 1, samples: 792, complete_share: 1, lost: 0, truncated: null, reasons: { ok: 792 } },
};

const given = process.argv[2];
const folder = await mkdtemp(join(tmpdir(), "aperture-saved-"));
let file = given;
if (!file) {
  const page = await readFile(fileURLToPath(new URL("../dist/standalone.html", import.meta.url)), "utf8");
  if (page.split(MARKER).length !== 2) throw new Error("the marker must be there exactly once");
  const json = JSON.stringify(PROFILE).replaceAll("<", "\\u003c");
  file = join(folder, "profile.html");
  await writeFile(file, page.replace(MARKER, () => `<script type="application/json" id="aperture-profile">${json}</script>`));
}

const home = pathToFileURL(file).href;
const { page, problems } = await openPage(home);

await check("a saved profile is a whole dashboard", async () => {
  await page.goto(home);
  await page.getByTestId("flamegraph").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByText("Zoomed to").waitFor();
  await page.getByRole("table", { name: "Functions" }).getByRole("row").nth(1).waitFor();
  if (!given) assert((await page.locator(".fn .name", { hasText: "</script><b>render" }).count()) === 1, "a name with markup is not shown as it is");
  await shoot(page, "saved");
  assert(problems.length === 0, problems.join("; "));
});

await rm(folder, { recursive: true });
await finish();
