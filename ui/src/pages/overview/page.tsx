// SPDX-License-Identifier: Apache-2.0
import { useCallback, useMemo, type ReactNode } from "react";
import { useSearch } from "wouter";
import type { SeriesAnswer, ServicesAnswer } from "@/api/model";
import { useAgents, useAnnotations, useCovered, useSeries, useServices } from "@/api/queries";
import { ErrorState, Skeleton } from "@/components/basics";
import { CoverageLine, CutNotice } from "@/components/coverage";
import { MarkList } from "@/components/markers";
import { PartialNotice } from "@/components/partial-notice";
import { NoData } from "@/components/no-data";
import { REST_COLOR, SERIES_COLORS, SeriesChart, type ChartSeries } from "@/components/series-chart";
import { Page } from "@/components/shell";
import { addSeries, finishedSteps, type Values } from "@/lib/stack";
import { measureOf, rateUnit } from "@/lib/measure";
import { selectionLink, useSelection, type Selection } from "@/state/selection";
import { withLabel } from "@/state/filter";
import { dayBefore, previousRange, resolveRange } from "@/state/time";
import { ServiceTable, type Baseline } from "./service-table";
import { Tiles } from "./tiles";

const STACKED = 7;

function chartSeries(answer: SeriesAnswer, now: number): ChartSeries[] {
  // Values per step as a rate: cores or threads for time, else per second.
  const scale = answer.unit === "nanoseconds" ? answer.step_ms * 1e6 : answer.step_ms / 1000;
  const rates = (values: Values): (number | null)[] =>
    finishedSteps(answer, values, now).map((v) => (v === null ? null : v / scale));
  const shown = answer.series.slice(0, STACKED).map((s, i) => ({ label: s.value || "(none)", color: SERIES_COLORS[i]!, values: rates(s.values) }));
  const hidden = answer.series.slice(STACKED).map((s) => s.values);
  if (answer.other) hidden.push(answer.other.values);
  const number = Math.max(0, answer.series.length - STACKED) + (answer.other?.count ?? 0);
  if (number === 0) return shown;
  const rest = addSeries(hidden, answer.times.length);
  return [...shown, { label: `${number} more`, color: REST_COLOR, values: rates(rest) }];
}

function Chart({ selection, onRange }: { selection: Selection; onRange(from: number, to: number): void }): ReactNode {
  const series = useSeries(selection, "service", 50);
  const marks = useAnnotations(selection).data;
  const lines = useMemo(() => (series.data ? chartSeries(series.data, series.dataUpdatedAt) : []), [series.data, series.dataUpdatedAt]);
  const isCpu = selection.type === "cpu:nanoseconds";
  const unit = rateUnit(selection.type, series.data?.unit ?? "");
  return (
    <section className="panel">
      <header>
        <h2>{isCpu ? "CPU by service" : "By service"}, {unit}</h2>
        <span className="muted only-wide">Drag to narrow the time range</span>
        <span className="spacer" />
        {series.data ? <CoverageLine coverage={series.data.coverage} type={series.data.type} /> : null}
      </header>
      {series.data ? (
        <>
          <SeriesChart times={series.data.times} from={series.data.from} to={series.data.to} series={lines} unit={unit} height={220} label="Stacked chart of services over time" onRange={onRange} annotations={marks?.annotations} />
          <div className="chart-legend">
            {lines.map((s) => <span key={s.label}><i className="swatch" style={{ background: s.color }} />{s.label}</span>)}
          </div>
          <MarkList selection={selection} />
        </>
      ) : series.isError ? <ErrorState error={series.error} retry={() => void series.refetch()} /> : <div className="pad"><Skeleton height={220} /></div>}
    </section>
  );
}

/** Yesterday's same hours where there is data from then, else the time right before. */
function useBaseline(selection: Selection, answer: ServicesAnswer | undefined, shownMs: number): Baseline {
  const day = answer?.services.some((s) => s.previous_day_value !== null) ?? false;
  const range = day ? dayBefore(selection, Date.now()) : previousRange(selection, Date.now());
  const covered = useCovered({ ...selection, ...range }, answer ? resolveRange(range, answer.to) : undefined);
  const ms = covered?.ms ?? shownMs;
  return useMemo(() => ({ day, ms, shownMs }), [day, ms, shownMs]);
}

export function OverviewPage(): ReactNode {
  const [selection, set] = useSelection();
  const search = useSearch();
  const services = useServices(selection);
  const series = useSeries(selection, "service", 50);
  const agents = useAgents();
  const narrow = (from: number, to: number): void => set({ from: String(from), to: String(to), live: false });
  const covered = useCovered(selection, services.data);
  const averaged = covered?.ms ?? (services.data ? services.data.to - services.data.from : 0);
  const measure = useMemo(
    () => measureOf(selection.type, services.data?.unit ?? "", averaged),
    [selection.type, services.data?.unit, averaged],
  );
  const baseline = useBaseline(selection, services.data, averaged);
  const href = useCallback(
    (service: string) => selectionLink("/flamegraph", search, { filter: withLabel(selection.filter, "service", service) }),
    [search, selection.filter],
  );

  let body: ReactNode;
  if (services.isError && !services.data) body = <section className="panel"><ErrorState error={services.error} retry={() => void services.refetch()} /></section>;
  else if (!services.data) body = <section className="panel pad"><Skeleton height={300} /></section>;
  else if (services.data.services.length === 0) body = <section className="panel"><NoData /></section>;
  else {
    body = (
      <>
        <PartialNotice covered={covered} range={services.data} />
        <Tiles services={services.data} agents={agents.data} cpu={selection.type === "cpu:nanoseconds" ? services.data.total_value / (averaged * 1e6) : null} measure={measure} />
        <Chart selection={selection} onRange={narrow} />
        {services.data.coverage.truncated ? <CutNotice cut={services.data.coverage.truncated.cut} what={`more ${services.data.coverage.truncated.what} are not shown.`} /> : null}
        <ServiceTable answer={services.data} series={series.data} measure={measure} baseline={baseline} href={href} />
      </>
    );
  }
  return <Page title="Overview" stale={services.data ? services.error : null}>{body}</Page>;
}
