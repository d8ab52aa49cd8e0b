// SPDX-License-Identifier: Apache-2.0
/** Where the keyboard's cursor goes: along levels and between callers and callees. */
import type { Span } from "./layout";
import type { FlameTree } from "./tree";

export type Move = "caller" | "callee" | "previous" | "next" | "first" | "last";

function positionInLevel(tree: FlameTree, node: number): number {
  let lo = tree.levels[tree.depth[node]!]!;
  let hi = tree.levels[tree.depth[node]! + 1]!;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (tree.levelNodes[mid]! < node) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

function visible(tree: FlameTree, node: number, span: Span): boolean {
  return tree.start[node]! < span.to && tree.start[node]! + tree.width[node]! > span.from;
}

/** Widest child within the span, or the node itself where there is none. */
function widestChild(tree: FlameTree, node: number, span: Span): number {
  let best = node;
  let bestWidth = 0;
  for (let c = node + 1; c < tree.end[node]!; c = tree.end[c]!) {
    const width =
      Math.min(span.to, tree.start[c]! + tree.width[c]!) - Math.max(span.from, tree.start[c]!);
    if (width > bestWidth) {
      best = c;
      bestWidth = width;
    }
  }
  return best;
}

export function moveCursor(tree: FlameTree, node: number, move: Move, span: Span): number {
  if (move === "caller") return Math.max(0, tree.parent[node]!);
  if (move === "callee") return widestChild(tree, node, span);
  const lo = tree.levels[tree.depth[node]!]!;
  const hi = tree.levels[tree.depth[node]! + 1]!;
  let at = positionInLevel(tree, node);
  const step = move === "previous" || move === "first" ? -1 : 1;
  let found = node;
  for (at += step; at >= lo && at < hi; at += step) {
    const candidate = tree.levelNodes[at]!;
    if (!visible(tree, candidate, span)) break;
    found = candidate;
    if (move === "previous" || move === "next") break;
  }
  return found;
}

/** Position and number among the siblings, from 1, for the accessibility tree. */
export function siblingPosition(tree: FlameTree, node: number): { position: number; count: number } {
  const parent = tree.parent[node]!;
  if (parent < 0) return { position: 1, count: 1 };
  let position = 0;
  let count = 0;
  for (let c = parent + 1; c < tree.end[parent]!; c = tree.end[c]!) {
    count++;
    if (c <= node) position = count;
  }
  return { position, count };
}
