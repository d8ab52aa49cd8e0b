// SPDX-License-Identifier: Apache-2.0
import type { ReactNode } from "react";
import { duration } from "@/lib/format";
import { foldHistogram, type Histogram } from "@/lib/latency";

const HEIGHT = 24;
const BAR = 4;

/** What is drawn: calls, in the seconds that they are of. */
export interface Latencies {
  histogram: Histogram;
  seconds: number;
}

function spanOf({ histogram }: Latencies): string {
  return histogram.count.length === 0 ? "none" : `${duration(histogram.from_ns[0]!)} to ${duration(histogram.to_ns[histogram.to_ns.length - 1]!)}`;
}

function outline(heights: readonly number[]): string {
  return heights.map((h, i) => `${i === 0 ? "M" : "L"}${i * BAR} ${HEIGHT - h}H${(i + 1) * BAR}`).join("");
}

/**
 * Latencies from short to long; those of `before` as an outline over them, to the same scale of calls a
 * second. Heights are square roots: what is rare can be seen beside what is not.
 */
export function LatencyBars({ now, before, domain, bins = 28 }: { now: Latencies; before?: Latencies | null; domain: readonly [number, number] | null; bins?: number }): ReactNode {
  const sides = before ? [now, before] : [now];
  if (!domain || sides.every((s) => s.histogram.count.length === 0)) return <span className="muted">–</span>;
  const rates = sides.map((s) => foldHistogram(s.histogram, domain, bins).map((n) => (s.seconds > 0 ? n / s.seconds : 0)));
  const max = Math.max(...rates.flat(), Number.MIN_VALUE);
  const [bars, line] = rates.map((side) => side.map((n) => (n === 0 ? 0 : Math.max(1.5, Math.sqrt(n / max) * (HEIGHT - 2)))));
  const label = before ? `${spanOf(now)}; before: ${spanOf(before)}` : spanOf(now);
  return (
    <svg className="latency" viewBox={`0 0 ${bins * BAR} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`Latencies: ${label}`}>
      <title>{label}</title>
      <path className="base" d={`M0 ${HEIGHT - 0.5}H${bins * BAR}`} />
      {bars!.map((height, i) => (height === 0 ? null : <rect key={i} x={i * BAR + 0.4} y={HEIGHT - height} width={BAR - 0.8} height={height} />))}
      {line ? <path className="before" d={outline(line)} /> : null}
    </svg>
  );
}
