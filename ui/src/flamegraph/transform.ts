// SPDX-License-Identifier: Apache-2.0
/**
 * Trees made from a tree: only the calls below a function, its callers, or everything without some
 * functions. Equal paths are merged; self values are carried over and totals follow from them, so
 * nothing is lost or counted twice.
 */
import { buildTree, nameOf, type DiffMode, type FlameTree } from "./tree";

/** Collects paths into a tree; children keep the order of their first appearance until `columns`. */
class Merger {
  private readonly children = new Map<number, number>();
  private readonly parent: number[] = [-1];
  private readonly source: number[] = [0];
  private readonly self: number[] = [0];
  private readonly selfA: number[] = [0];

  constructor(private readonly tree: FlameTree) {}

  /** The child of `parent` that shows the same function as `node` of the source tree. */
  child(parent: number, node: number): number {
    const { name, module, strings } = this.tree;
    const frame = name[node]! * strings.length + module[node]!;
    const key = parent * (strings.length * strings.length) + frame;
    if (!Number.isSafeInteger(key)) throw new RangeError("the flame graph is too large to rearrange");
    let found = this.children.get(key);
    if (found === undefined) {
      found = this.parent.length;
      this.children.set(key, found);
      this.parent.push(parent);
      this.source.push(node);
      this.self.push(0);
      this.selfA.push(0);
    }
    return found;
  }

  add(at: number, self: number, selfA: number): void {
    this.self[at]! += self;
    this.selfA[at]! += selfA;
  }

  private totals(self: number[]): Float64Array {
    const total = Float64Array.from(self);
    for (let i = total.length - 1; i > 0; i--) total[this.parent[i]!]! += total[i]!;
    return total;
  }

  private childLists(order: Float64Array): number[][] {
    const lists: number[][] = this.parent.map(() => []);
    for (let i = 1; i < this.parent.length; i++) lists[this.parent[i]!]!.push(i);
    for (const list of lists) list.sort((a, b) => order[b]! - order[a]!);
    return lists;
  }

  build(mode: DiffMode): FlameTree {
    const t = this.tree;
    const total = this.totals(this.self);
    const totalA = this.totals(this.selfA);
    const lists = this.childLists(t.totalA ? total.map((v, i) => v + totalA[i]!) : total);
    const order: number[] = [];
    const depth: number[] = [];
    const stack: [number, number][] = [[0, 0]];
    for (let top = stack.pop(); top; top = stack.pop()) {
      const [node, level] = top;
      order.push(node);
      depth.push(level);
      const list = lists[node]!;
      for (let k = list.length - 1; k >= 0; k--) stack.push([list[k]!, level + 1]);
    }
    const columns = {
      depth,
      name: order.map((i) => t.name[this.source[i]!]!),
      module: order.map((i) => t.module[this.source[i]!]!),
      kind: order.map((i) => t.kind[this.source[i]!]!),
      total: order.map((i) => total[i]!),
      self: order.map((i) => this.self[i]!),
      strings: t.strings,
    };
    if (!t.totalA) return buildTree(columns);
    return buildTree(
      { ...columns, totalA: order.map((i) => totalA[i]!), selfA: order.map((i) => this.selfA[i]!) },
      mode,
    );
  }
}

/** Without the given functions: what they called moves up to their caller, with their own time. */
export function hideFunctions(tree: FlameTree, names: ReadonlySet<string>, mode: DiffMode = "normalised"): FlameTree {
  const merger = new Merger(tree);
  const target = new Uint32Array(tree.size);
  for (let i = 0; i < tree.size; i++) {
    const parent = i === 0 ? 0 : target[tree.parent[i]!]!;
    target[i] = i === 0 || names.has(nameOf(tree, i)) ? parent : merger.child(parent, i);
    merger.add(target[i]!, tree.self[i]!, tree.selfA ? tree.selfA[i]! : 0);
  }
  return merger.build(mode);
}

/** Only the calls through `name`, merged over all of its callers; its recursion stays below it. */
export function focusFunction(tree: FlameTree, name: string, mode: DiffMode = "normalised"): FlameTree {
  const merger = new Merger(tree);
  const target = new Uint32Array(tree.size);
  let insideUntil = 0;
  for (let i = 1; i < tree.size; i++) {
    if (i >= insideUntil) {
      if (nameOf(tree, i) !== name) continue;
      insideUntil = tree.end[i]!;
      target[i] = merger.child(0, i);
    } else {
      target[i] = merger.child(target[tree.parent[i]!]!, i);
    }
    merger.add(target[i]!, tree.self[i]!, tree.selfA ? tree.selfA[i]! : 0);
  }
  return merger.build(mode);
}

/** Who calls `name`, inverted: the function at the root, its callers above it, with its whole value. */
export function callersOf(tree: FlameTree, name: string, mode: DiffMode = "normalised"): FlameTree {
  const merger = new Merger(tree);
  for (let i = 1; i < tree.size; ) {
    if (nameOf(tree, i) !== name) {
      i++;
      continue;
    }
    let at = 0;
    for (let p = i; p > 0; p = tree.parent[p]!) at = merger.child(at, p);
    merger.add(at, tree.total[i]!, tree.totalA ? tree.totalA[i]! : 0);
    i = tree.end[i]!;
  }
  return merger.build(mode);
}
