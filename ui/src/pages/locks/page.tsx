// SPDX-License-Identifier: Apache-2.0
import { useMemo, type ReactNode } from "react";
import type { LockRow, LocksAnswer } from "@/api/model";
import { useAgents, useLocks } from "@/api/queries";
import { Command, Empty, ErrorState, Skeleton } from "@/components/basics";
import { CoverageLine } from "@/components/coverage";
import { BarCell, DataTable, maximum, parseOrder, type Column } from "@/components/data-table";
import { Page } from "@/components/shell";
import { rangeLabel } from "@/components/time-range";
import { count, duration, percent } from "@/lib/format";
import { choice, text } from "@/state/params";
import { useSelection } from "@/state/selection";
import { useUrlState } from "@/state/use-url-state";
import { LockFlames } from "./flames";
import { CONTENTION, DOMAINS, EVERYTHING, keyOf, kindQuery, kindsOf, parseKey, placeOf, recorders, shareOf, waitsFilter, type Domain, type LockId } from "./locks";
import { PairsPanel } from "./pairs";

const LIMIT = 500;
const ROW = 42;
/** The table's heading and its upper line. */
const HEAD = 38;
const TYPE = "lock:nanoseconds";
const SCHEMA = { domain: choice(DOMAINS, "all"), kind: text(CONTENTION), lock: text(), order: text("ns"), pairs: choice(["lock", "all"], "lock"), by: text("ns") };

function Ends({ lock }: { lock: LockRow }): ReactNode {
  if (lock.timeouts === 0 && lock.signals === 0) return <span className="muted">–</span>;
  return (
    <>
      {lock.timeouts > 0 ? <div>{count(lock.timeouts)}</div> : null}
      {lock.signals > 0 ? <em title="Waits that a signal ended">{count(lock.signals)} by signal</em> : null}
    </>
  );
}

function makeColumns(answer: LocksAnswer): Column<LockRow>[] {
  const largest = maximum(answer.locks, (l) => l.ns);
  return [
    {
      id: "function", header: "Waits in", hint: "The function that waits longest for the lock, or of a lock of the kernel the one that asks for it", track: "minmax(130px, 1.6fr)", sort: (l) => l.function,
      cell: (l) => (
        <span className="fn" title={`${l.function || "no function"}\n${l.place ? `${l.place}, ` : ""}${l.lock}`}>
          <span className="truncate name">{l.function || "–"}</span>
          <span className="truncate module">{l.domain === "kernel" ? "kernel " : ""}{l.kind} · {placeOf(l)}</span>
        </span>
      ),
    },
    {
      id: "service", header: "Process", track: "minmax(110px, 1fr)", wide: true, sort: (l) => l.service,
      cell: (l) => (
        <span className="fn" title={`${l.service}, process ${l.pid} on ${l.host}`}>
          <span className="truncate name">{l.service}</span>
          <span className="truncate module">{l.pid} on {l.host}</span>
        </span>
      ),
    },
    { id: "waiters", header: "Waiters", hint: "Different names of threads that waited", track: "86px", numeric: true, wide: true, sort: (l) => l.waiters, cell: (l) => count(l.waiters) },
    { id: "wakers", header: "Let go by", hint: "Different names of threads that ended a wait", track: "96px", numeric: true, wide: true, sort: (l) => l.wakers, cell: (l) => (l.wakers > 0 ? count(l.wakers) : <span className="muted" title="Nobody was seen to end a wait">–</span>) },
    { id: "count", header: "Waits", hint: "Waits that ended", track: "90px", numeric: true, wide: true, sort: (l) => l.count, cell: (l) => count(l.count) },
    { id: "timeouts", header: "Timed out", hint: "Of these, waits that ended by a time-out; below, those that a signal ended", track: "96px", numeric: true, wide: true, sort: (l) => l.timeouts, cell: (l) => <Ends lock={l} /> },
    { id: "ns", header: "Waited", hint: "Over all threads; percent of all waits selected", track: "minmax(132px, 200px)", numeric: true, sort: (l) => l.ns, cell: (l) => <BarCell share={l.ns / largest}>{duration(l.ns)} <em>{percent(shareOf(l.ns, answer.total.ns))}</em></BarCell> },
  ];
}

const DOMAIN_NAMES: Record<Domain, string> = { all: "All locks", user: "Of programs", kernel: "Of the kernel" };

function DomainSelect({ domain, onChange }: { domain: Domain; onChange(domain: Domain): void }): ReactNode {
  return (
    <select className="input" aria-label="Whose locks" value={domain} onChange={(e) => onChange(e.target.value as Domain)}>
      {DOMAINS.map((d) => <option key={d} value={d}>{DOMAIN_NAMES[d]}</option>)}
    </select>
  );
}

function KindSelect({ kind, kinds, onChange }: { kind: string; kinds: readonly string[]; onChange(kind: string): void }): ReactNode {
  return (
    <select className="input" aria-label="Kind" value={kind} onChange={(e) => onChange(e.target.value)}>
      <option value={CONTENTION}>Contention</option>
      <option value={EVERYTHING}>All waits, also for work</option>
      {kinds.map((k) => <option key={k} value={k}>Only {k}</option>)}
    </select>
  );
}

