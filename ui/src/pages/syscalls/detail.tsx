// SPDX-License-Identifier: Apache-2.0
/** One system call: over time, its errors, and who makes it. */
import { useMemo, type ReactNode } from "react";
import type { SyscallRow, SyscallsAnswer } from "@/api/model";
import { useSyscalls } from "@/api/queries";
import { ErrorState, Fact, Segments, Skeleton } from "@/components/basics";
import { DataTable } from "@/components/data-table";
import { Icon } from "@/components/icons";
import { SERIES_COLORS, SeriesChart } from "@/components/series-chart";
import { count, duration, percent } from "@/lib/format";
import { latencyDomain, roundStep } from "@/lib/latency";
import { finishedSteps } from "@/lib/stack";
import { withLabel } from "@/state/filter";
import type { Selection } from "@/state/selection";
import { makeColumns } from "./columns";
import { LatencyBars } from "./histogram";

export const CURVES = ["rate", "errors", "p50", "p90", "p99", "max"] as const;
export type Curve = (typeof CURVES)[number];
export const GROUPS = ["comm", "service", "pid", "host", "container"] as const;
export type Group = (typeof GROUPS)[number];

const STEPS = 180;
const ROWS = 200;

type Series = NonNullable<SyscallsAnswer["series"]>;

function curveOf(series: Series, curve: Curve, now: number): { values: (number | null)[]; unit: string } {
  if (curve === "rate" || curve === "errors") {
    const values = finishedSteps(series, curve === "rate" ? series.count : series.errors, now);
    return { values: values.map((v) => (v === null ? null : (v * 1000) / series.step_ms)), unit: "per s" };
  }
  const ns = finishedSteps(series, { p50: series.p50_ns, p90: series.p90_ns, p99: series.p99_ns, max: series.max_ns }[curve], now);
  const [scale, unit] = Math.max(0, ...ns.map((v) => v ?? 0)) >= 1e6 ? [1e6, "ms"] : [1e3, "µs"];
  return { values: ns.map((v) => (v === null ? null : v / scale)), unit };
}

function OverTime(props: { answer: SyscallsAnswer; updated: number; name: string; curve: Curve; onCurve(curve: Curve): void; onRange(from: number, to: number): void }): ReactNode {
  const { series } = props.answer;
  const line = useMemo(() => (series ? curveOf(series, props.curve, props.updated) : null), [series, props.curve, props.updated]);
  const chart = useMemo(
    () => (line ? [{ label: props.curve, color: SERIES_COLORS[0], values: line.values }] : []),
    [line, props.curve],
  );
  if (!series || !line) return null;
  return (
    <>
      <div className="toolbar">
        <Segments label="Over time" value={props.curve} onChange={props.onCurve} options={CURVES.map((c) => ({ value: c, label: c === "rate" ? "Calls" : c === "errors" ? "Errors" : c }))} />
        <span className="muted">{line.unit}</span>
      </div>
      <SeriesChart times={series.times} from={series.times[0] ?? props.answer.from} to={(series.times[series.times.length - 1] ?? props.answer.to) + series.step_ms} series={chart} unit={line.unit} height={170} label={`${props.name} over time: ${props.curve}`} onRange={props.onRange} />
    </>
  );
}

function Facts({ row }: { row: SyscallRow }): ReactNode {
  const domain = latencyDomain([row.histogram]);
  return (
    <div className="call-facts">
      <div>
        <LatencyBars histogram={row.histogram} domain={domain} bins={48} />
        {domain ? <div className="scale muted"><span>{duration(domain[0])}</span><span>latencies, logarithmic</span><span>{duration(domain[1])}</span></div> : null}
      </div>
      <dl className="facts">
        <Fact term="Calls">{count(row.count)}{row.returned < row.count ? ` (${count(row.count - row.returned)} that never return)` : ""}</Fact>
        <Fact term="Total time">{duration(row.sum_ns)}</Fact>
        <Fact term="Mean">{row.returned > 0 ? duration(row.sum_ns / row.returned) : "–"}</Fact>
        <Fact term="p50, p90, p99">{row.p50_ns === null ? "–" : [row.p50_ns, row.p90_ns!, row.p99_ns!].map(duration).join(", ")}</Fact>
        <Fact term="Longest">{row.returned > 0 ? duration(row.max_ns) : "–"}</Fact>
        <Fact term="In flight">{row.in_flight === 0 ? "none" : `${count(row.in_flight)}, the first for ${duration(row.oldest_ns)}`}</Fact>
        {row.errnos.map((e) => <Fact key={e.errno} term={e.name || `errno ${e.errno}`}><span title="Percent of the calls">{count(e.count)} <span className="muted">{percent(e.count / row.count)}</span></span></Fact>)}
      </dl>
    </div>
  );
}

export function CallDetail(props: {
  row: SyscallRow;
  selection: Selection;
  rangeMs: number;
  curve: Curve;
  group: Group;
  order: string;
  onCurve(curve: Curve): void;
  onGroup(group: Group): void;
  onOrder(order: string): void;
  onClose(): void;
  onRange(from: number, to: number): void;
  onFilter(filter: string): void;
}): ReactNode {
  const { row, selection, group } = props;
  const answer = useSyscalls(selection, { syscall: row.syscall, abi: row.abi, by: group, step: roundStep(props.rangeMs, STEPS), limit: ROWS });
  const rows = answer.data?.syscalls ?? [];
  const columns = useMemo(() => makeColumns(rows, answer.data?.sum_ns ?? 0, group, true), [rows, answer.data, group]);
  return (
    <section className="panel detail" aria-label={row.syscall}>
      <header>
        <h2>{row.syscall}</h2>
        <span className="muted">{row.abi}</span>
        <span className="spacer" />
        <button type="button" className="button quiet icon" aria-label="Close" onClick={props.onClose}><Icon name="close" /></button>
      </header>
      <div className="detail-body">
        {answer.isError && !answer.data ? <ErrorState error={answer.error} retry={() => void answer.refetch()} /> : null}
        {answer.data ? <OverTime answer={answer.data} updated={answer.dataUpdatedAt} name={row.syscall} curve={props.curve} onCurve={props.onCurve} onRange={props.onRange} /> : <div className="pad"><Skeleton height={170} /></div>}
        <Facts row={row} />
        <div className="toolbar">
          <Segments label="By" value={group} onChange={props.onGroup} options={GROUPS.map((g) => ({ value: g, label: g }))} />
          <span className="muted only-wide">Select one to filter by it</span>
        </div>
        <DataTable label={`${row.syscall} by ${group}`} rows={rows} columns={columns} order={props.order} onOrder={props.onOrder} rowKey={(r) => r.value ?? ""} onRow={(r) => props.onFilter(withLabel(selection.filter, group, r.value ?? ""))} rowHeight={42} />
        {answer.data?.coverage.truncated ? <p className="muted pad">{count(answer.data.coverage.truncated.cut)} smaller rows not shown</p> : null}
      </div>
    </section>
  );
}
