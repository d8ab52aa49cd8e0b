// SPDX-License-Identifier: Apache-2.0
/** What an agent is to profile for a time in place of its own configuration. */
import { Popover } from "radix-ui";
import { useEffect, useState, type ReactNode } from "react";
import type { Agent, SettingsRequest } from "@/api/model";
import { useSetAgent } from "@/api/queries";
import { Icon } from "@/components/icons";
import { countdown, describe, durations, isMode, MODES, msLeft, type Mode } from "@/lib/agent";
import { duration, span } from "@/lib/format";

const THRESHOLDS_NS = [10_000, 100_000, 1_000_000, 10_000_000];

/** The time, every second while `running`. */
export function useNow(running: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!running) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}

/** How long an agent still follows settings; nothing where its own are in force. */
export function Countdown({ agent }: { agent: Agent }): ReactNode {
  const now = useNow(agent.settings.active_until !== null);
  const left = msLeft(agent, now);
  return left > 0 ? <span className="tag" title="Settings from here are in force; then the agent's own return">for {countdown(left)}</span> : null;
}

function Confirm({ agent, settings, disabled, onConfirm }: { agent: Agent; settings: SettingsRequest; disabled: boolean; onConfirm(): void }): ReactNode {
  const [open, setOpen] = useState(false);
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger className="button primary" disabled={disabled}>Apply…</Popover.Trigger>
      <Popover.Portal>
        <Popover.Content className="popover confirm" align="start" sideOffset={6} collisionPadding={8} aria-label="Confirm the settings">
          <p>Profile <b>{agent.host}</b> with <b>{describe(settings)}</b>?</p>
          <p className="muted">Programs there run on, somewhat slower where every wait or call is looked at. The agent keeps its CPU budget by sampling less, and returns to its own settings by itself.</p>
          <button type="button" className="button primary" onClick={() => { setOpen(false); onConfirm(); }}>Start</button>
          <Popover.Close className="button">Cancel</Popover.Close>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

function State({ agent, onReset, busy }: { agent: Agent; onReset(): void; busy: boolean }): ReactNode {
  const { wanted, active_until, error } = agent.settings;
  const now = useNow(active_until !== null);
  const left = msLeft(agent, now);
  return (
    <div className="settings-state" role="status">
      {left > 0 ? (
        <span><b>{agent.modes.join(", ")}</b> at <b>{agent.frequency_hz} Hz</b> for {countdown(left)} more</span>
      ) : (
        <span className="muted">Its own settings are in force.</span>
      )}
      {wanted && !wanted.heard ? <span className="muted">Others are on their way: it hears of them when it reports next.</span> : null}
      {error ? <span className="up"><Icon name="warn" size={14} /> {error}</span> : null}
      {left > 0 || wanted ? <button type="button" className="button" disabled={busy} onClick={onReset}>Reset</button> : null}
    </div>
  );
}

function Form({ agent, busy, onApply }: { agent: Agent; busy: boolean; onApply(settings: SettingsRequest): void }): ReactNode {
  const most = agent.settings.max_frequency_hz ?? 1000;
  const times = durations(agent);
  const [modes, setModes] = useState<readonly Mode[]>(() => agent.modes.filter(isMode));
  const [rate, setRate] = useState(String(Math.min(agent.frequency_hz, most)));
  const [threshold, setThreshold] = useState(agent.wait_threshold_ns ?? 1_000_000);
  const [seconds, setSeconds] = useState(times[Math.min(1, times.length - 1)] ?? 60);
  const hz = Number(rate);
  const valid = modes.length > 0 && Number.isInteger(hz) && hz >= 1 && hz <= most;
  const waits = modes.includes("offcpu") || modes.includes("lock");
  const settings: SettingsRequest = { duration_s: seconds, modes: [...modes], frequency_hz: hz, ...(waits ? { wait_threshold_ns: threshold } : {}) };
  const toggle = (mode: Mode): void => setModes(MODES.map((m) => m.mode).filter((m) => (m === mode ? !modes.includes(m) : modes.includes(m))));
  return (
    <div className="settings-form">
      <fieldset>
        <legend>Modes</legend>
        {MODES.map(({ mode, label, hint }) => (
          <label key={mode} title={hint}><input type="checkbox" checked={modes.includes(mode)} onChange={() => toggle(mode)} /> {label}</label>
        ))}
      </fieldset>
      <label>Rate, Hz<input className="input" inputMode="numeric" value={rate} aria-invalid={!valid} onChange={(e) => setRate(e.target.value)} /></label>
      <label>Stacks of waits from
        <select className="input" value={threshold} disabled={!waits} onChange={(e) => setThreshold(Number(e.target.value))}>
          {[...new Set([...THRESHOLDS_NS, threshold])].sort((a, b) => a - b).map((ns) => <option key={ns} value={ns}>{duration(ns)}</option>)}
        </select>
      </label>
      <label>For
        <select className="input" value={seconds} onChange={(e) => setSeconds(Number(e.target.value))}>
          {times.map((s) => <option key={s} value={s}>{span(s * 1000)}</option>)}
        </select>
      </label>
      <Confirm agent={agent} settings={settings} disabled={busy || !valid} onConfirm={() => onApply(settings)} />
      {valid ? null : <span className="problem">{modes.length === 0 ? "Choose at least one mode." : `The rate is 1 to ${most} Hz, this agent's limit.`}</span>}
    </div>
  );
}

const FIXED: Record<string, string> = {
  off: "This agent follows no settings from here: it runs with --remote-control off.",
  none: "This agent takes no settings: it is an older one, or has not reported since the aggregator began.",
};

export function SettingsPanel({ agent }: { agent: Agent }): ReactNode {
  const change = useSetAgent(agent.id);
  const fixed = FIXED[agent.settings.control];
  return (
    <section className="panel" aria-label={`Settings of ${agent.host}`}>
      <header>
        <h2>Profile more for a time</h2>
        <Countdown agent={agent} />
      </header>
      <div className="pad settings-panel">
        <State agent={agent} busy={change.isPending} onReset={() => change.mutate(null)} />
        {fixed ? <p className="muted">{fixed}</p> : <Form agent={agent} busy={change.isPending} onApply={(settings) => change.mutate(settings)} />}
        {change.isError ? <p className="problem" role="alert">{change.error.message}</p> : null}
      </div>
    </section>
  );
}
