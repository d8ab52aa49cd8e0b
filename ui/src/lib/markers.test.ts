// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import type { Annotation } from "@/api/model";
import { aroundOf, hostsText, marksOf } from "./markers";

const at = (id: number, from: number, to = from): Annotation => ({ id, kind: "note", from, to, service: null, text: `n${id}`, labels: {}, link: null, deploy: null });

describe("marksOf", () => {
  it("joins what is too close, newest first, and keeps the order of time", () => {
    const marks = marksOf([at(3, 900), at(2, 110), at(1, 100)], 0, 1000, 0.05);
    expect(marks.map((m) => m.annotations.map((a) => a.id))).toEqual([[2, 1], [3]]);
    expect(marks[0]!.place).toBeCloseTo(0.1);
  });

  it("keeps a range that began before, and drops what lies outside", () => {
    const marks = marksOf([at(1, 10, 150), at(2, 20), at(3, 1000)], 100, 1000, 0.01);
    expect(marks.map((m) => m.annotations[0]!.id)).toEqual([1]);
    expect(marks[0]!.place).toBe(0);
  });
});

describe("aroundOf", () => {
  it("has half an hour on each side", () => {
    expect(aroundOf(at(1, 10_000_000), 100_000_000)).toEqual({ from: "10000000", to: "11800000", a_from: "8200000", a_to: "10000000" });
  });

  it("leaves out the time of a range itself, and ends now", () => {
    expect(aroundOf(at(1, 10_000_000, 20_000_000), 20_600_000)).toEqual({ from: "20000000", to: "20600000", a_from: "8200000", a_to: "10000000" });
  });
});

describe("hostsText", () => {
  it("names some and counts the others", () => {
    expect(hostsText(["a", "b"])).toBe("a, b");
    expect(hostsText(["a", "b", "c", "d", "e"])).toBe("a, b, c and 2 more");
  });
});
