// SPDX-License-Identifier: Apache-2.0
/** Draws the visible rows of a tree on a canvas. Holds no state beyond what it is given. */
import type { FrameColors, Theme } from "./colors";
import { visitLevel, type Span } from "./layout";
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

function paintRow(context: CanvasRenderingContext2D, fitter: TextFitter, scene: Scene, level: number): void {
  const { tree, colors, search, ink, width } = scene;
  const y = rowTop(scene, level) - scene.scroll;
  const height = ROW_HEIGHT - GAP;
  visitLevel(tree, level, scene.span, width, (first, last, x0, x1) => {
    const node = tree.levelNodes[first]!;
    const hit = search !== null && search.matchesBefore[last]! > search.matchesBefore[first]!;
    const left = Math.max(0, x0);
    const right = Math.min(width, x1);
    const room = right - left;
    const drawn = room > 3 ? room - GAP : Math.max(room, hit ? 1.5 : 0.6);
    if (hit) context.fillStyle = ink.match;
    else if (search !== null) context.fillStyle = ink.dimmed;
    else context.fillStyle = colors.fill[colors.index[node]!]!;
    context.fillRect(left, y, drawn, height);
    if (room < LABEL_MIN_PX) return;
    const label = fitter.fit(tree.strings[tree.name[node]!]!, room - 9);
    if (label === "") return;
    if (hit) context.fillStyle = ink.matchText;
    else if (search !== null) context.fillStyle = ink.dimmedText;
    else context.fillStyle = colors.text[colors.index[node]!]!;
    context.fillText(label, left + 4, y + height / 2 + 0.5);
  });
}

export function paint(context: CanvasRenderingContext2D, fitter: TextFitter, scene: Scene): void {
  context.fillStyle = scene.ink.background;
  context.fillRect(0, 0, scene.width, scene.height);
  context.font = fitter.font;
  context.textBaseline = "middle";
  const [from, to] = visibleLevels(scene);
  for (let level = from; level <= to; level++) paintRow(context, fitter, scene, level);
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
