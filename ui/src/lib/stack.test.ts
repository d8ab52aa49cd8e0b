// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { addSeries, aloneAt, coveredTime, finishedSteps, seriesAt, stackSeries } from "./stack";

const a = [1, null, null, 0];
const b = [2, 5, null, 0];

describe("stacked series", () => {
  it("finds values that no area shows", () => {
    expect(aloneAt([1, null, 0, 3, null, 2])).toEqual([0, 5]);
    expect(aloneAt([null, 4, null])).toEqual([1]);
    expect(aloneAt([])).toEqual([]);
  });

  it("sums from the last up, and keeps each one's gaps", () => {
    expect(stackSeries([a, b], 4)).toEqual([[3, null, null, 0], [2, 5, null, 0]]);
  });

  it("finds the series at a height", () => {
    expect([0, 1.9, 2, 2.9, 3, -1].map((height) => seriesAt([3, null, 2], height))).toEqual([2, 2, 0, 0, null, null]);
    expect(seriesAt([5, 5, 0], 0)).toBe(1);
    expect(seriesAt([null, null], 0)).toBeNull();
  });

  it("tells zero from no data", () => {
    expect(addSeries([a, b], 4)).toEqual([3, 5, null, 0]);
    expect(addSeries([], 2)).toEqual([null, null]);
  });

  it("leaves out the step that is not over", () => {
    const answer = { step_ms: 10, times: [0, 10, 20] };
    expect(finishedSteps(answer, [1, 2, 3], 29)).toEqual([1, 2, null]);
    expect(finishedSteps(answer, [1, 2, 3], 30)).toEqual([1, 2, 3]);
  });

  it("finds where data begins and how much there is", () => {
    const answer = { step_ms: 10, times: [0, 10, 20, 30, 40], series: [{ values: [null, null, 4, null, 0] }, { values: [null, null, null, null, 1] }] };
    expect(coveredTime(answer, 0, 50)).toEqual({ ms: 20, from: 20, partial: true });
    expect(coveredTime(answer, 25, 50)).toMatchObject({ from: 25 });
  });

  it("takes a range with data at all of its steps, or at none, as a whole", () => {
    const full = { step_ms: 10, times: [0, 10], series: [{ values: [1, 0] }] };
    expect(coveredTime(full, 3, 20)).toEqual({ ms: 17, from: 3, partial: false });
    expect(coveredTime({ ...full, series: [] }, 3, 20)).toEqual({ ms: 17, from: 3, partial: false });
  });
});
