// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { addSeries, coveredSteps, stackSeries } from "./stack";

const a = [1, null, null, 0];
const b = [2, 5, null, 0];

describe("stacked series", () => {
  it("sums from the last up, and keeps a gap where nothing reported", () => {
    expect(stackSeries([a, b], 4)).toEqual([[3, 5, null, 0], [2, 5, null, 0]]);
  });

  it("tells zero from no data", () => {
    expect(addSeries([a, b], 4)).toEqual([3, 5, null, 0]);
    expect(addSeries([], 2)).toEqual([null, null]);
  });

  it("finds where data begins and how much there is", () => {
    expect(coveredSteps([[null, null, 4, null, 1]], 5)).toEqual({ first: 2, steps: 2 });
    expect(coveredSteps([[null]], 1)).toBeNull();
  });
});
