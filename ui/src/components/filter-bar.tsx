// SPDX-License-Identifier: Apache-2.0
/** Label filters as chips, with a form that suggests labels and values from the data. */
import { Popover } from "radix-ui";
import { useState, type FormEvent, type ReactNode } from "react";
import { useLabels, useLabelValues, useProfileTypes } from "@/api/queries";
import { compact } from "@/lib/format";
import { OPERATORS, formatFilter, parseFilter, type Matcher, type Operator } from "@/state/filter";
import type { Selection } from "@/state/selection";
import { Icon } from "./icons";

const OPERATOR_TEXT: Record<Operator, string> = { "=": "is", "!=": "is not", "=~": "matches", "!~": "does not match" };

function ValueList({ selection, label, typed, onPick }: { selection: Selection; label: string; typed: string; onPick(value: string): void }): ReactNode {
  const values = useLabelValues(selection, label);
  const shown = (values.data?.values ?? []).filter((v) => v.value.toLowerCase().includes(typed.toLowerCase())).slice(0, 100);
  if (values.isPending) return <div className="muted">Loading values…</div>;
  if (shown.length === 0) return <div className="muted">No such value in this time range.</div>;
  return (
    <div className="value-list">
      {shown.map((v) => (
        <button key={v.value} type="button" onClick={() => onPick(v.value)}>
          <span className="truncate">{v.value}</span>
          <span className="muted" title="samples">{compact(v.samples)}</span>
        </button>
      ))}
    </div>
  );
}

function MatcherForm({ selection, onAdd }: { selection: Selection; onAdd(matcher: Matcher): void }): ReactNode {
  const labels = useLabels(selection, true);
  const [label, setLabel] = useState("service");
  const [op, setOp] = useState<Operator>("=");
  const [value, setValue] = useState("");
  const names = labels.data?.labels.length ? labels.data.labels : ["service", "host"];
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (value !== "") onAdd({ label, op, value });
  };
  return (
    <form className="fields" onSubmit={submit} style={{ width: 300 }}>
      <div className="pair">
        <select className="input" aria-label="Label" value={label} onChange={(e) => setLabel(e.target.value)}>
          {names.map((name) => <option key={name}>{name}</option>)}
        </select>
        <select className="input" aria-label="Comparison" value={op} onChange={(e) => setOp(e.target.value as Operator)}>
          {OPERATORS.map((o) => <option key={o} value={o}>{OPERATOR_TEXT[o]}</option>)}
        </select>
      </div>
      <input className="input" aria-label="Value" placeholder={op.endsWith("~") ? "Regular expression" : "Value"} value={value} onChange={(e) => setValue(e.target.value)} spellCheck={false} autoFocus />
      <ValueList selection={selection} label={label} typed={op.endsWith("~") ? "" : value} onPick={(picked) => onAdd({ label, op, value: picked })} />
      <button type="submit" className="button primary" disabled={value === ""}>Add filter</button>
    </form>
  );
}

export function FilterChips({ selection, onChange }: { selection: Selection; onChange(filter: string): void }): ReactNode {
  const [open, setOpen] = useState(false);
  const matchers = parseFilter(selection.filter);
  const add = (matcher: Matcher): void => {
    onChange(formatFilter([...(matchers ?? []), matcher]));
    setOpen(false);
  };
  return (
    <>
      {matchers === null ? (
        <span className="chip">
          <span className="truncate">{selection.filter}</span>
          <button type="button" aria-label="Remove the filter" onClick={() => onChange("")}><Icon name="close" size={12} /></button>
        </span>
      ) : (
        matchers.map((m, i) => (
          <span className="chip" key={`${i}${m.label}${m.value}`}>
            <span className="truncate">{m.label} {m.op === "=" ? "" : OPERATOR_TEXT[m.op]} <b>{m.value}</b></span>
            <button type="button" aria-label={`Remove ${m.label} ${m.value}`} onClick={() => onChange(formatFilter(matchers.filter((_, k) => k !== i)))}>
              <Icon name="close" size={12} />
            </button>
          </span>
        ))
      )}
      <Popover.Root open={open} onOpenChange={setOpen}>
        <Popover.Trigger className="button quiet"><Icon name="filter" /> Filter</Popover.Trigger>
        <Popover.Portal>
          <Popover.Content className="popover" align="start" sideOffset={6} collisionPadding={8}>
            <MatcherForm selection={selection} onAdd={add} />
          </Popover.Content>
        </Popover.Portal>
      </Popover.Root>
    </>
  );
}

export function TypeSelect({ selection, onChange }: { selection: Selection; onChange(type: string): void }): ReactNode {
  const types = useProfileTypes(selection);
  const shown = (types.data?.types ?? []).filter((t) => t.available || t.name === selection.type);
  if (!shown.some((t) => t.name === selection.type)) shown.unshift({ name: selection.type, title: selection.type, unit: "count", available: false });
  return (
    <select className="input" aria-label="Profile type" value={selection.type} onChange={(e) => onChange(e.target.value)}>
      {shown.map((t) => <option key={t.name} value={t.name}>{t.title}</option>)}
    </select>
  );
}
