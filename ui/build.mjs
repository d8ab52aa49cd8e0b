// SPDX-License-Identifier: Apache-2.0
/**
 * Builds dist/: the dashboard with hashed assets and a .gz beside each, and standalone.html, the one
 * file into which `aperture record --format html` puts a profile.
 */
import { readFile, readdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const root = fileURLToPath(new URL(".", import.meta.url));
const dist = `${root}dist`;
const MARKER = "<!--APERTURE_PROFILE_DATA-->";
const FIRST_LOAD_LIMIT = 250 * 1024;
const COMPRESSED = /\.(js|css|html|svg)$/;

async function buildStandalone() {
  const result = await build({
    root,
    logLevel: "warn",
    publicDir: false,
    build: { write: false, cssCodeSplit: false, rollupOptions: { input: `${root}src/standalone/main.tsx` } },
  });
  const output = [result].flat().flatMap((r) => r.output);
  const chunks = output.filter((o) => o.type === "chunk");
  if (chunks.length !== 1) throw new Error(`standalone.html needs one script, got ${chunks.length}`);
  const style = output.filter((o) => o.fileName.endsWith(".css")).map((o) => o.source).join("");
  const script = chunks[0].code.replaceAll("</script", "<\\/script");
  if (script.includes(MARKER)) throw new Error("the script holds the marker for the profile");
  const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";
  await writeFile(
    `${dist}/standalone.html`,
    `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Aperture profile</title>
<style>${style}</style>
</head>
<body>
<div id="root"></div>
${MARKER}
<script type="module">${script}</script>
</body>
</html>
`,
  );
}

async function compress() {
  let firstLoad = 0;
  for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !COMPRESSED.test(entry.name)) continue;
    const path = `${entry.parentPath}/${entry.name}`;
    const packed = gzipSync(await readFile(path), { level: 9 });
    await writeFile(`${path}.gz`, packed);
    if (entry.name !== "standalone.html") firstLoad += packed.length;
  }
  console.log(`first load: ${(firstLoad / 1024).toFixed(1)} KiB gzip`);
  if (firstLoad > FIRST_LOAD_LIMIT) throw new Error(`first load exceeds ${FIRST_LOAD_LIMIT / 1024} KiB`);
}

await build({ root, logLevel: "warn" });
await buildStandalone();
await compress();
