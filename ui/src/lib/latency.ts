// SPDX-License-Identifier: Apache-2.0
/** Histograms of latencies, drawn against a scale of powers. */

export interface Histogram {
  readonly from_ns: readonly number[];
  readonly to_ns: readonly number[];
  readonly count: readonly number[];
}

/** The shortest and longest latency that any of them holds; null where none holds one. */
export function latencyDomain(histograms: readonly Histogram[]): readonly [number, number] | null {
  let low = Infinity;
  let high = 0;
  for (const h of histograms) {
    if (h.count.length === 0) continue;
    low = Math.min(low, Math.max(1, h.from_ns[0]!));
    high = Math.max(high, h.to_ns[h.to_ns.length - 1]!);
  }
  return high > 0 ? [low, Math.max(high, low * 2)] : null;
}

/** Counts in `bins` bins of equal ratio over the domain: a bucket counts where its middle lies. */
export function foldHistogram(h: Histogram, domain: readonly [number, number], bins: number): number[] {
  const out = new Array<number>(bins).fill(0);
  const [low, high] = domain.map(Math.log) as [number, number];
  h.count.forEach((n, i) => {
    const middle = Math.sqrt(Math.max(1, h.from_ns[i]!) * Math.max(1, h.to_ns[i]!));
    const at = Math.floor(((Math.log(middle) - low) / (high - low)) * bins);
    out[Math.min(bins - 1, Math.max(0, at))]! += n;
  });
  return out;
}

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** A round step that divides a range into at most `most` parts: "10s". */
export function roundStep(rangeMs: number, most: number): string {
  return `${STEPS_S.find((s) => rangeMs / (s * 1000) <= most) ?? 7 * 86400}s`;
}
