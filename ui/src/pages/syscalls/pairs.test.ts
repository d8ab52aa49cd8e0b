// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import type { SyscallRow, SyscallsAnswer } from "@/api/model";
import { baselineRange, difference, figuresOf, growth, pairRows } from "./pairs";

function row(syscall: string, count: number, sum_ns: number, more: Partial<SyscallRow> = {}): SyscallRow {
  return {
    syscall, abi: "x86-64", count, sum_ns, returned: count, rate: null, errors: 0, errnos: [], max_ns: 0,
    p50_ns: 100, p90_ns: 200, p99_ns: 300, in_flight: 0, oldest_ns: 0, histogram: { from_ns: [], to_ns: [], count: [] }, ...more,
  };
}

function answer(covered_s: number, rows: SyscallRow[]): SyscallsAnswer {
  const coverage = { hosts_reporting: 1, hosts_expected: 1, samples: 0, complete_share: null, lost: 0, pending: 0, truncated: null, reasons: {} };
  return { from: 0, to: covered_s * 1000, covered_s, by: "", count: 0, errors: 0, sum_ns: 0, syscalls: rows, series: null, coverage };
}

describe("system calls of two ranges", () => {
  it("are compared by the second, whatever the ranges' lengths", () => {
    const [read] = pairRows(answer(60, [row("read", 600, 6e9, { errors: 60 })]), answer(600, [row("read", 6000, 12e9)]));
    expect(read!.figures.now).toEqual({ calls: 10, errors: 0.1, time: 1e8, p50: 100, p99: 300 });
    expect(read!.figures.before).toEqual({ calls: 10, errors: 0, time: 2e7, p50: 100, p99: 300 });
  });

  it("are all there, those that came and those that went", () => {
    const pairs = pairRows(answer(1, [row("read", 1, 1), row("openat", 2, 2)]), answer(1, [row("close", 3, 3), row("read", 4, 4)]));
    expect(pairs.map((p) => p.key)).toEqual(["read@x86-64", "openat@x86-64", "close@x86-64"]);
    expect(pairs.map((p) => [p.figures.now!.calls, p.figures.before!.calls])).toEqual([[1, 4], [2, 0], [0, 3]]);
    expect(pairs[1]!.figures.before!.p99).toBeNull();
  });

  it("are told apart by ABI and by the label asked for", () => {
    const old = row("read", 1, 1, { abi: "i386", value: "db" });
    const pairs = pairRows(answer(1, [row("read", 1, 1, { value: "db" }), row("read", 1, 1, { value: "" })]), answer(1, [old]));
    expect(pairs).toHaveLength(3);
  });

  it("are not known where no host reported, which is not zero", () => {
    const [read] = pairRows(answer(1, [row("read", 1, 1)]), answer(0, []));
    expect(read!.figures.before).toBeNull();
    expect(figuresOf(null, 5)).toEqual({ calls: 0, errors: null, time: 0, p50: null, p99: null });
  });
});

describe("a change", () => {
  it("is a share of what was before", () => {
    expect(growth(15, 10)).toBeCloseTo(0.5);
    expect(growth(0, 10)).toBe(-1);
    expect(growth(1, 0)).toBe(Infinity);
    expect(growth(0, 0)).toBe(0);
    expect(growth(null, 1)).toBeNull();
    expect(growth(1, undefined)).toBeNull();
    expect(difference(3, 5)).toBe(-2);
    expect(difference(3, null)).toBeNull();
  });
});

describe("the range to compare with", () => {
  const now = Date.UTC(2026, 0, 2);
  const own = { from: "", to: "" };

  it("is right before, a day earlier, or one's own", () => {
    const range = { from: "now-1h", to: "now" };
    expect(baselineRange("none", range, own, now)).toBeNull();
    expect(baselineRange("previous", range, own, now)).toEqual({ from: "now-2h", to: "now-1h" });
    expect(baselineRange("day", range, own, now)).toEqual({ from: "now-25h", to: "now-1d" });
    expect(baselineRange("range", range, { from: "5", to: "9" }, now)).toEqual({ from: "5", to: "9" });
    expect(baselineRange("range", range, own, now)).toEqual({ from: "now-2h", to: "now-1h" });
  });
});
