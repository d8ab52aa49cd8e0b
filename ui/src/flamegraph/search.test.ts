// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { treeOf } from "./fixture";
import { functionsOf } from "./functions";
import { compileQuery, nextHit, searchTree, type Matcher } from "./search";
import { nameOf } from "./tree";

const tree = treeOf({
  f: "all",
  of: [
    { f: "main", of: [{ f: "walk", self: 5, of: [{ f: "Walk", self: 5, of: [{ f: "malloc", self: 20 }] }] }, { f: "write", self: 30 }] },
    { f: "walk", self: 40 },
  ],
});

function matcher(query: string, regex = false): Matcher {
  const compiled = compileQuery(query, regex);
  if (typeof compiled !== "function") throw new Error("expected a matcher");
  return compiled;
}

describe("search", () => {
  it("counts hits, and nested matches once in the share", () => {
    const found = searchTree(tree, matcher("walk"));
    expect(found.hits).toBe(3);
    expect(found.total).toBe(30 + 40);
  });

  it("takes a regular expression, or tells what is wrong with it", () => {
    expect(searchTree(tree, matcher("^w(alk|rite)$", true)).hits).toBe(4);
    expect(compileQuery("a(", true)).toHaveProperty("error");
    expect(compileQuery("", false)).toBeNull();
  });

  it("takes text literally", () => {
    expect(searchTree(tree, matcher("w.lk")).hits).toBe(0);
  });

  it("tells whether a run of a level holds a hit", () => {
    const found = searchTree(tree, matcher("malloc"));
    const level = tree.depth[[...tree.name].findIndex((s) => tree.strings[s] === "malloc")]!;
    expect(found.matchesBefore[tree.levels[level + 1]!]! - found.matchesBefore[tree.levels[level]!]!).toBe(1);
    expect(found.matchesBefore[tree.levels[2]!]).toBe(0);
  });

  it("goes through the hits in both directions and wraps", () => {
    const found = searchTree(tree, matcher("walk"));
    const first = nextHit(tree, found, 0, 1);
    expect(nameOf(tree, first)).toBe("walk");
    const last = nextHit(tree, found, first, -1);
    expect(tree.depth[last]).toBe(1);
    expect(nextHit(tree, found, last, 1)).toBe(first);
    expect(nextHit(tree, searchTree(tree, matcher("zzz")), 0, 1)).toBe(-1);
  });
});

describe("functionsOf", () => {
  it("counts recursion once in the total and always in self", () => {
    const recursive = treeOf({ f: "all", of: [{ f: "r", self: 1, of: [{ f: "r", self: 2, of: [{ f: "x", of: [{ f: "r", self: 4 }] }] }] }] });
    const row = functionsOf(recursive, 0).find((r) => r.function === "r");
    expect(row).toMatchObject({ self: 7, total: 7 });
  });

  it("restricts to a subtree and sums self to its total", () => {
    const main = [...tree.name].findIndex((s) => tree.strings[s] === "main");
    const rows = functionsOf(tree, main);
    expect(rows.reduce((sum, r) => sum + r.self, 0)).toBe(60);
    expect(rows.find((r) => r.function === "walk")!.total).toBe(30);
  });

  it("keeps functions of one name in two modules apart", () => {
    const two = treeOf({ f: "all", of: [{ f: "init", m: "a", self: 1 }, { f: "init", m: "b", self: 2 }] });
    expect(functionsOf(two, 0).map((r) => [r.module, r.self])).toEqual([["a", 1], ["b", 2]]);
  });
});
