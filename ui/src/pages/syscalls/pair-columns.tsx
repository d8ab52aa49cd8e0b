// SPDX-License-Identifier: Apache-2.0
/** The columns of two ranges: each figure over what it was, and by how much it changed. */
import type { ReactNode } from "react";
import { Change } from "@/components/basics";
import type { Column } from "@/components/data-table";
import { duration, percent, points, significant, timeRate } from "@/lib/format";
import { latencyDomain } from "@/lib/latency";
import { CallName } from "./columns";
import { LatencyBars } from "./histogram";
import { difference, growth, type Figures, type Pair } from "./pairs";

/** Quantiles are middles of buckets: of equal latencies one may lie a bucket, an eighth of it, above the other. */
export const BUCKET = 0.125;
const EMPTY = { from_ns: [], to_ns: [], count: [] };
const UNKNOWN = <span className="muted">–</span>;

type Metric = keyof Figures;

export const FORMATS: Readonly<Record<Metric, (v: number) => string>> = {
  calls: (v) => significant(v), errors: percent, time: timeRate, p50: duration, p99: duration,
};

/** A figure of the range, and under it that of the range before. */
function Both({ pair, metric }: { pair: Pair; metric: Metric }): ReactNode {
  const shown = (figures: Figures | null): ReactNode => {
    const v = figures?.[metric];
    return v == null ? UNKNOWN : FORMATS[metric](v);
  };
  return (
    <span className="now-before">
      <span>{shown(pair.figures.now)}</span>
      <span className="muted" title="In the range compared with">{shown(pair.figures.before)}</span>
    </span>
  );
}

function signed(v: number, format: (size: number) => string): string {
  return `${v > 0 ? "+" : v < 0 ? "−" : ""}${format(Math.abs(v))}`;
}

/** The change of total time: what it adds up to, and as a share. */
export function TimeChange({ pair }: { pair: Pair }): ReactNode {
  const { now, before } = pair.figures;
  const by = difference(now?.time, before?.time);
  if (by === null) return UNKNOWN;
  return (
    <span className="now-before">
      <span>{by === 0 ? "0" : signed(by, FORMATS.time)}</span>
      <Change now={now!.time} before={before!.time} />
    </span>
  );
}

export function MetricChange({ pair, metric }: { pair: Pair; metric: Metric }): ReactNode {
  const now = pair.figures.now?.[metric];
  const before = pair.figures.before?.[metric];
  if (now == null || before == null) return UNKNOWN;
  if (metric !== "errors") return <Change now={now} before={before} within={metric === "p50" || metric === "p99" ? BUCKET : undefined} />;
  const by = now - before;
  if (Math.abs(by) < 0.00005) return <span className="muted">0</span>;
  return <span className={by > 0.0005 ? "tag up" : by < -0.0005 ? "tag down" : "tag"}>{points(by)}</span>;
}

const LOWEST = -Number.MAX_VALUE;

/** `first` names what a row is; `narrow`: beside another panel. `seconds` of the two ranges have data. */
export function makePairColumns(pairs: readonly Pair[], seconds: { now: number; before: number }, first: string, narrow: boolean): Column<Pair>[] {
  const domain = latencyDomain(pairs.flatMap((p) => [p.rows.now, p.rows.before]).map((r) => r?.histogram ?? EMPTY));
  const value = (metric: Metric) => (p: Pair): number => p.figures.now?.[metric] ?? LOWEST;
  const grown = (metric: Metric) => (p: Pair): number => growth(p.figures.now?.[metric], p.figures.before?.[metric]) ?? LOWEST;
  const added = (metric: Metric) => (p: Pair): number => difference(p.figures.now?.[metric], p.figures.before?.[metric]) ?? LOWEST;
  const both = (metric: Metric) => (p: Pair): ReactNode => <Both pair={p} metric={metric} />;
  const changed = (metric: Metric) => (p: Pair): ReactNode => <MetricChange pair={p} metric={metric} />;
  const change = { header: "Change", numeric: true, track: "minmax(70px, 84px)" };
  const columns: (Column<Pair> & { beside?: boolean })[] = [
    { id: "name", header: first, track: "minmax(110px, 1.4fr)", beside: true, sort: (p) => p.value ?? p.syscall, cell: (p) => <CallName row={(p.rows.now ?? p.rows.before)!} gone={p.rows.now === null} /> },
    { id: "count", header: "Calls/s", hint: "Calls a second of the time in which hosts reported; below, in the range compared with", track: "minmax(70px, 88px)", numeric: true, wide: true, sort: value("calls"), cell: both("calls") },
    { ...change, id: "count.change", label: "Change of calls/s", hint: "Of the calls a second", wide: true, sort: grown("calls"), cell: changed("calls") },
    { id: "errors", header: "Errors", hint: "Percent of the calls", track: "minmax(64px, 80px)", numeric: true, wide: true, sort: value("errors"), cell: both("errors") },
    { ...change, id: "errors.change", label: "Change of errors", hint: "Of the share of errors, in percentage points", track: "minmax(88px, 96px)", wide: true, sort: added("errors"), cell: changed("errors") },
    { id: "time", header: "Time/s", hint: "Time that all threads spend in the call, in a second of the time in which hosts reported", track: "minmax(84px, 100px)", numeric: true, beside: true, sort: value("time"), cell: both("time") },
    { ...change, id: "time.change", label: "Change of time/s", hint: "Of the time in a second; sorts by what was added", track: "minmax(92px, 108px)", beside: true, sort: added("time"), cell: (p) => <TimeChange pair={p} /> },
    { id: "p50", header: "p50", hint: "Half of the calls returned faster; at most 6.25 % off", track: "minmax(64px, 80px)", numeric: true, wide: true, sort: value("p50"), cell: both("p50") },
    { ...change, id: "p50.change", label: "Change of p50", hint: "Of the p50; within a bucket, 12.5 %, it is not coloured", wide: true, sort: grown("p50"), cell: changed("p50") },
    { id: "p99", header: "p99", hint: "At most 6.25 % off", track: "minmax(64px, 80px)", numeric: true, wide: true, sort: value("p99"), cell: both("p99") },
    { ...change, ...(narrow ? { header: "p99 change", track: "96px" } : {}), id: "p99.change", label: "Change of p99", hint: "Of the p99; within a bucket, 12.5 %, it is not coloured", wide: true, beside: true, sort: grown("p99"), cell: changed("p99") },
    {
      id: "histogram", header: "Latencies", hint: "Bars: now; line: in the range compared with. Short to long on a logarithmic scale; heights are square roots of calls a second", track: "minmax(72px, 120px)", wide: true,
      cell: (p) => <LatencyBars now={{ histogram: p.rows.now?.histogram ?? EMPTY, seconds: seconds.now }} before={{ histogram: p.rows.before?.histogram ?? EMPTY, seconds: seconds.before }} domain={domain} />,
    },
  ];
  return narrow ? columns.filter((c) => c.beside) : columns;
}
