// SPDX-License-Identifier: Apache-2.0
/** The functions of a subtree with their self and total values: the table beside the graph. */
import { KIND_NAMES, type FlameTree } from "./tree";

export interface FunctionRow {
  function: string;
  module: string;
  kind: number;
  self: number;
  total: number;
  selfA: number;
  totalA: number;
}

export function kindName(kind: number): string {
  return KIND_NAMES[kind] ?? "unknown";
}

/** Recursion is counted once in `total`: an occurrence inside another of the same function adds nothing. */
export function functionsOf(tree: FlameTree, base: number): FunctionRow[] {
  const strings = tree.strings.length;
  const slots = new Map<number, number>();
  const rows: FunctionRow[] = [];
  const activeUntil: number[] = [];
  for (let i = base === 0 ? 1 : base; i < tree.end[base]!; i++) {
    const key = tree.name[i]! * strings + tree.module[i]!;
    let slot = slots.get(key);
    if (slot === undefined) {
      slot = rows.length;
      slots.set(key, slot);
      rows.push({
        function: tree.strings[tree.name[i]!]!,
        module: tree.strings[tree.module[i]!]!,
        kind: tree.kind[i]!,
        self: 0,
        total: 0,
        selfA: 0,
        totalA: 0,
      });
      activeUntil.push(0);
    }
    const row = rows[slot]!;
    row.self += tree.self[i]!;
    if (tree.selfA) row.selfA += tree.selfA[i]!;
    if (i >= activeUntil[slot]!) {
      activeUntil[slot] = tree.end[i]!;
      row.total += tree.total[i]!;
      if (tree.totalA) row.totalA += tree.totalA[i]!;
    }
  }
  return rows;
}
