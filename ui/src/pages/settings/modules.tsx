// SPDX-License-Identifier: Apache-2.0
/** Modules without symbols, by what they hide, and what to do about the chosen one. */
import { useMemo, type ReactNode } from "react";
import type { Module } from "@/api/model";
import { useCovered, useModules } from "@/api/queries";
import { Command, CopyButton, Empty, ErrorState, Skeleton } from "@/components/basics";
import { BarCell, DataTable, maximum, type Column } from "@/components/data-table";
import { NoData } from "@/components/no-data";
import { count, percent } from "@/lib/format";
import { measureOf, type Measure } from "@/lib/measure";
import { text } from "@/state/params";
import { useSelection } from "@/state/selection";
import { useUrlState } from "@/state/use-url-state";
import { moduleName, remediesOf } from "./remedies";

const LIMIT = 200;
const SCHEMA = { module: text(), order: text("total") };

function keyOf(m: Module): string {
  return m.build_id || m.module;
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/"))) || "no file";
}

function makeColumns(measure: Measure, total: number, modules: readonly Module[]): Column<Module>[] {
  const share = (v: number): number => (total > 0 ? v / total : 0);
  const largest = { self: maximum(modules, (m) => m.self), total: maximum(modules, (m) => m.total) };
  const figure = (v: number, of: "self" | "total"): ReactNode => <BarCell share={v / largest[of]}>{measure.short(v)} <em>{percent(share(v))}</em></BarCell>;
  return [
    {
      id: "module", header: "Module", track: "minmax(140px, 1.4fr)", sort: (m) => moduleName(m.module),
      cell: (m) => (
        <span className="fn" title={m.module}>
          <span className="truncate name">{moduleName(m.module)}</span>
          <span className="truncate module">{folderOf(m.module)}</span>
        </span>
      ),
    },
    { id: "build", header: "Build-id", track: "minmax(120px, 1fr)", wide: true, cell: (m) => (m.build_id ? <code className="truncate" title={m.build_id}>{m.build_id}</code> : <span className="muted">none</span>) },
    { id: "frames", header: "Frames", hint: "Different places without a symbol", track: "80px", numeric: true, wide: true, sort: (m) => m.frames, cell: (m) => count(m.frames) },
    { id: "self", header: `Self, ${measure.unit}`, hint: "In such frames themselves; percent of everything selected", track: "minmax(132px, 180px)", numeric: true, wide: true, sort: (m) => m.self, cell: (m) => figure(m.self, "self") },
    { id: "total", header: `Total, ${measure.unit}`, hint: "Of stacks that pass through such frames; percent of everything selected. A stack may pass through several modules", track: "minmax(132px, 180px)", numeric: true, sort: (m) => m.total, cell: (m) => figure(m.total, "total") },
  ];
}

function Remedies({ module }: { module: Module }): ReactNode {
  return (
    <section className="panel" aria-label={`How to name ${moduleName(module.module)}`}>
      <header>
        <h2>How to name {moduleName(module.module)}</h2>
        <span className="spacer" />
        {module.build_id ? (
          <span className="build-id">
            <span className="muted">build-id</span> <code className="truncate">{module.build_id}</code>
            <CopyButton text={module.build_id} label="Copy the build-id" />
          </span>
        ) : null}
      </header>
      <ol className="remedies">
        {remediesOf(module, window.location.origin).map((r) => (
          <li key={r.title}>
            <div>
              <h3>{r.title}</h3>
              <p className="muted">{r.text}</p>
            </div>
            {r.command ? <Command text={r.command} /> : null}
          </li>
        ))}
      </ol>
    </section>
  );
}

export function ModulesPanel(): ReactNode {
  const [selection] = useSelection();
  const [state, set] = useUrlState(SCHEMA);
  const modules = useModules(selection, LIMIT);
  const answer = modules.data;
  const averaged = useCovered(selection, answer)?.ms ?? (answer ? answer.to - answer.from : 0);
  const measure = useMemo(() => measureOf(answer?.type ?? "", answer?.unit ?? "", averaged), [answer?.type, answer?.unit, averaged]);
  const columns = useMemo(() => makeColumns(measure, answer?.total ?? 0, answer?.modules ?? []), [measure, answer]);
  const chosen = answer?.modules.find((m) => keyOf(m) === state.module) ?? answer?.modules[0];

  if (modules.isError && !answer) return <section className="panel"><ErrorState error={modules.error} retry={() => void modules.refetch()} /></section>;
  if (!answer) return <section className="panel pad"><Skeleton height={220} /></section>;
  if (answer.total === 0) return <section className="panel"><NoData /></section>;
  if (!chosen) {
    return (
      <section className="panel" aria-label="Modules without symbols">
        <Empty icon="check" title="Every frame has a symbol">
          <p>Nothing in this selection is shown as an address.</p>
        </Empty>
      </section>
    );
  }
  return (
    <>
      <section className="panel clip" aria-label="Modules without symbols">
        <header>
          <h2>Modules without symbols</h2>
          <span className="muted only-wide">Their frames are shown as addresses; debug information names them, in what is stored too</span>
          <span className="spacer" />
          <span className="muted">{count(answer.modules.length)}{answer.coverage.truncated?.what === "modules" ? ` of ${count(answer.modules.length + answer.coverage.truncated.cut)}` : ""} {answer.modules.length === 1 ? "module" : "modules"}</span>
        </header>
        <div className="bounded-table">
          <DataTable label="Modules without symbols" rows={answer.modules} columns={columns} order={state.order} onOrder={(order) => set({ order }, { replace: true })} rowKey={keyOf} onRow={(m) => set({ module: keyOf(m) })} selected={(m) => m === chosen} rowHeight={46} />
        </div>
      </section>
      <Remedies module={chosen} />
    </>
  );
}
