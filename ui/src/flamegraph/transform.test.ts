// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { DIFF_STEPS, diffColors, diffStep, frameColors, legendOf, packageOf } from "./colors";
import { treeOf } from "./fixture";
import { callersOf, focusFunction, hideFunctions } from "./transform";
import { KIND_NAMES, nameOf, type FlameTree } from "./tree";

const tree = treeOf({
  f: "all",
  of: [
    { f: "main", of: [{ f: "a", self: 1, of: [{ f: "lock", self: 10, of: [{ f: "spin", self: 5 }] }] }, { f: "b", of: [{ f: "lock", self: 20 }] }] },
    { f: "worker", of: [{ f: "lock", self: 4, of: [{ f: "lock", self: 2 }] }] },
  ],
});

function shape(t: FlameTree): string[] {
  return Array.from({ length: t.size }, (_, i) => `${" ".repeat(t.depth[i]!)}${nameOf(t, i)} ${t.total[i]}/${t.self[i]}`);
}

describe("transforms", () => {
  it("focuses on a function over all of its callers", () => {
    expect(shape(focusFunction(tree, "lock"))).toEqual(["all 41/0", " lock 41/34", "  spin 5/5", "  lock 2/2"]);
  });

  it("shows the callers with the function's whole value", () => {
    expect(shape(callersOf(tree, "lock"))).toEqual([
      "all 41/0",
      " lock 41/0",
      "  b 20/0",
      "   main 20/20",
      "  a 15/0",
      "   main 15/15",
      "  worker 6/6",
    ]);
  });

  it("hides functions without losing value", () => {
    const hidden = hideFunctions(tree, new Set(["lock", "worker"]));
    expect(hidden.total[0]).toBe(tree.total[0]);
    expect(shape(hidden)).toEqual([
      "all 42/6",
      " main 36/0",
      "  b 20/20",
      "  a 16/11",
      "   spin 5/5",
    ]);
  });

  it("gives only a root where nothing matches", () => {
    expect(focusFunction(tree, "nothing").size).toBe(1);
  });

  it("carries both sides of a comparison", () => {
    const diff = treeOf({ f: "all", of: [{ f: "x", of: [{ f: "y", self: 1, selfA: 2 }] }, { f: "z", of: [{ f: "y", self: 3, selfA: 4 }] }] });
    const focused = focusFunction(diff, "y");
    expect([focused.total[1], focused.totalA![1]]).toEqual([4, 6]);
  });
});

describe("colours", () => {
  it("steps from only-A to only-B", () => {
    expect(diffStep(10, 0)).toBe(-DIFF_STEPS);
    expect(diffStep(0, 10)).toBe(DIFF_STEPS);
    expect(diffStep(100, 101)).toBe(0);
    expect(diffStep(0, 0)).toBe(0);
    expect(diffStep(100, 110)).toBeGreaterThan(0);
    expect(diffStep(10, 5)).toBe(-diffStep(5, 10));
  });

  it("colours equal shares as unchanged only when normalised", () => {
    const diff = treeOf({ f: "all", of: [{ f: "x", self: 10, selfA: 20 }, { f: "y", self: 10, selfA: 20 }] });
    expect([...diffColors(diff, true, "light").index]).toEqual([DIFF_STEPS, DIFF_STEPS, DIFF_STEPS]);
    expect(diffColors(diff, false, "light").index[1]).toBeLessThan(DIFF_STEPS);
  });

  it("gives one module one colour, and the kernel and the folded remainder their own", () => {
    const mixed = treeOf({
      f: "all",
      of: [{ f: "a", m: "libc.so", self: 1 }, { f: "b", m: "libc.so", self: 1 }, { f: "sys", m: "kernel", kind: 1, self: 4 }, { f: "(other)", self: 3 }],
    });
    const { index, fill } = frameColors(mixed, "module", "dark");
    expect(index[1]).toBe(index[2]);
    expect(index[3]).not.toBe(index[1]);
    expect(index[4]).toBe(index[0]);
    expect(new Set(fill).size).toBe(fill.length);
    const legend = legendOf(mixed, frameColors(mixed, "module", "light"), "module", KIND_NAMES, 9);
    expect(legend.map((entry) => entry.label)).toEqual(["kernel", "(other)", "libc.so"]);
  });

  it("never gives two of the heaviest modules one colour", () => {
    const of = Array.from({ length: 12 }, (_, k) => ({ f: "f", m: `module-${k}`, self: 10 + k }));
    const { index } = frameColors(treeOf({ f: "all", of }), "module", "light");
    expect(new Set(index).size).toBe(13);
  });

  it.each([
    ["std::vector<int>::push_back(int)", "std"],
    ["net/http.(*Server).Serve", "net/http"],
    ["java.util.HashMap.get", "java.util.HashMap"],
    ["__tcp_sendmsg", "tcp"],
    ["main", "main"],
  ])("finds the package of %s", (name, expected) => {
    expect(packageOf(name)).toBe(expected);
  });
});
