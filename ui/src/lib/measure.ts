// SPDX-License-Identifier: Apache-2.0
/**
 * How the values of a profile read. Time of threads is given as an average over its range, so that types
 * and ranges compare: CPU time as cores, time off the CPU and wall time as threads. Other times are
 * durations, the rest counts.
 */
import { compact, concurrency, count, duration } from "./format";

export interface Measure {
  /** Unit of `short`, for headings. */
  unit: string;
  short(value: number): string;
  /** With unit, for single figures. */
  long(value: number): string;
}

/** By the first part of a type's name: what its time is an average of, what of, and what its samples are. */
const KINDS: Readonly<Record<string, { unit: string; time: string; samples: string }>> = {
  cpu: { unit: "cores", time: "of CPU time", samples: "samples" },
  offcpu: { unit: "threads", time: "off the CPU", samples: "waits" },
  wall: { unit: "threads", time: "of wall time", samples: "samples and waits" },
  waker: { unit: "threads", time: "that others waited", samples: "waits" },
  syscall: { unit: "threads", time: "in these system calls", samples: "calls" },
  lock: { unit: "threads", time: "of waiting for locks", samples: "waits" },
};

function kindOf(type: string): (typeof KINDS)[string] | undefined {
  return KINDS[type.split(":")[0]!];
}

/** What the samples of a type are called. */
export function samplesOf(type: string): string {
  return kindOf(type)?.samples ?? "samples";
}

/** What a type's values are as a rate: "cores", "threads", or how much in a second. */
export function rateUnit(type: string, unit: string): string {
  if (unit !== "nanoseconds") return "per s";
  return kindOf(type)?.unit ?? "s per s";
}

export function measureOf(type: string, unit: string, rangeMs: number): Measure {
  const kind = kindOf(type);
  if (kind && unit === "nanoseconds" && rangeMs > 0) {
    return {
      unit: kind.unit,
      short: (v) => concurrency(v, rangeMs),
      long: (v) => `${concurrency(v, rangeMs)} ${kind.unit} (${duration(v)} ${kind.time})`,
    };
  }
  if (unit === "nanoseconds") return { unit: "time", short: duration, long: duration };
  const noun = unit === "count" ? kind?.samples ?? "events" : unit;
  return { unit: noun, short: compact, long: (v) => `${count(v)} ${noun}` };
}
