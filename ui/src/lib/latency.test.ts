// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { foldHistogram, latencyDomain, roundStep } from "./latency";

const fast = { from_ns: [128, 1024], to_ns: [144, 1152], count: [3, 1] };
const slow = { from_ns: [8_388_608], to_ns: [9_437_184], count: [5] };
const none = { from_ns: [], to_ns: [], count: [] };

describe("latencyDomain", () => {
  it("spans all that have a latency", () => {
    expect(latencyDomain([fast, none, slow])).toEqual([128, 9_437_184]);
    expect(latencyDomain([none])).toBeNull();
  });

  it("is never empty, and begins above zero", () => {
    expect(latencyDomain([{ from_ns: [0], to_ns: [1], count: [1] }])).toEqual([1, 2]);
  });
});

describe("foldHistogram", () => {
  it("loses no count", () => {
    const domain = latencyDomain([fast, slow])!;
    for (const bins of [1, 2, 7, 24]) {
      for (const h of [fast, slow, none]) {
        expect(foldHistogram(h, domain, bins).reduce((a, b) => a + b, 0)).toBe(h.count.reduce((a, b) => a + b, 0));
      }
    }
  });

  it("puts the shortest first and the longest last", () => {
    const domain = latencyDomain([fast, slow])!;
    expect(foldHistogram(fast, domain, 8)[0]).toBe(3);
    expect(foldHistogram(slow, domain, 8)[7]).toBe(5);
  });
});

describe("roundStep", () => {
  it("keeps to the number of parts", () => {
    expect(roundStep(3_600_000, 180)).toBe("30s");
    expect(roundStep(60_000, 180)).toBe("1s");
    expect(roundStep(400 * 86_400_000, 180)).toBe("604800s");
  });
});
