// SPDX-License-Identifier: Apache-2.0
/** Times as links and the server write them: Unix milliseconds, "now", "now-90s|15m|6h|7d" or RFC 3339. */

export const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export interface TimeRange {
  from: string;
  to: string;
}

export const DEFAULT_RANGE: TimeRange = { from: "now-1h", to: "now" };
export const LIVE_RANGE: TimeRange = { from: "now-5m", to: "now" };

export const PRESETS: readonly { label: string; from: string }[] = [
  { label: "Last 5 minutes", from: "now-5m" },
  { label: "Last 15 minutes", from: "now-15m" },
  { label: "Last hour", from: "now-1h" },
  { label: "Last 6 hours", from: "now-6h" },
  { label: "Last 24 hours", from: "now-24h" },
  { label: "Last 7 days", from: "now-7d" },
];

const RELATIVE = /^now(?:-(\d{1,9})([smhd]))?$/;
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z$/;

/** Milliseconds before now, or null for an absolute or malformed time. */
export function relativeAge(text: string): number | null {
  const match = RELATIVE.exec(text);
  if (!match) return null;
  return match[1] === undefined ? 0 : Number(match[1]) * UNIT_MS[match[2]!]!;
}

/** Unix milliseconds, or null for what is not a time. */
export function resolveTime(text: string, now: number): number | null {
  const age = relativeAge(text);
  if (age !== null) return now - age;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  if (RFC3339.test(text)) {
    const ms = Date.parse(text);
    return Number.isNaN(ms) ? null : ms;
  }
  return null;
}

export function resolveRange(range: TimeRange, now: number): { from: number; to: number } {
  const to = resolveTime(range.to, now) ?? now;
  const from = resolveTime(range.from, now) ?? to - UNIT_MS.h!;
  return { from, to };
}

export function isRelative(range: TimeRange): boolean {
  return relativeAge(range.from) !== null && relativeAge(range.to) !== null;
}

/** Null if the range can be asked for, else what is wrong with it. */
export function rangeProblem(range: TimeRange, now: number): string | null {
  const from = resolveTime(range.from, now);
  const to = resolveTime(range.to, now);
  if (from === null) return "The start is not a time.";
  if (to === null) return "The end is not a time.";
  return from < to ? null : "The start must lie before the end.";
}

/** The same length of time right before. */
export function previousRange(range: TimeRange, now: number): TimeRange {
  const { from, to } = resolveRange(range, now);
  const age = relativeAge(range.from);
  if (age !== null && range.to === "now") {
    return { from: relativeText(age * 2), to: range.from };
  }
  return { from: String(from - (to - from)), to: String(from) };
}

/** The same hours a day earlier. */
export function dayBefore(range: TimeRange, now: number): TimeRange {
  const back = (text: string, ms: number): string => {
    const age = relativeAge(text);
    return age === null ? String(ms - UNIT_MS.d!) : relativeText(age + UNIT_MS.d!);
  };
  const { from, to } = resolveRange(range, now);
  return { from: back(range.from, from), to: back(range.to, to) };
}

function relativeText(ms: number): string {
  for (const unit of ["d", "h", "m"]) {
    if (ms % UNIT_MS[unit]! === 0) return `now-${ms / UNIT_MS[unit]!}${unit}`;
  }
  return `now-${Math.round(ms / 1000)}s`;
}
