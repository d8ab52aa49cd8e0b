// SPDX-License-Identifier: Apache-2.0
/** Label filters: {service="redis",host=~"web-.*"} and back. */

export const OPERATORS = ["=", "!=", "=~", "!~"] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Matcher {
  label: string;
  op: Operator;
  value: string;
}

export function formatFilter(matchers: readonly Matcher[]): string {
  if (matchers.length === 0) return "";
  const terms = matchers.map(({ label, op, value }) => {
    const escaped = value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
    return `${label}${op}"${escaped}"`;
  });
  return `{${terms.join(",")}}`;
}

const TERM = /\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(,|$)/sy;

/** The matchers of a filter, or null where it is malformed. */
export function parseFilter(text: string): Matcher[] | null {
  const trimmed = text.trim();
  if (trimmed === "" || trimmed === "{}") return [];
  if (!trimmed.startsWith("{") || !trimmed.endsWith("}")) return null;
  const body = trimmed.slice(1, -1);
  const matchers: Matcher[] = [];
  TERM.lastIndex = 0;
  while (TERM.lastIndex < body.length) {
    const match = TERM.exec(body);
    if (!match) return null;
    const value = match[3]!.replace(/\\(.)/gs, (_, c: string) => (c === "n" ? "\n" : c));
    matchers.push({ label: match[1]!, op: match[2] as Operator, value });
    if (match[4] === "" && TERM.lastIndex < body.length) return null;
  }
  return matchers;
}

/** The value that a filter gives a label by equality; null: none, or it says more of the label. */
export function valueOf(filter: string, label: string): string | null {
  const mine = (parseFilter(filter) ?? []).filter((m) => m.label === label);
  return mine.length === 1 && mine[0]!.op === "=" ? mine[0]!.value : null;
}

/** The filter without what it says about a label. One that is malformed stays as it is. */
export function withoutLabel(filter: string, label: string): string {
  const matchers = parseFilter(filter);
  return matchers ? formatFilter(matchers.filter((m) => m.label !== label)) : filter;
}

/** The filter with `label = value` in place of what it said about that label by equality. */
export function withLabel(filter: string, label: string, value: string): string {
  const kept = (parseFilter(filter) ?? []).filter((m) => !(m.label === label && m.op === "="));
  return formatFilter([...kept, { label, op: "=", value }]);
}
