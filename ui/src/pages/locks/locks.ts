// SPDX-License-Identifier: Apache-2.0
/** What tells locks apart, in the address and in filters. */
import type { Agent, LockRow } from "@/api/model";
import { count } from "@/lib/format";
import { formatFilter, parseFilter, withLabel } from "@/state/filter";

/** A lock of the kernel mostly has no name, so where the kernel asks for it tells it apart: `caller`, which is "" of a program's. */
export type LockId = Pick<LockRow, "lock" | "pid" | "host" | "kind" | "caller">;

/** What the list of kinds offers beside each kind. */
export const CONTENTION = "contention";
export const EVERYTHING = "all";
export const KINDS = ["mutex", "rwlock", "semaphore", "barrier", "once", "futex", "condition", "join", "park"] as const;
export const KERNEL_KINDS = [
  "spinlock", "rwlock read", "rwlock write", "mutex", "rwsem read", "rwsem write", "percpu-rwsem read", "percpu-rwsem write",
  "rt-mutex", "rt-rwlock read", "rt-rwlock write", "semaphore",
] as const;

/** Whose locks are listed. */
export const DOMAINS = ["all", "user", "kernel"] as const;
export type Domain = (typeof DOMAINS)[number];

export function kindsOf(domain: Domain): readonly string[] {
  if (domain === "user") return KINDS;
  return domain === "kernel" ? KERNEL_KINDS : [...new Set<string>([...KINDS, ...KERNEL_KINDS])];
}

export function keyOf(id: LockId): string {
  return [id.lock, id.pid, id.kind, ...(id.caller ? [`@${id.caller}`] : []), id.host].join(",");
}

/** Null for what is no key. A host's name may hold a comma; what stands before it does not. */
export function parseKey(text: string): LockId | null {
  const match = /^([^,]+),(\d+),([a-z -]+),(?:@([^,]+),)?(.*)$/.exec(text);
  return match ? { lock: match[1]!, pid: match[2]!, kind: match[3]!, caller: match[4] ?? "", host: match[5]! } : null;
}

/** The filter and the parameter `contended` that stand for a choice of kinds. */
export function kindQuery(filter: string, kind: string): { filter: string; contended: boolean } {
  if (kind === CONTENTION || kind === EVERYTHING) return { filter, contended: kind === CONTENTION };
  return { filter: withLabel(filter, "kind", kind), contended: false };
}

/** Selects a lock's waits. */
export function waitsFilter(filter: string, id: LockId): string {
  const { host, pid, lock, kind, caller } = id;
  return Object.entries({ host, pid, lock, kind, ...(caller ? { caller } : {}) }).reduce((f, [label, value]) => withLabel(f, label, value), filter);
}

/** What rows of who ended a wait call the threads; they do not say of what kind it was. */
const ENDED_LABELS: Record<string, string> = { thread: "waiter", waker: "thread" };

/** Selects who ended a lock's waits, of the same waits. */
export function endsFilter(filter: string, id: LockId): string {
  const matchers = (parseFilter(waitsFilter(filter, id)) ?? []).filter((m) => m.label !== "kind");
  return formatFilter(matchers.map((m) => ({ ...m, label: ENDED_LABELS[m.label] ?? m.label })));
}

/** Where the lock lies, if that is known, else its address. */
export function placeOf(lock: Pick<LockRow, "place" | "lock">): string {
  return lock.place || lock.lock;
}

export function shareOf(part: number, all: number): number {
  return all > 0 ? part / all : 0;
}

/** Who records waits for locks, in words; "" is nobody. And a host that runs an agent which does not. */
export function recorders(agents: readonly Pick<Agent, "host" | "state" | "modes">[]): { text: string; idle?: string | undefined } {
  const recording = agents.filter((a) => a.modes.includes("lock")).length;
  const idle = agents.find((a) => a.state === "ok" && !a.modes.includes("lock"))?.host;
  if (recording === 0) return { text: "", idle };
  return { text: recording === agents.length ? "All agents record" : `${count(recording)} of ${count(agents.length)} agents record`, idle };
}
