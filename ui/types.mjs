// SPDX-License-Identifier: Apache-2.0
/** Generates src/api/types.ts from the schemas of docs/openapi.json. */
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const source = JSON.parse(await readFile(new URL("../docs/openapi.json", import.meta.url), "utf8"));
const ast = await openapiTS({
  openapi: source.openapi,
  info: source.info,
  paths: {},
  components: { schemas: source.components.schemas },
});
const head = "// SPDX-License-Identifier: Apache-2.0\n// Generated from docs/openapi.json by `npm run types`: do not edit.\n";
await writeFile(new URL("src/api/types.ts", import.meta.url), head + astToString(ast));
