// SPDX-License-Identifier: Apache-2.0
/** From values to pixels: which rectangles of a level are on the screen, and what lies under a point. */
import type { FlameTree } from "./tree";

/** The visible part of the value axis, [from, to). */
export interface Span {
  from: number;
  to: number;
}

/** Rectangles narrower than this many pixels are drawn as one with their neighbours. */
export const MERGE_PX = 1;

/**
 * One rectangle of a level: positions [first, last) of `tree.levelNodes` drawn from x0 to x1 (pixels
 * relative to the span's start, not clipped). More than one position means a merged run.
 */
export type VisitRect = (first: number, last: number, x0: number, x1: number) => void;

export function spanOf(tree: FlameTree, node: number): Span {
  const from = tree.start[node]!;
  return { from, to: from + tree.width[node]! };
}

/** First position in [lo, hi) of `levelNodes` whose rectangle ends after `value`; hi if none does. */
export function firstEndingAfter(tree: FlameTree, lo: number, hi: number, value: number): number {
  const { levelNodes, start, width } = tree;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    const node = levelNodes[mid]!;
    if (start[node]! + width[node]! > value) hi = mid;
    else lo = mid + 1;
  }
  return lo;
}

/** As firstEndingAfter, but quick where the answer is close to `lo`. */
function gallopEndingAfter(tree: FlameTree, lo: number, hi: number, value: number): number {
  let step = 1;
  let probe = lo;
  while (probe < hi) {
    const node = tree.levelNodes[probe]!;
    if (tree.start[node]! + tree.width[node]! > value) break;
    lo = probe + 1;
    probe += step;
    step *= 2;
  }
  return firstEndingAfter(tree, lo, Math.min(probe, hi), value);
}

/**
 * Visits the rectangles of one level within the span, left to right. The work is bounded by the
 * pixels of the row, not by the nodes of the level: runs of sub-pixel nodes are jumped over.
 */
export function visitLevel(tree: FlameTree, level: number, span: Span, pixels: number, visit: VisitRect): void {
  const extent = span.to - span.from;
  if (extent <= 0 || level > tree.maxDepth) return;
  const { levelNodes, start, width } = tree;
  const scale = pixels / extent;
  const hi = tree.levels[level + 1]!;
  let at = firstEndingAfter(tree, tree.levels[level]!, hi, span.from);
  while (at < hi) {
    const node = levelNodes[at]!;
    if (start[node]! >= span.to) return;
    const x0 = (start[node]! - span.from) * scale;
    const x1 = x0 + width[node]! * scale;
    if (x1 - x0 >= MERGE_PX) {
      visit(at, at + 1, x0, x1);
      at++;
      continue;
    }
    const next = Math.max(at + 1, gallopEndingAfter(tree, at + 1, hi, start[node]! + MERGE_PX / scale));
    const lastNode = levelNodes[next - 1]!;
    visit(at, next, x0, (start[lastNode]! + width[lastNode]! - span.from) * scale);
    at = next;
  }
}

/** The node of a level at a value, or −1 over empty space. */
export function nodeAt(tree: FlameTree, level: number, value: number): number {
  if (level < 0 || level > tree.maxDepth) return -1;
  const hi = tree.levels[level + 1]!;
  const at = firstEndingAfter(tree, tree.levels[level]!, hi, value);
  if (at >= hi) return -1;
  const node = tree.levelNodes[at]!;
  return tree.start[node]! <= value ? node : -1;
}

/** Keeps a span inside the root and not narrower than one part in 10⁹ of it. */
export function clampSpan(tree: FlameTree, span: Span): Span {
  const whole = tree.width[0]!;
  const extent = Math.min(whole, Math.max(whole * 1e-9, span.to - span.from));
  const from = Math.min(Math.max(0, span.from), whole - extent);
  return { from, to: from + extent };
}

/** The deepest node that covers the whole span: what the view is zoomed to. */
export function coveringNode(tree: FlameTree, span: Span): number {
  const slack = (span.to - span.from) * 1e-6;
  let node = 0;
  for (;;) {
    const child = nodeAt(tree, tree.depth[node]! + 1, span.from + slack);
    if (child < 0 || tree.start[child]! + tree.width[child]! < span.to - slack) return node;
    node = child;
  }
}
