// SPDX-License-Identifier: Apache-2.0
/** The two sides of a lock: the stacks that wait for it, and those that end the waits. */
import { useMemo, type ReactNode } from "react";
import { Link, useSearch } from "wouter";
import { useFlamegraph } from "@/api/queries";
import { Empty, ErrorState, Skeleton } from "@/components/basics";
import { FlameExplorer } from "@/components/flame-explorer";
import { FLAME_SCHEMA } from "@/components/flame-state";
import { measureOf } from "@/lib/measure";
import { choice } from "@/state/params";
import { selectionLink, type Selection } from "@/state/selection";
import { useUrlState } from "@/state/use-url-state";
import { endsFilter, waitsFilter, type LockId } from "./locks";

const SCHEMA = { ...FLAME_SCHEMA, view: choice(["both", "graph", "table"], "graph") };
const MEASURE = measureOf("lock:nanoseconds", "nanoseconds", 0);

function Side(props: { title: string; hint: string; nothing: string; prefix: string; selection: Selection }): ReactNode {
  const { title, selection } = props;
  const search = useSearch();
  const [state, set] = useUrlState(SCHEMA, props.prefix);
  const flame = useFlamegraph(selection);
  let body: ReactNode;
  if (flame.isError && !flame.data) body = <div className="panel"><ErrorState error={flame.error} retry={() => void flame.refetch()} /></div>;
  else if (!flame.data) body = <div className="panel pad grow"><Skeleton height="100%" /></div>;
  else if (flame.data.meta.total === 0) body = <div className="panel grow"><Empty title={props.nothing}><p>The waits ended by a time-out or a signal, or are not over.</p></Empty></div>;
  else body = <FlameExplorer tree={flame.data.tree} measure={MEASURE} state={state} set={set} />;
  return (
    <section className="lock-side" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span className="muted truncate">{flame.data ? `${MEASURE.long(flame.data.meta.total)} · ` : ""}{props.hint}</span>
        <span className="spacer" />
        <Link className="button quiet" href={selectionLink("/flamegraph", search, { type: selection.type, filter: selection.filter })}>
          <span className="only-wide">Open as flame graph</span>
          <span className="only-narrow">Open</span>
        </Link>
      </header>
      {body}
    </section>
  );
}

/** The kernel does not tell who gives its locks back. */
export function LockFlames({ selection, id }: { selection: Selection; id: LockId }): ReactNode {
  const waits = useMemo(() => ({ ...selection, type: "lock:nanoseconds", filter: waitsFilter(selection.filter, id) }), [selection, id]);
  const ends = useMemo(() => ({ ...selection, type: "waker:nanoseconds", filter: endsFilter(selection.filter, id) }), [selection, id]);
  return (
    <div className={id.caller ? "lock-sides one" : "lock-sides"}>
      <Side title="Who waits" hint="by the stack that waits" nothing="Nobody waited" prefix="w." selection={waits} />
      {id.caller ? null : <Side title="Who lets go" hint="by the stack that ends the wait" nothing="Nobody was seen to end a wait" prefix="e." selection={ends} />}
    </div>
  );
}
