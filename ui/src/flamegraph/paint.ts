// SPDX-License-Identifier: Apache-2.0
/** Draws the visible rows of a tree on a canvas. Holds no state beyond what it is given. */
import type { FrameColors, Theme } from "./colors";
import { visitLevel, type Span } from "./layout";
import { pixelOf, type Raster } from "./raster";
import type { SearchResult } from "./search";
import type { TextFitter } from "./text";
import type { FlameTree } from "./tree";

export const ROW_HEIGHT = 20;
const LABEL_MIN_PX = 26;
const GAP = 1;

export type Direction = "icicle" | "flame";

export interface Ink {
  background: string;
  match: string;
  matchText: string;
  dimmed: string;
  dimmedText: string;
  outline: string;
  cursor: string;
}

export const INKS: Record<Theme, Ink> = {
  light: {
    background: "#ffffff",
    match: "#7b2fbf",
    matchText: "#ffffff",
    dimmed: "#e4e7ec",
    dimmedText: "#656d7a",
    outline: "#14171c",
    cursor: "#1d4ed8",
  },
  dark: {
    background: "#14171c",
    match: "#c792f5",
    matchText: "#14171c",
    dimmed: "#2a303a",
    dimmedText: "#98a1af",
    outline: "#f2f4f7",
    cursor: "#8ab4ff",
  },
};

export interface Scene {
  tree: FlameTree;
  colors: FrameColors;
  search: SearchResult | null;
  span: Span;
  direction: Direction;
  ink: Ink;
  /** The drawn area in CSS pixels, how far it is scrolled, and the height of all rows. */
  width: number;
  height: number;
  /** Device pixels to a CSS pixel. */
  ratio: number;
  scroll: number;
  contentHeight: number;
}

/** Top of a level's row in content coordinates. */
export function rowTop(scene: Pick<Scene, "direction" | "contentHeight">, level: number): number {
  return scene.direction === "icicle" ? level * ROW_HEIGHT : scene.contentHeight - (level + 1) * ROW_HEIGHT;
}

export function levelAt(scene: Pick<Scene, "direction" | "contentHeight">, y: number): number {
  return Math.floor((scene.direction === "icicle" ? y : scene.contentHeight - y) / ROW_HEIGHT);
}

function visibleLevels(scene: Scene): [number, number] {
  const a = levelAt(scene, scene.scroll);
  const b = levelAt(scene, scene.scroll + scene.height);
  return [Math.max(0, Math.min(a, b)), Math.min(scene.tree.maxDepth, Math.max(a, b))];
}

interface Label {
  text: string;
  x: number;
  y: number;
  color: string;
}

interface Pixels {
  fill: number[];
  match: number;
  dimmed: number;
  background: number;
}

function pixelsOf(scene: Scene): Pixels {
  return {
    fill: scene.colors.fill.map(pixelOf),
    match: pixelOf(scene.ink.match),
    dimmed: pixelOf(scene.ink.dimmed),
    background: pixelOf(scene.ink.background),
  };
}

/** Fills one line of device pixels with a level's frames; labels of those wide enough go to `labels`. */
function paintLevel(scene: Scene, level: number, line: Uint32Array, pixels: Pixels, fitter: TextFitter, labels: Label[]): void {
  const { tree, colors, search, ink, width, ratio } = scene;
  const y = rowTop(scene, level) - scene.scroll + (ROW_HEIGHT - GAP) / 2 + 0.5;
  line.fill(pixels.background);
  visitLevel(tree, level, scene.span, width, (first, last, x0, x1) => {
    const node = tree.levelNodes[first]!;
    const hit = search !== null && search.matchesBefore[last]! > search.matchesBefore[first]!;
    const left = Math.max(0, x0);
    const right = Math.min(width, x1);
    const room = right - left;
    let pixel = pixels.dimmed;
    if (hit) pixel = pixels.match;
    else if (search === null) pixel = pixels.fill[colors.index[node]!]!;
    const from = Math.round(left * ratio);
    const to = Math.max(from + (hit ? 2 : 1), Math.round((room > 3 ? right - GAP : right) * ratio));
    line.fill(pixel, from, to);
    if (room < LABEL_MIN_PX) return;
    const text = fitter.fit(tree.strings[tree.name[node]!]!, room - 9);
    if (text === "") return;
    let color = ink.dimmedText;
    if (hit) color = ink.matchText;
    else if (search === null) color = colors.text[colors.index[node]!]!;
    labels.push({ text, x: left + 4, y, color });
  });
}

export function paint(context: CanvasRenderingContext2D, raster: Raster, fitter: TextFitter, scene: Scene): void {
  const pixels = pixelsOf(scene);
  const line = new Uint32Array(raster.width);
  const labels: Label[] = [];
  const [from, to] = visibleLevels(scene);
  raster.clear(pixels.background);
  for (let level = from; level <= to; level++) {
    const top = rowTop(scene, level) - scene.scroll;
    paintLevel(scene, level, line, pixels, fitter, labels);
    raster.rows(line, Math.round(top * scene.ratio), Math.round((top + ROW_HEIGHT - GAP) * scene.ratio));
  }
  raster.put(context);
  context.font = fitter.font;
  context.textBaseline = "middle";
  for (const label of labels) {
    context.fillStyle = label.color;
    context.fillText(label.text, label.x, label.y);
  }
}

/** The outline of one node, for hover and the keyboard's cursor. */
export function outline(context: CanvasRenderingContext2D, scene: Scene, node: number, color: string, line: number): void {
  const { tree, span } = scene;
  const scale = scene.width / (span.to - span.from);
  const x0 = Math.max(0, (tree.start[node]! - span.from) * scale);
  const x1 = Math.min(scene.width, (tree.start[node]! + tree.width[node]! - span.from) * scale);
  if (x1 <= 0 || x0 >= scene.width) return;
  const y = rowTop(scene, tree.depth[node]!) - scene.scroll;
  context.strokeStyle = color;
  context.lineWidth = line;
  const inset = line / 2;
  context.strokeRect(x0 + inset, y + inset, Math.max(line, x1 - x0 - GAP - line), ROW_HEIGHT - GAP - line);
}
