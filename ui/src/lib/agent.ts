// SPDX-License-Identifier: Apache-2.0
/** What an agent profiles now, and for how long that is not its own configuration. */
import type { Agent, SettingsRequest } from "@/api/model";
import { duration, span } from "./format";

export const MODES = [
  { mode: "cpu", label: "CPU", hint: "Samples of what runs" },
  { mode: "offcpu", label: "Off CPU", hint: "Where threads wait; costs each switch between threads" },
  { mode: "lock", label: "Locks", hint: "Waits for locks, and who ends them" },
  { mode: "syscall", label: "System calls", hint: "Every one counted; costs each call" },
] as const;

export type Mode = (typeof MODES)[number]["mode"];

export const isMode = (text: string): text is Mode => MODES.some((m) => m.mode === text);

/** Milliseconds for which settings are still in force; 0: the agent's own are. */
export function msLeft(agent: Agent, now: number): number {
  return Math.max(0, (agent.settings.active_until ?? 0) - now);
}

/** "1:05", "42 s". */
export function countdown(ms: number): string {
  const s = Math.ceil(ms / 1000);
  if (s < 60) return `${s} s`;
  const pad = (n: number): string => String(n).padStart(2, "0");
  return s < 3600 ? `${Math.floor(s / 60)}:${pad(s % 60)}` : `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`;
}

/** "cpu, offcpu at 999 Hz, waits from 100 µs, for 1 min". */
export function describe(s: SettingsRequest): string {
  const parts = [(s.modes ?? []).join(", ") + (s.frequency_hz ? ` at ${s.frequency_hz} Hz` : "")];
  if (s.wait_threshold_ns && s.modes?.some((m) => m === "offcpu" || m === "lock")) parts.push(`waits from ${duration(s.wait_threshold_ns)}`);
  parts.push(`for ${span(s.duration_s * 1000)}`);
  return parts.join(", ");
}

const DURATIONS_S = [30, 60, 300, 900, 3600];

/** The times to choose from, the longest that the agent allows among them. */
export function durations(agent: Agent): number[] {
  const most = agent.settings.max_duration_s ?? 3600;
  return [...DURATIONS_S.filter((s) => s < most), most];
}
