// SPDX-License-Identifier: Apache-2.0
/** A function between those that call it and those that it calls, from all stacks that it is in. */
import { useMemo, type ReactNode } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { useCovered, useFunctionGraph, type FunctionData } from "@/api/queries";
import { Empty, ErrorState, Skeleton } from "@/components/basics";
import { CoverageLine } from "@/components/coverage";
import { FlameExplorer } from "@/components/flame-explorer";
import type { FrameLinks } from "@/components/flame-menu";
import { FLAME_SCHEMA } from "@/components/flame-state";
import { Page } from "@/components/shell";
import { count, percent } from "@/lib/format";
import { measureOf, type Measure } from "@/lib/measure";
import { choice, text } from "@/state/params";
import { selectionLink, useSelection } from "@/state/selection";
import { useUrlState } from "@/state/use-url-state";
import { callersLink } from "./link";

const SCHEMA = { function: text(), module: text() };
const view = choice(["both", "graph", "table"], "graph");
/** The function is in the middle: its callers stand on it, its callees hang from it. */
const CALLERS = { ...FLAME_SCHEMA, view, dir: choice(["icicle", "flame"], "flame") };
const CALLEES = { ...FLAME_SCHEMA, view };

function Side(props: { title: string; hint: string; data: FunctionData; measure: Measure; prefix: string; schema: typeof CALLEES; links: FrameLinks }): ReactNode {
  const { title, data } = props;
  const [state, set] = useUrlState(props.schema, props.prefix);
  const { folded_nodes: folded, folded_total: foldedTotal, total } = data.meta;
  return (
    <section className="sandwich-side" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span className="muted truncate">{props.hint}</span>
        {folded > 0 ? <span className="tag">{count(folded)} smallest frames folded, {percent(total > 0 ? foldedTotal / total : 0)}</span> : null}
      </header>
      <FlameExplorer tree={data.tree} measure={props.measure} state={state} set={set} links={props.links} />
    </section>
  );
}

function Choose(): ReactNode {
  const search = useSearch();
  return (
    <section className="panel">
      <Empty title="Which function?">
        <p>Open this page from a function in the flame graph, or from the table of all functions.</p>
        <Link href={selectionLink("/top", search)} className="button">Top functions</Link>
      </Empty>
    </section>
  );
}

export function CallersPage(): ReactNode {
  const [selection] = useSelection();
  const [asked] = useUrlState(SCHEMA);
  const [, navigate] = useLocation();
  const search = useSearch();
  const callers = useFunctionGraph("callers", selection, asked);
  const callees = useFunctionGraph("callees", selection, asked);
  const meta = callees.data?.meta;
  const averaged = useCovered(selection, meta)?.ms ?? (meta ? meta.to - meta.from : 0);
  const measure = useMemo(() => measureOf(meta?.type ?? "", meta?.unit ?? "", averaged), [meta?.type, meta?.unit, averaged]);
  const links = useMemo<FrameLinks>(
    () => ({
      callers: (name, module) => navigate(callersLink(search, name, module)),
      showInTop: (name) => navigate(selectionLink("/top", search, {}, { find: name })),
      compare: (name) => navigate(selectionLink("/compare", search, {}, { search: name })),
    }),
    [navigate, search],
  );
  const failed = [callers, callees].find((q) => q.isError && !q.data);
  let body: ReactNode;
  if (asked.function === "") body = <Choose />;
  else if (failed) body = <section className="panel"><ErrorState error={failed.error!} retry={() => void failed.refetch()} /></section>;
  else if (!callers.data || !callees.data || !meta) body = <section className="panel pad grow"><Skeleton height="100%" /></section>;
  else if (meta.total === 0) body = <section className="panel"><Empty title={`No stack has ${asked.function}`}><p>Take a longer time range, or remove a condition of the filter.</p></Empty></section>;
  else {
    body = (
      <>
        <div className="basis">
          <span><b>{asked.function}</b>{asked.module ? <span className="muted"> {asked.module}</span> : null}</span>
          <span><b>{measure.long(meta.total)}</b>, {percent(meta.selection_total > 0 ? meta.total / meta.selection_total : 0)} of all</span>
          <CoverageLine coverage={meta.coverage} type={meta.type} />
        </div>
        <Side title="Callers" hint="who calls it, upwards" data={callers.data} measure={measure} prefix="r." schema={CALLERS} links={links} />
        <Side title="Callees" hint="what it calls, downwards" data={callees.data} measure={measure} prefix="e." schema={CALLEES} links={links} />
      </>
    );
  }
  return <Page title="Callers" stale={callees.data ? callees.error : null}>{body}</Page>;
}
