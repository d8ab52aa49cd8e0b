// SPDX-License-Identifier: Apache-2.0
import { useMemo, type ReactNode } from "react";
import type { SyscallRow, SyscallsAnswer } from "@/api/model";
import { useAgents, useSyscalls } from "@/api/queries";
import { Command, Empty, ErrorState, Segments, Skeleton } from "@/components/basics";
import { DataTable } from "@/components/data-table";
import { Icon } from "@/components/icons";
import { NoData } from "@/components/no-data";
import { Page } from "@/components/shell";
import { count, duration, significant } from "@/lib/format";
import { choice, text } from "@/state/params";
import { useSelection } from "@/state/selection";
import { useUrlState } from "@/state/use-url-state";
import { errorText, makeColumns } from "./columns";
import { CallDetail, CURVES, GROUPS } from "./detail";

const LIMIT = 1000;
const SCHEMA = {
  find: text(), order: text("time"), part: choice(["all", "errors", "flight"], "all"),
  call: text(), curve: choice(CURVES, "rate"), by: choice(GROUPS, "comm"), within: text("time"),
};

/** What the address keeps of a row. */
function idOf(row: SyscallRow): string {
  return `${row.syscall}@${row.abi}`;
}

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

function Basis({ answer }: { answer: SyscallsAnswer }): ReactNode {
  const { coverage } = answer;
  const missing = coverage.hosts_reporting < coverage.hosts_expected;
  return (
    <div className="basis">
      <div className="coverage">
        <span><b>{count(answer.count)}</b> calls{answer.covered_s > 0 ? `, ${significant(answer.count / answer.covered_s)} a second` : ""}</span>
        <span><b>{count(answer.errors)}</b> errors</span>
        <span title="Sum of the latencies of all calls; threads wait at the same time"><b>{duration(answer.sum_ns)}</b> in calls</span>
        <span className={missing ? "warn" : undefined}><b>{coverage.hosts_reporting}</b> of {coverage.hosts_expected} {coverage.hosts_expected === 1 ? "host" : "hosts"}</span>
        <span className={coverage.lost > 0 ? "warn" : undefined} title="System calls that were not counted, on the hosts of this selection"><b>{count(coverage.lost)}</b> lost</span>
      </div>
      {coverage.truncated ? <span className="tag">{count(coverage.truncated.cut)} smaller {coverage.truncated.what} not shown</span> : null}
    </div>
  );
}

export function SyscallsPage(): ReactNode {
  const [selection, select] = useSelection();
  const [state, set] = useUrlState(SCHEMA);
  const calls = useSyscalls(selection, { limit: LIMIT });
  const answer = calls.data;
  const selected = answer?.syscalls.find((r) => idOf(r) === state.call);
  const columns = useMemo(() => makeColumns(answer?.syscalls ?? [], answer?.sum_ns ?? 0, "System call", selected !== undefined), [answer, selected !== undefined]);
  const rows = useMemo(() => {
    const needle = state.find.toLowerCase();
    return (answer?.syscalls ?? []).filter(
      (r) =>
        (state.part === "all" || (state.part === "errors" ? r.errors > 0 : r.in_flight > 0)) &&
        (needle === "" || r.syscall.toLowerCase().includes(needle) || errorText(r).toLowerCase().includes(needle)),
    );
  }, [answer, state.find, state.part]);

  let body: ReactNode;
  if (calls.isError && !answer) body = <section className="panel"><ErrorState error={calls.error} retry={() => void calls.refetch()} /></section>;
  else if (!answer) body = <section className="panel pad grow"><Skeleton height="100%" /></section>;
  else if (answer.syscalls.length === 0) body = <section className="panel"><NoCalls /></section>;
  else {
    body = (
      <>
        <Basis answer={answer} />
        <div className={selected ? "split" : "split single"}>
          <section className="panel explorer">
            <div className="toolbar">
              <div className="search" role="search">
                <Icon name="search" />
                <input aria-label="Filter system calls and errors" placeholder="Filter" value={state.find} spellCheck={false} onChange={(e) => set({ find: e.target.value }, { replace: true })} />
                <span className="result" role="status">{count(rows.length)} <span className="only-wide">system calls</span></span>
              </div>
              <Segments label="Part" value={state.part} onChange={(part) => set({ part }, { replace: true })} options={[{ value: "all", label: "All" }, { value: "errors", label: "With errors" }, { value: "flight", label: "In flight" }]} />
            </div>
            <div className="table-host">
              <DataTable label="System calls" fill rows={rows} columns={columns} order={state.order} onOrder={(order) => set({ order }, { replace: true })} rowKey={idOf} onRow={(r) => set({ call: idOf(r) === state.call ? "" : idOf(r) })} selected={(r) => idOf(r) === state.call} rowHeight={42} />
            </div>
          </section>
          {selected ? (
            <CallDetail
              row={selected} selection={selection} rangeMs={answer.to - answer.from} curve={state.curve} group={state.by} order={state.within}
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
