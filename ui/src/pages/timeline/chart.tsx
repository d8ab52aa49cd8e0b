// SPDX-License-Identifier: Apache-2.0
/** The layers on one scale, and a switch for each, which says how much it is. */
import { useMemo, type ReactNode } from "react";
import type { Coverage } from "@/api/model";
import { useAnnotations, useLabelValues } from "@/api/queries";
import { CoverageLine } from "@/components/coverage";
import { useNarrow } from "@/components/basics";
import { MarkList } from "@/components/markers";
import { SeriesChart } from "@/components/series-chart";
import { significant } from "@/lib/format";
import { valueOf, withLabel, withoutLabel } from "@/state/filter";
import type { Selection } from "@/state/selection";
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

const ALL = "";

/** Which service's threads are shown. */
function ServiceSelect({ selection, onFilter }: { selection: Selection; onFilter(filter: string): void }): ReactNode {
  const others = withoutLabel(selection.filter, "service");
  const values = useLabelValues({ ...selection, type: "wall:nanoseconds", filter: others }, "service");
  const chosen = valueOf(selection.filter, "service") ?? ALL;
  const names = (values.data?.values ?? []).map((v) => v.value).filter((name) => name !== "" && name !== chosen);
  return (
    <select className="input" aria-label="Service" value={chosen} onChange={(e) => onFilter(e.target.value === ALL ? others : withLabel(others, "service", e.target.value))}>
      <option value={ALL}>{others === selection.filter || chosen !== ALL ? "All services" : "Services of the filter"}</option>
      {chosen === ALL ? null : <option value={chosen}>{chosen}</option>}
      {names.map((name) => <option key={name} value={name}>{name}</option>)}
    </select>
  );
}

export function LayerChart(props: {
  selection: Selection;
  onFilter(filter: string): void;
  timeline: Timeline;
  off: ReadonlySet<LayerKey>;
  coverage: Coverage;
  onToggle(key: LayerKey): void;
  onRange(from: number, to: number): void;
  onOpen(key: LayerKey): void;
}): ReactNode {
  const { timeline, off } = props;
  const narrow = useNarrow();
  const marks = useAnnotations(props.selection).data;
  // The chart stacks from its last series up.
  const shown = useMemo(() => timeline.layers.filter((l) => !off.has(l.kind.key) && l.average !== null).reverse(), [timeline, off]);
  const series = useMemo(() => shown.map((l) => ({ label: l.kind.title, color: l.kind.color, values: l.values })), [shown]);
  return (
    <section className="panel" aria-label="Where time goes">
      <header>
        <h2>Where time goes, threads</h2>
        <ServiceSelect selection={props.selection} onFilter={props.onFilter} />
        <span className="spacer" />
        <CoverageLine coverage={props.coverage} type="cpu:nanoseconds" />
      </header>
      <SeriesChart
        times={timeline.times} from={timeline.from} to={timeline.to} series={series} unit="threads" height={narrow ? 230 : 320}
        label="Stacked chart of threads over time, by what they do" onRange={props.onRange} annotations={marks?.annotations}
        pick={{ hint: (i) => `Click: flame graph of “${shown[i]!.kind.title}”`, open: (i) => props.onOpen(shown[i]!.kind.key) }}
      />
      <div className="layer-switches" role="group" aria-label="Layers, threads on average">
        {timeline.layers.map((layer) => (
          <Switch key={layer.kind.key} layer={layer} on={!off.has(layer.kind.key)} onToggle={() => props.onToggle(layer.kind.key)} />
        ))}
        <span className="muted only-wide">threads on average</span>
        <span className="spacer" />
        <span className="muted only-wide">Drag to zoom in, click for a flame graph</span>
      </div>
      <MarkList selection={props.selection} />
    </section>
  );
}
