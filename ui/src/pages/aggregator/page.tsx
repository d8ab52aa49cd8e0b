// SPDX-License-Identifier: Apache-2.0
/** The aggregator itself: what to look at when data is late, refused or missing. */
import type { ReactNode } from "react";
import type { AggregatorAnswer } from "@/api/model";
import { useAggregator } from "@/api/queries";
import { ErrorState, Fact, Segments, Skeleton } from "@/components/basics";
import { Icon } from "@/components/icons";
import { Page } from "@/components/shell";
import { Sparkline } from "@/components/sparkline";
import { bytes, compact, count, duration, percent, span } from "@/lib/format";
import { choice } from "@/state/params";
import { useUrlState } from "@/state/use-url-state";
import { problemsOf } from "./problems";

const SCHEMA = { hours: choice(["1", "6", "24"], "1") };

type History = AggregatorAnswer["history"];

/** `now` is what the history is of; `most` writes the most that it was. */
function Gauge(props: { label: string; value: string; note: ReactNode; history: History; series: Exclude<keyof History, "times">; now: number; most?: (value: number) => string }): ReactNode {
  const values = props.history[props.series];
  const most = values.reduce((m, v) => Math.max(m, v), props.now);
  return (
    <div className="gauge">
      <div className="label">{props.label}</div>
      <div className="value">{props.value}</div>
      {values.length > 1 ? <Sparkline values={values} label={`${props.label} over time`} /> : <div className="sparkline" />}
      <div className="note">{props.note}{values.length > 1 && props.most ? <span className="most">at most {props.most(most)}</span> : null}</div>
    </div>
  );
}

const seconds = (s: number): string => (s > 0 ? duration(s * 1e9) : "none");
const perSecond = (n: number): string => `${compact(n)}/s`;
/** What is stored since the start is of both. */
const rowsIn = (pushed: number, restored: number): string => `${count(pushed)} since the start${restored > 0 ? `, and ${count(restored)} left in the log by the run before` : ""}`;
const last = (values: readonly number[]): number => values.at(-1) ?? 0;

function Gauges({ answer }: { answer: AggregatorAnswer }): ReactNode {
  const { wal, buffer, store, pushes, queries, agents, history } = answer;
  return (
    <section className="gauges" aria-label="Now">
      <Gauge label="Rows in" value={perSecond(last(history.rows_in))} note={rowsIn(pushes.rows, buffer.restored_rows)} history={history} series="rows_in" now={last(history.rows_in)} most={perSecond} />
      <Gauge label="Rows stored" value={perSecond(last(history.rows_stored))} note={`${count(store.rows)} since the start`} history={history} series="rows_stored" now={last(history.rows_stored)} most={perSecond} />
      <Gauge label="Behind" value={seconds(buffer.lag_s)} note={`${count(buffer.pending_rows)} rows wait`} history={history} series="lag_s" now={buffer.lag_s} most={seconds} />
      <Gauge label="Write-ahead log" value={bytes(wal.bytes)} note={`${percent(wal.max_bytes > 0 ? wal.bytes / wal.max_bytes : 0)} of ${bytes(wal.max_bytes)}`} history={history} series="wal_bytes" now={wal.bytes} most={bytes} />
      <Gauge label="Buffer" value={bytes(buffer.bytes)} note={`${percent(buffer.bytes / buffer.max_bytes)} of ${bytes(buffer.max_bytes)}`} history={history} series="buffer_bytes" now={buffer.bytes} most={bytes} />
      <Gauge label="Turned away" value={perSecond(last(history.refused))} note={`${count(pushes.backpressure)} pushes, which agents keep`} history={history} series="refused" now={last(history.refused)} most={perSecond} />
      <Gauge label="Errors" value={count(last(history.errors))} note={`${count(store.flush_errors)} flushes, ${count(pushes.error)} pushes`} history={history} series="errors" now={last(history.errors)} most={count} />
      <Gauge label="Queries" value={perSecond(last(history.queries))} note={`${count(queries.running)} run, ${count(queries.waiting)} wait`} history={history} series="queries" now={last(history.queries)} most={perSecond} />
      <Gauge label="Free disk" value={store.disk_bytes > 0 ? bytes(store.disk_free_bytes) : "–"} note={store.disk_bytes > 0 ? `${percent(store.disk_free_bytes / store.disk_bytes)} of ${bytes(store.disk_bytes)}` : "not known"} history={history} series="disk_free_bytes" now={store.disk_free_bytes} />
      <Gauge label="Agents" value={`${count(agents.ok)} report`} note={`${count(agents.stale)} silent, ${count(agents.left)} have left`} history={history} series="agents_ok" now={agents.ok} most={count} />
    </section>
  );
}

