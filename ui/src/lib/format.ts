// SPDX-License-Identifier: Apache-2.0
/** Numbers for people. Every unit is written; a share is formatted here, and its caller names the base. */

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function count(n: number): string {
  return grouped.format(n);
}

/** Three significant digits, without an exponent. */
export function significant(n: number): string {
  if (n === 0) return "0";
  const size = Math.abs(n);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.001 ? 3 : 5;
  return size >= 1000 ? grouped.format(n) : n.toFixed(digits);
}

export function compact(n: number): string {
  const size = Math.abs(n);
  for (const [limit, suffix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]] as const) {
    if (size >= limit) return significant(n / (limit === 1e4 ? 1e3 : limit)) + suffix;
  }
  return count(n);
}

export function duration(ns: number): string {
  const size = Math.abs(ns);
  if (size >= 86_400e9) return `${significant(ns / 86_400e9)} d`;
  if (size >= 3_600e9) return `${significant(ns / 3_600e9)} h`;
  if (size >= 120e9) return `${significant(ns / 60e9)} min`;
  if (size >= 1e9) return `${significant(ns / 1e9)} s`;
  if (size >= 1e6) return `${significant(ns / 1e6)} ms`;
  if (size >= 1e3) return `${significant(ns / 1e3)} µs`;
  return `${grouped.format(ns)} ns`;
}

/** Time that is spent in a second, by any number of threads; seconds are its longest unit. */
export function timeRate(ns: number): string {
  return ns >= 1e9 ? `${significant(ns / 1e9)} s/s` : `${duration(ns)}/s`;
}

export function bytes(n: number): string {
  for (const [limit, suffix] of [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]] as const) {
    if (n >= limit) return `${significant(n / limit)} ${suffix}`;
  }
  return `${n} B`;
}

/** A share in 0..1 as a percentage; what is not nothing never reads as 0 %, nor what is not all as 100 %. */
export function percent(share: number): string {
  const p = share * 100;
  if (p === 0 || p === 100) return `${p} %`;
  if (p > 0 && p < 0.01) return "<0.01 %";
  if (p > 99.99 && p < 100) return ">99.99 %";
  const digits = p >= 99.9 && p < 100 ? 2 : Math.abs(p) >= 10 ? 1 : 2;
  return `${p.toFixed(digits)} %`;
}

export function signedPercent(share: number): string {
  const sign = share > 0 ? "+" : share < 0 ? "−" : "";
  const size = Math.abs(share);
  if (share >= 10) return `×${significant(share + 1)}`;
  return `${sign}${(size * 100).toFixed(size >= 0.1 || size === 0 ? 0 : 1)} %`;
}

/** A difference of two shares, in percentage points. */
export function points(difference: number): string {
  const sign = difference > 0 ? "+" : difference < 0 ? "−" : "";
  return `${sign}${Math.abs(difference * 100).toFixed(2)} pp`;
}

/** Time of threads as an average over the time it was taken in: CPU time is cores then, other time threads. */
export function concurrency(valueNs: number, overMs: number): string {
  const n = valueNs / (overMs * 1e6);
  if (n >= 0.001 || n === 0) return significant(n);
  return n < 0.0001 ? "<0.0001" : n.toFixed(4);
}

const pad = (n: number): string => String(n).padStart(2, "0");

export function clock(ms: number): string {
  const d = new Date(ms);
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

export function dateTime(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${pad(d.getHours())}:${pad(d.getMinutes())}`;
}

const SPANS = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000]] as const;

export function span(ms: number): string {
  for (const [unit, size] of SPANS) {
    if (ms >= size) return `${String(Math.round((ms / size) * 10) / 10)} ${unit}`;
  }
  return `${Math.max(0, Math.round(ms))} ms`;
}

export function ago(ms: number, now: number): string {
  const age = now - ms;
  if (age < 2000) return "just now";
  for (const [unit, size] of SPANS) {
    if (age >= size) return `${Math.floor(age / size)} ${unit} ago`;
  }
  return "just now";
}
