// SPDX-License-Identifier: Apache-2.0
/** Draws a heatmap: one pixel a cell, which the canvas enlarges, and the selection's outline above it. */
import { shadeOf, type HeatGrid, type Run } from "./grid";

export interface HeatColors {
  /** From nothing to the most, as #rrggbb. */
  shades: readonly string[];
  outline: string;
}

function channels(color: string): [number, number, number] {
  const value = Number.parseInt(color.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** The cells, a pixel each; those that nothing is known of stay transparent. */
export function paintCells(grid: HeatGrid, colors: HeatColors): ImageData {
  const image = new ImageData(grid.columns, grid.rows);
  const palette = colors.shades.map(channels);
  for (let cell = 0; cell < grid.cells.length; cell++) {
    const shade = shadeOf(grid, cell, palette.length);
    if (shade < 0) continue;
    const column = Math.floor(cell / grid.rows);
    image.data.set([...palette[shade]!, 255], ((cell % grid.rows) * grid.columns + column) * 4);
  }
  return image;
}

/** Outlines a run of cells, column by column. */
export function outlineRun(context: CanvasRenderingContext2D, grid: HeatGrid, run: Run, width: number, height: number, colors: HeatColors): void {
  const cellWidth = width / grid.columns;
  const cellHeight = height / grid.rows;
  context.strokeStyle = colors.outline;
  context.lineWidth = 2;
  for (let column = Math.floor(run.first / grid.rows); column <= Math.floor(run.last / grid.rows); column++) {
    const first = Math.max(run.first - column * grid.rows, 0);
    const last = Math.min(run.last - column * grid.rows, grid.rows - 1);
    context.strokeRect(column * cellWidth + 1, first * cellHeight + 1, Math.max(cellWidth - 2, 1), Math.max((last - first + 1) * cellHeight - 2, 1));
  }
}
