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

/** Against the same hours yesterday where there is data, else the time right before. */
function before(s: Service): number | null {
  return s.previous_day_value ?? s.previous_value;
}

function changeOf(s: Service): number {
  const base = before(s);
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

function makeColumns(answer: ServicesAnswer, series: SeriesAnswer | undefined, measure: Measure, href: (service: string) => string): Column<Service>[] {
  const lines = new Map(series?.series.map((s) => [s.value, s.values]));
  const largest = maximum(answer.services, (s) => s.value);
  const length = span(answer.to - answer.from);
  return [
    {
      id: "service", header: "Service", track: "minmax(120px, 1.1fr)", sort: (s) => s.service,
      cell: (s) => <Link className="service" href={href(s.service)} onClick={(e) => e.stopPropagation()}>{s.service || "(none)"}</Link>,
    },
    {
      id: "value", header: measure.unit === "cores" ? "Cores" : `Total, ${measure.unit}`, hint: "Average over the range; percent of all services", track: "148px", numeric: true, sort: (s) => s.value,
      cell: (s) => <BarCell share={s.value / largest}>{measure.short(s.value)} <em>{percent(s.share)}</em></BarCell>,
    },
    {
      id: "change", header: "Change", hint: `Sorted by size in ${measure.unit}. Percent of the value in the same hours yesterday, or in the ${length} before where there is no data from yesterday.`,
      track: "96px", numeric: true, sort: changeOf,
      cell: (s) => <span title={s.previous_day_value !== null ? "against the same hours yesterday" : `against the ${length} before`}><Change now={s.value} before={before(s)} /></span>,
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

export function ServiceTable(props: { answer: ServicesAnswer; series: SeriesAnswer | undefined; measure: Measure; href(service: string): string }): ReactNode {
  const { answer, series, measure, href } = props;
  const [, navigate] = useLocation();
  const [state, set] = useUrlState(ORDER);
  const columns = useMemo(() => makeColumns(answer, series, measure, href), [answer, series, measure, href]);
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
