// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { measureOf, rateUnit, samplesOf } from "./measure";

const MINUTE = 60_000;

describe("measures", () => {
  it("gives CPU time in cores", () => {
    const m = measureOf("cpu:nanoseconds", "nanoseconds", MINUTE);
    expect([m.unit, m.short(90e9), m.long(90e9)]).toEqual(["cores", "1.50", "1.50 cores (90.0 s of CPU time)"]);
  });

  it("gives time off the CPU, wall time and lock waits in threads, and says how long that is", () => {
    expect(measureOf("offcpu:nanoseconds", "nanoseconds", MINUTE).long(600e9)).toBe("10.0 threads (10.0 min off the CPU)");
    expect(measureOf("wall:nanoseconds", "nanoseconds", MINUTE).long(30e9)).toBe("0.500 threads (30.0 s of wall time)");
    expect(measureOf("lock:nanoseconds", "nanoseconds", MINUTE).unit).toBe("threads");
  });

  it("gives durations where no range is known, or nothing of the type", () => {
    expect(measureOf("offcpu:nanoseconds", "nanoseconds", 0).long(2e9)).toBe("2.00 s");
    expect(measureOf("gpu:nanoseconds", "nanoseconds", MINUTE)).toMatchObject({ unit: "time" });
  });

  it("counts what was counted", () => {
    expect(measureOf("offcpu:count", "count", MINUTE).long(1200)).toBe("1,200 waits");
    expect(measureOf("cpu:samples", "samples", MINUTE).long(1200)).toBe("1,200 samples");
    expect(measureOf("alloc:count", "count", MINUTE).unit).toBe("events");
  });

  it("names rates and samples", () => {
    expect(["cpu", "offcpu", "wall", "gpu"].map((kind) => rateUnit(`${kind}:nanoseconds`, "nanoseconds"))).toEqual(["cores", "threads", "threads", "s per s"]);
    expect(rateUnit("offcpu:count", "count")).toBe("per s");
    expect(["cpu:nanoseconds", "offcpu:count", "wall:nanoseconds", "gpu:nanoseconds"].map(samplesOf)).toEqual(["samples", "waits", "samples and waits", "samples"]);
  });
});
