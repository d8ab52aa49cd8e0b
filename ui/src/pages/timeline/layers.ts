// SPDX-License-Identifier: Apache-2.0
/**
 * The time of threads in layers: on the CPU, and off it by why. A layer's value is how many threads did that
 * at once; all layers together are wall time. What was not recorded is a gap:
 *
 * - A step that no host reported in is one in every layer.
 * - A host may record CPU time alone, and the server then counts no waits. But whatever runs waits too, be
 *   it for moments, so where there is CPU time without any wait, waits were not recorded.
 * - The step that is not over is one too, and so is what agents have not told of yet; but if there is nothing
 *   else, because the first agent has just started, that is shown.
 */
import type { LabelValuesAnswer, SeriesAnswer } from "@/api/model";
import { addSeries, finishedSteps, type Values } from "@/lib/stack";
import { formatFilter, parseFilter, withLabel } from "@/state/filter";
import type { Selection } from "@/state/selection";

export type LayerKey = "cpu" | "runnable" | "blocked" | "stopped" | "other" | "lock" | "sleeping";

export interface LayerKind {
  key: LayerKey;
  title: string;
  /** What a thread does then. */
  meaning: string;
  color: string;
}

/** From the bottom up. Colours differ in lightness as well as hue, and stand out from both themes. */
export const LAYERS: readonly LayerKind[] = [
  { key: "cpu", title: "On the CPU", meaning: "Running", color: "#4c86c6" },
  { key: "runnable", title: "Runnable", meaning: "Ready, while another thread had the CPU", color: "#e9b949" },
  { key: "blocked", title: "Blocked", meaning: "Uninterruptible: mostly for a disk", color: "#b5502e" },
  { key: "stopped", title: "Stopped", meaning: "By a signal or a debugger", color: "#63458f" },
  { key: "other", title: "Other waits", meaning: "Off the CPU, without a known reason", color: "#c878a8" },
  { key: "lock", title: "Lock wait", meaning: "In futex(): for a mutex, a condition, or work to do", color: "#90d6f2" },
  { key: "sleeping", title: "Sleeping", meaning: "For a timer, the network, or work to do", color: "#8d96a5" },
];

const STATES: readonly string[] = ["runnable", "blocked", "stopped", "lock", "sleeping"];

/** Shown where there is any; the others always. */
const RARE: readonly LayerKey[] = ["stopped", "other", "lock"];

export interface Layer {
  kind: LayerKind;
  /** Threads at once, one a step. */
  values: Values;
  /** Over the steps that are known; null: none is. */
  average: number | null;
}

export interface Timeline {
  from: number;
  to: number;
  times: readonly number[];
  layers: readonly Layer[];
  /** When waits were recorded; null: never. */
  waits: Recorded | null;
}

export interface Recorded {
  from: number;
  ms: number;
  /** In which hosts reported. */
  ofMs: number;
}

/** Agents tell of waits that go on, and of the sums of short ones, this often. A step holds whole turns, or
 *  those sums would make it high and low in turn. */
const TURN_MS = 10_000;
const STEPS_MS: readonly number[] = [1, 3, 6, 12, 30, 60, 90, 180, 360, 720, 1080, 2160, 4320, 8640].map((turns) => turns * TURN_MS);
const STEPS_WANTED = 300;

export function chartStep(rangeMs: number): number {
  return STEPS_MS.find((step) => rangeMs / step <= STEPS_WANTED) ?? 7 * STEPS_MS.at(-1)!;
}

type Answer = Pick<SeriesAnswer, "from" | "to" | "step_ms" | "times" | "series">;

/** Steps of two answers that may begin a step apart, because "now" was another for each. */
interface Grid {
  step_ms: number;
  times: number[];
}

function gridOf(a: Answer, b: Answer): Grid {
  const from = Math.min(a.from, b.from);
  const to = Math.max(a.to, b.to);
  const times = Array.from({ length: Math.round((to - from) / a.step_ms) }, (_, i) => from + i * a.step_ms);
  return { step_ms: a.step_ms, times };
}

/** Values on the grid, as threads. */
function place(grid: Grid, answer: Answer, values: Values): (number | null)[] {
  const at = new Map(answer.times.map((t, i) => [t, values[i]]));
  return grid.times.map((t) => {
    const ns = at.get(t);
    return ns == null ? null : ns / (grid.step_ms * 1e6);
  });
}

