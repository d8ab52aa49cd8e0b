// SPDX-License-Identifier: Apache-2.0
/** Made-up waits for locks: who waits, who lets go, in proportion to the range. */
import type { FlameAnswer, LockPair, LockRow, LocksAnswer } from "../src/api/model";
import { formatFilter, parseFilter } from "../src/state/filter.ts";
import { select } from "./api.ts";

interface MockLock {
  /** Of a lock of the kernel, which of its functions asks for it. */
  caller?: string;
  id: Pick<LockRow, "service" | "host" | "pid" | "lock" | "kind" | "place" | "function" | "module">;
  /** Waits a minute that end by a time-out. */
  timeouts?: number;
  /** Waiting thread, who ended it, waits a minute, milliseconds each, and both stacks below the thread's start. */
  waits: readonly [waiter: string, waker: string, rate: number, ms: number, waits: string, ends: string][];
}

const LOCKS: readonly MockLock[] = [
  {
    id: { service: "postgresql", host: "db-1", pid: "812", lock: "0x7f2a4c0012e0", place: "/dev/zero+0x12e0", kind: "mutex", function: "LWLockAcquire", module: "postgres" },
    waits: [
      ["backend", "walwriter", 1900, 4.1, "PostgresMain;exec_simple_query;CommitTransaction;XLogFlush;LWLockAcquire;pthread_mutex_lock", "WalWriterMain;XLogBackgroundFlush;LWLockRelease;pthread_mutex_unlock"],
      ["backend", "backend", 700, 2.2, "PostgresMain;exec_simple_query;heap_update;XLogInsert;LWLockAcquire;pthread_mutex_lock", "PostgresMain;exec_simple_query;CommitTransaction;LWLockRelease;pthread_mutex_unlock"],
      ["checkpointer", "backend", 40, 31, "CheckpointerMain;CreateCheckPoint;LWLockAcquire;pthread_mutex_lock", "PostgresMain;exec_simple_query;CommitTransaction;LWLockRelease;pthread_mutex_unlock"],
    ],
  },
  {
    id: { service: "search-indexer", host: "web-2", pid: "2204", lock: "0x55d1c3a7f840", place: "[heap]+0x1f840", kind: "rwlock", function: "indexer::Segment::commit", module: "indexer" },
    waits: [
      ["merge-1", "tokenize-3", 320, 6.5, "std::thread::run;indexer::Segment::merge;indexer::Segment::commit;pthread_rwlock_wrlock", "std::thread::run;indexer::tokenize;indexer::Segment::read;pthread_rwlock_unlock"],
      ["tokenize-3", "merge-1", 810, 1.9, "std::thread::run;indexer::tokenize;indexer::Segment::read;pthread_rwlock_rdlock", "std::thread::run;indexer::Segment::merge;indexer::Segment::commit;pthread_rwlock_unlock"],
    ],
  },
  {
    id: { service: "recommendation", host: "web-1", pid: "3391", lock: "0x7f90b8023c10", place: "[anon]", kind: "condition", function: "com.shop.rec.Worker.take", module: "[jit]" },
    timeouts: 31,
    waits: [["worker-7", "acceptor", 240, 220, "java.lang.Thread.run;com.shop.rec.Worker.take;pthread_cond_wait", "java.lang.Thread.run;com.shop.rec.Acceptor.offer;pthread_cond_signal"]],
  },
  {
    id: { service: "checkout-api", host: "web-1", pid: "951", lock: "0xc000080948", place: "[anon]", kind: "park", function: "runtime.notesleep", module: "checkout" },
    waits: [["checkout", "", 600, 400, "runtime.mcall;runtime.schedule;runtime.findRunnable;runtime.notesleep", ""]],
  },
  {
    id: { service: "redis-server", host: "db-1", pid: "640", lock: "0x5591e2a1c0a0", place: "bio_mutex+0x28 in redis-server", kind: "mutex", function: "bioProcessBackgroundJobs", module: "redis-server" },
    waits: [["bio_lazy_free", "redis-server", 90, 1.3, "bioProcessBackgroundJobs;pthread_mutex_lock", "aeMain;freeObjAsync;bioCreateLazyFreeJob;pthread_mutex_unlock"]],
  },
  {
    caller: "__vm_munmap",
    id: { service: "redis-server", host: "db-1", pid: "640", lock: "mmap_lock", place: "", kind: "rwsem write", function: "__vm_munmap", module: "[kernel]" },
    waits: [
      ["redis-server", "", 75, 1.8, "aeMain;zfree;munmap;entry_SYSCALL_64_after_hwframe;do_syscall_64;__x64_sys_munmap;__vm_munmap;down_write_killable;rwsem_down_write_slowpath", ""],
      ["bio_lazy_free", "", 30, 2.9, "bioProcessBackgroundJobs;zfree;munmap;entry_SYSCALL_64_after_hwframe;do_syscall_64;__x64_sys_munmap;__vm_munmap;down_write_killable;rwsem_down_write_slowpath", ""],
    ],
  },
  {
    caller: "folio_lruvec_lock_irqsave",
    id: { service: "postgresql", host: "db-1", pid: "812", lock: "[kernel heap]", place: "", kind: "spinlock", function: "folio_lruvec_lock_irqsave", module: "[kernel]" },
    waits: [["", "", 5200, 0.02, "[short waits];lru_add_drain_cpu;folio_batch_move_lru;folio_lruvec_lock_irqsave;_raw_spin_lock_irqsave;native_queued_spin_lock_slowpath", ""]],
  },
];

