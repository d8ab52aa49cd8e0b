// SPDX-License-Identifier: Apache-2.0
/** Generates src/api/types.ts, which the type check alone needs, from the schemas of docs/openapi.json. */
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const target = new URL("src/api/types.ts", import.meta.url);
const source = JSON.parse(await readFile(new URL("../docs/openapi.json", import.meta.url), "utf8"));
const ast = await openapiTS({
  openapi: source.openapi,
  info: source.info,
  paths: {},
  components: { schemas: source.components.schemas },
});
const text = `// SPDX-License-Identifier: Apache-2.0\n// Generated from docs/openapi.json by types.mjs: do not edit.\n${astToString(ast)}`;
// Left alone where it is the same, so that it is not newer than the built dashboard.
if (text !== (await readFile(target, "utf8").catch(() => ""))) await writeFile(target, text);
