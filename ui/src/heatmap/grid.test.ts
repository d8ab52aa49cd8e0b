// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { cellAt, moved, runOf, shadeOf, timesOf, type HeatGrid } from "./grid";

const GRID: HeatGrid = { from: 60_000, stepMs: 1000, rows: 3, columns: 2, cells: [0, 5, 10, null, 1, 0], max: 10 };

describe("a heatmap's grid", () => {
  it("finds cells column by column, and the nearest one outside", () => {
    expect(cellAt(GRID, 10, 10, 200, 90)).toBe(0);
    expect(cellAt(GRID, 10, 89, 200, 90)).toBe(2);
    expect(cellAt(GRID, 150, 31, 200, 90)).toBe(4);
    expect(cellAt(GRID, 999, -5, 200, 90)).toBe(3);
  });

  it("selects a stretch of time, in whichever direction", () => {
    expect(runOf(4, 1)).toEqual({ first: 1, last: 4 });
    expect(timesOf(GRID, runOf(4, 1))).toEqual({ from: 61_000, to: 65_000 });
    expect(timesOf(GRID, runOf(0, 0))).toEqual({ from: 60_000, to: 61_000 });
  });

  it("moves by seconds and by columns, and stays inside", () => {
    expect(moved(GRID, 1, "ArrowRight")).toBe(4);
    expect(moved(GRID, 2, "ArrowDown")).toBe(3);
    expect(moved(GRID, 4, "ArrowRight")).toBe(5);
    expect(moved(GRID, 1, "ArrowLeft")).toBe(0);
    expect(moved(GRID, 1, "End")).toBe(5);
    expect(moved(GRID, 1, "x")).toBeNull();
  });

  it("tells nothing from not known, and a little from nothing", () => {
    expect([0, 1, 2, 3, 4, 5].map((cell) => shadeOf(GRID, cell, 5))).toEqual([0, 2, 4, -1, 1, 0]);
    expect(shadeOf({ ...GRID, cells: [1], max: 1000 }, 0, 5)).toBe(1);
  });
});
