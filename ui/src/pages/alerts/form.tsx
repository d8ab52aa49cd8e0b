// SPDX-License-Identifier: Apache-2.0
/** Makes a rule or changes one, and shows what it would have done over the last day. */
import { useState, type ReactNode } from "react";
import { ApiError, sendJson } from "@/api/client";
import type { AlertDryRunAnswer, AlertMetric, AlertRule } from "@/api/model";
import { Sparkline } from "@/components/sparkline";
import { count, dateTime, duration } from "@/lib/format";
import { draftOf, isProfile, NEW_DRAFT, OPERATOR_SIGNS, requestOf, STATE_WORDS, withMetric, type Draft } from "./rules";

function Field(props: { label: string; hint?: string; wide?: boolean; children: ReactNode }): ReactNode {
  return (
    <label className={props.wide ? "field wide" : "field"}>
      <span>{props.label}{props.hint ? <small className="muted"> {props.hint}</small> : null}</span>
      {props.children}
    </label>
  );
}

function DryRun({ answer }: { answer: AlertDryRunAnswer }): ReactNode {
  const shown = answer.events.slice(-8);
  return (
    <div className="dry-run" role="status">
      <Sparkline values={answer.points.map((p) => p.value)} label="The rule's value over the last day" />
      <p>
        Over the last day it would have fired <b>{count(answer.fired)}</b> {answer.fired === 1 ? "time" : "times"}, for {duration(answer.firing_s * 1e9)} in all.
        {answer.truncated ? ` The latest ${count(answer.truncated.cut)} readings took too long and are missing.` : null}
        {answer.points.every((p) => p.value === null) ? " There was too little data all day." : null}
      </p>
      {shown.length > 0 ? (
        <ul>
          {shown.map((e) => <li key={`${e.at} ${e.to}`}>{dateTime(e.at)}: {STATE_WORDS[e.from]} → {STATE_WORDS[e.to]}</li>)}
          {answer.events.length > shown.length ? <li className="muted">and {count(answer.events.length - shown.length)} earlier changes</li> : null}
        </ul>
      ) : null}
    </div>
  );
}

export function RuleForm(props: { metrics: readonly AlertMetric[]; rule: AlertRule | null; onDone(): void }): ReactNode {
  const { metrics, rule } = props;
  const [draft, setDraft] = useState<Draft>(() => (rule ? draftOf(rule) : NEW_DRAFT));
  const [error, setError] = useState<string | null>(null);
  const [preview, setPreview] = useState<AlertDryRunAnswer | null>(null);
  const [busy, setBusy] = useState(false);
  const metric = metrics.find((m) => m.name === draft.metric) ?? metrics[0]!;
  const takes = (member: string): boolean => metric.takes.includes(member);
  const change = (patch: Partial<Draft>): void => setDraft({ ...draft, ...patch });
  const unit = takes("baseline") && draft.baseline !== "none" ? "change, 0.2 is a fifth more" : metric.unit === "ratio" ? "0 to 1" : metric.unit;

  const attempt = async (action: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await action();
    } catch (e) {
      setError(e instanceof ApiError ? e.message : String(e));
    } finally {
      setBusy(false);
    }
  };
  const save = (): Promise<void> => attempt(async () => {
    const body = requestOf(draft, metric, rule);
    await (rule ? sendJson("PUT", `/api/alerts/${rule.id}`, body) : sendJson("POST", "/api/alerts", body));
    props.onDone();
  });
  const tryOut = (): Promise<void> => attempt(async () => {
    setPreview(null);
    setPreview(await sendJson<AlertDryRunAnswer>("POST", "/api/alerts/dry-run", { ...requestOf(draft, metric, rule), name: draft.name.trim() || "dry run" }));
  });
  const text = (key: "filter" | "function" | "module" | "syscall" | "type" | "threshold" | "recover" | "for_s" | "window_s" | "interval_s" | "min_samples" | "name" | "description", placeholder = ""): ReactNode => (
    <input className="input" value={draft[key]} placeholder={placeholder} spellCheck={false} onChange={(e) => change({ [key]: e.target.value })} />
  );

  return (
    <section className="panel" aria-label={rule ? `Change ${rule.name}` : "New rule"}>
      <header><h2>{rule ? rule.name : "New rule"}</h2></header>
      <form className="rule-form pad" onSubmit={(e) => { e.preventDefault(); void save(); }}>
        <Field label="Name" wide>{text("name")}</Field>
        <Field label="Metric" wide>
          <select className="input" value={draft.metric} onChange={(e) => setDraft(withMetric(draft, e.target.value as Draft["metric"]))}>
            {metrics.map((m) => <option key={m.name} value={m.name}>{m.name}: {m.text}</option>)}
          </select>
        </Field>
        {takes("function") ? <Field label="Function">{text("function", "memcpy")}</Field> : null}
        {takes("module") ? <Field label="Module" hint="path or file name">{text("module", "libc.so.6")}</Field> : null}
        {takes("syscall") ? <Field label="System call" hint="empty: all">{text("syscall", "openat")}</Field> : null}
        {takes("type") ? <Field label="Profile type">{text("type")}</Field> : null}
        {takes("filter") ? <Field label="Filter" wide>{text("filter", '{service="web"}')}</Field> : null}
        <Field label="Condition">
          <select className="input" value={draft.operator} onChange={(e) => change({ operator: e.target.value as Draft["operator"] })}>
            {Object.entries(OPERATOR_SIGNS).map(([op, sign]) => <option key={op} value={op}>{sign}</option>)}
          </select>
        </Field>
        <Field label="Threshold" hint={unit}>{text("threshold")}</Field>
        <Field label="Recovers at" hint="empty: at the threshold">{text("recover")}</Field>
        <Field label="Holds for" hint="seconds">{text("for_s")}</Field>
        {takes("window_s") ? <Field label="Window" hint="seconds">{text("window_s")}</Field> : null}
        <Field label="Read every" hint="seconds">{text("interval_s")}</Field>
        {isProfile(metric) ? <Field label="Least samples" hint="empty: 500">{text("min_samples")}</Field> : null}
        {takes("baseline") ? (
          <Field label="Compared with">
            <select className="input" value={draft.baseline} onChange={(e) => change({ baseline: e.target.value as Draft["baseline"] })}>
              <option value="none">nothing: the value itself</option>
              <option value="previous">the window right before</option>
              <option value="days">{rule?.baseline ? "the baseline as it is" : "the day before"}</option>
              <option value="week">the same time last week</option>
            </select>
          </Field>
        ) : null}
        <Field label="Severity">
          <select className="input" value={draft.severity} onChange={(e) => change({ severity: e.target.value as Draft["severity"] })}>
            <option value="info">info</option><option value="warning">warning</option><option value="critical">critical</option>
          </select>
        </Field>
        <Field label="Description" wide>{text("description")}</Field>
        <Field label="Webhooks" hint="one a line; “alertmanager URL” for an Alertmanager" wide>
          <textarea className="input" rows={2} value={draft.webhooks} spellCheck={false} onChange={(e) => change({ webhooks: e.target.value })} />
        </Field>
        {error ? <div className="notice wide" role="alert">{error}</div> : null}
        <div className="actions wide">
          <button type="submit" className="button primary" disabled={busy}>{rule ? "Save" : "Add rule"}</button>
          <button type="button" className="button" disabled={busy} onClick={() => void tryOut()}>{busy ? "Working…" : "Try over the last day"}</button>
          <button type="button" className="button quiet" onClick={props.onDone}>Cancel</button>
        </div>
      </form>
      {preview ? <DryRun answer={preview} /> : null}
    </section>
  );
}
