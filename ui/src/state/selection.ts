// SPDX-License-Identifier: Apache-2.0
/** What every page looks at: time range, profile type, label filter, and whether it follows live. */
import { flag, text, writeState } from "./params";
import { DEFAULT_RANGE } from "./time";
import { useUrlState } from "./use-url-state";

export const DEFAULT_TYPE = "cpu:nanoseconds";

export const SELECTION = {
  from: text(DEFAULT_RANGE.from),
  to: text(DEFAULT_RANGE.to),
  type: text(DEFAULT_TYPE),
  filter: text(),
  live: flag(),
};

export type Selection = { from: string; to: string; type: string; filter: string; live: boolean };

export function useSelection() {
  return useUrlState(SELECTION);
}

/** The selection's part of the address, with changes, for links to other pages. */
export function selectionLink(path: string, search: string, patch: Partial<Selection> = {}, extra: Record<string, string> = {}): string {
  const current = new URLSearchParams(search);
  const kept = new URLSearchParams();
  for (const key of Object.keys(SELECTION)) {
    const value = current.get(key);
    if (value !== null) kept.set(key, value);
  }
  const params = new URLSearchParams(writeState(SELECTION, kept.toString(), patch));
  for (const [key, value] of Object.entries(extra)) params.set(key, value);
  const query = params.toString();
  return query === "" ? path : `${path}?${query}`;
}
