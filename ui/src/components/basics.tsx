// SPDX-License-Identifier: Apache-2.0
/** The small parts that every page uses. */
import { useEffect, useRef, useState, type ReactNode } from "react";
import { ApiError } from "@/api/client";
import { signedPercent } from "@/lib/format";
import { Icon, type IconName } from "./icons";

export function Segments<T extends string>(props: {
  label: string;
  value: T;
  options: readonly { value: T; label: ReactNode; title?: string }[];
  onChange(value: T): void;
}): ReactNode {
  return (
    <div className="segments" role="group" aria-label={props.label}>
      {props.options.map((option) => (
        <button
          key={option.value}
          type="button"
          title={option.title}
          aria-pressed={option.value === props.value}
          onClick={() => props.onChange(option.value)}
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}

export function Empty(props: { icon?: IconName; title: string; error?: boolean; children?: ReactNode }): ReactNode {
  return (
    <div className={props.error ? "empty error" : "empty"} role={props.error ? "alert" : "status"}>
      <span className="glyph">
        <Icon name={props.icon ?? (props.error ? "warn" : "info")} size={20} />
      </span>
      <h2>{props.title}</h2>
      {props.children}
    </div>
  );
}

const REMEDIES: Record<number, string> = {
  0: "Check that aperture-aggregator is running and that this page's address is still right; then try again.",
  401: "Log in again with a token.",
  403: "Your token does not allow this. Ask whoever runs the aggregator.",
  413: "Ask for a shorter time range or add a filter.",
  422: "Ask for a shorter time range or add a filter.",
  429: "The aggregator is busy. Wait a few seconds, then try again.",
  503: "The aggregator is starting, busy, or its store is not ready. It usually takes a few seconds.",
};

export function ErrorState({ error, retry }: { error: Error; retry?: () => void }): ReactNode {
  const api = error instanceof ApiError ? error : null;
  const remedy = api ? REMEDIES[api.status] : undefined;
  return (
    <Empty error title={api?.status === 0 ? "The aggregator does not answer" : "This could not be loaded"}>
      <p>
        {api?.field ? <code>{api.field}: </code> : null}
        {api?.status === 0 ? null : error.message} {remedy}
      </p>
      {retry ? (
        <button type="button" className="button" onClick={retry}>
          <Icon name="refresh" /> Try again
        </button>
      ) : null}
    </Empty>
  );
}

export function Skeleton({ height, width }: { height: number | string; width?: number | string }): ReactNode {
  return <div className="skeleton" style={{ height, width: width ?? "100%" }} aria-hidden="true" />;
}

export function CopyButton({ text, label }: { text: string; label: string }): ReactNode {
  const [copied, setCopied] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = (): void => {
    void copyText(text).then(() => {
      setCopied(true);
      timer.current = window.setTimeout(() => setCopied(false), 1500);
    });
  };
  return (
    <button type="button" className="button quiet icon" onClick={copy} aria-label={copied ? "Copied" : label} title={label}>
      <Icon name={copied ? "check" : "copy"} />
    </button>
  );
}

/** Copies also on pages without a secure context, where the clipboard interface is missing. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function Command({ text }: { text: string }): ReactNode {
  return (
    <div className="command">
      <code>{text}</code>
      <CopyButton text={text} label="Copy the command" />
    </div>
  );
}

/** One of a list of class "facts". */
export function Fact({ term, children }: { term: string; children: ReactNode }): ReactNode {
  return <div><dt>{term}</dt><dd>{children}</dd></div>;
}

/** A change as a share of what was before; orange for more, blue for less, neither for what lies `within`. */
export function Change({ now, before, within = 0.02 }: { now: number; before: number | null; within?: number }): ReactNode {
  if (before === null) return <span className="muted">–</span>;
  if (before === 0) return now === 0 ? <span className="tag">0 %</span> : <span className="tag up">new</span>;
  const change = now / before - 1;
  const tone = change > within ? "tag up" : change < -within ? "tag down" : "tag";
  return <span className={tone}>{signedPercent(change)}</span>;
}

export function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => window.matchMedia("(max-width: 760px)").matches);
  useEffect(() => {
    const media = window.matchMedia("(max-width: 760px)");
    const update = (): void => setNarrow(media.matches);
    media.addEventListener("change", update);
    return () => media.removeEventListener("change", update);
  }, []);
  return narrow;
}
