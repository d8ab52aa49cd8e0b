// SPDX-License-Identifier: Apache-2.0
/** One system call: over time, its errors, and who makes it. */
import { useEffect, useMemo, useRef, type ReactNode } from "react";
import type { SyscallsAnswer } from "@/api/model";
import { useSyscalls } from "@/api/queries";
import { ErrorState, Segments, Skeleton } from "@/components/basics";
import { DataTable } from "@/components/data-table";
import { Icon } from "@/components/icons";
import { SERIES_COLORS, SeriesChart } from "@/components/series-chart";
import { count } from "@/lib/format";
import { roundStep } from "@/lib/latency";
import { finishedSteps } from "@/lib/stack";
import { withLabel } from "@/state/filter";
import type { Selection } from "@/state/selection";
import { makeColumns } from "./columns";
import { CallFacts, PairFacts } from "./facts";
import { makePairColumns } from "./pair-columns";
import { pairRows, rowKey, type Pair } from "./pairs";
import { CallStacks } from "./stacks";

export const CURVES = ["rate", "errors", "p50", "p90", "p99", "max"] as const;
export type Curve = (typeof CURVES)[number];
export const GROUPS = ["comm", "service", "pid", "host", "container"] as const;
export type Group = (typeof GROUPS)[number];

const STEPS = 180;
const ROWS = 200;
const ROW = 42;

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

/** Who makes the call, by a label; in two ranges where there is a second answer. */
function Callers(props: { name: string; now: SyscallsAnswer; before: SyscallsAnswer | null; group: Group; order: string; onOrder(order: string): void; onValue(value: string): void }): ReactNode {
  const { now, before, group } = props;
  const pairs = useMemo(() => (before ? pairRows(now, before) : []), [now, before]);
  const columns = useMemo(() => makeColumns(now.syscalls, now.sum_ns, now.covered_s, group, true), [now, group]);
  const pairColumns = useMemo(() => makePairColumns(pairs, { now: now.covered_s, before: before?.covered_s ?? 0 }, group, true), [pairs, now, before, group]);
  const table = { label: `${props.name} by ${group}`, order: props.order, onOrder: props.onOrder, rowHeight: ROW };
  if (before) return <DataTable {...table} rows={pairs} columns={pairColumns} rowKey={(p) => p.key} onRow={(p) => props.onValue(p.value ?? "")} />;
  return <DataTable {...table} rows={now.syscalls} columns={columns} rowKey={rowKey} onRow={(r) => props.onValue(r.value ?? "")} />;
}

export function CallDetail(props: {
  /** In both ranges; without a comparison in one. */
  pair: Pair;
  selection: Selection;
  /** The selection to compare with, and the seconds of both with data. */
  baseline: Selection | null;
  seconds: { now: number; before: number };
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
  const { pair, selection, group } = props;
  const params = { syscall: pair.syscall, abi: pair.abi, by: group, limit: ROWS };
  const answer = useSyscalls(selection, { ...params, step: roundStep(props.rangeMs, STEPS) });
  const earlier = useSyscalls(props.baseline, params);
  const now = answer.data;
  const before = props.baseline ? earlier.data ?? null : null;
  const panel = useRef<HTMLElement>(null);
  // Below the table on narrow windows, where it would open out of sight.
  useEffect(() => panel.current?.scrollIntoView({ block: "nearest" }), [pair.key]);
  const cut = (now?.coverage.truncated?.cut ?? 0) + (before?.coverage.truncated?.cut ?? 0);
  return (
    <section className="panel detail" ref={panel} aria-label={pair.syscall}>
      <header>
        <h2>{pair.syscall}</h2>
        <span className="muted">{pair.abi}</span>
        <span className="spacer" />
        <button type="button" className="button quiet icon" aria-label="Close" onClick={props.onClose}><Icon name="close" /></button>
      </header>
      <div className="detail-body">
        {answer.isError && !now ? <ErrorState error={answer.error} retry={() => void answer.refetch()} /> : null}
        {now ? <OverTime answer={now} updated={answer.dataUpdatedAt} name={pair.syscall} curve={props.curve} onCurve={props.onCurve} onRange={props.onRange} /> : <div className="pad"><Skeleton height={170} /></div>}
        {props.baseline || !pair.rows.now ? <PairFacts pair={pair} seconds={props.seconds} /> : <CallFacts row={pair.rows.now} seconds={props.seconds.now} />}
        <CallStacks selection={selection} syscall={pair.syscall} />
        <div className="toolbar">
          <Segments label="By" value={group} onChange={props.onGroup} options={GROUPS.map((g) => ({ value: g, label: g }))} />
          <span className="muted only-wide">Select to filter</span>
        </div>
        {now && (before || !props.baseline) ? (
          <Callers name={pair.syscall} now={now} before={before} group={group} order={props.order} onOrder={props.onOrder} onValue={(value) => props.onFilter(withLabel(selection.filter, group, value))} />
        ) : null}
        {cut > 0 ? <p className="muted pad">{count(cut)} smaller rows not shown</p> : null}
      </div>
    </section>
  );
}
