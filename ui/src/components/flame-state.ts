// SPDX-License-Identifier: Apache-2.0
/** State of a flame graph with its table. On pages it lives in the address; in a saved file, in memory. */
import { choice, flag, list, text, type State } from "@/state/params";

export const FLAME_SCHEMA = {
  view: choice(["both", "graph", "table"], "both"),
  search: text(),
  re: flag(),
  zoom: text(),
  dir: choice(["icicle", "flame"], "icicle"),
  color: choice(["module", "package", "kind"], "module"),
  focus: text(),
  callers: text(),
  hide: list(),
  sort: text("self"),
};

export type FlameState = State<typeof FLAME_SCHEMA>;
export type SetFlameState = (patch: Partial<FlameState>, options?: { replace?: boolean }) => void;
