// SPDX-License-Identifier: Apache-2.0
/**
 * A short, stable name for a node: a hash over the names on its path. It survives refreshes, other
 * time ranges and a reload, so that a link can hold the zoomed frame.
 */
import { nameOf, type FlameTree } from "./tree";

function hashString(seed: number, text: string): number {
  let h = seed;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return (h ^ (h >>> 12)) >>> 0;
}

export function keyOf(tree: FlameTree, node: number): string {
  if (node <= 0) return "";
  const names: string[] = [];
  for (let i = node; i > 0; i = tree.parent[i]!) names.push(nameOf(tree, i));
  let low = 0x811c9dc5;
  let high = 0x9e3779b9;
  for (let k = names.length - 1; k >= 0; k--) {
    low = hashString(low, names[k]!);
    high = hashString(high, names[k]!);
  }
  return low.toString(36) + "." + high.toString(36);
}

/** The node with that key, or −1. */
export function findByKey(tree: FlameTree, key: string): number {
  if (key === "") return 0;
  const [lowText, highText] = key.split(".");
  const wantLow = parseInt(lowText ?? "", 36);
  const wantHigh = parseInt(highText ?? "", 36);
  const low = new Uint32Array(tree.size);
  const high = new Uint32Array(tree.size);
  low[0] = 0x811c9dc5;
  high[0] = 0x9e3779b9;
  for (let i = 1; i < tree.size; i++) {
    const name = nameOf(tree, i);
    low[i] = hashString(low[tree.parent[i]!]!, name);
    high[i] = hashString(high[tree.parent[i]!]!, name);
    if (low[i] === wantLow && high[i] === wantHigh) return i;
  }
  return -1;
}
