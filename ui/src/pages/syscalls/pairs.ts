// SPDX-License-Identifier: Apache-2.0
/**
 * System calls in two ranges side by side. Ranges differ in length, and in how much of them hosts reported,
 * so every figure is by the second of the time in which hosts reported, or by the call.
 */
import type { SyscallRow, SyscallsAnswer } from "@/api/model";
import { previousRange, dayBefore, type TimeRange } from "@/state/time";

export const BASELINES = ["none", "previous", "day", "range"] as const;
export type Baseline = (typeof BASELINES)[number];

/** The range to compare with; null: none. */
export function baselineRange(kind: Baseline, range: TimeRange, own: TimeRange, now: number): TimeRange | null {
  if (kind === "none") return null;
  const before = previousRange(range, now);
  if (kind === "previous") return before;
  if (kind === "day") return dayBefore(range, now);
  return { from: own.from || before.from, to: own.to || before.to };
}

export interface Figures {
  /** A second. */
  calls: number;
  /** Percent of the calls, 0..1; null: there were none. */
  errors: number | null;
  /** Nanoseconds in the call, a second, of all threads. */
  time: number;
  /** Nanoseconds; null: no call returned. */
  p50: number | null;
  p99: number | null;
}

export type Side = "now" | "before";

export interface Pair {
  key: string;
  syscall: string;
  abi: string;
  value: string | undefined;
  /** Null: no such call. */
  rows: Readonly<Record<Side, SyscallRow | null>>;
  /** Null: no host reported. */
  figures: Readonly<Record<Side, Figures | null>>;
}

/** Of one call, or of all of a range. */
type Sums = Pick<SyscallRow, "count" | "errors" | "sum_ns">;

export function figuresOf(sums: Sums | null, seconds: number, row: SyscallRow | null = null): Figures | null {
  if (seconds <= 0) return null;
  if (!sums) return { calls: 0, errors: null, time: 0, p50: null, p99: null };
  return {
    calls: sums.count / seconds,
    errors: sums.count > 0 ? sums.errors / sums.count : null,
    time: sums.sum_ns / seconds,
    p50: row?.p50_ns ?? null,
    p99: row?.p99_ns ?? null,
  };
}

/** What tells a row apart from the others of its answer. */
export function rowKey(row: Pick<SyscallRow, "syscall" | "abi" | "value">): string {
  return row.value === undefined ? `${row.syscall}@${row.abi}` : `${row.syscall}@${row.abi}@${row.value}`;
}

/** Every call of either range, the later one's first. */
export function pairRows(now: SyscallsAnswer, before: SyscallsAnswer): Pair[] {
  const earlier = new Map(before.syscalls.map((r) => [rowKey(r), r]));
  const present = new Set(now.syscalls.map(rowKey));
  const pair = (row: SyscallRow, n: SyscallRow | null, b: SyscallRow | null): Pair => ({
    key: rowKey(row), syscall: row.syscall, abi: row.abi, value: row.value,
    rows: { now: n, before: b },
    figures: { now: figuresOf(n, now.covered_s, n), before: figuresOf(b, before.covered_s, b) },
  });
  return [
    ...now.syscalls.map((r) => pair(r, r, earlier.get(rowKey(r)) ?? null)),
    ...before.syscalls.filter((r) => !present.has(rowKey(r))).map((r) => pair(r, null, r)),
  ];
}

/** By how much a figure grew, as a share of what it was: Infinity for what is new; null: not known. */
export function growth(now: number | null | undefined, before: number | null | undefined): number | null {
  if (now == null || before == null) return null;
  if (before === 0) return now === 0 ? 0 : Infinity;
  return now / before - 1;
}

/** The difference of two figures; null where either is not known. */
export function difference(now: number | null | undefined, before: number | null | undefined): number | null {
  return now == null || before == null ? null : now - before;
}
