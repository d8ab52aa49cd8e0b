// SPDX-License-Identifier: Apache-2.0
/**
 * The flame graph as columns of typed arrays, one entry per frame, in preorder; node 0 is the root.
 *
 * Positions are kept in units of the value (nanoseconds, counts), never in pixels: children lie
 * left-packed inside their parent in the order of the columns, so within one level `start` and
 * `start + width` both ascend. Everything that draws, hits or navigates rests on that order: it
 * finds its nodes by binary search in `levelNodes` and touches only what is on the screen.
 */

export const KIND_NAMES = ["native", "kernel", "jit", "inlined", "gpu"] as const;
export const OTHER_NAME = "(other)";

/** What an answer of the server (or an embedded profile) brings. */
export interface FlameColumns {
  depth: ArrayLike<number>;
  name: ArrayLike<number>;
  module: ArrayLike<number>;
  kind: ArrayLike<number>;
  total: ArrayLike<number>;
  self: ArrayLike<number>;
  /** The first selection's values in a comparison; `total` and `self` are then the second's. */
  totalA?: ArrayLike<number>;
  selfA?: ArrayLike<number>;
  strings: readonly string[];
}

export type DiffMode = "normalised" | "absolute";

export interface FlameTree {
  readonly size: number;
  readonly strings: readonly string[];
  readonly depth: Uint32Array;
  readonly name: Uint32Array;
  readonly module: Uint32Array;
  readonly kind: Uint8Array;
  readonly total: Float64Array;
  readonly self: Float64Array;
  readonly totalA: Float64Array | null;
  readonly selfA: Float64Array | null;
  readonly parent: Int32Array;
  /** One past the last node of the subtree. */
  readonly end: Uint32Array;
  readonly start: Float64Array;
  readonly width: Float64Array;
  /** Nodes of level d, left to right: levelNodes[levels[d] .. levels[d + 1]). */
  readonly levels: Uint32Array;
  readonly levelNodes: Uint32Array;
  readonly maxDepth: number;
}

export class FlameTreeError extends Error {}

function checkShape(c: FlameColumns, n: number): void {
  for (const column of ["name", "module", "kind", "total", "self"] as const) {
    if (c[column].length !== n) {
      throw new FlameTreeError(`column ${column} has ${c[column].length} entries, depth has ${n}`);
    }
  }
  for (const column of [c.totalA, c.selfA]) {
    if (column && column.length !== n) throw new FlameTreeError("comparison columns differ in length");
  }
}

/** Links of the tree from the depths alone; refuses what is not a preorder of one tree. */
function link(depth: Uint32Array): { parent: Int32Array; end: Uint32Array; maxDepth: number } {
  const n = depth.length;
  const parent = new Int32Array(n);
  const end = new Uint32Array(n);
  const path: number[] = [0];
  let maxDepth = 0;
  parent[0] = -1;
  for (let i = 1; i < n; i++) {
    const d = depth[i]!;
    if (d === 0 || d > depth[i - 1]! + 1) {
      throw new FlameTreeError(`node ${i} at depth ${d} does not follow depth ${depth[i - 1]}`);
    }
    for (let k = path.length - 1; k >= d; k--) end[path[k]!] = i;
    path.length = d;
    parent[i] = path[d - 1]!;
    path.push(i);
    if (d > maxDepth) maxDepth = d;
  }
  for (const i of path) end[i] = n;
  return { parent, end, maxDepth };
}

function indexLevels(depth: Uint32Array, maxDepth: number): { levels: Uint32Array; levelNodes: Uint32Array } {
  const levels = new Uint32Array(maxDepth + 2);
  for (let i = 0; i < depth.length; i++) levels[depth[i]! + 1]!++;
  for (let d = 0; d <= maxDepth; d++) levels[d + 1]! += levels[d]!;
  const cursor = levels.slice();
  const levelNodes = new Uint32Array(depth.length);
  for (let i = 0; i < depth.length; i++) levelNodes[cursor[depth[i]!]!++] = i;
  return { levels, levelNodes };
}

/**
 * Widths of a comparison hold both sides, so that what vanished stays visible. Normalised, both
 * sides weigh the same whatever their totals.
 */
function diffWidths(total: Float64Array, totalA: Float64Array, mode: DiffMode): Float64Array {
  const width = new Float64Array(total.length);
  const scaleA = mode === "normalised" && totalA[0]! > 0 ? 1 / totalA[0]! : 1;
  const scaleB = mode === "normalised" && total[0]! > 0 ? 1 / total[0]! : 1;
  for (let i = 0; i < width.length; i++) width[i] = totalA[i]! * scaleA + total[i]! * scaleB;
  return width;
}

export function buildTree(c: FlameColumns, diffMode: DiffMode = "normalised"): FlameTree {
  const n = c.depth.length;
  if (n === 0) throw new FlameTreeError("a flame graph has at least its root");
  checkShape(c, n);
  const depth = Uint32Array.from(c.depth);
  if (depth[0] !== 0) throw new FlameTreeError("the first node is not a root");
  const name = Uint32Array.from(c.name);
  const module = Uint32Array.from(c.module);
  const strings = c.strings;
  for (let i = 0; i < n; i++) {
    if (name[i]! >= strings.length || module[i]! >= strings.length) {
      throw new FlameTreeError(`node ${i} names a string out of ${strings.length}`);
    }
  }
  const total = Float64Array.from(c.total);
  const totalA = c.totalA ? Float64Array.from(c.totalA) : null;
  const width = totalA ? diffWidths(total, totalA, diffMode) : total;
  const { parent, end, maxDepth } = link(depth);
  const start = new Float64Array(n);
  const next = new Float64Array(n);
  for (let i = 1; i < n; i++) {
    const p = parent[i]!;
    start[i] = next[p]!;
    next[p] = start[i]! + width[i]!;
    next[i] = start[i]!;
  }
  return {
    size: n,
    strings,
    depth,
    name,
    module,
    kind: Uint8Array.from(c.kind),
    total,
    self: Float64Array.from(c.self),
    totalA,
    selfA: c.selfA ? Float64Array.from(c.selfA) : null,
    parent,
    end,
    start,
    width,
    ...indexLevels(depth, maxDepth),
    maxDepth,
  };
}

export function nameOf(tree: FlameTree, node: number): string {
  return tree.strings[tree.name[node]!]!;
}

export function moduleOf(tree: FlameTree, node: number): string {
  return tree.strings[tree.module[node]!]!;
}

export function isOther(tree: FlameTree, node: number): boolean {
  return nameOf(tree, node) === OTHER_NAME;
}

/** Nodes from the root to `node`, both included. */
export function pathTo(tree: FlameTree, node: number): number[] {
  const path: number[] = [];
  for (let i = node; i >= 0; i = tree.parent[i]!) path.push(i);
  return path.reverse();
}

/** Depth of the deepest frame in the subtree of `node`. */
export function subtreeDepth(tree: FlameTree, node: number): number {
  let deepest = tree.depth[node]!;
  for (let i = node + 1; i < tree.end[node]!; i++) {
    if (tree.depth[i]! > deepest) deepest = tree.depth[i]!;
  }
  return deepest;
}
