// SPDX-License-Identifier: Apache-2.0
/** Which threads wait for which: of one lock, or of all that are selected. */
import { useMemo, type ReactNode } from "react";
import type { LockPair, LocksAnswer } from "@/api/model";
import { ErrorState, Segments, Skeleton } from "@/components/basics";
import { BarCell, DataTable, maximum, type Column } from "@/components/data-table";
import { count, duration, percent } from "@/lib/format";
import { shareOf } from "./locks";

export type PairScope = "lock" | "all";

function makeColumns(answer: LocksAnswer): Column<LockPair>[] {
  const largest = maximum(answer.pairs, (p) => p.ns);
  return [
    {
      id: "waiter", header: "Thread", track: "minmax(100px, 1fr)", sort: (p) => p.waiter,
      cell: (p) => <span className="fn"><span className="truncate name">{p.waiter}</span><span className="truncate module">{p.service}</span></span>,
    },
    { id: "waker", header: "Waits for", track: "minmax(100px, 1fr)", sort: (p) => p.waker, cell: (p) => p.waker || <span className="muted" title="A time-out, a signal, or the wait is not over">not seen</span> },
    { id: "count", header: "Waits", hint: "Waits that ended", track: "90px", numeric: true, wide: true, sort: (p) => p.count, cell: (p) => count(p.count) },
    { id: "ns", header: "Time", hint: "Percent of all these waits", track: "minmax(132px, 200px)", numeric: true, sort: (p) => p.ns, cell: (p) => <BarCell share={p.ns / largest}>{duration(p.ns)} <em>{percent(shareOf(p.ns, answer.total.ns))}</em></BarCell> },
  ];
}

export function PairsPanel(props: {
  answer: LocksAnswer | undefined;
  error: Error | null;
  scope: PairScope;
  onScope(scope: PairScope): void;
  order: string;
  onOrder(order: string): void;
}): ReactNode {
  const { answer } = props;
  const columns = useMemo(() => (answer ? makeColumns(answer) : []), [answer]);
  const cut = answer?.other_pairs;
  let body: ReactNode = <div className="pad"><Skeleton height={120} /></div>;
  if (answer) body = <DataTable label="Who blocks whom" rows={answer.pairs} columns={columns} order={props.order} onOrder={props.onOrder} rowKey={(p) => `${p.service}\0${p.waiter}\0${p.waker}`} rowHeight={42} />;
  else if (props.error) body = <ErrorState error={props.error} />;
  return (
    <section className="panel" aria-label="Who blocks whom">
      <header>
        <h2>Who blocks whom</h2>
        <span className="muted truncate">
          threads by name{cut && cut.pairs > 0 ? ` · ${count(cut.pairs)} more pairs with ${duration(cut.ns)} are not shown` : ""}
        </span>
        <span className="spacer" />
        <Segments label="Pairs of" value={props.scope} onChange={props.onScope} options={[{ value: "lock", label: "This lock" }, { value: "all", label: "All listed" }]} />
      </header>
      {body}
    </section>
  );
}
