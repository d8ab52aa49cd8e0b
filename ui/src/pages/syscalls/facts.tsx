// SPDX-License-Identifier: Apache-2.0
/** One call in figures, alone or in two ranges. */
import type { ReactNode } from "react";
import type { SyscallRow } from "@/api/model";
import { Change, Fact } from "@/components/basics";
import { count, duration, percent } from "@/lib/format";
import { latencyDomain } from "@/lib/latency";
import { errorHint } from "./columns";
import { LatencyBars, type Latencies } from "./histogram";
import { BUCKET, FORMATS, MetricChange } from "./pair-columns";
import type { Pair } from "./pairs";

const BINS = 48;
const EMPTY = { from_ns: [], to_ns: [], count: [] };

function Histogram({ now, before }: { now: Latencies; before?: Latencies }): ReactNode {
  const domain = latencyDomain([now.histogram, before?.histogram ?? EMPTY]);
  return (
    <div>
      {before ? (
        <div className="chart-legend">
          <span><i className="swatch" style={{ background: "var(--bar)" }} />now</span>
          <span><i className="swatch line" />in the range compared with</span>
          <span className="muted">calls a second, heights are square roots</span>
        </div>
      ) : null}
      <LatencyBars now={now} before={before} domain={domain} bins={BINS} />
      {domain ? <div className="scale muted"><span>{duration(domain[0])}</span><span>latencies, logarithmic</span><span>{duration(domain[1])}</span></div> : null}
    </div>
  );
}

export function CallFacts({ row, seconds }: { row: SyscallRow; seconds: number }): ReactNode {
  return (
    <div className="call-facts">
      <Histogram now={{ histogram: row.histogram, seconds }} />
      <dl className="facts">
        <Fact term="Calls">{count(row.count)}{row.returned < row.count ? ` (${count(row.count - row.returned)} that never return)` : ""}</Fact>
        <Fact term="Total time">{duration(row.sum_ns)}</Fact>
        <Fact term="Mean">{row.returned > 0 ? duration(row.sum_ns / row.returned) : "–"}</Fact>
        <Fact term="p50, p90, p99">{row.p50_ns === null ? "–" : [row.p50_ns, row.p90_ns!, row.p99_ns!].map(duration).join(", ")}</Fact>
        <Fact term="Longest">{row.returned > 0 ? duration(row.max_ns) : "–"}</Fact>
        <Fact term="In flight">{row.in_flight === 0 ? "none" : `${count(row.in_flight)}, the first for ${duration(row.oldest_ns)}`}</Fact>
        {row.errnos.map((e) => (
          <Fact key={e.errno} term={e.name || `errno ${e.errno}`}>
            <span title="Percent of the calls">{count(e.count)} <span className="muted">{percent(e.count / row.count)}</span></span>
            {errorHint(e.name) ? <div className="muted">{errorHint(e.name)}</div> : null}
          </Fact>
        ))}
      </dl>
    </div>
  );
}

interface Line {
  title: string;
  now: number | null;
  before: number | null;
  format(v: number): string;
  change: ReactNode;
}

/** Of the calls. */
function shareOf(row: SyscallRow, errno: number): number | null {
  if (row.count === 0) return null;
  return (row.errnos.find((e) => e.errno === errno)?.count ?? 0) / row.count;
}

function linesOf(pair: Pair): Line[] {
  const { now, before } = pair.rows;
  const metric = (title: string, m: keyof typeof FORMATS): Line => ({
    title, now: pair.figures.now?.[m] ?? null, before: pair.figures.before?.[m] ?? null, format: FORMATS[m], change: <MetricChange pair={pair} metric={m} />,
  });
  const line = (title: string, of: (r: SyscallRow) => number | null, format: (v: number) => string, within?: number): Line => {
    const values = { now: now && of(now), before: before && of(before) };
    const known = values.now !== null && values.before !== null;
    return { title, ...values, format, change: known ? <Change now={values.now!} before={values.before} within={within} /> : <span className="muted">–</span> };
  };
  const errnos = new Map([...(before?.errnos ?? []), ...(now?.errnos ?? [])].map((e) => [e.errno, e.name || `errno ${e.errno}`]));
  return [
    metric("Calls a second", "calls"),
    metric("Time a second", "time"),
    line("Mean", (r) => (r.returned > 0 ? r.sum_ns / r.returned : null), duration),
    metric("p50", "p50"),
    line("p90", (r) => r.p90_ns, duration, BUCKET),
    metric("p99", "p99"),
    line("Longest", (r) => (r.returned > 0 ? r.max_ns : null), duration),
    metric("Errors, of the calls", "errors"),
    ...[...errnos].map(([errno, title]) => line(title, (r) => shareOf(r, errno), percent)),
  ];
}

export function PairFacts({ pair, seconds }: { pair: Pair; seconds: { now: number; before: number } }): ReactNode {
  const shown = (v: number | null, format: (v: number) => string): ReactNode => (v === null ? <span className="muted">–</span> : format(v));
  return (
    <div className="call-facts">
      <Histogram now={{ histogram: pair.rows.now?.histogram ?? EMPTY, seconds: seconds.now }} before={{ histogram: pair.rows.before?.histogram ?? EMPTY, seconds: seconds.before }} />
      <table className="reasons" aria-label="Figures of both ranges">
        <thead>
          <tr><th scope="col"><span className="visually-hidden">Figure</span></th><th scope="col" className="numeric">Now</th><th scope="col" className="numeric">Before</th><th scope="col" className="numeric">Change</th></tr>
        </thead>
        <tbody>
          {linesOf(pair).map((l) => (
            <tr key={l.title}>
              <th scope="row">{l.title}</th>
              <td className="numeric">{shown(l.now, l.format)}</td>
              <td className="numeric muted">{shown(l.before, l.format)}</td>
              <td className="numeric">{l.change}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
