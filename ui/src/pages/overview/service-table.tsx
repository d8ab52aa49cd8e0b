// SPDX-License-Identifier: Apache-2.0
import { useMemo, type ReactNode } from "react";
import { Link, useLocation } from "wouter";
import type { SeriesAnswer, Service, ServicesAnswer } from "@/api/model";
import { Change } from "@/components/basics";
import { BarCell, DataTable, maximum, type Column } from "@/components/data-table";
import { Sparkline } from "@/components/sparkline";
import { count, percent, span } from "@/lib/format";
import type { Measure } from "@/lib/measure";
import { text } from "@/state/params";
import { useUrlState } from "@/state/use-url-state";

const ORDER = { sort: text("change") };

/** What changes are against: a time, and how much of it has data, as for the time shown. */
export interface Baseline {
  day: boolean;
  ms: number;
  shownMs: number;
}

/** The value that a service would have had in the time shown, at its rate in the baseline. */
function before(s: Service, baseline: Baseline): number | null {
  const value = baseline.day ? s.previous_day_value : s.previous_value;
  return value === null ? null : (value / baseline.ms) * baseline.shownMs;
}

function changeOf(s: Service, baseline: Baseline): number {
  const base = before(s, baseline);
  return base === null ? -1 : Math.abs(s.value - base);
}

function Riser({ service, measure }: { service: Service; measure: Measure }): ReactNode {
  const riser = service.largest_riser;
  if (!riser) return <span className="muted">–</span>;
  return (
    <span className="fn" title={`${riser.function} (${riser.module})`}>
      <span className="truncate name">{riser.function}</span>
      <span className="module truncate">
        +{measure.short(riser.value - riser.previous_value)} {measure.unit}, {riser.module}
      </span>
    </span>
  );
}

function makeColumns(answer: ServicesAnswer, series: SeriesAnswer | undefined, measure: Measure, baseline: Baseline, href: (service: string) => string): Column<Service>[] {
  const lines = new Map(series?.series.map((s) => [s.value, s.values]));
  const largest = maximum(answer.services, (s) => s.value);
  const against = baseline.day ? "in the same hours yesterday" : `in the ${span(answer.to - answer.from)} before`;
  return [
    {
      id: "service", header: "Service", track: "minmax(120px, 1.1fr)", sort: (s) => s.service,
      cell: (s) => <Link className="service" href={href(s.service)} onClick={(e) => e.stopPropagation()}>{s.service || "(none)"}</Link>,
    },
    {
      id: "value", header: measure.unit === "cores" ? "Cores" : measure.unit === "threads" ? "Threads" : `Total, ${measure.unit}`, hint: "Average over the range; percent of all services", track: "148px", numeric: true, sort: (s) => s.value,
      cell: (s) => <BarCell share={s.value / largest}>{measure.short(s.value)} <em>{percent(s.share)}</em></BarCell>,
    },
    {
      id: "change", header: "Change", hint: `Percent of the rate ${against}; sorted by its size in ${measure.unit}`,
      track: "96px", numeric: true, sort: (s) => changeOf(s, baseline),
      cell: (s) => <span title={`against ${against}`}><Change now={s.value} before={before(s, baseline)} /></span>,
    },
    {
      id: "trend", header: "Over time", track: "minmax(90px, 160px)", wide: true,
      cell: (s) => { const values = lines.get(s.service); return values ? <Sparkline values={values} label={`${s.service} over time`} /> : <span className="muted">–</span>; },
    },
    { id: "riser", header: "Largest riser", hint: "The function whose own time grew most", track: "minmax(140px, 1.4fr)", wide: true, cell: (s) => <Riser service={s} measure={measure} /> },
    { id: "hosts", header: "Hosts", track: "70px", numeric: true, wide: true, sort: (s) => s.hosts, cell: (s) => count(s.hosts) },
    {
      id: "incomplete", header: "Incomplete", hint: "Samples whose stack does not reach its outermost frame, percent of the service's samples", track: "106px", numeric: true, wide: true,
      sort: (s) => 1 - (s.complete_share ?? 1),
      cell: (s) => s.complete_share === null ? <span className="muted">–</span> : <span className={s.complete_share < 0.95 ? "up" : undefined}>{percent(1 - s.complete_share)}</span>,
    },
  ];
}

export function ServiceTable(props: { answer: ServicesAnswer; series: SeriesAnswer | undefined; measure: Measure; baseline: Baseline; href(service: string): string }): ReactNode {
  const { answer, series, measure, baseline, href } = props;
  const [, navigate] = useLocation();
  const [state, set] = useUrlState(ORDER);
  const columns = useMemo(() => makeColumns(answer, series, measure, baseline, href), [answer, series, measure, baseline, href]);
  return (
    <section className="panel clip">
      <header>
        <h2>Services</h2>
        <span className="muted">{count(answer.services.length)}</span>
      </header>
      <DataTable label="Services" rows={answer.services} columns={columns} order={state.sort} onOrder={(sort) => set({ sort }, { replace: true })} rowKey={(s) => s.service} onRow={(s) => navigate(href(s.service))} rowHeight={46} />
    </section>
  );
}
