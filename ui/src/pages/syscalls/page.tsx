// SPDX-License-Identifier: Apache-2.0
import { useMemo, type ReactNode } from "react";
import type { SyscallsAnswer } from "@/api/model";
import { useAgents, useSyscalls } from "@/api/queries";
import { Command, Empty, ErrorState, Segments, Skeleton } from "@/components/basics";
import { DataTable } from "@/components/data-table";
import { Icon } from "@/components/icons";
import { NoData } from "@/components/no-data";
import { Page } from "@/components/shell";
import { count } from "@/lib/format";
import { choice, text } from "@/state/params";
import { useSelection, type Selection } from "@/state/selection";
import { useUrlState } from "@/state/use-url-state";
import { errorText, makeColumns } from "./columns";
import { BaselineSelect, Basis, ComparisonNotice } from "./comparison";
import { CallDetail, CURVES, GROUPS } from "./detail";
import { makePairColumns } from "./pair-columns";
import { BASELINES, baselineRange, figuresOf, pairRows, rowKey, type Pair } from "./pairs";

const LIMIT = 1000;
const ROW = 42;
const SCHEMA = {
  find: text(), order: text("time"), part: choice(["all", "errors", "flight"], "all"),
  call: text(), curve: choice(CURVES, "rate"), by: choice(GROUPS, "comm"), within: text("time"),
  vs: choice(BASELINES, "none"), a_from: text(), a_to: text(),
};

function NoCalls(): ReactNode {
  const agents = useAgents();
  const on = agents.data?.agents.some((a) => a.modes.includes("syscall")) ?? false;
  if (on || agents.data?.agents.length === 0) return <NoData />;
  return (
    <Empty icon="calls" title="No agent counts system calls">
      <p>Start an agent with the mode <code>syscall</code>, alone or beside others. It costs a fraction of a microsecond a call.</p>
      <Command text="aperture-agent --mode cpu,syscall" />
    </Empty>
  );
}

/** The calls of one range, as pairs without another side. */
function singles(answer: SyscallsAnswer): Pair[] {
  return answer.syscalls.map((row) => ({
    key: rowKey(row), syscall: row.syscall, abi: row.abi, value: row.value, rows: { now: row, before: null }, figures: { now: figuresOf(row, answer.covered_s, row), before: null },
  }));
}

function matches(pair: Pair, part: "all" | "errors" | "flight", needle: string): boolean {
  const rows = [pair.rows.now, pair.rows.before].filter((r) => r !== null);
  if (part === "errors" && !rows.some((r) => r.errors > 0)) return false;
  if (part === "flight" && !pair.rows.now?.in_flight) return false;
  return needle === "" || pair.syscall.toLowerCase().includes(needle) || rows.some((r) => errorText(r).toLowerCase().includes(needle));
}

export function SyscallsPage(): ReactNode {
  const [selection, select] = useSelection();
  const [state, set] = useUrlState(SCHEMA);
  const range = useMemo(
    () => baselineRange(state.vs, selection, { from: state.a_from, to: state.a_to }, Date.now()),
    [state.vs, state.a_from, state.a_to, selection.from, selection.to],
  );
  const baseline = useMemo<Selection | null>(() => (range ? { ...selection, ...range } : null), [selection, range]);
  const calls = useSyscalls(selection, { limit: LIMIT });
  const earlier = useSyscalls(baseline, { limit: LIMIT });
  const answer = calls.data;
  const before = baseline ? earlier.data ?? null : null;
  const seconds = useMemo(() => ({ now: answer?.covered_s ?? 0, before: before?.covered_s ?? 0 }), [answer, before]);
  const pairs = useMemo(() => (!answer ? [] : before ? pairRows(answer, before) : singles(answer)), [answer, before]);
  const selected = pairs.find((p) => p.key === state.call);
  const shown = useMemo(() => pairs.filter((p) => matches(p, state.part, state.find.toLowerCase())), [pairs, state.find, state.part]);
  const rows = useMemo(() => shown.map((p) => p.rows.now!), [shown]);
  const narrow = selected !== undefined;
  const columns = useMemo(() => makeColumns(answer?.syscalls ?? [], answer?.sum_ns ?? 0, seconds.now, "System call", narrow), [answer, seconds, narrow]);
  const pairColumns = useMemo(() => makePairColumns(pairs, seconds, "System call", narrow), [pairs, seconds, narrow]);
  const table = { label: "System calls", fill: true, order: state.order, onOrder: (order: string) => set({ order }, { replace: true }), rowHeight: ROW };
  const onCall = (key: string): void => set({ call: key === state.call ? "" : key });

  let body: ReactNode;
  if (calls.isError && !answer) body = <section className="panel"><ErrorState error={calls.error} retry={() => void calls.refetch()} /></section>;
  else if (!answer) body = <section className="panel pad grow"><Skeleton height="100%" /></section>;
  else if (pairs.length === 0) body = <section className="panel"><NoCalls /></section>;
  else {
    body = (
      <>
        <div className="basis stacked">
          <Basis answer={answer} name={before ? "Now" : undefined} />
          {before ? <Basis answer={before} name="Before" /> : null}
        </div>
        {before && range ? <ComparisonNotice now={answer} before={before} range={range} /> : null}
        {baseline && earlier.error ? <div className="notice" role="alert"><Icon name="warn" /><span>The range to compare with could not be loaded: {earlier.error.message}</span></div> : null}
        <div className={selected ? "split" : "split single"}>
          <section className="panel explorer">
            <div className="toolbar">
              <div className="search" role="search">
                <Icon name="search" />
                <input aria-label="Filter system calls and errors" placeholder="Filter" value={state.find} spellCheck={false} onChange={(e) => set({ find: e.target.value }, { replace: true })} />
                <span className="result" role="status">{count(shown.length)} <span className="only-wide">system calls</span></span>
              </div>
              <Segments label="Part" value={state.part} onChange={(part) => set({ part }, { replace: true })} options={[{ value: "all", label: "All" }, { value: "errors", label: "With errors" }, { value: "flight", label: "In flight" }]} />
              <BaselineSelect
                kind={state.vs} range={range} onKind={(vs) => set({ vs, order: vs === "none" ? "time" : "time.change", within: vs === "none" ? "time" : "time.change" })}
                onRange={(r) => set({ a_from: r.from, a_to: r.to })}
              />
            </div>
            <div className="table-host">
              {before ? (
                <DataTable {...table} rows={shown} columns={pairColumns} rowKey={(p) => p.key} onRow={(p) => onCall(p.key)} selected={(p) => p.key === state.call} />
              ) : (
                <DataTable {...table} rows={rows} columns={columns} rowKey={rowKey} onRow={(r) => onCall(rowKey(r))} selected={(r) => rowKey(r) === state.call} />
              )}
            </div>
          </section>
          {selected ? (
            <CallDetail
              pair={selected} selection={selection} baseline={before ? baseline : null} seconds={seconds} rangeMs={answer.to - answer.from} curve={state.curve} group={state.by} order={state.within}
              onCurve={(curve) => set({ curve }, { replace: true })} onGroup={(by) => set({ by }, { replace: true })} onOrder={(within) => set({ within }, { replace: true })}
              onClose={() => set({ call: "" })} onFilter={(filter) => select({ filter })} onRange={(from, to) => select({ from: String(from), to: String(to), live: false })}
            />
          ) : null}
        </div>
      </>
    );
  }
  return <Page title="System calls" fill untyped stale={answer ? calls.error : null}>{body}</Page>;
}
