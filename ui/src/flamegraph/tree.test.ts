// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { syntheticTree, treeOf } from "./fixture";
import { findByKey, keyOf } from "./path-key";
import { buildTree, nameOf, pathTo, subtreeDepth } from "./tree";

const tree = treeOf({
  f: "all",
  of: [
    { f: "main", m: "app", of: [{ f: "parse", self: 30, of: [{ f: "malloc", m: "libc", self: 20 }] }, { f: "write", self: 10 }] },
    { f: "idle", self: 40 },
  ],
});

describe("buildTree", () => {
  it("lays children left-packed inside their parent", () => {
    expect([...tree.start]).toEqual([0, 0, 0, 0, 50, 60]);
    expect([...tree.width]).toEqual([100, 60, 50, 20, 10, 40]);
  });

  it("links parents and subtree ends", () => {
    expect([...tree.parent]).toEqual([-1, 0, 1, 2, 1, 0]);
    expect([...tree.end]).toEqual([6, 5, 4, 4, 5, 6]);
    expect(subtreeDepth(tree, 1)).toBe(3);
    expect(pathTo(tree, 3).map((i) => nameOf(tree, i))).toEqual(["all", "main", "parse", "malloc"]);
  });

  it("orders every level by position", () => {
    const big = syntheticTree(20_000);
    for (let d = 0; d <= big.maxDepth; d++) {
      let last = -1;
      for (let p = big.levels[d]!; p < big.levels[d + 1]!; p++) {
        expect(big.start[big.levelNodes[p]!]!).toBeGreaterThanOrEqual(last);
        last = big.start[big.levelNodes[p]!]!;
      }
    }
  });

  const columns = { depth: [0, 1], name: [0, 0], module: [0, 0], kind: [0, 0], total: [1, 1], self: [0, 1], strings: [""] };
  it.each([
    ["no nodes", { depth: [] }],
    ["a root below depth 0", { depth: [1, 2] }],
    ["two roots", { depth: [0, 0] }],
    ["a skipped level", { depth: [0, 2] }],
    ["a string out of range", { name: [0, 1] }],
    ["a module out of range", { module: [7, 0] }],
    ["columns of unequal length", { total: [1] }],
    ["a comparison column too short", { totalA: [1] }],
  ])("refuses %s", (_, change) => {
    expect(() => buildTree({ ...columns, ...change })).toThrow();
  });

  it("gives both sides of a normalised comparison the same weight", () => {
    const diff = treeOf({ f: "all", of: [{ f: "x", self: 10, selfA: 0 }, { f: "y", self: 0, selfA: 1000 }] });
    expect(diff.width[0]).toBeCloseTo(2);
    expect(diff.width[1]).toBeCloseTo(1);
    expect(diff.width[2]).toBeCloseTo(1);
  });

  it("adds both sides of an absolute comparison", () => {
    const diff = treeOf({ f: "all", of: [{ f: "x", self: 10, selfA: 30 }] }, "absolute");
    expect(diff.width[1]).toBe(40);
  });
});

describe("keyOf", () => {
  it("finds every node again", () => {
    for (let i = 0; i < tree.size; i++) expect(findByKey(tree, keyOf(tree, i))).toBe(i);
  });

  it("keeps the keys of a large tree apart, but for equal paths", () => {
    const big = syntheticTree(20_000);
    const paths = new Map<string, string>();
    for (let i = 1; i < big.size; i++) {
      const path = pathTo(big, i).map((n) => nameOf(big, n)).join(";");
      const key = keyOf(big, i);
      expect(paths.get(key) ?? path).toBe(path);
      paths.set(key, path);
    }
  });

  it("finds the same path in a tree with other values", () => {
    const later = treeOf({
      f: "all",
      of: [{ f: "new", self: 70 }, { f: "main", of: [{ f: "parse", self: 1, of: [{ f: "malloc", self: 9 }] }] }],
    });
    expect(nameOf(later, findByKey(later, keyOf(tree, 3)))).toBe("malloc");
  });

  it("answers -1 for a path that is gone and for nonsense", () => {
    expect(findByKey(treeOf({ f: "all", self: 1 }), keyOf(tree, 3))).toBe(-1);
    expect(findByKey(tree, "<script>")).toBe(-1);
  });
});
