// SPDX-License-Identifier: Apache-2.0
import { describe as group, expect, test } from "vitest";
import type { Agent } from "@/api/model";
import { countdown, describe, durations, msLeft } from "./agent";

const agent = (settings: Partial<Agent["settings"]>): Agent => ({ settings: { max_duration_s: 3600, active_until: null, ...settings } }) as Agent;

group("an agent's settings", () => {
  test("the time left is never negative", () => {
    expect(msLeft(agent({}), 1000)).toBe(0);
    expect(msLeft(agent({ active_until: 900 }), 1000)).toBe(0);
    expect(msLeft(agent({ active_until: 5000 }), 1000)).toBe(4000);
  });
  test("a countdown reaches 0 at the end only", () => {
    expect(countdown(1)).toBe("1 s");
    expect(countdown(0)).toBe("0 s");
    expect(countdown(65_000)).toBe("1:05");
    expect(countdown(3_600_000)).toBe("1:00:00");
  });
  test("no time is offered beyond the agent's own limit", () => {
    expect(durations(agent({}))).toEqual([30, 60, 300, 900, 3600]);
    expect(durations(agent({ max_duration_s: 120 }))).toEqual([30, 60, 120]);
    expect(durations(agent({ max_duration_s: 30 }))).toEqual([30]);
  });
  test("what is asked for is said whole", () => {
    expect(describe({ duration_s: 60, modes: ["cpu", "offcpu"], frequency_hz: 999, wait_threshold_ns: 100_000 })).toBe("cpu, offcpu at 999 Hz, waits from 100 µs, for 1 min");
    expect(describe({ duration_s: 30, modes: ["syscall"], wait_threshold_ns: 100_000 })).toBe("syscall, for 30 s");
  });
});