const UNCONTENDED = new Set(["condition", "join", "park"]);
const OWN = ["lock", "pid", "kind", "caller", "thread", "waiter"];

/** The range, and the locks that the filter selects; what the mock's own selection does not know is taken out of it. */
function selected(q: URLSearchParams): { s: ReturnType<typeof select>; found: MockLock[]; leftOut: MockLock[] } {
  const matchers = parseFilter(q.get("filter") ?? "") ?? [];
  const plain = new URLSearchParams(q);
  plain.set("filter", formatFilter(matchers.filter((m) => !OWN.includes(m.label))));
  const s = select(plain);
  const mine = matchers.filter((m) => m.label === "lock" || m.label === "pid" || m.label === "kind");
  const domain = q.get("domain") ?? "all";
  const caller = matchers.find((m) => m.label === "caller")?.value;
  const found = LOCKS.filter(({ id, ...lock }) =>
    (domain === "all" || (domain === "kernel") === (lock.caller !== undefined)) &&
    (caller === undefined || caller === lock.caller) &&
    s.services.some((x) => x.service.name === id.service && x.hosts.includes(id.host)) &&
    mine.every((m) => id[m.label as "lock" | "pid" | "kind"] === m.value));
  const contended = q.get("contended") === "true";
  return { s, found: contended ? found.filter(isContended) : found, leftOut: contended ? found.filter((l) => !isContended(l)) : [] };
}

const isContended = (lock: MockLock): boolean => !UNCONTENDED.has(lock.id.kind);

const minutesOf = (s: { from: number; to: number }): number => (s.from < Date.now() - 26 * 3_600_000 ? 0 : (s.to - s.from) / 60_000);

function pairsOf(lock: MockLock, minutes: number): LockPair[] {
  return lock.waits.map(([waiter, waker, rate, ms]) => {
    const count = Math.round(rate * minutes);
    return { service: lock.id.service, waiter, waker, count, ns: Math.round(count * ms * 1e6) };
  });
}

const sum = (rows: readonly { count: number; ns: number }[]): { count: number; ns: number } =>
  rows.reduce((all, r) => ({ count: all.count + r.count, ns: all.ns + r.ns }), { count: 0, ns: 0 });

