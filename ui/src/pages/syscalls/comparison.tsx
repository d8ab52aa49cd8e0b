// SPDX-License-Identifier: Apache-2.0
/** What the range is compared with: its choice, and what the two answers rest on. */
import type { ReactNode } from "react";
import type { SyscallsAnswer } from "@/api/model";
import { Icon } from "@/components/icons";
import { TimeRangePicker, rangeLabel } from "@/components/time-range";
import { clock, count, dateTime, duration, percent, significant, span, timeRate } from "@/lib/format";
import type { TimeRange } from "@/state/time";
import { BASELINES, figuresOf, type Baseline } from "./pairs";

const TITLES: Readonly<Record<Baseline, string>> = {
  none: "No comparison", previous: "Against the time before", day: "Against the day before", range: "Against another time",
};

export function BaselineSelect(props: { kind: Baseline; range: TimeRange | null; onKind(kind: Baseline): void; onRange(range: TimeRange): void }): ReactNode {
  return (
    <div className="baseline">
      <select className="input" aria-label="Compare" value={props.kind} onChange={(e) => props.onKind(e.target.value as Baseline)}>
        {BASELINES.map((kind) => <option key={kind} value={kind}>{TITLES[kind]}</option>)}
      </select>
      {props.kind === "range" && props.range ? <TimeRangePicker label="Time range to compare with" range={props.range} onChange={props.onRange} /> : null}
    </div>
  );
}

function when({ from, to }: { from: number; to: number }): string {
  const sameDay = new Date(from).toDateString() === new Date(to).toDateString();
  return `${dateTime(from)} – ${sameDay ? clock(to).slice(0, 5) : dateTime(to)}`;
}

/** What an answer rests on. `name` tells it apart from another. */
export function Basis({ answer, name }: { answer: SyscallsAnswer; name?: string }): ReactNode {
  const { coverage } = answer;
  const missing = coverage.hosts_reporting < coverage.hosts_expected;
  const figures = figuresOf(answer, answer.covered_s);
  return (
    <div className="coverage">
      {name ? <span><b>{name}</b> {when(answer)}</span> : null}
      {name ? <span title="Time in which hosts reported">{span(answer.covered_s * 1000)} with data</span> : null}
      {name ? null : <span><b>{count(answer.count)}</b> calls</span>}
      <span><b>{figures ? significant(figures.calls) : "no"}</b> calls a second</span>
      <span title={`${count(answer.errors)} errors`}><b>{percent(figures?.errors ?? 0)}</b> errors</span>
      <span title={`Time of all threads in calls, a second. ${duration(answer.sum_ns)} in all`}><b>{timeRate(figures?.time ?? 0)}</b> in calls</span>
      <span className={missing ? "warn" : undefined}><b>{coverage.hosts_reporting}</b> of {coverage.hosts_expected} {coverage.hosts_expected === 1 ? "host" : "hosts"}</span>
      <span className={coverage.lost > 0 ? "warn" : undefined} title="System calls that were not counted, on the hosts of this selection"><b>{count(coverage.lost)}</b> lost</span>
      {coverage.truncated ? <span className="warn">{count(coverage.truncated.cut)} smaller {coverage.truncated.what} not shown</span> : null}
    </div>
  );
}

/** What keeps the two from being compared as they are. */
export function ComparisonNotice({ now, before, range }: { now: SyscallsAnswer; before: SyscallsAnswer; range: TimeRange }): ReactNode {
  const hosts = [now.coverage.hosts_reporting, before.coverage.hosts_reporting];
  let text: string | null = null;
  if (before.covered_s === 0) text = `No host reported in the range to compare with (${rangeLabel(range)}), so nothing is known of it. Choose another.`;
  else if (before.count === 0) text = "No system call was counted in the range to compare with, so everything reads as new. Agents count them in mode syscall.";
  else if (hosts[0] !== hosts[1]) text = `${hosts[0]} ${hosts[0] === 1 ? "host" : "hosts"} reported, and ${hosts[1]} in the range compared with. Figures are sums over hosts: filter by a host to compare like with like.`;
  if (text === null) return null;
  return <div className="notice" role="status"><Icon name="info" /><span>{text}</span></div>;
}
