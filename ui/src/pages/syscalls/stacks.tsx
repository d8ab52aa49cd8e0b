// SPDX-License-Identifier: Apache-2.0
/** The stacks of one system call: of the slow and failing ones that agents were asked to tell of. */
import { useMemo, type ReactNode } from "react";
import { Link, useSearch } from "wouter";
import { useFlamegraph } from "@/api/queries";
import { ErrorState, Segments } from "@/components/basics";
import { FlameExplorer } from "@/components/flame-explorer";
import { FLAME_SCHEMA } from "@/components/flame-state";
import { measureOf } from "@/lib/measure";
import { withLabel } from "@/state/filter";
import { choice } from "@/state/params";
import { selectionLink, type Selection } from "@/state/selection";
import { useUrlState } from "@/state/use-url-state";

const TYPES = ["syscall:count", "syscall:nanoseconds"] as const;
const SCHEMA = { ...FLAME_SCHEMA, view: choice(["both", "graph", "table"], "graph"), type: choice(TYPES, "syscall:count") };
const TITLES = { "syscall:count": "Calls", "syscall:nanoseconds": "Time" };

export function CallStacks({ selection, syscall }: { selection: Selection; syscall: string }): ReactNode {
  const search = useSearch();
  const [state, set] = useUrlState(SCHEMA, "s.");
  const { type } = state;
  const of = useMemo(() => ({ ...selection, type, filter: withLabel(selection.filter, "syscall", syscall) }), [selection, type, syscall]);
  const measure = useMemo(() => measureOf(type, type.split(":")[1]!, 0), [type]);
  const flame = useFlamegraph(of);
  if (flame.isError && !flame.data) return <ErrorState error={flame.error} retry={() => void flame.refetch()} />;
  if (!flame.data) return null;
  if (flame.data.meta.total === 0)
    return <p className="muted pad">No stacks of this call. Agents with <code>--syscall-slow</code> or <code>--syscall-errors</code> take those of slow and failing ones.</p>;
  return (
    <section className="call-stacks" aria-label={`Stacks of ${syscall}`}>
      <div className="toolbar">
        <Segments label="Stacks" value={type} onChange={(t) => set({ type: t }, { replace: true })} options={TYPES.map((t) => ({ value: t, label: TITLES[t] }))} />
        <span className="muted truncate">{measure.long(flame.data.meta.total)}, slow or failing</span>
        <span className="spacer" />
        <Link className="button quiet" aria-label="Open as flame graph" href={selectionLink("/flamegraph", search, { type, filter: of.filter })}>Open</Link>
      </div>
      <FlameExplorer tree={flame.data.tree} measure={measure} state={state} set={set} />
    </section>
  );
}
