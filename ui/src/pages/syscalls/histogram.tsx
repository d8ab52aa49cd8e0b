// SPDX-License-Identifier: Apache-2.0
import type { ReactNode } from "react";
import { duration } from "@/lib/format";
import { foldHistogram, type Histogram } from "@/lib/latency";

const HEIGHT = 24;

/** Latencies from short to long. Heights are square roots: what is rare can be seen beside what is not. */
export function LatencyBars({ histogram, domain, bins = 28 }: { histogram: Histogram; domain: readonly [number, number] | null; bins?: number }): ReactNode {
  if (!domain || histogram.count.length === 0) return <span className="muted">–</span>;
  const folded = foldHistogram(histogram, domain, bins);
  const max = Math.max(...folded);
  const last = histogram.to_ns.length - 1;
  const label = `${duration(histogram.from_ns[0]!)} to ${duration(histogram.to_ns[last]!)}`;
  return (
    <svg className="latency" viewBox={`0 0 ${bins * 4} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`Latencies: ${label}`}>
      <title>{label}</title>
      <path className="base" d={`M0 ${HEIGHT - 0.5}H${bins * 4}`} />
      {folded.map((n, i) => {
        const height = n === 0 ? 0 : Math.max(1.5, Math.sqrt(n / max) * (HEIGHT - 2));
        return n === 0 ? null : <rect key={i} x={i * 4 + 0.4} y={HEIGHT - height} width={3.2} height={height} />;
      })}
    </svg>
  );
}