function average(values: Values): number | null {
  const known = values.filter((v) => v !== null);
  return known.length === 0 ? null : known.reduce((sum, v) => sum + v, 0) / known.length;
}

function recordedOf(grid: Grid, values: Values, reported: Values): Recorded {
  const count = (of: Values): number => of.filter((v) => v !== null).length;
  const first = values.findIndex((v) => v !== null);
  return { from: grid.times[first]!, ms: count(values) * grid.step_ms, ofMs: count(reported) * grid.step_ms };
}

/** `cpuRecorded`: whether CPU time was recorded at all, as none of it may mean that these threads only wait. */
export function buildTimeline(cpu: Answer, waits: Answer, now: number, cpuRecorded: boolean): Timeline {
  const grid = gridOf(cpu, waits);
  const { length } = grid.times;
  const nothing = new Array<null>(length).fill(null);
  const reported = place(grid, cpu, addSeries(cpu.series.map((s) => s.values), cpu.times.length));
  const told = finishedSteps(grid, reported, now - TURN_MS);
  const anyTold = told.some((v) => v !== null);
  const onCpu = anyTold ? told : reported;
  const byState = new Map<LayerKey, (number | null)[]>();
  for (const series of waits.series) {
    const key = STATES.includes(series.value) ? (series.value as LayerKey) : "other";
    const all = place(grid, waits, series.values);
    const values = anyTold ? finishedSteps(grid, all, now - TURN_MS) : all;
    byState.set(key, addSeries([byState.get(key) ?? nothing, values], length));
  }
  const waiting = addSeries([...byState.values()], length);
  const isKnown = waiting.map((sum, i) => sum !== null && (sum > 0 || onCpu[i] === 0));
  const anyWait = waiting.some((sum) => sum !== null && sum > 0);
  const known = (values: Values): Values => values.map((v, i) => (anyWait && isKnown[i] ? v ?? 0 : null));
  const hasCpu = cpuRecorded || onCpu.some((v) => v !== null && v > 0);
  const layers = LAYERS.filter(({ key }) => !RARE.includes(key) || byState.has(key)).map((kind) => {
    const values = kind.key === "cpu" ? (hasCpu ? onCpu : nothing) : known(byState.get(kind.key) ?? nothing);
    return { kind, values, average: average(values) };
  });
  return { from: cpu.from, to: cpu.to, times: grid.times, layers, waits: anyWait ? recordedOf(grid, known(waiting), onCpu) : null };
}

/** A layer's part of wall time. Layers that were recorded for different times count by their averages. */
export function shareOf(layer: Layer, all: readonly Layer[]): number | null {
  const sum = all.reduce((total, l) => total + (l.average ?? 0), 0);
  return layer.average === null || sum === 0 ? null : layer.average / sum;
}

/** What a layer is, for other pages. */
export function layerSelection(key: LayerKey, filter: string): Pick<Selection, "type" | "filter"> {
  if (key === "cpu") return { type: "cpu:nanoseconds", filter };
  const type = "offcpu:nanoseconds";
  if (key !== "other") return { type, filter: withLabel(filter, "state", key) };
  return { type, filter: formatFilter([...(parseFilter(filter) ?? []), { label: "state", op: "!~", value: STATES.join("|") }]) };
}

/** Which of a function's values is its part of a layer: on the CPU its own time, else what waits on its behalf. */
export function sortOf(key: LayerKey): "self" | "place" {
  return key === "cpu" ? "self" : "place";
}

/** Hosts of which there is CPU time and no wait at all. */
export function hostsWithoutWaits(cpu: LabelValuesAnswer["values"], waits: LabelValuesAnswer["values"]): string[] {
  const waiting = new Set(waits.map((v) => v.value));
  return cpu.map((v) => v.value).filter((host) => host !== "" && !waiting.has(host)).sort();
}

/** Threads that wait for work dwarf all others, so the layers that they are in are switched off at first. */
export const OFF_AT_FIRST = "lock,sleeping";

/** The layers that are switched off, as the address has them. */
export function parseOff(text: string): ReadonlySet<LayerKey> {
  return new Set(LAYERS.map((l) => l.key).filter((key) => text.split(",").includes(key)));
}

/** The text for the address with a layer switched the other way. */
export function toggled(off: ReadonlySet<LayerKey>, key: LayerKey): string {
  return LAYERS.map((l) => l.key).filter((k) => off.has(k) !== (k === key)).join(",");
}
