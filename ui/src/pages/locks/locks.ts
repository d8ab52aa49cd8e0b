// SPDX-License-Identifier: Apache-2.0
/** What tells locks apart, in the address and in filters. */
import type { LockRow } from "@/api/model";
import { formatFilter, parseFilter, withLabel } from "@/state/filter";

export type LockId = Pick<LockRow, "lock" | "pid" | "host" | "kind">;

/** What the list of kinds offers beside each kind. */
export const CONTENTION = "contention";
export const EVERYTHING = "all";
export const KINDS = ["mutex", "rwlock", "semaphore", "barrier", "once", "futex", "condition", "join", "park"] as const;

export function keyOf(id: LockId): string {
  return [id.lock, id.pid, id.kind, id.host].join(",");
}

/** Null for what is no key. A host's name may hold a comma; what stands before it does not. */
export function parseKey(text: string): LockId | null {
  const match = /^(0x[0-9a-f]+),(\d+),([a-z]+),(.*)$/.exec(text);
  return match ? { lock: match[1]!, pid: match[2]!, kind: match[3]!, host: match[4]! } : null;
}

/** The filter and the parameter `contended` that stand for a choice of kinds. */
export function kindQuery(filter: string, kind: string): { filter: string; contended: boolean } {
  if (kind === CONTENTION || kind === EVERYTHING) return { filter, contended: kind === CONTENTION };
  return { filter: withLabel(filter, "kind", kind), contended: false };
}

/** Selects a lock's waits. */
export function waitsFilter(filter: string, id: LockId): string {
  return Object.entries({ host: id.host, pid: id.pid, lock: id.lock, kind: id.kind }).reduce((f, [label, value]) => withLabel(f, label, value), filter);
}

/** What rows of who ended a wait call the threads; they do not say of what kind it was. */
const ENDED_LABELS: Record<string, string> = { thread: "waiter", waker: "thread" };

/** Selects who ended a lock's waits, of the same waits. */
export function endsFilter(filter: string, id: LockId): string {
  const matchers = (parseFilter(waitsFilter(filter, id)) ?? []).filter((m) => m.label !== "kind");
  return formatFilter(matchers.map((m) => ({ ...m, label: ENDED_LABELS[m.label] ?? m.label })));
}

export function shareOf(part: number, all: number): number {
  return all > 0 ? part / all : 0;
}