export function locks(q: URLSearchParams): LocksAnswer {
  const { s, found, leftOut } = selected(q);
  const minutes = minutesOf(s);
  const by = q.get("sort") === "count" ? "count" : "ns";
  const pairs = minutes > 0 ? found.flatMap((l) => pairsOf(l, minutes)).sort((x, y) => y[by] - x[by]) : [];
  const short = q.get("filter")?.includes("lock=") || minutes === 0 ? { count: 0, ns: 0 } : { count: Math.round(minutes * 41_000), ns: Math.round(minutes * 2e8) };
  const total = sum([...pairs, short]);
  const rows = minutes > 0 ? found.map((l) => {
    const own = sum(pairsOf(l, minutes));
    return {
      ...l.id, ...own, domain: l.caller === undefined ? ("user" as const) : ("kernel" as const), caller: l.caller ?? "", contended: isContended(l), timeouts: Math.round((l.timeouts ?? 0) * minutes), signals: 0, share: total.ns > 0 ? own.ns / total.ns : null,
      waiters: new Set(l.waits.map((w) => w[0]).filter((w) => w !== "")).size, wakers: new Set(l.waits.map((w) => w[1]).filter((w) => w !== "")).size,
    };
  }).sort((x, y) => y[by] - x[by]) : [];
  return {
    type: "lock:nanoseconds", unit: "nanoseconds", from: s.from, to: s.to, locks: rows, pairs, total, short,
    not_contended: sum(leftOut.flatMap((l) => pairsOf(l, minutes))), other_locks: { locks: 0, count: 0, ns: 0 }, other_pairs: { pairs: 0, count: 0, ns: 0 },
    coverage: { hosts_reporting: rows.length > 0 ? 3 : 0, hosts_expected: 3, samples: total.count, complete_share: rows.length > 0 ? 0.991 : null, lost: 0, pending: 0, truncated: null, reasons: { ok: total.count } },
  };
}

export function isLockType(q: URLSearchParams): boolean {
  return /^(lock|waker):/.test(q.get("type") ?? "");
}

interface Node { name: string; total: number; self: number; children: Map<string, Node> }
const newNode = (name: string): Node => ({ name, total: 0, self: 0, children: new Map() });

export function lockFlamegraph(q: URLSearchParams): FlameAnswer {
  const { s, found } = selected(q);
  const ends = q.get("type")!.startsWith("waker");
  const root = newNode("all");
  for (const lock of found) {
    pairsOf(lock, minutesOf(s)).forEach(({ ns }, i) => {
      const path = lock.waits[i]![ends ? 5 : 4];
      if (path === "") return;
      let at = root;
      root.total += ns;
      for (const name of ["start_thread", ...path.split(";")]) {
        let next = at.children.get(name);
        if (!next) at.children.set(name, (next = newNode(name)));
        next.total += ns;
        at = next;
      }
      at.self += ns;
    });
  }
  const strings = ["", "libc.so.6", found[0]?.id.module ?? ""];
  const textId = (name: string): number => {
    const known = strings.indexOf(name);
    return known > 0 ? known : strings.push(name) - 1;
  };
  const nodes: FlameAnswer["nodes"] = { depth: [], name: [], module: [], kind: [], total: [], self: [] };
  const walk = (node: Node, depth: number): void => {
    nodes.depth.push(depth);
    nodes.name.push(textId(node.name));
    nodes.module.push(depth === 0 ? 0 : /^(pthread_|start_thread)/.test(node.name) ? 1 : 2);
    nodes.kind.push(0);
    nodes.total.push(node.total);
    nodes.self.push(node.self);
    for (const child of [...node.children.values()].sort((x, y) => y.total - x.total)) walk(child, depth + 1);
  };
  walk(root, 0);
  const { coverage } = locks(q);
  return { type: q.get("type")!, unit: "nanoseconds", from: s.from, to: s.to, filter: s.filter, total: root.total, nodes, strings, folded_nodes: 0, folded_total: 0, coverage };
}
