// SPDX-License-Identifier: Apache-2.0
/** Small trees for tests, written as nested literals. */
import { buildTree, type DiffMode, type FlameTree } from "./tree";

export interface Spec {
  f: string;
  m?: string;
  kind?: number;
  self?: number;
  selfA?: number;
  of?: Spec[];
}

export function treeOf(root: Spec, mode: DiffMode = "normalised"): FlameTree {
  const strings: string[] = [""];
  const id = (text: string): number => {
    const at = strings.indexOf(text);
    return at >= 0 ? at : strings.push(text) - 1;
  };
  const c = {
    depth: [] as number[],
    name: [] as number[],
    module: [] as number[],
    kind: [] as number[],
    total: [] as number[],
    self: [] as number[],
    totalA: [] as number[],
    selfA: [] as number[],
  };
  let compared = false;
  const add = (spec: Spec, depth: number): [number, number] => {
    const at = c.depth.push(depth) - 1;
    if (spec.selfA !== undefined) compared = true;
    c.name.push(id(spec.f));
    c.module.push(id(spec.m ?? ""));
    c.kind.push(spec.kind ?? 0);
    c.self.push(spec.self ?? 0);
    c.selfA.push(spec.selfA ?? 0);
    c.total.push(0);
    c.totalA.push(0);
    let total = spec.self ?? 0;
    let totalA = spec.selfA ?? 0;
    for (const child of spec.of ?? []) {
      const [t, a] = add(child, depth + 1);
      total += t;
      totalA += a;
    }
    c.total[at] = total;
    c.totalA[at] = totalA;
    return [total, totalA];
  };
  add(root, 0);
  const { totalA, selfA, ...plain } = c;
  return buildTree(compared ? { ...plain, totalA, selfA, strings } : { ...plain, strings }, mode);
}

/** A wide tree of about `size` frames: every frame splits unevenly down to `maxDepth`. */
export function syntheticTree(size: number, maxDepth = 60, seed = 1): FlameTree {
  let state = seed >>> 0;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
  const strings = ["", "all"];
  for (let s = 0; s < 5000; s++) strings.push(`namespace${s % 40}::function_${s}`);
  const modules = strings.length;
  for (let m = 0; m < 30; m++) strings.push(`lib${m}.so`);
  const depth: number[] = [];
  const name: number[] = [];
  const module: number[] = [];
  const total: number[] = [];
  const self: number[] = [];
  const stack: [number, number, number][] = [[0, size, size * 1e6]];
  for (let top = stack.pop(); top; top = stack.pop()) {
    const [level, nodes, value] = top;
    depth.push(level);
    name.push(level === 0 ? 1 : 2 + Math.floor(random() * 5000));
    module.push(modules + Math.floor(random() * 30));
    total.push(value);
    let left = nodes - 1;
    let room = value;
    const pieces: [number, number, number][] = [];
    const fan = level + 1 >= maxDepth ? 0 : Math.max(level < 2 ? 12 : 1, Math.floor(random() * 4));
    for (let k = 0; k < fan && left > 0; k++) {
      const part = k === fan - 1 ? left : Math.max(1, Math.floor(left * (0.3 + random() * 0.5)));
      const share = Math.floor((room * part) / (left + 1));
      pieces.push([level + 1, part, share]);
      left -= part;
      room -= share;
    }
    self.push(room);
    for (let k = pieces.length - 1; k >= 0; k--) stack.push(pieces[k]!);
  }
  return buildTree({ depth, name, module, kind: new Uint8Array(depth.length), total, self, strings });
}
