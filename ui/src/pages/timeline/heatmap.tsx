// SPDX-License-Identifier: Apache-2.0
/** CPU time by the second, so that bursts, pauses and what happens once a minute are seen as such. */
import { useMemo, type ReactNode } from "react";
import { useHeatmap } from "@/api/queries";
import { ErrorState, Skeleton } from "@/components/basics";
import { Heatmap } from "@/components/heatmap";
import { span } from "@/lib/format";
import { measureOf } from "@/lib/measure";
import type { Selection } from "@/state/selection";

const HEIGHT = 240;

export function HeatmapPanel({ selection, onOpen }: { selection: Selection; onOpen(from: number, to: number): void }): ReactNode {
  const heat = useHeatmap({ ...selection, type: "cpu:nanoseconds" });
  const answer = heat.data;
  const grid = useMemo(
    () => (answer ? { from: answer.from, stepMs: answer.step_ms, rows: answer.rows, columns: answer.columns, cells: answer.cells, max: answer.max } : null),
    [answer],
  );
  const measure = measureOf(answer?.type ?? "", answer?.unit ?? "", answer?.step_ms ?? 0);
  let body: ReactNode;
  if (heat.isError && !answer) body = <ErrorState error={heat.error} retry={() => void heat.refetch()} />;
  else if (!answer || !grid) body = <div className="pad"><Skeleton height={HEIGHT} /></div>;
  else {
    body = (
      <Heatmap
        grid={grid} height={HEIGHT} describe={(value) => `${measure.short(value)} ${measure.unit}`} onOpen={onOpen}
        label={`Heatmap of CPU time: each column is ${span(answer.step_ms * answer.rows)}, from top to bottom, each cell ${span(answer.step_ms)}`}
      />
    );
  }
  return (
    <section className="panel" aria-label="CPU time by the second">
      <header>
        <h2>{answer ? `On the CPU, each ${span(answer.step_ms)}` : "On the CPU"}</h2>
        <span className="muted truncate">{answer ? `a column is ${span(answer.step_ms * answer.rows)}, from top to bottom` : ""}</span>
      </header>
      {body}
    </section>
  );
}
