// SPDX-License-Identifier: Apache-2.0
/** Where samples go: per stage what came in, what went on, and every loss by name. */
import type { ReactNode } from "react";
import type { LedgerCount, LedgerStage } from "@/api/model";
import { useLedger } from "@/api/queries";
import { ErrorState, Skeleton } from "@/components/basics";
import { Icon } from "@/components/icons";
import { count, percent } from "@/lib/format";

const STAGES: Record<string, [string, string]> = {
  sample: ["Sampling", "the kernel's counters and the BPF program"],
  reader: ["Reading", "from the ring buffer into the agent's table"],
  batch: ["Batching", "from the table into batches"],
  push: ["Sending", "to the aggregator, until it has acknowledged"],
  offcpu: ["Waits", "from the scheduler to the ring buffer or their thread's sums"],
  waker: ["Wake-ups", "who ended waits, where that is recorded"],
  kernel_lock: ["Locks of the kernel", "waits for them, to the ring buffer or their place's sums"],
  syscall: ["System calls", "counted in the kernel, until they are in batches"],
  syscall_push: ["Sending system calls", "to the aggregator, until it has acknowledged"],
  syscall_stack: ["Stacks of system calls", "of slow and failing ones, where they are asked for"],
  ingest: ["Receiving", "decoding and checking in the aggregator"],
  store: ["Storing", "from the buffer into the database"],
};

/** Stages of modes that an agent may not have. */
const OF_MODES = new Set(["offcpu", "waker", "kernel_lock", "syscall", "syscall_push", "syscall_stack"]);

/** Not taken on purpose: these are no losses of data. */
const INTENDED = new Set(["kept", "no_begin", "no_start", "limited", "idle", "filtered", "thinned", "duplicate", "backpressure", "failed"]);

/** Reasons for which nothing of a stack is missing. */
const COMPLETE = new Set(["ok", "kernel_only", "short_wait"]);

function share(part: number, whole: number): string {
  return whole > 0 ? percent(part / whole) : "–";
}

function Loss({ loss, of }: { loss: LedgerCount; of: LedgerCount }): ReactNode {
  const bad = !INTENDED.has(loss.name);
  return (
    <li>
      <span className={bad ? "swatch bad" : "swatch calm"} />
      <b>{count(loss.count)}</b>
      <span>{loss.text}</span>
      <span className="muted">{share(loss.count, of.count)} of {of.name}</span>
    </li>
  );
}

function Balance({ stage }: { stage: LedgerStage }): ReactNode {
  if (stage.balance === 0) return <span className="tag good"><Icon name="check" size={12} /> closed</span>;
  return (
    <span className="tag up" title="In minus out minus losses. Samples on their way show up here for a moment; what stays here was lost without a name.">
      {count(Math.abs(stage.balance))} {stage.balance > 0 ? "under way" : "more out than in"}
    </span>
  );
}

function Stage({ stage }: { stage: LedgerStage }): ReactNode {
  const [title, where] = STAGES[stage.stage] ?? [stage.stage, ""];
  const losses = stage.losses.filter((l) => l.count > 0);
  const lost = losses.filter((l) => !INTENDED.has(l.name)).reduce((sum, l) => sum + l.count, 0);
  const whole = Math.max(1, stage.in.count);
  return (
    <li className="stage">
      <div className="stage-head">
        <div>
          <h3>{title}</h3>
          <span className="muted">{where}</span>
        </div>
        <Balance stage={stage} />
      </div>
      <div className="flow" role="img" aria-label={`${count(stage.in.count)} in, ${count(stage.out.count)} out, ${count(lost)} lost`}>
        <i className="out" style={{ flexGrow: stage.out.count / whole }} />
        {losses.map((l) => <i key={l.name} className={INTENDED.has(l.name) ? "calm" : "bad"} style={{ flexGrow: l.count / whole }} />)}
      </div>
      <div className="ends">
        <span title={stage.in.text}><b>{count(stage.in.count)}</b> {stage.in.name}</span>
        <span title={stage.out.text}><b>{count(stage.out.count)}</b> {stage.out.name}</span>
      </div>
      {losses.length > 0 ? <ul>{losses.map((l) => <Loss key={l.name} loss={l} of={stage.in} />)}</ul> : <div className="muted nothing">Nothing lost</div>}
    </li>
  );
}

function Reasons({ reasons }: { reasons: readonly LedgerCount[] }): ReactNode {
  const sum = reasons.reduce((total, r) => total + r.count, 0);
  const shown = reasons.filter((r) => r.count > 0).sort((a, b) => b.count - a.count);
  return (
    <ul className="reason-list">
      {shown.map((r) => (
        <li key={r.name}>
          <span className="reason-bar"><i className={COMPLETE.has(r.name) ? "out" : "bad"} style={{ width: `${(r.count / sum) * 100}%` }} /></span>
          <span>{r.text}</span>
          <span className="muted">{r.name}</span>
          <span className="numeric"><b>{count(r.count)}</b> <em>{share(r.count, sum)}</em></span>
        </li>
      ))}
    </ul>
  );
}

export function LedgerPanel({ agent, title, onAll }: { agent: string; title: string; onAll?: () => void }): ReactNode {
  const ledger = useLedger(agent);
  if (ledger.isError) return <section className="panel"><ErrorState error={ledger.error} retry={() => void ledger.refetch()} /></section>;
  if (!ledger.data) return <section className="panel pad"><Skeleton height={220} /></section>;
  const complete = ledger.data.coverage.complete_share;
  return (
    <>
      <section className="panel" aria-label="Ledger">
        <header>
          <h2>Ledger of {title}</h2>
          <span className="muted only-wide">Every sample is accounted for: in = out + losses, since the agents started</span>
          <span className="spacer" />
          {onAll ? <button type="button" className="button quiet" onClick={onAll}>All agents</button> : null}
        </header>
        <ol className="stages">{ledger.data.stages.filter((s) => s.in.count > 0 || !OF_MODES.has(s.stage)).map((stage) => <Stage key={stage.stage} stage={stage} />)}</ol>
      </section>
      <section className="panel" aria-label="Where stacks end">
        <header>
          <h2>Where stacks end</h2>
          <span className="muted only-wide">percent of all stacks taken</span>
          <span className="spacer" />
          {complete === null ? null : <span><b>{percent(complete)}</b> complete</span>}
        </header>
        <Reasons reasons={ledger.data.reasons} />
      </section>
    </>
  );
}
