// SPDX-License-Identifier: Apache-2.0
/** Alert rules with their states, what happened, and silences. */
import { useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { sendJson } from "@/api/client";
import type { AlertRule, AlertsAnswer, AlertState } from "@/api/model";
import { useAlertHistory, useAlerts } from "@/api/queries";
import { Empty, ErrorState, Skeleton } from "@/components/basics";
import { DataTable, type Column } from "@/components/data-table";
import { Page } from "@/components/shell";
import { ago, count, dateTime } from "@/lib/format";
import { text } from "@/state/params";
import { useUrlState } from "@/state/use-url-state";
import { RuleForm } from "./form";
import { conditionText, STATE_WORDS, valueText } from "./rules";

/** `edit` is a rule's number, or "new". */
const SCHEMA = { rule: text(), edit: text(), order: text("state") };

const RANK: Record<AlertState, number> = { firing: 4, pending: 3, insufficient: 2, resolved: 1, ok: 0 };
const DOTS: Record<AlertState, string> = { firing: "firing", pending: "stale", insufficient: "left", resolved: "ok", ok: "ok" };

const rank = (r: AlertRule): number => (r.enabled ? RANK[r.status.state] : -1);

function columns(answer: AlertsAnswer): Column<AlertRule>[] {
  return [
    {
      id: "name", header: "Rule", track: "minmax(116px, 2fr)", sort: (r) => r.name,
      cell: (r) => (
        <span className="fn">
          <span className="name truncate">{r.name}</span>
          <span className="module truncate">{conditionText(r, answer.metrics.find((m) => m.name === r.metric))}</span>
        </span>
      ),
    },
    {
      id: "state", header: "State", track: "minmax(104px, 1fr)", sort: rank,
      cell: (r) => (
        <span className="fn">
          <span className="name truncate"><i className={`dot ${r.enabled ? DOTS[r.status.state] : "left"}`} /> {r.enabled ? STATE_WORDS[r.status.state] : "off"}{r.status.silenced ? ", silenced" : ""}</span>
          <span className="module truncate">{r.status.error ?? (r.status.since ? `since ${ago(r.status.since, Date.now())}` : "not evaluated yet")}</span>
        </span>
      ),
    },
    { id: "value", header: "Value", track: "84px", numeric: true, cell: (r) => (r.status.value === null ? <span className="muted">–</span> : valueText(r.status.value, r.unit, Boolean(r.baseline))) },
    { id: "samples", header: "Samples", hint: "What the last value rests on", track: "84px", numeric: true, wide: true, sort: (r) => r.status.samples, cell: (r) => (r.status.samples ? count(r.status.samples) : <span className="muted">–</span>) },
    { id: "severity", header: "Severity", track: "84px", wide: true, sort: (r) => r.severity, cell: (r) => r.severity },
  ];
}

function History({ rule, title }: { rule: number; title: string }): ReactNode {
  const history = useAlertHistory(rule);
  const events = history.data?.events ?? [];
  return (
    <section className="panel" aria-label="History">
      <header><h2>History</h2><span className="muted truncate">{title}</span></header>
      {history.isError && !history.data ? <ErrorState error={history.error} retry={() => void history.refetch()} /> : events.length === 0 ? (
        <p className="pad muted">Nothing has happened yet.</p>
      ) : (
        <table className="store-tables">
          <thead><tr><th>Time</th><th>Rule</th><th>Change</th></tr></thead>
          <tbody>
            {events.map((e) => <tr key={e.id}><td>{dateTime(e.at)}</td><td>{e.name}</td><td>{STATE_WORDS[e.from]} → {STATE_WORDS[e.to]}</td></tr>)}
          </tbody>
        </table>
      )}
      {history.data && history.data.total > events.length ? <p className="pad muted">and {count(history.data.total - events.length)} earlier changes</p> : null}
    </section>
  );
}

const SILENCE_HOURS = [1, 4, 24, 168] as const;
const hoursText = (h: number): string => (h < 24 ? `${h} h` : `${h / 24} d`);

/** For hosts that are worked on: nobody is told of what fires for them alone. */
function HostSilence({ run }: { run(action: () => Promise<unknown>): void }): ReactNode {
  const [filter, setFilter] = useState("");
  const [comment, setComment] = useState("");
  const [hours, setHours] = useState<number>(SILENCE_HOURS[0]);
  const submit = (): void => run(async () => {
    await sendJson("POST", "/api/alerts/silences", { rule: null, filter: filter.trim(), duration_s: hours * 3600, comment });
    setFilter("");
    setComment("");
  });
  return (
    <form className="silence-form" onSubmit={(e) => { e.preventDefault(); submit(); }}>
      <input className="input" aria-label="Hosts or services" placeholder='{host="web-1"}' value={filter} spellCheck={false} onChange={(e) => setFilter(e.target.value)} />
      <input className="input" aria-label="Comment" placeholder="Why" value={comment} onChange={(e) => setComment(e.target.value)} />
      <select className="input" aria-label="For how long" value={hours} onChange={(e) => setHours(Number(e.target.value))}>
        {SILENCE_HOURS.map((h) => <option key={h} value={h}>{hoursText(h)}</option>)}
      </select>
      <button type="submit" className="button" disabled={filter.trim() === ""}>Silence</button>
    </form>
  );
}

function Silences({ answer, run }: { answer: AlertsAnswer; run(action: () => Promise<unknown>): void }): ReactNode {
  const name = (id: number | null): string => (id === null ? "all rules" : answer.rules.find((r) => r.id === id)?.name ?? `rule ${id}`);
  return (
    <section className="panel" aria-label="Silences">
      <header><h2>Silences</h2><span className="muted truncate only-wide">of a rule from its row, of a host here: what fires for it alone is told to nobody</span></header>
      {answer.silences.length > 0 ? (
        <table className="store-tables">
          <thead><tr><th>Rule</th><th>Only for</th><th>Until</th><th>Comment</th><th /></tr></thead>
          <tbody>
            {answer.silences.map((s) => (
              <tr key={s.id}>
                <td>{name(s.rule)}</td><td>{s.filter ? <code>{s.filter}</code> : "everything"}</td><td>{dateTime(s.until)}</td><td>{s.comment}</td>
                <td className="numeric"><button type="button" className="button quiet" onClick={() => run(() => sendJson("DELETE", `/api/alerts/silences/${s.id}`))}>End now</button></td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
      <HostSilence run={run} />
    </section>
  );
}

function RuleActions(props: { rule: AlertRule; run(action: () => Promise<unknown>): void; onEdit(): void; onDeleted(): void }): ReactNode {
  const { rule, run } = props;
  const path = `/api/alerts/${rule.id}`;
  const remove = (): void => {
    if (window.confirm(`Delete the rule “${rule.name}”?`)) run(() => sendJson("DELETE", path).then(props.onDeleted));
  };
  return (
    <section className="panel" aria-label={`Rule ${rule.name}`}>
      <header>
        <h2>{rule.name}</h2>
        <span className="spacer" />
        <button type="button" className="button" onClick={props.onEdit}>Change</button>
        <button type="button" className="button" onClick={() => run(() => sendJson("POST", `${path}/toggle`))}>{rule.enabled ? "Switch off" : "Switch on"}</button>
        <button type="button" className="button" disabled={!rule.enabled} onClick={() => run(() => sendJson("POST", `/api/alerts/evaluate?rule=${rule.id}`))}>Evaluate now</button>
        <select className="input" aria-label="Silence" value="" onChange={(e) => run(() => sendJson("POST", "/api/alerts/silences", { rule: rule.id, duration_s: Number(e.target.value) * 3600 }))}>
          <option value="" disabled>Silence for…</option>
          {SILENCE_HOURS.map((h) => <option key={h} value={h}>{hoursText(h)}</option>)}
        </select>
        <button type="button" className="button quiet" onClick={remove}>Delete</button>
      </header>
      {rule.description ? <p className="pad">{rule.description}</p> : null}
    </section>
  );
}

export function AlertsPage(): ReactNode {
  const alerts = useAlerts();
  const client = useQueryClient();
  const [state, set] = useUrlState(SCHEMA);
  const [failure, setFailure] = useState<string | null>(null);
  const refresh = (): void => {
    void client.invalidateQueries({ queryKey: ["alerts"] });
    void client.invalidateQueries({ queryKey: ["alert-history"] });
  };
  const run = (action: () => Promise<unknown>): void => {
    setFailure(null);
    action().catch((e: unknown) => setFailure(e instanceof Error ? e.message : String(e))).finally(refresh);
  };
  const answer = alerts.data;

  let body: ReactNode;
  if (alerts.isError && !answer) body = <section className="panel"><ErrorState error={alerts.error} retry={() => void alerts.refetch()} /></section>;
  else if (!answer) body = <section className="panel pad"><Skeleton height={260} /></section>;
  else {
    const chosen = answer.rules.find((r) => String(r.id) === state.rule);
    const edited = answer.rules.find((r) => String(r.id) === state.edit) ?? null;
    const firing = answer.rules.filter((r) => r.enabled && r.status.state === "firing").length;
    body = (
      <>
        {failure ? <div className="notice" role="alert">{failure}</div> : null}
        {answer.state_error ? <div className="notice" role="alert">States and history cannot be saved: {answer.state_error}</div> : null}
        {answer.notifications.last_error ? <div className="notice" role="alert">A notification could not be delivered: {answer.notifications.last_error}</div> : null}
        <section className="panel clip">
          <header>
            <h2>Rules</h2>
            <span className="muted">{count(firing)} firing of {count(answer.rules.length)}</span>
            <span className="spacer" />
            <button type="button" className="button" onClick={() => set({ edit: "new" })}>New rule</button>
          </header>
          {answer.rules.length === 0 ? <Empty icon="bell" title="There are no rules"><p>Add one to be told when a service burns more CPU than last week, or when data is missing.</p></Empty> : (
            <DataTable label="Rules" rows={answer.rules} columns={columns(answer)} order={state.order} onOrder={(order) => set({ order }, { replace: true })} rowKey={(r) => String(r.id)} onRow={(r) => set({ rule: String(r.id) === state.rule ? "" : String(r.id) })} selected={(r) => String(r.id) === state.rule} rowHeight={46} />
          )}
        </section>
        {chosen ? <RuleActions rule={chosen} run={run} onEdit={() => set({ edit: String(chosen.id) })} onDeleted={() => set({ rule: "", edit: "" })} /> : null}
        {state.edit === "new" || edited ? <RuleForm key={state.edit} metrics={answer.metrics} rule={edited} onDone={() => { set({ edit: "" }); refresh(); }} /> : null}
        <Silences answer={answer} run={run} />
        <History rule={chosen?.id ?? 0} title={chosen?.name ?? "all rules"} />
      </>
    );
  }
  return <Page title="Alerts" bare stale={answer ? alerts.error : null}>{body}</Page>;
}
