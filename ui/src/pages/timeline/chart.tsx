// SPDX-License-Identifier: Apache-2.0
/** The layers on one scale, and a switch for each, which says how much it is. */
import { useMemo, type ReactNode } from "react";
import type { Coverage } from "@/api/model";
import { CoverageLine } from "@/components/coverage";
import { useNarrow } from "@/components/basics";
import { SeriesChart } from "@/components/series-chart";
import { significant } from "@/lib/format";
import type { Layer, LayerKey, Timeline } from "./layers";

function Switch({ layer, on, onToggle }: { layer: Layer; on: boolean; onToggle(): void }): ReactNode {
  const { title, meaning, color } = layer.kind;
  return (
    <button type="button" role="switch" className={layer.average === null ? "unknown" : undefined} aria-checked={on} title={meaning} onClick={onToggle}>
      <i className="swatch" style={{ background: on ? color : "none", borderColor: color }} />
      {title} {layer.average === null ? "not recorded" : <b>{significant(layer.average)}</b>}
    </button>
  );
}

export function LayerChart(props: {
  timeline: Timeline;
  off: ReadonlySet<LayerKey>;
  coverage: Coverage;
  onToggle(key: LayerKey): void;
  onRange(from: number, to: number): void;
  onOpen(key: LayerKey): void;
}): ReactNode {
  const { timeline, off } = props;
  const narrow = useNarrow();
  // The chart stacks from its last series up.
  const shown = useMemo(() => timeline.layers.filter((l) => !off.has(l.kind.key) && l.average !== null).reverse(), [timeline, off]);
  const series = useMemo(() => shown.map((l) => ({ label: l.kind.title, color: l.kind.color, values: l.values })), [shown]);
  return (
    <section className="panel" aria-label="Where time goes">
      <header>
        <h2>Where time goes, threads</h2>
        <span className="muted only-wide truncate">Drag to narrow the time range, click a layer for its flame graph</span>
        <span className="spacer" />
        <CoverageLine coverage={props.coverage} type="cpu:nanoseconds" />
      </header>
      <SeriesChart
        times={timeline.times} from={timeline.from} to={timeline.to} series={series} unit="threads" height={narrow ? 230 : 320}
        label="Stacked chart of threads over time, by what they do" onRange={props.onRange}
        pick={{ hint: (i) => `Click: flame graph of “${shown[i]!.kind.title}”`, open: (i) => props.onOpen(shown[i]!.kind.key) }}
      />
      <div className="layer-switches" role="group" aria-label="Layers, threads on average">
        {timeline.layers.map((layer) => (
          <Switch key={layer.kind.key} layer={layer} on={!off.has(layer.kind.key)} onToggle={() => props.onToggle(layer.kind.key)} />
        ))}
        <span className="muted only-wide">threads on average</span>
      </div>
    </section>
  );
}
