// SPDX-License-Identifier: Apache-2.0
/**
 * Frame colours. A scheme gives each node a small index into a palette, computed once per tree, so
 * that drawing only looks up. Palettes vary in lightness as well as hue, and comparisons run from
 * blue to orange, so that neither rests on telling red from green.
 */
import { OTHER_NAME, type FlameTree } from "./tree";

export type ColorMode = "module" | "kind" | "package";
export type Theme = "light" | "dark";

export interface FrameColors {
  readonly index: Uint8Array;
  readonly fill: readonly string[];
  readonly text: readonly string[];
}

function oklch(lightness: number, chroma: number, hue: number): string {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const channel = (linear: number): string => {
    const x = Math.min(1, Math.max(0, linear));
    const srgb = x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055;
    return Math.round(srgb * 255).toString(16).padStart(2, "0");
  };
  return (
    "#" +
    channel(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s) +
    channel(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s) +
    channel(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s)
  );
}

const HEAT_SHADES = 16;

/** From nothing to the most, of one hue: lightness alone tells them apart. */
export function heatPalette(theme: Theme): readonly string[] {
  const [least, most] = theme === "dark" ? [0.28, 0.92] : [0.95, 0.36];
  return Array.from({ length: HEAT_SHADES }, (_, i) => {
    const share = i / (HEAT_SHADES - 1);
    return oklch(least + (most - least) * share, 0.02 + 0.13 * Math.sin(Math.PI * (0.1 + 0.6 * share)), 262);
  });
}

const DARK_TEXT = "#14171c";
const LIGHT_TEXT = "#eef1f5";

/** Hue and lightness offset; neighbours in the list differ in both. */
const HUES: readonly (readonly [number, number])[] = [
  [62, 0.04],
  [28, -0.02],
  [95, 0.07],
  [150, -0.01],
  [330, 0.03],
  [190, 0.05],
  [300, -0.03],
  [120, 0.03],
  [10, 0.06],
  [265, 0.01],
  [75, -0.04],
  [175, -0.04],
];

const KINDS: readonly (readonly [number, number])[] = [
  [62, 0.04],
  [245, 0],
  [150, 0],
  [100, 0.08],
  [330, -0.02],
];

const KERNEL_KIND = 1;
const KERNEL_SLOT = 1;
const OTHER_SLOT = 0;
const FIRST_HASHED = 2;

function palette(theme: Theme, hues: readonly (readonly [number, number])[]): Omit<FrameColors, "index"> {
  const base = theme === "light" ? 0.83 : 0.7;
  const chroma = theme === "light" ? 0.072 : 0.08;
  const fill = [theme === "light" ? "#c9ced6" : "#5a6270", oklch(base - 0.02, 0.075, 245)];
  for (const [hue, lift] of hues) fill.push(oklch(base + lift, chroma, hue));
  const text = fill.map(() => DARK_TEXT);
  if (theme === "dark") text[OTHER_SLOT] = LIGHT_TEXT;
  return { fill, text };
}

function hash(text: string): number {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  h ^= h >>> 15;
  return Math.imul(h, 0x2c1b3c6d) >>> 0;
}

