// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { OFF_AT_FIRST, buildTimeline, chartStep, hostsWithoutWaits, layerSelection, parseOff, shareOf, toggled, type LayerKey, type Timeline } from "./layers";

const STEP = 10_000;
const LATER = 1e9;

/** An answer of `values` threads by state; null where no host reported. */
function answer(values: Record<string, (number | null)[]>, begin = 0): Parameters<typeof buildTimeline>[0] {
  const series = Object.entries(values).map(([value, threads]) => ({ value, values: threads.map((n) => (n === null ? null : n * STEP * 1e6)), total: 0 }));
  const length = Math.max(...Object.values(values).map((v) => v.length));
  const times = Array.from({ length }, (_, i) => (begin + i) * STEP);
  return { from: begin * STEP, to: (begin + length) * STEP, step_ms: STEP, times, series };
}

function values(timeline: Timeline, key: LayerKey): readonly (number | null)[] | undefined {
  return timeline.layers.find((l) => l.kind.key === key)?.values;
}

describe("layers of a timeline", () => {
  const cpu = answer({ "": [2, 1, null, 0.5] });

  it("are threads at once, and together wall time", () => {
    const t = buildTimeline(cpu, answer({ sleeping: [40, 41, null, 40], blocked: [1, 0, null, 3.5] }), LATER, true);
    expect(t.layers.map((l) => l.kind.key)).toEqual(["cpu", "runnable", "blocked", "sleeping"]);
    expect(values(t, "cpu")).toEqual([2, 1, null, 0.5]);
    expect(values(t, "blocked")).toEqual([1, 0, null, 3.5]);
    expect(values(t, "runnable")).toEqual([0, 0, null, 0]);
    expect(t.layers.map((l) => l.average)).toEqual([3.5 / 3, 0, 1.5, 121 / 3]);
    expect(t.layers.reduce((sum, l) => sum + shareOf(l, t.layers)!, 0)).toBeCloseTo(1);
    expect(t.waits).toEqual({ from: 0, ms: 3 * STEP, ofMs: 3 * STEP });
  });

  it("show what is rare only where there is any, and waits without a reason apart", () => {
    const t = buildTimeline(cpu, answer({ stopped: [1, 1, null, 1], lock: [9, 9, null, 9], "": [0, 2, null, 0], new: [1, 1, null, 1] }), LATER, true);
    expect(t.layers.map((l) => l.kind.key)).toEqual(["cpu", "runnable", "blocked", "stopped", "other", "lock", "sleeping"]);
    expect(values(t, "other")).toEqual([1, 3, null, 1]);
  });

  it("have a gap, not zero, where a host recorded CPU time alone", () => {
    const t = buildTimeline(answer({ "": [2, 1, 0, 0.5] }), answer({ sleeping: [0, 0, 0, 8] }), LATER, true);
    expect(values(t, "sleeping")).toEqual([null, null, 0, 8]);
    expect(values(t, "blocked")).toEqual([null, null, 0, 0]);
    expect(t.waits).toEqual({ from: 2 * STEP, ms: 2 * STEP, ofMs: 4 * STEP });
  });

  it("are gaps all over where waits were never recorded", () => {
    const t = buildTimeline(answer({ "": [2, 0] }), { ...answer({ x: [0, 0] }), series: [] }, LATER, true);
    expect(values(t, "sleeping")).toEqual([null, null]);
    expect(t.waits).toBeNull();
    expect(shareOf(t.layers.at(-1)!, t.layers)).toBeNull();
  });

  it("tell threads that only wait from CPU time that was not recorded", () => {
    const waits = answer({ sleeping: [3, 3] });
    expect(values(buildTimeline(answer({ "": [0, 0] }), waits, LATER, true), "cpu")).toEqual([0, 0]);
    expect(values(buildTimeline(answer({ "": [0, 0] }), waits, LATER, false), "cpu")).toEqual([null, null]);
    expect(values(buildTimeline(answer({ "": [0, 0] }), waits, LATER, false), "sleeping")).toEqual([3, 3]);
  });

  it("meet on one time axis when one answer begins a step later", () => {
    const t = buildTimeline(answer({ "": [1, 2] }), answer({ sleeping: [7, 8] }, 1), LATER, true);
    expect(t.times).toEqual([0, STEP, 2 * STEP]);
    expect(values(t, "cpu")).toEqual([1, 2, null]);
    expect(values(t, "sleeping")).toEqual([null, 7, 8]);
  });

  it("leave out the steps that agents have not told all of", () => {
    const t = buildTimeline(answer({ "": [1, 1, 1] }), answer({ sleeping: [5, 5, 5] }), 3 * STEP, true);
    expect(values(t, "cpu")).toEqual([1, 1, null]);
    expect(values(t, "sleeping")).toEqual([5, 5, null]);
  });

  it("show even those where there are no others", () => {
    const t = buildTimeline(answer({ "": [null, null, 1] }), answer({ sleeping: [null, null, 5] }), 3 * STEP, true);
    expect(values(t, "cpu")).toEqual([null, null, 1]);
    expect(values(t, "sleeping")).toEqual([null, null, 5]);
  });
});

describe("steps of a timeline", () => {
  it.each([[300_000, 10], [3_000_000, 10], [3_600_000, 30], [6 * 3_600_000, 120], [86_400_000, 300], [7 * 86_400_000, 3600]])("of %d ms are %d s", (range, step) => {
    expect(chartStep(range)).toBe(step * 1000);
  });
});

describe("a layer", () => {
  it("leads to its profile type and state", () => {
    expect(layerSelection("cpu", '{service="a"}')).toEqual({ type: "cpu:nanoseconds", filter: '{service="a"}' });
    expect(layerSelection("blocked", '{service="a"}')).toEqual({ type: "offcpu:nanoseconds", filter: '{service="a",state="blocked"}' });
    expect(layerSelection("other", "").filter).toBe('{state!~"runnable|blocked|stopped|lock|sleeping"}');
  });

  it("is switched in the address", () => {
    expect([...parseOff("sleeping,nonsense,cpu")]).toEqual(["cpu", "sleeping"]);
    expect(parseOff("").size).toBe(0);
    expect(toggled(parseOff("sleeping"), "sleeping")).toBe("");
    expect(toggled(parseOff("sleeping"), "cpu")).toBe("cpu,sleeping");
    expect(toggled(parseOff("sleeping"), "lock")).toBe(OFF_AT_FIRST);
  });
});

it("names the hosts that record no waits", () => {
  const hosts = (...names: string[]) => names.map((value) => ({ value, samples: 1 }));
  expect(hostsWithoutWaits(hosts("web-2", "db-1", "web-1", ""), hosts("web-1"))).toEqual(["db-1", "web-2"]);
});
