// SPDX-License-Identifier: Apache-2.0
/** Rules as the form edits them, and as they are sent. */
import type { AlertMetric, AlertRule, AlertRuleRequest, AlertState } from "@/api/model";
import { duration, significant } from "@/lib/format";

export const STATE_WORDS: Record<AlertState, string> = {
  ok: "quiet",
  pending: "pending",
  firing: "firing",
  resolved: "resolved",
  insufficient: "too little data",
};

export const OPERATOR_SIGNS: Record<AlertRule["operator"], string> = { gt: ">", gte: "≥", lt: "<", lte: "≤", eq: "=" };

/** A value of a rule in its unit; a change against a baseline has a sign. */
export function valueText(value: number, unit: string, change = false): string {
  if (unit === "ratio") return `${change && value > 0 ? "+" : ""}${significant(value * 100)} %`;
  if (unit === "seconds") return duration(value * 1e9);
  if (unit === "seconds/s") return `${significant(value)} s/s`;
  return unit === "count" ? significant(value) : `${significant(value)} ${unit}`;
}

export function conditionText(rule: AlertRule, metric: AlertMetric | undefined): string {
  const what = [rule.function, rule.module, rule.syscall].filter(Boolean).join(" in ");
  const change = rule.baseline !== null && rule.baseline !== undefined;
  const parts = [
    metric?.text ?? rule.metric,
    what && `of ${what}`,
    rule.filter && `where ${rule.filter}`,
    change && "against the baseline",
    `${OPERATOR_SIGNS[rule.operator]} ${valueText(rule.threshold, rule.unit, change)}`,
    rule.for_s > 0 && `for ${duration(rule.for_s * 1e9)}`,
  ];
  return parts.filter(Boolean).join(" ");
}

/** What the form holds: texts, as they are typed. */
export interface Draft {
  name: string;
  description: string;
  severity: AlertRule["severity"];
  metric: AlertRule["metric"];
  operator: AlertRule["operator"];
  threshold: string;
  recover: string;
  for_s: string;
  window_s: string;
  interval_s: string;
  min_samples: string;
  filter: string;
  type: string;
  function: string;
  module: string;
  syscall: string;
  baseline: "none" | "previous" | "week" | "days";
  webhooks: string;
  enabled: boolean;
}

export const NEW_DRAFT: Draft = {
  name: "", description: "", severity: "warning", metric: "function_share", operator: "gt", threshold: "0.2", recover: "",
  for_s: "300", window_s: "300", interval_s: "", min_samples: "", filter: "", type: "cpu:nanoseconds", function: "", module: "", syscall: "",
  baseline: "none", webhooks: "", enabled: true,
};

const WEEK_S = 7 * 86_400;

function baselineOf(rule: AlertRule): Draft["baseline"] {
  const b = rule.baseline;
  if (!b) return "none";
  if (b.offset_s === WEEK_S) return "week";
  return b.window_s === rule.window_s ? "previous" : "days";
}

/** One address a line; an Alertmanager's has its format before it. */
export function webhooksText(hooks: AlertRule["webhooks"]): string {
  return hooks.map((h) => (h.format === "alertmanager" ? `alertmanager ${h.url}` : h.url)).join("\n");
}

export function parseWebhooks(text: string): NonNullable<AlertRuleRequest["webhooks"]> {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.map((line) => {
    const found = /^alertmanager\s+(.*)$/.exec(line);
    return found ? { url: found[1]!, format: "alertmanager" } : { url: line, format: "json" };
  });
}

export function draftOf(rule: AlertRule): Draft {
  return {
    name: rule.name, description: rule.description, severity: rule.severity, metric: rule.metric, operator: rule.operator,
    threshold: String(rule.threshold), recover: rule.recover === rule.threshold || rule.recover === null ? "" : String(rule.recover),
    for_s: String(rule.for_s), window_s: String(rule.window_s ?? 300), interval_s: String(rule.interval_s),
    min_samples: rule.min_samples === undefined ? "" : String(rule.min_samples), filter: rule.filter ?? "", type: rule.type ?? "cpu:nanoseconds",
    function: rule.function ?? "", module: rule.module ?? "", syscall: rule.syscall ?? "", baseline: baselineOf(rule),
    webhooks: webhooksText(rule.webhooks), enabled: rule.enabled,
  };
}

function numberOf(text: string): number {
  return text.trim() === "" ? NaN : Number(text);
}

function baselineRequest(draft: Draft, kept: AlertRule | null): AlertRuleRequest["baseline"] {
  const window = numberOf(draft.window_s);
  if (draft.baseline === "previous") return { offset_s: window, window_s: window };
  if (draft.baseline === "week") return { offset_s: WEEK_S, window_s: window };
  if (draft.baseline === "none") return null;
  return kept?.baseline ?? { offset_s: window, window_s: 86_400 };
}

/** Metrics of profiles rest on samples, of which there may be too few. */
export function isProfile(metric: AlertMetric): boolean {
  return metric.source === "samples" || metric.source === "syscalls";
}

/** Another metric begins with its own interval and least number of samples. */
export function withMetric(draft: Draft, metric: Draft["metric"]): Draft {
  return { ...draft, metric, interval_s: "", min_samples: "" };
}

/** What is sent: only what the metric takes. A baseline that the form has no words for stays that of `kept`. */
export function requestOf(draft: Draft, metric: AlertMetric, kept: AlertRule | null): AlertRuleRequest {
  const takes = (member: string): boolean => metric.takes.includes(member);
  const same = kept?.metric === draft.metric ? kept : null;
  return {
    name: draft.name.trim(),
    description: draft.description,
    enabled: draft.enabled,
    severity: draft.severity,
    metric: draft.metric,
    operator: draft.operator,
    threshold: numberOf(draft.threshold),
    recover: draft.recover.trim() === "" ? null : numberOf(draft.recover),
    for_s: numberOf(draft.for_s),
    webhooks: parseWebhooks(draft.webhooks),
    ...(draft.interval_s.trim() === "" ? {} : { interval_s: numberOf(draft.interval_s) }),
    ...(isProfile(metric) && draft.min_samples.trim() !== "" ? { min_samples: numberOf(draft.min_samples) } : {}),
    ...(takes("window_s") ? { window_s: numberOf(draft.window_s) } : {}),
    ...(takes("filter") ? { filter: draft.filter } : {}),
    ...(takes("type") ? { type: draft.type } : {}),
    ...(takes("function") ? { function: draft.function } : {}),
    ...(takes("module") ? { module: draft.module } : {}),
    ...(takes("syscall") ? { syscall: draft.syscall } : {}),
    ...(takes("baseline") ? { baseline: baselineRequest(draft, same) } : {}),
  };
}
