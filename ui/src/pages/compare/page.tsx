// SPDX-License-Identifier: Apache-2.0
/** Two time ranges or two label selections against each other. */
import { useMemo, type ReactNode } from "react";
import type { DiffSide } from "@/api/model";
import { useCovered, useDiff } from "@/api/queries";
import { Change, ErrorState, Segments, Skeleton } from "@/components/basics";
import { CoverageLine } from "@/components/coverage";
import { FilterChips } from "@/components/filter-bar";
import { FlameExplorer } from "@/components/flame-explorer";
import { FLAME_SCHEMA } from "@/components/flame-state";
import { NoData } from "@/components/no-data";
import { Page } from "@/components/shell";
import { TimeRangePicker } from "@/components/time-range";
import { count, percent } from "@/lib/format";
import { measureOf } from "@/lib/measure";
import { choice, text } from "@/state/params";
import { useSelection, type Selection } from "@/state/selection";
import { previousRange, type TimeRange } from "@/state/time";
import { useUrlState } from "@/state/use-url-state";

/** Side B is the page's selection; A defaults to the time right before it with the same filter. */
const SCHEMA = {
  ...FLAME_SCHEMA,
  sort: text("change"),
  a_from: text(),
  a_to: text(),
  a_filter: text("="),
  mode: choice(["normalised", "absolute"], "normalised"),
};

function Side(props: {
  name: "A" | "B";
  hint: string;
  selection: Selection;
  answer: DiffSide | undefined;
  onRange(range: TimeRange): void;
  onFilter(filter: string): void;
  figure: string;
}): ReactNode {
  return (
    <section className={`side side-${props.name.toLowerCase()}`} aria-label={`Side ${props.name}`}>
      <div className="side-head">
        <span className="letter" title={props.hint}>{props.name}</span>
        <b>{props.figure}</b>
        <span className="spacer" />
        <FilterChips selection={props.selection} onChange={props.onFilter} />
        <TimeRangePicker label={`Time range of ${props.name}`} range={props.selection} onChange={props.onRange} />
      </div>
      <div className="side-body">
        {props.answer ? <CoverageLine coverage={props.answer.coverage} type={props.answer.type} /> : null}
      </div>
    </section>
  );
}

export function ComparePage(): ReactNode {
  const [selection, setSelection] = useSelection();
  const [state, set] = useUrlState(SCHEMA);
  const before = useMemo(() => previousRange(selection, Date.now()), [selection.from, selection.to]);
  const custom = state.a_from !== "" || state.a_to !== "";
  const sideA: Selection = {
    ...selection,
    from: custom ? state.a_from || before.from : before.from,
    to: custom ? state.a_to || before.to : before.to,
    filter: state.a_filter === "=" ? selection.filter : state.a_filter,
  };
  const diff = useDiff(sideA, selection, state.mode);
  const answer = diff.data?.answer;
  const averagedA = useCovered(sideA, answer?.a)?.ms ?? (answer ? answer.a.to - answer.a.from : 0);
  const averagedB = useCovered(selection, answer?.b)?.ms ?? (answer ? answer.b.to - answer.b.from : 0);
  const unit = answer?.unit ?? "";
  const measure = useMemo(() => measureOf(selection.type, unit, averagedB), [selection.type, unit, averagedB]);
  const measureA = useMemo(() => measureOf(selection.type, unit, averagedA), [selection.type, unit, averagedA]);
  const compared = useMemo(() => ({ measureA, mode: state.mode }), [measureA, state.mode]);
  const figure = (m: typeof measure, side: DiffSide | undefined): string => (side ? `${m.short(side.total)} ${m.unit}` : "…");

  let body: ReactNode;
  if (diff.isError && !diff.data) body = <section className="panel"><ErrorState error={diff.error} retry={() => void diff.refetch()} /></section>;
  else if (!diff.data || !answer) body = <section className="panel pad grow"><Skeleton height="100%" /></section>;
  else if (answer.a.total === 0 && answer.b.total === 0) body = <section className="panel"><NoData /></section>;
  else {
    body = (
      <>
        {answer.a.total === 0 || answer.b.total === 0 ? (
          <div className="notice" role="status">Side {answer.a.total === 0 ? "A" : "B"} has no samples, so everything reads as {answer.a.total === 0 ? "new" : "gone"}. Choose another time range for it.</div>
        ) : null}
        <FlameExplorer
          tree={diff.data.tree} measure={measure} compared={compared} state={state} set={set}
          extra={
            <Segments label="Weighing" value={state.mode} onChange={(mode) => set({ mode }, { replace: true })}
              options={[{ value: "normalised", label: "Shares", title: "Both sides count the same: changes of shares" }, { value: "absolute", label: "Amounts", title: "Values as they are: changes of amounts" }]} />
          }
        />
        {answer.folded_nodes > 0 ? <div className="basis"><span className="tag">{count(answer.folded_nodes)} smallest frames folded, {percent(answer.total > 0 ? answer.folded_total / answer.total : 0)} of B</span></div> : null}
      </>
    );
  }
  return (
    <Page title="Compare" fill ownSelection stale={diff.data ? diff.error : null}>
      <div className="sides">
        <Side name="A" hint="What B is compared with; at first the time right before B" selection={sideA} answer={answer?.a} figure={figure(measureA, answer?.a)}
          onRange={(r) => set({ a_from: r.from, a_to: r.to })} onFilter={(filter) => set({ a_filter: filter === selection.filter ? "=" : filter })} />
        <div className="versus">{answer && answer.a.total > 0 ? <span title="B's rate against A's"><Change now={answer.b.total / averagedB} before={answer.a.total / averagedA} /></span> : null}</div>
        <Side name="B" hint="What is compared with A" selection={selection} answer={answer?.b} figure={figure(measure, answer?.b)}
          onRange={(r) => setSelection({ ...r, live: false })} onFilter={(filter) => setSelection({ filter })} />
      </div>
      {body}
    </Page>
  );
}
