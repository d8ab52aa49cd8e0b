// SPDX-License-Identifier: Apache-2.0
/** Search by text or regular expression over function names. */
import type { FlameTree } from "./tree";

export type Matcher = (text: string) => boolean;

export interface SearchResult {
  /** 1 for each node whose function matches. */
  readonly matched: Uint8Array;
  readonly hits: number;
  /** Value under matching frames; a match below a match is counted once. */
  readonly total: number;
  readonly totalA: number;
  /** matchesBefore[p] = matches among levelNodes[0 .. p): tells whether a merged run hides a hit. */
  readonly matchesBefore: Uint32Array;
}

/** A matcher, null for an empty query, or a message about a malformed expression. */
export function compileQuery(query: string, regex: boolean): Matcher | null | { error: string } {
  if (query === "") return null;
  if (!regex) {
    const needle = query.toLowerCase();
    return (text) => text.toLowerCase().includes(needle);
  }
  try {
    const expression = new RegExp(query, "i");
    return (text) => expression.test(text);
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

export function searchTree(tree: FlameTree, matches: Matcher): SearchResult {
  const byString = new Uint8Array(tree.strings.length);
  for (let s = 0; s < byString.length; s++) byString[s] = matches(tree.strings[s]!) ? 1 : 0;
  const matched = new Uint8Array(tree.size);
  let hits = 0;
  let total = 0;
  let totalA = 0;
  let coveredUntil = 0;
  for (let i = 1; i < tree.size; i++) {
    if (!byString[tree.name[i]!]) continue;
    matched[i] = 1;
    hits++;
    if (i < coveredUntil) continue;
    coveredUntil = tree.end[i]!;
    total += tree.total[i]!;
    if (tree.totalA) totalA += tree.totalA[i]!;
  }
  const matchesBefore = new Uint32Array(tree.size + 1);
  for (let p = 0; p < tree.size; p++) {
    matchesBefore[p + 1] = matchesBefore[p]! + matched[tree.levelNodes[p]!]!;
  }
  return { matched, hits, total, totalA, matchesBefore };
}

/** The next (or previous) matching node in preorder after `from`, wrapping round; −1 without hits. */
export function nextHit(tree: FlameTree, result: SearchResult, from: number, step: 1 | -1): number {
  for (let k = 1; k <= tree.size; k++) {
    const i = (from + step * k + tree.size * 2) % tree.size;
    if (result.matched[i]) return i;
  }
  return -1;
}
