// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { ago, bytes, compact, concurrency, duration, percent, points, signedPercent, significant, span, timeRate } from "./format";

describe("format", () => {
  it("keeps three digits without exponents", () => {
    expect([0, 0.0004, 0.0123, 1.234, 12.34, 123.4, 12345].map(significant)).toEqual([
      "0", "0.00040", "0.012", "1.23", "12.3", "123", "12,345",
    ]);
  });

  it("gives time in a second in seconds at most", () => {
    expect([0, 850, 2.5e6, 999e6, 1e9, 173.4e9].map(timeRate)).toEqual(["0 ns/s", "850 ns/s", "2.50 ms/s", "999 ms/s", "1.00 s/s", "173 s/s"]);
  });

  it("gives time over a range as how many at once", () => {
    expect(concurrency(90e9, 60_000)).toBe("1.50");
    expect(concurrency(0, 60_000)).toBe("0");
    expect(concurrency(5e6, 60_000)).toBe("<0.0001");
    expect(concurrency(30e6, 60_000)).toBe("0.0005");
  });

  it("never rounds something to nothing, nor a part to the whole", () => {
    expect(percent(0)).toBe("0 %");
    expect(percent(0.0000001)).toBe("<0.01 %");
    expect(percent(0.99999)).toBe(">99.99 %");
    expect(percent(0.9996)).toBe("99.96 %");
    expect(percent(1)).toBe("100 %");
    expect(percent(0.1234)).toBe("12.3 %");
  });

  it("signs changes and names large ones as factors", () => {
    expect([0.25, -0.5, 0.034, 11, 0].map(signedPercent)).toEqual(["+25 %", "−50 %", "+3.4 %", "×12.0", "0 %"]);
    expect([0.0124, -0.5].map(points)).toEqual(["+1.24 pp", "−50.00 pp"]);
  });

  it("picks units", () => {
    expect([5, 5e3, 5e6, 5e9, 300e9, 7200e9].map(duration)).toEqual([
      "5 ns", "5.00 µs", "5.00 ms", "5.00 s", "5.00 min", "2.00 h",
    ]);
    expect(bytes(3 * 2 ** 20)).toBe("3.00 MiB");
    expect(compact(12_345)).toBe("12.3k");
    expect(compact(9_999)).toBe("9,999");
    expect(span(90_000)).toBe("1.5 min");
    expect(ago(1000, 1500)).toBe("just now");
    expect(ago(0, 119_000)).toBe("1 min ago");
  });
});
