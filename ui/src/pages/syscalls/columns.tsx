// SPDX-License-Identifier: Apache-2.0
import type { ReactNode } from "react";
import type { SyscallRow } from "@/api/model";
import { BarCell, maximum, type Column } from "@/components/data-table";
import { compact, count, duration, percent, significant } from "@/lib/format";
import { latencyDomain } from "@/lib/latency";
import { LatencyBars } from "./histogram";

const NATIVE = ["x86-64", "arm64"];

/** The most frequent first: the text may be cut. */
export function errorText(row: Pick<SyscallRow, "errnos">): string {
  return [...row.errnos].sort((a, b) => b.count - a.count).map((e) => `${e.name || e.errno} ${compact(e.count)}`).join(", ");
}

/** What a name says that no program ever sees: the kernel's own, after a signal. */
export function errorHint(name: string): string | undefined {
  return name.startsWith("ERESTART") ? "Interrupted by a signal: the kernel makes the call again, or the program sees EINTR" : undefined;
}

/** `gone`: it was made in the range compared with only. */
export function CallName({ row, gone = false }: { row: SyscallRow; gone?: boolean }): ReactNode {
  const never = row.count - row.returned;
  const notes = [NATIVE.includes(row.abi) ? "" : row.abi, gone ? "not any more" : "", never > 0 ? "never returns" : "", gone ? "" : errorText(row)].filter((n) => n !== "");
  return (
    <span className="fn" title={[row.syscall, ...notes].join("\n")}>
      <span className="truncate name">{row.value === "" ? <span className="muted">none</span> : row.value ?? row.syscall}</span>
      <span className="truncate module">{notes.join(" · ") || (row.value === undefined ? row.abi : "no errors")}</span>
    </span>
  );
}

function latency(ns: number | null): ReactNode {
  return ns === null ? <span className="muted">–</span> : duration(ns);
}

/** `seconds` of the range have data; `first` names what a row is; `narrow`: beside another panel. */
export function makeColumns(rows: readonly SyscallRow[], sumNs: number, seconds: number, first: string, narrow: boolean): Column<SyscallRow>[] {
  const domain = latencyDomain(rows.map((r) => r.histogram));
  const largest = maximum(rows, (r) => r.sum_ns);
  const columns: (Column<SyscallRow> & { beside?: boolean })[] = [
    { id: "name", header: first, track: "minmax(130px, 1.4fr)", beside: true, sort: (r) => r.value ?? r.syscall, cell: (r) => <CallName row={r} /> },
    {
      id: "count", header: "Calls", hint: "Calls, and calls a second of the time in which hosts reported", track: "minmax(64px, 128px)", numeric: true, beside: true, sort: (r) => r.count,
      cell: (r) => <span title={count(r.count)}>{compact(r.count)} <em className="only-wide">{r.rate === null ? "" : `${significant(r.rate)}/s`}</em></span>,
    },
    {
      id: "errors", header: "Errors", hint: "Percent of the calls", track: "minmax(84px, 116px)", numeric: true, wide: true, sort: (r) => r.errors,
      cell: (r) => (r.errors === 0 ? <span className="muted">0</span> : <span title={errorText(r)}>{compact(r.errors)} <em>{percent(r.errors / r.count)}</em></span>),
    },
    {
      id: "time", header: "Total time", hint: "Sum of the latencies; percent of all calls", track: "minmax(132px, 150px)", numeric: true, beside: true, sort: (r) => r.sum_ns,
      cell: (r) => <BarCell share={r.sum_ns / largest}>{duration(r.sum_ns)} <em>{percent(sumNs > 0 ? r.sum_ns / sumNs : 0)}</em></BarCell>,
    },
    { id: "p50", header: "p50", hint: "Half of the calls returned faster; at most 6.25 % off", track: "88px", numeric: true, wide: true, sort: (r) => r.p50_ns ?? -1, cell: (r) => latency(r.p50_ns) },
    { id: "p90", header: "p90", hint: "At most 6.25 % off", track: "88px", numeric: true, wide: true, sort: (r) => r.p90_ns ?? -1, cell: (r) => latency(r.p90_ns) },
    { id: "p99", header: "p99", hint: "At most 6.25 % off", track: "96px", numeric: true, wide: true, beside: true, sort: (r) => r.p99_ns ?? -1, cell: (r) => latency(r.p99_ns) },
    { id: "max", header: "Max", hint: "The longest call, exactly", track: "88px", numeric: true, wide: true, sort: (r) => r.max_ns, cell: (r) => latency(r.returned > 0 ? r.max_ns : null) },
    {
      id: "histogram", header: "Latencies", hint: domain ? `Short to long, ${duration(domain[0])} to ${duration(domain[1])} on a logarithmic scale; heights are square roots` : undefined, track: "minmax(96px, 140px)", wide: true,
      cell: (r) => <LatencyBars now={{ histogram: r.histogram, seconds }} domain={domain} />,
    } as Column<SyscallRow>,
    {
      id: "in_flight", header: "In flight", hint: "Threads in the call when last heard of, and for how long the first has been", track: "minmax(90px, 112px)", numeric: true, wide: true, sort: (r) => r.in_flight,
      cell: (r) => (r.in_flight === 0 ? <span className="muted">0</span> : <>{count(r.in_flight)} <em>{duration(r.oldest_ns)}</em></>),
    },
  ];
  return narrow ? columns.filter((c) => c.beside) : columns;
}
