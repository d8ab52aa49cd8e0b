// SPDX-License-Identifier: Apache-2.0
import { Popover } from "radix-ui";
import type { ReactNode, RefObject } from "react";
import type { LegendEntry } from "@/flamegraph/colors";
import { count, percent } from "@/lib/format";
import { Segments, useNarrow } from "./basics";
import type { FlameState, SetFlameState } from "./flame-state";
import { Icon } from "./icons";

export interface SearchSummary {
  hits: number;
  share: number;
  error: string | null;
}

const KEYS: readonly [string, string][] = [
  ["← →", "along the level"],
  ["↑ ↓", "to callers and callees"],
  ["Enter", "zoom to the frame"],
  ["Esc", "zoom out one level (Shift: all)"],
  ["/", "search"],
  ["n  N", "next and previous hit"],
  ["Shift F10", "menu of the frame"],
  ["Ctrl wheel", "zoom at the pointer"],
];

function KeyHelp(): ReactNode {
  return (
    <Popover.Root>
      <Popover.Trigger className="button quiet icon only-wide" aria-label="Keys" title="Keys"><Icon name="keyboard" /></Popover.Trigger>
      <Popover.Portal>
        <Popover.Content className="popover keys" align="end" sideOffset={6} collisionPadding={8}>
          {KEYS.map(([key, text]) => (
            <div key={key}><kbd>{key}</kbd><span>{text}</span></div>
          ))}
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

export function SearchBox(props: {
  state: FlameState;
  set: SetFlameState;
  summary: SearchSummary | null;
  inputRef: RefObject<HTMLInputElement | null>;
  onStep(step: 1 | -1): void;
  onLeave(): void;
}): ReactNode {
  const { state, set, summary } = props;
  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (event.key === "Enter") props.onStep(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") {
      if (state.search !== "") set({ search: "" }, { replace: true });
      props.onLeave();
    } else if (event.key !== "ArrowDown") return;
    else props.onLeave();
    event.preventDefault();
  };
  return (
    <div className={summary?.error ? "search invalid" : "search"} role="search">
      <Icon name="search" />
      <input
        ref={props.inputRef}
        aria-label="Search functions"
        placeholder="Search functions"
        value={state.search}
        spellCheck={false}
        onChange={(e) => set({ search: e.target.value }, { replace: true })}
        onKeyDown={onKeyDown}
      />
      <span className="result" role="status" title={summary?.error ?? "Share of the total; a hit below a hit is counted once"}>
        {summary === null ? "" : summary.error ? "not a valid expression" : `${count(summary.hits)} ${summary.hits === 1 ? "frame" : "frames"} · ${percent(summary.share)} of all`}
      </span>
      <button type="button" aria-label="Regular expression" title="Regular expression" aria-pressed={state.re} onClick={() => set({ re: !state.re }, { replace: true })}>.*</button>
    </div>
  );
}

export function Legend({ entries, total }: { entries: readonly LegendEntry[]; total: number }): ReactNode {
  return (
    <div className="legend" aria-label="Colours, with the share of self time">
      {entries.map((entry) => (
        <span key={entry.label} title={`${entry.label}: ${percent(total > 0 ? entry.self / total : 0)} of the total, self`}>
          <i style={{ background: entry.color }} />
          <span className="truncate">{entry.label}</span>
          <em>{percent(total > 0 ? entry.self / total : 0)}</em>
        </span>
      ))}
    </div>
  );
}

export function FlameToolbar(props: {
  state: FlameState;
  set: SetFlameState;
  compared: boolean;
  children: ReactNode;
  extra?: ReactNode;
}): ReactNode {
  const { state, set } = props;
  const narrow = useNarrow();
  const views = [
    ...(narrow ? [] : [{ value: "both" as const, label: "Both" }]),
    { value: "graph" as const, label: "Graph" },
    { value: "table" as const, label: "Table" },
  ];
  return (
    <div className="toolbar">
      {props.children}
      <Segments label="View" value={narrow && state.view === "both" ? "graph" : state.view} options={views} onChange={(view) => set({ view }, { replace: true })} />
      {props.compared ? null : (
        <select className="input" aria-label="Colours by" value={state.color} onChange={(e) => set({ color: e.target.value as FlameState["color"] }, { replace: true })}>
          <option value="module">By module</option>
          <option value="package">By package</option>
          <option value="kind">By kind</option>
        </select>
      )}
      <button
        type="button"
        className="button icon"
        aria-label={state.dir === "icicle" ? "Root at the top; put it at the bottom" : "Root at the bottom; put it at the top"}
        title={state.dir === "icicle" ? "Put the root at the bottom" : "Put the root at the top"}
        onClick={() => set({ dir: state.dir === "icicle" ? "flame" : "icicle" }, { replace: true })}
      >
        <Icon name="flip" />
      </button>
      <KeyHelp />
      {props.extra}
    </div>
  );
}

