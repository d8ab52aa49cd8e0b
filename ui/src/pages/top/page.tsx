// SPDX-License-Identifier: Apache-2.0
import { useMemo, type ReactNode } from "react";
import { Link, useLocation, useSearch } from "wouter";
import type { TopFunction } from "@/api/model";
import { useCovered, useTop } from "@/api/queries";
import { ErrorState, Segments, Skeleton } from "@/components/basics";
import { CoverageLine } from "@/components/coverage";
import { BarCell, DataTable, maximum, parseOrder, type Column } from "@/components/data-table";
import { Icon } from "@/components/icons";
import { NoData } from "@/components/no-data";
import { Page } from "@/components/shell";
import { kindName } from "@/flamegraph/functions";
import { count, percent } from "@/lib/format";
import { measureOf, type Measure } from "@/lib/measure";
import { choice, text } from "@/state/params";
import { selectionLink, useSelection } from "@/state/selection";
import { useUrlState } from "@/state/use-url-state";
import { callersLink } from "../callers/link";

const LIMIT = 2000;
const SCHEMA = { find: text(), order: text("self"), part: choice(["all", "user", "kernel"], "all") };
const KERNEL = 1;

function place(f: TopFunction): string {
  return f.line ? `${f.file}:${f.line}` : f.file;
}

/** The end of a path, which is what tells files apart. */
function shortPlace(path: string): string {
  const parts = path.split("/");
  return parts.length > 4 ? `…/${parts.slice(-3).join("/")}` : path;
}

function makeColumns(measure: Measure, total: number, functions: readonly TopFunction[], callers: (f: TopFunction) => string): Column<TopFunction>[] {
  const share = (v: number): number => (total > 0 ? v / total : 0);
  const largest = { self: maximum(functions, (f) => f.self), total: maximum(functions, (f) => f.total) };
  const figure = (v: number, of: "self" | "total"): ReactNode => <BarCell share={v / largest[of]} title={measure.long(v)}>{measure.short(v)} <em>{percent(share(v))}</em></BarCell>;
  return [
    {
      id: "function", header: "Function", track: "minmax(140px, 2fr)", sort: (f) => f.function,
      cell: (f) => (
        <span className="fn" title={f.file ? `${f.function}\n${place(f)}` : f.function}>
          <span className="truncate name">{f.function}</span>
          <span className="truncate module">{f.file ? shortPlace(place(f)) : kindName(f.kind)}</span>
        </span>
      ),
    },
    { id: "module", header: "Module", track: "minmax(100px, 0.8fr)", wide: true, sort: (f) => f.module, cell: (f) => f.module || <span className="muted">–</span> },
    { id: "self", header: `Self, ${measure.unit}`, hint: "In the function itself; percent of everything selected", track: "minmax(132px, 180px)", numeric: true, sort: (f) => f.self, cell: (f) => figure(f.self, "self") },
    { id: "total", header: `Total, ${measure.unit}`, hint: "With everything it calls; percent of everything selected", track: "minmax(132px, 180px)", numeric: true, wide: true, sort: (f) => f.total, cell: (f) => figure(f.total, "total") },
    {
      id: "callers", header: "", track: "84px", wide: true,
      cell: (f) => <Link className="link" href={callers(f)} aria-label={`Callers and callees of ${f.function}`} onClick={(e) => e.stopPropagation()}>Callers</Link>,
    },
  ];
}

export function TopPage(): ReactNode {
  const [selection] = useSelection();
  const [state, set] = useUrlState(SCHEMA);
  const [, navigate] = useLocation();
  const search = useSearch();
  const by = parseOrder(state.order).id === "total" ? "total" : "self";
  const top = useTop(selection, by, LIMIT);
  const answer = top.data;
  const averaged = useCovered(selection, answer)?.ms ?? (answer ? answer.to - answer.from : 0);
  const measure = useMemo(() => measureOf(answer?.type ?? "", answer?.unit ?? "", averaged), [answer?.type, answer?.unit, averaged]);
  const columns = useMemo(() => makeColumns(measure, answer?.total ?? 0, answer?.functions ?? [], (f) => callersLink(search, f.function, f.module)), [measure, answer, search]);
  const rows = useMemo(() => {
    const needle = state.find.toLowerCase();
    return (answer?.functions ?? []).filter(
      (f) =>
        (state.part === "all" || (f.kind === KERNEL) === (state.part === "kernel")) &&
        (needle === "" || f.function.toLowerCase().includes(needle) || f.module.toLowerCase().includes(needle)),
    );
  }, [answer, state.find, state.part]);
  const self = rows.reduce((sum, f) => sum + f.self, 0);
  const open = (f: TopFunction): void => navigate(selectionLink("/flamegraph", search, {}, { search: f.function }));

  let body: ReactNode;
  if (top.isError && !top.data) body = <section className="panel"><ErrorState error={top.error} retry={() => void top.refetch()} /></section>;
  else if (!answer) body = <section className="panel pad grow"><Skeleton height="100%" /></section>;
  else if (answer.total === 0) body = <section className="panel"><NoData /></section>;
  else {
    body = (
      <>
        <div className="basis">
          <CoverageLine coverage={answer.coverage} type={answer.type} />
          {answer.coverage.truncated ? <span className="tag">{count(answer.coverage.truncated.cut)} smaller {answer.coverage.truncated.what} not shown</span> : null}
        </div>
        <section className="panel explorer">
          <div className="toolbar">
            <div className="search" role="search">
              <Icon name="search" />
              <input aria-label="Filter functions and modules" placeholder="Filter" value={state.find} spellCheck={false} onChange={(e) => set({ find: e.target.value }, { replace: true })} />
              <span className="result" role="status">{count(rows.length)} <span className="only-wide">functions</span> · self {percent(answer.total > 0 ? self / answer.total : 0)} of all</span>
            </div>
            <Segments label="Part" value={state.part} onChange={(part) => set({ part }, { replace: true })} options={[{ value: "all", label: "All" }, { value: "user", label: "User" }, { value: "kernel", label: "Kernel" }]} />
          </div>
          <div className="table-host">
            <DataTable label="Top functions" fill rows={rows} columns={columns} order={state.order} onOrder={(order) => set({ order }, { replace: true })} rowKey={(f) => `${f.module}\0${f.function}\0${f.file}`} onRow={open} rowHeight={42} />
          </div>
        </section>
      </>
    );
  }
  return <Page title="Top functions" fill stale={top.data ? top.error : null}>{body}</Page>;
}