/** Nothing was recorded, or nothing of the kinds asked for. */
function NoLocks({ kind, onKind }: { kind: string; onKind(kind: string): void }): ReactNode {
  const agents = useAgents().data?.agents ?? [];
  const [selection, set] = useSelection();
  const { text: recorded, idle: host } = recorders(agents);
  return (
    <Empty icon="lock" title={recorded ? "No thread waited for a lock" : "No agent records waits for locks"}>
      {recorded ? <p>Shown: {rangeLabel(selection)}. {recorded} waits for locks.</p> : null}
      {recorded ? null : <p>Agents record them in mode lock. Start one on each host that you want to see{host ? ", or have one that runs do so for a time" : ""}:</p>}
      {recorded ? null : <Command text="aperture-agent --mode cpu,lock" />}
      {recorded && host ? <p>To have one of the others do so for a time:</p> : null}
      {host ? <Command text={`aperture agents set ${host} --mode cpu,lock --for 10m`} /> : null}
      <div className="actions">
        {kind !== EVERYTHING && recorded ? <button type="button" className="button" onClick={() => onKind(EVERYTHING)}>Show all waits, also for work</button> : null}
        {selection.filter !== "" ? <button type="button" className="button" onClick={() => set({ filter: "" })}>Remove the filter</button> : null}
      </div>
    </Empty>
  );
}

function Basis({ answer }: { answer: LocksAnswer }): ReactNode {
  const { other_locks: other, short, not_contended: work } = answer;
  return (
    <div className="basis">
      <CoverageLine coverage={answer.coverage} type={answer.type} />
      {short.count > 0 ? <span className="tag" title="Waits under the agent's threshold are summed up by thread, without their lock">{count(short.count)} short waits, {duration(short.ns)}, of unknown locks</span> : null}
      {work.ns > 0 ? <span className="tag" title="For conditions, for threads to end, for work; and for semaphores of which nobody ended a wait. Choose “All waits” to see them">{duration(work.ns)} of waits that are no contention not shown</span> : null}
      {other.locks > 0 ? <span className="tag up">{count(other.locks)} more locks with {duration(other.ns)} not shown</span> : null}
    </div>
  );
}

export function LocksPage(): ReactNode {
  const [selection] = useSelection();
  const [state, set] = useUrlState(SCHEMA);
  const sort = parseOrder(state.order).id === "count" ? "count" : "ns";
  const locks = useLocks(selection, { ...kindQuery(selection.filter, state.kind), domain: state.domain, sort, limit: LIMIT });
  const answer = locks.data;
  const chosen = useMemo<LockId | null>(() => parseKey(state.lock) ?? answer?.locks[0] ?? null, [state.lock, answer]);
  const chosenKey = chosen ? keyOf(chosen) : "";
  const id = useMemo(() => parseKey(chosenKey), [chosenKey]);
  const own = useLocks(selection, id ? { filter: waitsFilter(selection.filter, id), contended: false, domain: "all", sort: "ns", limit: LIMIT } : null);
  const columns = useMemo(() => (answer ? makeColumns(answer) : []), [answer]);
  const onDomain = (domain: Domain): void => set({ domain, kind: kindsOf(domain).includes(state.kind) || state.kind === EVERYTHING ? state.kind : CONTENTION, lock: "" }, { replace: true });
  const onKind = (kind: string): void => set({ kind, lock: "" }, { replace: true });
  const pairs = state.pairs === "all" ? locks : own;

  let body: ReactNode;
  if (locks.isError && !answer) body = <section className="panel"><ErrorState error={locks.error} retry={() => void locks.refetch()} /></section>;
  else if (!answer) body = <section className="panel pad"><Skeleton height={300} /></section>;
  else {
    body = (
      <>
        <Basis answer={answer} />
        <section className="panel" aria-label="Locks by wait time">
          <header>
            <h2>By time waited</h2>
            <span className="muted truncate">{count(answer.locks.length)} {answer.locks.length === 1 ? "lock" : "locks"}, {duration(answer.locks.reduce((sum, l) => sum + l.ns, 0))} waited</span>
            <span className="spacer" />
            <DomainSelect domain={state.domain} onChange={onDomain} />
            <KindSelect kind={state.kind} kinds={kindsOf(state.domain)} onChange={onKind} />
          </header>
          {answer.locks.length === 0 ? <NoLocks kind={state.kind} onKind={onKind} /> : (
            <div className="lock-table" style={{ height: Math.min(answer.locks.length, 7) * ROW + HEAD }}>
              <DataTable
                label="Locks" fill rows={answer.locks} columns={columns} order={state.order} rowKey={keyOf} rowHeight={ROW}
                onOrder={(order) => set({ order }, { replace: true })} onRow={(l) => set({ lock: keyOf(l) })} selected={(l) => keyOf(l) === chosenKey}
              />
            </div>
          )}
        </section>
        {id ? <LockFlames selection={selection} id={id} /> : null}
        {id ? <PairsPanel answer={pairs.data} error={pairs.error} scope={state.pairs} onScope={(scope) => set({ pairs: scope }, { replace: true })} order={state.by} onOrder={(by) => set({ by }, { replace: true })} /> : null}
      </>
    );
  }
  return <Page title="Locks" type={TYPE} stale={answer ? locks.error : null}>{body}</Page>;
}
