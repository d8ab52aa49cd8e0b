// SPDX-License-Identifier: Apache-2.0
import type { ReactNode } from "react";

const WIDTH = 120;
const HEIGHT = 24;

/** Separate strokes for each stretch with data: a gap is never bridged or drawn as zero. */
function strokes(values: readonly (number | null)[], max: number): string {
  const step = WIDTH / Math.max(1, values.length - 1);
  let path = "";
  let open = false;
  values.forEach((value, i) => {
    if (value === null) {
      open = false;
      return;
    }
    const y = HEIGHT - 2 - (max > 0 ? value / max : 0) * (HEIGHT - 4);
    path += `${open ? "L" : "M"}${(i * step).toFixed(1)} ${y.toFixed(1)}`;
    if (!open) path += "h.01";
    open = true;
  });
  return path;
}

export function Sparkline({ values, label }: { values: readonly (number | null)[]; label: string }): ReactNode {
  const max = values.reduce<number>((m, v) => Math.max(m, v ?? 0), 0);
  return (
    <svg className="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path d={strokes(values, max)} fill="none" stroke="currentColor" strokeWidth="1.5" vectorEffect="non-scaling-stroke" strokeLinejoin="round" strokeLinecap="round" />
    </svg>
  );
}
