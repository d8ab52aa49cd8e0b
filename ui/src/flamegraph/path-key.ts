// SPDX-License-Identifier: Apache-2.0
/**
 * A short, stable name for a node: two hashes over the names on its path. It survives refreshes,
 * other time ranges and a reload, so that a link can hold the zoomed frame.
 */
import type { FlameTree } from "./tree";

const SEEDS = [0x811c9dc5, 0x9e3779b9] as const;

function mix(hash: number, value: number): number {
  const h = Math.imul(hash ^ value, 0x2c1b3c6d);
  return (h ^ (h >>> 15)) >>> 0;
}

function hashText(text: string): number {
  let h = 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** Hashes of a tree's strings, computed once: the cursor asks for a key at every move. */
const known = new WeakMap<readonly string[], Uint32Array>();

function stringHashes(tree: FlameTree): Uint32Array {
  let hashes = known.get(tree.strings);
  if (!hashes) {
    hashes = Uint32Array.from(tree.strings, hashText);
    known.set(tree.strings, hashes);
  }
  return hashes;
}

export function keyOf(tree: FlameTree, node: number): string {
  if (node <= 0) return "";
  const hashes = stringHashes(tree);
  const path: number[] = [];
  for (let i = node; i > 0; i = tree.parent[i]!) path.push(hashes[tree.name[i]!]!);
  let [low, high]: [number, number] = [...SEEDS];
  for (let k = path.length - 1; k >= 0; k--) {
    low = mix(low, path[k]!);
    high = mix(high, path[k]!);
  }
  return low.toString(36) + "." + high.toString(36);
}

/** The node with that key, or −1. */
export function findByKey(tree: FlameTree, key: string): number {
  if (key === "") return 0;
  const [lowText, highText] = key.split(".");
  const wantLow = parseInt(lowText ?? "", 36);
  const wantHigh = parseInt(highText ?? "", 36);
  const hashes = stringHashes(tree);
  const low = new Uint32Array(tree.size);
  const high = new Uint32Array(tree.size);
  [low[0], high[0]] = SEEDS;
  for (let i = 1; i < tree.size; i++) {
    const name = hashes[tree.name[i]!]!;
    low[i] = mix(low[tree.parent[i]!]!, name);
    high[i] = mix(high[tree.parent[i]!]!, name);
    if (low[i] === wantLow && high[i] === wantHigh) return i;
  }
  return -1;
}
