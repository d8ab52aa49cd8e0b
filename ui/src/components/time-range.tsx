// SPDX-License-Identifier: Apache-2.0
import { useQueryClient } from "@tanstack/react-query";
import { Popover } from "radix-ui";
import { useState, type FormEvent, type ReactNode } from "react";
import { clock, dateTime, span } from "@/lib/format";
import { useSelection } from "@/state/selection";
import { LIVE_RANGE, PRESETS, isRelative, rangeProblem, relativeAge, resolveRange, type TimeRange } from "@/state/time";
import { Icon } from "./icons";

export function rangeLabel(range: TimeRange): string {
  const preset = PRESETS.find((p) => p.from === range.from && range.to === "now");
  if (preset) return preset.label;
  const age = relativeAge(range.from);
  if (age !== null && range.to === "now") return `Last ${span(age)}`;
  const { from, to } = resolveRange(range, Date.now());
  const sameDay = new Date(from).toDateString() === new Date(to).toDateString();
  return `${dateTime(from)} – ${sameDay ? clock(to).slice(0, 5) : dateTime(to)}`;
}

function toInput(ms: number): string {
  const local = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}

/** What people type: "now-2h", or a local date and time. */
function fromInput(text: string): string {
  const trimmed = text.trim();
  if (relativeAge(trimmed) !== null || /^\d+$/.test(trimmed)) return trimmed;
  const ms = Date.parse(trimmed.replace(" ", "T"));
  return Number.isNaN(ms) ? trimmed : String(ms);
}

function CustomRange({ range, onApply }: { range: TimeRange; onApply(range: TimeRange): void }): ReactNode {
  const initial = (text: string, ms: number): string => (relativeAge(text) !== null ? text : toInput(ms).replace("T", " "));
  const resolved = resolveRange(range, Date.now());
  const [from, setFrom] = useState(initial(range.from, resolved.from));
  const [to, setTo] = useState(initial(range.to, resolved.to));
  const next = { from: fromInput(from), to: fromInput(to) };
  const problem = rangeProblem(next, Date.now());
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (problem === null) onApply(next);
  };
  return (
    <form className="fields" onSubmit={submit}>
      <label>
        From
        <input className="input" value={from} onChange={(e) => setFrom(e.target.value)} spellCheck={false} />
      </label>
      <label>
        To
        <input className="input" value={to} onChange={(e) => setTo(e.target.value)} spellCheck={false} />
      </label>
      {problem ? <div className="problem">{problem}</div> : <div className="muted">now-90m, or 2026-01-31 14:05 in your time zone</div>}
      <button type="submit" className="button primary" disabled={problem !== null}>Apply</button>
    </form>
  );
}

export function TimeRangePicker({ range, onChange, label }: { range: TimeRange; onChange(range: TimeRange): void; label?: string }): ReactNode {
  const [open, setOpen] = useState(false);
  const apply = (next: TimeRange): void => {
    onChange(next);
    setOpen(false);
  };
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger className="button" aria-label={`${label ?? "Time range"}: ${rangeLabel(range)}`}>
        <Icon name="clock" />
        <span className="truncate">{rangeLabel(range)}</span>
        <Icon name="chevron" size={12} />
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content className="popover range-popover" align="end" sideOffset={6} collisionPadding={8}>
          <div className="presets">
            {PRESETS.map((preset) => (
              <button
                key={preset.from}
                type="button"
                className="button quiet"
                aria-pressed={range.from === preset.from && range.to === "now"}
                onClick={() => apply({ from: preset.from, to: "now" })}
              >
                {preset.label}
              </button>
            ))}
          </div>
          <CustomRange range={range} onApply={apply} />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

/** The page's range, a way to move back and forth in time, live mode and refresh. */
export function RangeControls(): ReactNode {
  const [selection, set] = useSelection();
  const client = useQueryClient();
  const live = selection.live && isRelative(selection);
  const shift = (direction: -1 | 1): void => {
    const { from, to } = resolveRange(selection, Date.now());
    const step = ((to - from) / 2) * direction;
    const latest = Math.min(to + step, Date.now());
    set({ from: String(Math.round(latest - (to - from))), to: String(Math.round(latest)), live: false });
  };
  const toggleLive = (): void => {
    if (live) set({ live: false });
    else set(isRelative(selection) && (relativeAge(selection.from) ?? 0) <= 900_000 ? { live: true } : { ...LIVE_RANGE, live: true });
  };
  return (
    <div className="range-controls">
      <button type="button" className="button quiet icon only-wide" onClick={() => shift(-1)} aria-label="Earlier"><Icon name="left" /></button>
      <TimeRangePicker range={selection} onChange={(range) => set({ ...range, live: selection.live && isRelative(range) })} />
      <button type="button" className="button quiet icon only-wide" onClick={() => shift(1)} disabled={selection.to === "now"} aria-label="Later"><Icon name="right" /></button>
      <button type="button" className="button live" aria-pressed={live} onClick={toggleLive} title="Follow the last minutes, refreshed every 3 seconds">
        <span className="live-dot" /> Live
      </button>
      <button type="button" className="button icon only-wide" onClick={() => void client.invalidateQueries()} aria-label="Refresh" title="Refresh">
        <Icon name="refresh" />
      </button>
    </div>
  );
}
