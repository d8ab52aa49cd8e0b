// SPDX-License-Identifier: Apache-2.0
/** Where the time of a selection's threads goes: on the CPU, and off it by why. */
import { useCallback, useMemo, type ReactNode } from "react";
import { useLocation, useSearch } from "wouter";
import { useHosts, useProfileTypes, useSplitTime, useTops } from "@/api/queries";
import { Command, ErrorState, Skeleton } from "@/components/basics";
import { Icon } from "@/components/icons";
import { NoData, RECORD_WAITS } from "@/components/no-data";
import { PartialNotice } from "@/components/partial-notice";
import { Page } from "@/components/shell";
import { span } from "@/lib/format";
import { coveredTime } from "@/lib/stack";
import { withoutLabel } from "@/state/filter";
import { text } from "@/state/params";
import { selectionLink, useSelection, type Selection } from "@/state/selection";
import { resolveRange } from "@/state/time";
import { useUrlState } from "@/state/use-url-state";
import { LayerChart } from "./chart";
import { HeatmapPanel } from "./heatmap";
import { LAYERS, OFF_AT_FIRST, buildTimeline, chartStep, hostsWithoutWaits, layerSelection, parseOff, sortOf, toggled, type LayerKey, type Timeline } from "./layers";
import { FUNCTIONS, LayerTable } from "./table";

const SCHEMA = { off: text(OFF_AT_FIRST), order: text() };
const SOME_HOSTS = 4;

/** What the chart cannot show, because it was not recorded, and how to record it. */
function Missing({ timeline, selection }: { timeline: Timeline; selection: Selection }): ReactNode {
  const cpuHosts = useHosts({ ...selection, type: "cpu:nanoseconds" });
  const waitHosts = useHosts({ ...selection, type: "offcpu:nanoseconds" });
  const hosts = hostsWithoutWaits(cpuHosts.data?.values ?? [], waitHosts.data?.values ?? []);
  const cpuMissing = timeline.layers[0]!.average === null;
  let what: ReactNode = null;
  if (!timeline.waits) what = <>Of this selection there is CPU time only: its waits were not recorded. Record them by starting the agents with</>;
  else if (cpuMissing) what = <>Of this selection there are waits only: its CPU time was not recorded. Record both by starting the agents with</>;
  else if (waitHosts.data && hosts.length > 0) {
    const named = hosts.slice(0, SOME_HOSTS).join(", ");
    const more = hosts.length > SOME_HOSTS ? ` and ${hosts.length - SOME_HOSTS} more` : "";
    what = <>Waits on <b>{named}{more}</b> were not recorded, so only CPU time counts there. Record them by starting {hosts.length === 1 ? "its agent" : "their agents"} with</>;
  }
  if (what === null) return null;
  return <div className="notice" role="status"><Icon name="info" /><span>{what}</span><Command text={RECORD_WAITS} /></div>;
}

/** Says since when waits were recorded, where that is clearly less than the time shown. */
function WaitsNotice({ timeline, onRange }: { timeline: Timeline; onRange(from: number): void }): ReactNode {
  const { waits } = timeline;
  if (!waits || waits.ms >= waits.ofMs * 0.97) return null;
  return (
    <div className="notice" role="status">
      <Icon name="info" />
      <span>Waits were recorded for <b>{span(waits.ms)}</b> of the {span(waits.ofMs)} with data. Averages and shares are over the time of each.</span>
      <button type="button" className="button" onClick={() => onRange(waits.from)}>Show the time with waits</button>
    </div>
  );
}

export function TimelinePage(): ReactNode {
  const [selection, set] = useSelection();
  const [state, setState] = useUrlState(SCHEMA);
  const [, navigate] = useLocation();
  const search = useSearch();
  const filter = useMemo(() => withoutLabel(selection.filter, "state"), [selection.filter]);
  const base = useMemo(() => ({ ...selection, filter }), [selection, filter]);
  const resolved = resolveRange(selection, Date.now());
  const split = useSplitTime(base, chartStep(resolved.to - resolved.from));
  const types = useProfileTypes(base);
  const cpuRecorded = types.data?.types.some((t) => t.name === "cpu:nanoseconds" && t.available) ?? true;
  const timeline = useMemo(
    () => (split.data ? buildTimeline(split.data.cpu, split.data.waits, split.dataUpdatedAt, cpuRecorded) : null),
    [split.data, split.dataUpdatedAt, cpuRecorded],
  );
  const off = useMemo(() => parseOff(state.off), [state.off]);
  const tops = useTops(useMemo(() => LAYERS.map(({ key }) => ({ selection: { ...base, ...layerSelection(key, filter) }, sort: sortOf(key) })), [base, filter]), FUNCTIONS);
  const rows = useMemo(
    () => (timeline?.layers ?? []).map((layer) => ({ layer, top: tops[LAYERS.indexOf(layer.kind)] ?? null })),
    [timeline, tops],
  );
  const open = useCallback((key: LayerKey) => navigate(selectionLink("/flamegraph", search, layerSelection(key, filter))), [navigate, search, filter]);
  const narrow = (from: number, to: number): void => set({ from: String(from), to: String(to), live: false });

  let body: ReactNode;
  if (split.isError && !split.data) body = <section className="panel"><ErrorState error={split.error} retry={() => void split.refetch()} /></section>;
  else if (!split.data || !timeline) body = <section className="panel pad"><Skeleton height={360} /></section>;
  else if ([...split.data.cpu.series, ...split.data.waits.series].every((s) => s.total === 0)) body = <section className="panel"><NoData /></section>;
  else {
    body = (
      <>
        {filter !== selection.filter ? (
          <div className="notice" role="status">
            <Icon name="info" />
            <span>The filter on <b>state</b> does not apply here: each state is a layer.</span>
            <button type="button" className="button" onClick={() => set({ filter })}>Remove it</button>
          </div>
        ) : null}
        <PartialNotice covered={coveredTime(split.data.cpu, split.data.cpu.from, split.data.cpu.to)} range={split.data.cpu} />
        <WaitsNotice timeline={timeline} onRange={(from) => narrow(from, resolved.to)} />
        <Missing timeline={timeline} selection={base} />
        <LayerChart selection={base} onFilter={(next) => set({ filter: next })} timeline={timeline} off={off} coverage={split.data.cpu.coverage} onToggle={(key) => setState({ off: toggled(off, key) }, { replace: true })} onRange={narrow} onOpen={open} />
        <HeatmapPanel selection={base} onOpen={(from, to) => navigate(selectionLink("/flamegraph", search, { from: String(from), to: String(to), live: false, type: "cpu:nanoseconds" }))} />
        <LayerTable rows={rows} off={off} order={state.order} onOrder={(order) => setState({ order }, { replace: true })} onOpen={open} />
      </>
    );
  }
  return <Page title="Timeline" untyped stale={split.data ? split.error : null}>{body}</Page>;
}
