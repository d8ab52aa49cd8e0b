// SPDX-License-Identifier: Apache-2.0
/**
 * A heatmap's geometry: cells in the order of time, column by column from the left, each column from the
 * top. What is selected is a stretch of time, so a run of cells, however many columns it goes through.
 */

export interface HeatGrid {
  /** The first cell's beginning, Unix milliseconds. */
  from: number;
  stepMs: number;
  rows: number;
  columns: number;
  /** Null: no host reported then. */
  cells: readonly (number | null)[];
  max: number;
}

export interface Run {
  first: number;
  /** The last cell that belongs to it. */
  last: number;
}

export function runOf(a: number, b: number): Run {
  return { first: Math.min(a, b), last: Math.max(a, b) };
}

/** Unix milliseconds, half-open. */
export function timesOf(grid: HeatGrid, run: Run): { from: number; to: number } {
  return { from: grid.from + run.first * grid.stepMs, to: grid.from + (run.last + 1) * grid.stepMs };
}

/** The cell at a place of a picture of that size; the nearest one where the place is outside. */
export function cellAt(grid: HeatGrid, x: number, y: number, width: number, height: number): number {
  const clamp = (v: number, n: number): number => Math.min(n - 1, Math.max(0, Math.floor(v)));
  const column = clamp((x / width) * grid.columns, grid.columns);
  const row = clamp((y / height) * grid.rows, grid.rows);
  return column * grid.rows + row;
}

/** Where a key leads from a cell; null: it is none of the grid's. */
export function moved(grid: HeatGrid, cell: number, key: string): number | null {
  const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, ArrowRight: grid.rows, ArrowLeft: -grid.rows };
  const last = grid.cells.length - 1;
  if (key === "Home") return 0;
  if (key === "End") return last;
  const step = steps[key];
  return step === undefined ? null : Math.min(last, Math.max(0, cell + step));
}

/** The palette's entry for a cell, -1 where nothing is known. What is not nothing never looks like nothing. */
export function shadeOf(grid: HeatGrid, cell: number, shades: number): number {
  const value = grid.cells[cell] ?? null;
  if (value === null) return -1;
  if (value === 0 || grid.max === 0) return 0;
  return Math.max(1, Math.round((value / grid.max) * (shades - 1)));
}