function Problems({ answer }: { answer: AggregatorAnswer }): ReactNode {
  const problems = problemsOf(answer);
  if (problems.length === 0) return <div className="notice good" role="status"><Icon name="check" /><span>Everything that is pushed is stored within moments.</span></div>;
  return problems.map((p) => <div key={p.what} className="notice" role="alert"><Icon name="warn" /><span><b>{p.what}</b> {p.remedy}</span></div>);
}

const perOne = (ns: number, n: number): string => (n > 0 ? duration(ns / n) : "–");

function Facts({ answer }: { answer: AggregatorAnswer }): ReactNode {
  const { wal, buffer, store, pushes, queries, state } = answer;
  const asked = queries.ok + queries.cancelled + queries.timeout + queries.limited + queries.busy + queries.error;
  return (
    <>
      <section className="panel" aria-label="From push to disk">
        <header><h2>From push to disk</h2></header>
        <dl className="facts">
          <Fact term="Pushes">{count(pushes.ok)} taken, {count(pushes.duplicate)} repeated, {count(pushes.error)} refused</Fact>
          <Fact term="Log">{count(wal.files)} {wal.files === 1 ? "file" : "files"}, {count(wal.records)} batches not stored for certain</Fact>
          <Fact term="Oldest of them">{seconds(wal.oldest_s)}</Fact>
          <Fact term="Commits">{count(wal.commits)}, {perOne(wal.commit_ns, wal.commits)} each, {count(wal.failures)} failed</Fact>
          <Fact term="Damaged at the start">{wal.damaged_bytes > 0 ? bytes(wal.damaged_bytes) : "nothing"}</Fact>
          <Fact term="Buffer">{count(buffer.batches)} batches, {count(buffer.pending_rows)} rows wait, {count(buffer.hidden_rows)} of them on disk alone</Fact>
        </dl>
      </section>
      <section className="panel" aria-label="Store">
        <header><h2>Store</h2></header>
        <dl className="facts">
          <Fact term="Engine">ClickHouse {store.version || "(not reached yet)"}, {store.driver}</Fact>
          <Fact term="Segments written">{count(store.flushes)}, {perOne(store.flush_ns, store.flushes)} each, the last in {duration(store.last_flush_ns)}</Fact>
          <Fact term="Attempts that failed">{count(store.flush_errors)}</Fact>
          <Fact term="Queries">{count(asked)}, {perOne(queries.ns, asked)} each</Fact>
          <Fact term="Without an answer">{count(queries.timeout)} took too long, {count(queries.limited)} met a limit, {count(queries.busy)} never ran, {count(queries.error)} failed</Fact>
          <Fact term="Notifications">{count(state.notifications_waiting)} wait, {count(state.notifications_dropped)} given up</Fact>
          <Fact term="Builds known">of {count(state.programs)} programs</Fact>
          <Fact term="Version">{answer.version}, running for {span(answer.uptime_s * 1000)}</Fact>
        </dl>
      </section>
    </>
  );
}

export function AggregatorPage(): ReactNode {
  const [state, set] = useUrlState(SCHEMA);
  const aggregator = useAggregator(Number(state.hours));
  const answer = aggregator.data;
  let body: ReactNode;
  if (aggregator.isError && !answer) body = <section className="panel"><ErrorState error={aggregator.error} retry={() => void aggregator.refetch()} /></section>;
  else if (!answer) body = <section className="panel pad"><Skeleton height={260} /></section>;
  else {
    body = (
      <>
        <Problems answer={answer} />
        <div className="gauge-head">
          <Segments label="History" value={state.hours} onChange={(hours) => set({ hours }, { replace: true })} options={[{ value: "1", label: "1 h" }, { value: "6", label: "6 h" }, { value: "24", label: "24 h" }]} />
          <span className="muted">{answer.history.times.length > 1 ? `${count(answer.history.times.length)} readings, in the aggregator's memory since its start` : "The history begins with the aggregator's start; the first readings are on their way."}</span>
        </div>
        <Gauges answer={answer} />
        <Facts answer={answer} />
      </>
    );
  }
  return <Page title="Aggregator" bare stale={answer ? aggregator.error : null}>{body}</Page>;
}
