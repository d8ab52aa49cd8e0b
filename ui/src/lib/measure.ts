// SPDX-License-Identifier: Apache-2.0
/** How the values of a profile read: CPU time as cores over its range, other times as durations, else counts. */
import { compact, cores, count, duration } from "./format";

export interface Measure {
  /** Unit of `short`, for headings. */
  unit: string;
  short(value: number): string;
  /** With unit, for single figures. */
  long(value: number): string;
}

export function measureOf(type: string, unit: string, rangeMs: number): Measure {
  if (type === "cpu:nanoseconds" && rangeMs > 0) {
    return {
      unit: "cores",
      short: (v) => cores(v, rangeMs),
      long: (v) => `${cores(v, rangeMs)} cores (${duration(v)} of CPU time)`,
    };
  }
  if (unit === "nanoseconds") return { unit: "time", short: duration, long: duration };
  const noun = unit === "count" ? "events" : unit;
  return { unit: noun, short: compact, long: (v) => `${count(v)} ${noun}` };
}