/** The package, namespace or prefix of a function name: what comes before the last separator. */
export function packageOf(name: string): string {
  const bare = name.replace(/[(<].*$/s, "");
  const cut = Math.max(bare.lastIndexOf("::"), bare.lastIndexOf("."), bare.lastIndexOf("/"));
  if (cut > 0) return bare.slice(0, cut);
  const underscore = bare.replace(/^_+/, "").indexOf("_");
  return underscore > 1 ? bare.replace(/^_+/, "").slice(0, underscore) : bare;
}

/**
 * Slot of each string by its group. A group's hash decides, so that it keeps its colour between
 * trees; but the heaviest groups step aside from each other, in the order of their names, so that no
 * two of them look the same and none changes when their weights cross.
 */
function groupSlots(tree: FlameTree, column: Uint32Array, group: (text: string) => string): Uint8Array {
  const groups = tree.strings.map(group);
  const weight = new Map<string, number>();
  for (let i = 1; i < tree.size; i++) {
    if (tree.kind[i] === KERNEL_KIND) continue;
    const name = groups[column[i]!]!;
    weight.set(name, (weight.get(name) ?? 0) + tree.self[i]!);
  }
  const heaviest = [...weight].sort((x, y) => y[1] - x[1]).slice(0, HUES.length).map(([name]) => name).sort();
  const chosen = new Map<string, number>();
  const taken = new Set<number>();
  for (const name of heaviest) {
    let slot = hash(name) % HUES.length;
    while (taken.has(slot)) slot = (slot + 1) % HUES.length;
    taken.add(slot);
    chosen.set(name, slot);
  }
  return Uint8Array.from(groups, (name) => FIRST_HASHED + (chosen.get(name) ?? hash(name) % HUES.length));
}

export function frameColors(tree: FlameTree, mode: ColorMode, theme: Theme): FrameColors {
  const { fill, text } = palette(theme, mode === "kind" ? KINDS : HUES);
  const index = new Uint8Array(tree.size);
  const column = mode === "module" ? tree.module : tree.name;
  const slots = mode === "kind" ? null : groupSlots(tree, column, mode === "module" ? (s) => s : packageOf);
  const other = tree.strings.indexOf(OTHER_NAME);
  for (let i = 0; i < tree.size; i++) {
    const kind = tree.kind[i]!;
    if (i === 0 || tree.name[i] === other) index[i] = OTHER_SLOT;
    else if (kind === KERNEL_KIND) index[i] = KERNEL_SLOT;
    else if (slots) index[i] = slots[column[i]!]!;
    else index[i] = FIRST_HASHED + Math.min(kind, KINDS.length - 1);
  }
  return { index, fill, text };
}

/** Steps on each side of "unchanged" in a comparison's palette. */
export const DIFF_STEPS = 6;

/**
 * Where a frame lies between "only in A" (−DIFF_STEPS) and "only in B" (+DIFF_STEPS), by the share of
 * its change in its larger side. Below 2 % of change it is unchanged.
 */
export function diffStep(a: number, b: number): number {
  const larger = Math.max(a, b);
  if (larger <= 0) return 0;
  const change = (b - a) / larger;
  if (Math.abs(change) < 0.02) return 0;
  return Math.sign(change) * Math.max(1, Math.round(Math.sqrt(Math.abs(change)) * DIFF_STEPS));
}

export function diffPalette(theme: Theme): string[] {
  const fill: string[] = [];
  for (let step = -DIFF_STEPS; step <= DIFF_STEPS; step++) {
    const strength = Math.abs(step) / DIFF_STEPS;
    const neutral = theme === "light" ? 0.91 : 0.42;
    const strong = theme === "light" ? (step < 0 ? 0.66 : 0.74) : step < 0 ? 0.7 : 0.78;
    fill.push(oklch(neutral + (strong - neutral) * strength, 0.145 * strength, step < 0 ? 250 : 62));
  }
  return fill;
}

export function diffColors(tree: FlameTree, normalised: boolean, theme: Theme): FrameColors {
  const fill = diffPalette(theme);
  const index = new Uint8Array(tree.size);
  const scaleA = normalised && tree.totalA && tree.totalA[0]! > 0 ? 1 / tree.totalA[0]! : 1;
  const scaleB = normalised && tree.total[0]! > 0 ? 1 / tree.total[0]! : 1;
  for (let i = 0; i < tree.size; i++) {
    const a = tree.totalA ? tree.totalA[i]! * scaleA : 0;
    index[i] = DIFF_STEPS + diffStep(a, tree.total[i]! * scaleB);
  }
  const text = fill.map((_, k) => (theme === "dark" && Math.abs(k - DIFF_STEPS) < 3 ? LIGHT_TEXT : DARK_TEXT));
  return { index, fill, text };
}

export interface LegendEntry {
  label: string;
  color: string;
  self: number;
}

/** The largest groups of a colour scheme by self value, for the legend. */
export function legendOf(tree: FlameTree, colors: FrameColors, mode: ColorMode, kinds: readonly string[], limit: number): LegendEntry[] {
  const groups = new Map<string, LegendEntry>();
  for (let i = 1; i < tree.size; i++) {
    if (tree.self[i] === 0) continue;
    const kind = tree.kind[i]!;
    let label = kinds[kind] ?? "unknown";
    if (tree.strings[tree.name[i]!] === OTHER_NAME) label = OTHER_NAME;
    else if (mode !== "kind" && kind === KERNEL_KIND) label = "kernel";
    else if (mode === "module") label = tree.strings[tree.module[i]!]! || "no module";
    else if (mode === "package") label = packageOf(tree.strings[tree.name[i]!]!);
    const found = groups.get(label);
    if (found) found.self += tree.self[i]!;
    else groups.set(label, { label, color: colors.fill[colors.index[i]!]!, self: tree.self[i]! });
  }
  return [...groups.values()].sort((x, y) => y.self - x.self).slice(0, limit);
}
