// SPDX-License-Identifier: Apache-2.0
/** Sums for stacked series. A time without data stays a gap. */

export type Values = readonly (number | null)[];

/** Running sums from the last series up to each: the outlines of a stack. A series' own gap is one in its outline. */
export function stackSeries(series: readonly Values[], length: number): (number | null)[][] {
  const sums: (number | null)[][] = series.map(() => new Array<number | null>(length).fill(null));
  for (let i = 0; i < length; i++) {
    let sum = 0;
    for (let k = series.length - 1; k >= 0; k--) {
      const value = series[k]![i];
      if (value == null) continue;
      sum += value;
      sums[k]![i] = sum;
    }
  }
  return sums;
}

/** Several series as one, known where any of them is. */
export function addSeries(series: readonly Values[], length: number): (number | null)[] {
  return Array.from({ length }, (_, i) => {
    const known = series.map((values) => values[i] ?? null).filter((v) => v !== null);
    return known.length === 0 ? null : known.reduce((sum, v) => sum + v, 0);
  });
}

/** Values without a neighbour: an area of no width, which is to be drawn some other way. */
export function aloneAt(values: ArrayLike<number | null | undefined>): number[] {
  return [...Array(values.length).keys()].filter((i) => values[i] != null && values[i - 1] == null && values[i + 1] == null);
}

/** Which series of a stack covers a height at a time, by the outlines there; null: none does. */
export function seriesAt(outlines: readonly (number | null | undefined)[], height: number): number | null {
  let below = 0;
  for (let k = outlines.length - 1; k >= 0; k--) {
    const outline = outlines[k];
    if (outline == null) continue;
    if (height >= below && height < outline) return k;
    below = outline;
  }
  return null;
}

/** The least part of a range that counts as all of it: the edges of steps are not those of data. */
const NEARLY_ALL = 0.97;

/** How much of a range has data, and where that begins. */
export interface Covered {
  ms: number;
  from: number;
  /** Clearly less than the range. */
  partial: boolean;
}

interface Steps {
  step_ms: number;
  times: readonly number[];
  series: readonly { values: Values }[];
}

/** A series without the step that is still going on at `now`, Unix ms: taken for a whole one it would look
 *  like a fall. */
export function finishedSteps(answer: Pick<Steps, "step_ms" | "times">, values: Values, now: number): (number | null)[] {
  return values.map((v, i) => (answer.times[i]! + answer.step_ms > now ? null : v));
}

export function coveredTime(answer: Steps, from: number, to: number): Covered {
  const covered = coveredSteps(answer.series.map((s) => s.values), answer.times.length);
  const ms = covered ? covered.steps * answer.step_ms : 0;
  if (!covered || ms >= (to - from) * NEARLY_ALL) return { ms: to - from, from, partial: false };
  return { ms, from: Math.max(from, answer.times[covered.first]!), partial: true };
}

/** The first time with data and the steps that have any; null without data. */
function coveredSteps(series: readonly Values[], length: number): { first: number; steps: number } | null {
  let first = -1;
  let steps = 0;
  for (let i = 0; i < length; i++) {
    if (series.every((values) => values[i] == null)) continue;
    if (first < 0) first = i;
    steps++;
  }
  return first < 0 ? null : { first, steps };
}
