// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { syntheticTree, treeOf } from "./fixture";
import { clampSpan, coveringNode, nodeAt, spanOf, visitLevel } from "./layout";
import { moveCursor, siblingPosition } from "./navigate";
import { nameOf, type FlameTree } from "./tree";

const tree = treeOf({
  f: "all",
  of: [
    { f: "main", of: [{ f: "parse", self: 30, of: [{ f: "malloc", self: 20 }] }, { f: "write", self: 10 }] },
    { f: "idle", self: 40 },
  ],
});

function rects(t: FlameTree, level: number, span = spanOf(t, 0), pixels = 1000): [number, number, number, number][] {
  const out: [number, number, number, number][] = [];
  visitLevel(t, level, span, pixels, (first, last, x0, x1) => out.push([first, last, x0, x1]));
  return out;
}

describe("visitLevel", () => {
  it("gives widths in proportion to values", () => {
    expect(rects(tree, 1).map(([, , x0, x1]) => [x0, x1])).toEqual([[0, 600], [600, 1000]]);
  });

  it("shows only what the zoomed span holds, and its callers at full width", () => {
    const span = spanOf(tree, 2);
    expect(rects(tree, 1, span).map(([, , x0, x1]) => [x0, x1])).toEqual([[0, 1200]]);
    expect(rects(tree, 2, span)).toHaveLength(1);
  });

  it("visits nothing below the deepest level or in an empty span", () => {
    expect(rects(tree, 9)).toEqual([]);
    expect(rects(tree, 0, { from: 5, to: 5 })).toEqual([]);
  });

  it("merges frames below a pixel and still covers each of them exactly once", () => {
    const many = treeOf({ f: "all", of: Array.from({ length: 10_000 }, (_, k) => ({ f: `f${k}`, self: 1 })) });
    const seen = rects(many, 1, spanOf(many, 0), 500);
    expect(seen.length).toBeLessThanOrEqual(500);
    expect(seen.length).toBeGreaterThan(200);
    expect(seen.reduce((sum, [first, last]) => sum + last - first, 0)).toBe(10_000);
    for (let k = 1; k < seen.length; k++) expect(seen[k]![0]).toBe(seen[k - 1]![1]);
  });

  it("keeps a wide frame whole among sub-pixel ones", () => {
    const mixed = treeOf({
      f: "all",
      of: [
        ...Array.from({ length: 50 }, (_, k) => ({ f: `a${k}`, self: 0.01 })),
        { f: "wide", self: 99 },
        ...Array.from({ length: 50 }, (_, k) => ({ f: `b${k}`, self: 0.01 })),
      ],
    });
    const wide = rects(mixed, 1).filter(([first, last]) => last - first === 1 && nameOf(mixed, mixed.levelNodes[first]!) === "wide");
    expect(wide).toHaveLength(1);
    expect(wide[0]![3] - wide[0]![2]).toBeCloseTo(990);
  });

  it("bounds its work by pixels on a large tree", () => {
    const big = syntheticTree(100_000);
    for (let d = 0; d <= big.maxDepth; d++) expect(rects(big, d, spanOf(big, 0), 800).length).toBeLessThanOrEqual(1601);
  });
});

describe("nodeAt", () => {
  it("finds what is drawn under a value", () => {
    expect(nameOf(tree, nodeAt(tree, 1, 59.9))).toBe("main");
    expect(nameOf(tree, nodeAt(tree, 1, 60))).toBe("idle");
    expect(nameOf(tree, nodeAt(tree, 3, 19))).toBe("malloc");
  });

  it("answers -1 over self time, below the tree and beside it", () => {
    expect(nodeAt(tree, 3, 21)).toBe(-1);
    expect(nodeAt(tree, 7, 1)).toBe(-1);
    expect(nodeAt(tree, -1, 1)).toBe(-1);
    expect(nodeAt(tree, 1, 100)).toBe(-1);
  });
});

describe("spans", () => {
  it("clamps to the root and to a smallest width", () => {
    expect(clampSpan(tree, { from: -20, to: 30 })).toEqual({ from: 0, to: 50 });
    expect(clampSpan(tree, { from: 90, to: 140 })).toEqual({ from: 50, to: 100 });
    expect(clampSpan(tree, { from: 5, to: 5 }).to).toBeGreaterThan(5);
  });

  it("names the deepest frame that covers the view", () => {
    expect(nameOf(tree, coveringNode(tree, { from: 2, to: 15 }))).toBe("malloc");
    expect(nameOf(tree, coveringNode(tree, { from: 2, to: 55 }))).toBe("main");
    expect(coveringNode(tree, spanOf(tree, 0))).toBe(0);
  });
});

describe("moveCursor", () => {
  const whole = spanOf(tree, 0);
  const at = (name: string): number => [...tree.name].findIndex((s) => tree.strings[s] === name);
  const go = (from: string, move: Parameters<typeof moveCursor>[2], span = whole): string =>
    nameOf(tree, moveCursor(tree, at(from), move, span));

  it("goes to the widest callee and back to the caller", () => {
    expect(go("main", "callee")).toBe("parse");
    expect(go("parse", "caller")).toBe("main");
    expect(go("all", "caller")).toBe("all");
    expect(go("malloc", "callee")).toBe("malloc");
  });

  it("walks along a level and stops at its ends", () => {
    expect(go("main", "next")).toBe("idle");
    expect(go("idle", "next")).toBe("idle");
    expect(go("idle", "first")).toBe("main");
    expect(go("parse", "last")).toBe("write");
  });

  it("stays inside the zoomed span", () => {
    expect(go("main", "next", spanOf(tree, at("main")))).toBe("main");
  });

  it("knows the place among the siblings", () => {
    expect(siblingPosition(tree, at("idle"))).toEqual({ position: 2, count: 2 });
    expect(siblingPosition(tree, 0)).toEqual({ position: 1, count: 1 });
  });
});
