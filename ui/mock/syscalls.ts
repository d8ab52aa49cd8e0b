// SPDX-License-Identifier: Apache-2.0
/** Made-up system calls: their number follows the load of the service, their latency too. */
import type { SyscallRow, SyscallsAnswer } from "../src/api/model";
import { formatFilter, parseFilter } from "../src/state/filter.ts";
import { select } from "./api.ts";
import { HISTORY_MS, HOSTS, loadAt } from "./data.ts";

interface MockCall {
  name: string;
  /** Calls a second at a load of 1, on all hosts of the service together. */
  rate: number;
  medianNs: number;
  /** How wide latencies scatter: the standard deviation of their binary logarithm. */
  spread: number;
  /** By how much the latency grows with the load: 1 is in proportion. */
  loaded: number;
  errnos: readonly (readonly [errno: number, name: string, share: number])[];
  /** Threads that are in the call at any time. */
  inFlight: number;
}

function call(name: string, rate: number, medianNs: number, spread: number, more: Partial<MockCall> = {}): MockCall {
  return { name, rate, medianNs, spread, loaded: 0.1, errnos: [], inFlight: 0, ...more };
}

const AGAIN = [11, "EAGAIN"] as const;

const CALLS: Readonly<Record<string, readonly MockCall[]>> = {
  "checkout-api": [
    call("epoll_pwait", 5200, 410_000, 2.2, { inFlight: 2, loaded: -0.4 }),
    call("write", 4100, 5_200, 0.7, { loaded: 0.6 }),
    call("read", 8600, 1_900, 0.6, { errnos: [[...AGAIN, 0.48]] }),
    call("futex", 6100, 61_000, 2.6, { inFlight: 14, errnos: [[...AGAIN, 0.03], [110, "ETIMEDOUT", 0.08]] }),
    call("nanosleep", 900, 75_000, 0.3),
  ],
  "redis-server": [
    call("epoll_wait", 9000, 88_000, 1.4, { inFlight: 1, loaded: -0.6 }),
    call("read", 9100, 1_250, 0.5, { errnos: [[...AGAIN, 0.012]] }),
    call("write", 8900, 4_100, 0.5),
  ],
  postgresql: [
    call("pread64", 2400, 3_600, 2.4, { loaded: 1.2 }),
    call("fdatasync", 38, 1_900_000, 0.9, { loaded: 1.6 }),
    call("recvfrom", 3300, 640_000, 2.1, { inFlight: 26, errnos: [[...AGAIN, 0.21]] }),
    call("sendto", 3100, 7_800, 0.6),
    call("lseek", 5200, 240, 0.3),
    call("semop", 210, 94_000, 2.3, { loaded: 2.4, inFlight: 3 }),
  ],
  nginx: [
    call("epoll_wait", 2600, 310_000, 1.8, { inFlight: 4 }),
    call("writev", 1900, 9_600, 0.8),
    call("recvfrom", 3700, 1_500, 0.7, { errnos: [[...AGAIN, 0.31]] }),
    call("accept4", 240, 2_700, 0.4, { errnos: [[...AGAIN, 0.4]] }),
    call("openat", 310, 3_900, 0.7, { errnos: [[2, "ENOENT", 0.62], [13, "EACCES", 0.004]] }),
    call("close", 560, 900, 0.5),
  ],
  "aperture-agent": [call("epoll_wait", 22, 45_000_000, 0.4, { inFlight: 3 })],
};

/** Processes of a service on each host. */
const PROCESSES: Readonly<Record<string, number>> = { postgresql: 4, nginx: 2 };
/** Labels that the mock's own selection does not know. */
const OWN = ["comm", "pid", "container"];

/** One call of one process. */
interface Source {
  call: MockCall;
  service: string;
  labels: Readonly<Record<string, string>>;
  share: number;
}

function sourcesOf(q: URLSearchParams): { s: ReturnType<typeof select>; sources: Source[] } {
  const matchers = parseFilter(q.get("filter") ?? "") ?? [];
  const plain = new URLSearchParams(q);
  plain.set("filter", formatFilter(matchers.filter((m) => !OWN.includes(m.label))));
  const s = select(plain);
  const mine = matchers.filter((m) => OWN.includes(m.label) && m.op === "=");
  const sources = s.services.flatMap(({ service, hosts }) => {
    const processes = PROCESSES[service.name] ?? 1;
    return hosts.flatMap((host) => Array.from({ length: processes }, (_, i) => ({
      labels: { service: service.name, host, comm: service.name.slice(0, 15), pid: String(600 + HOSTS.indexOf(host) * 1000 + service.name.length * 17 + i), container: "" },
      // The first process of several does the most.
      share: (i === 0 && processes > 1 ? 0.55 : processes > 1 ? 0.45 / (processes - 1) : 1) / service.hosts.length,
    })))
      .filter(({ labels }) => mine.every((m) => labels[m.label as keyof typeof labels] === m.value))
      .flatMap(({ labels, share }) => (CALLS[service.name] ?? []).map((c) => ({ call: c, service: service.name, labels, share })));
  });
  const wanted = (c: MockCall): boolean => (q.get("syscall") ?? c.name) === c.name && (q.get("abi") ?? "x86-64") === "x86-64";
  return { s, sources: sources.filter((x) => wanted(x.call)) };
}

/** The number of calls by bucket, eight for each power of two. */
type Counts = Map<number, number>;

function bucketBounds(bucket: number): [number, number] {
  const width = 2 ** (Math.floor(bucket / 8) - 1);
  const from = (8 + (bucket % 8)) * width;
  return [from, from + width];
}

function bucketOf(ns: number): number {
  const e = Math.floor(Math.log2(Math.max(8, ns)));
  return (e - 2) * 8 + (Math.floor(ns / 2 ** (e - 3)) & 7);
}

/** Spreads calls over the buckets around their median. */
function addLatencies(into: Counts, c: MockCall, count: number, load: number): void {
  const median = Math.log2(c.medianNs * Math.max(0.1, 1 + c.loaded * (load - 1)));
  const steps = 41;
  const weights = Array.from({ length: steps }, (_, i) => Math.exp(-0.5 * ((i - (steps - 1) / 2) / 6.5) ** 2));
  const sum = weights.reduce((a, b) => a + b, 0);
  let given = 0;
  let upTo = 0;
  weights.forEach((w, i) => {
    upTo += w;
    const n = Math.round((count * upTo) / sum) - given;
    given += n;
    if (n === 0) return;
    const bucket = bucketOf(2 ** (median + ((i - (steps - 1) / 2) / 6.5) * c.spread));
    into.set(bucket, (into.get(bucket) ?? 0) + n);
  });
}

class Sum {
  count = 0;
  inFlight = 0;
  readonly buckets: Counts = new Map();
  readonly errnos = new Map<number, { name: string; count: number }>();

  /** What the source does in a time, as if the load had been that in its middle. */
  add(source: Source, from: number, to: number): void {
    const parts = Math.min(12, Math.ceil((to - from) / 60_000));
    for (let k = 0; k < parts; k++) {
      const load = loadAt(source.service, from + ((to - from) * (k + 0.5)) / parts);
      const count = Math.round((source.call.rate * source.share * load * (to - from)) / 1000 / parts);
      this.count += count;
      addLatencies(this.buckets, source.call, count, load);
      for (const [errno, name, share] of source.call.errnos) {
        const e = this.errnos.get(errno) ?? { name, count: 0 };
        e.count += Math.round(count * share);
        this.errnos.set(errno, e);
      }
    }
    this.inFlight += Math.round(source.call.inFlight * source.share);
  }

  get sorted(): (readonly [bucket: number, count: number])[] {
    return [...this.buckets].sort((a, b) => a[0] - b[0]);
  }

  get errors(): number {
    return [...this.errnos.values()].reduce((sum, e) => sum + e.count, 0);
  }

  get sumNs(): number {
    return Math.round(this.sorted.reduce((sum, [b, n]) => sum + (n * (bucketBounds(b)[0] + bucketBounds(b)[1])) / 2, 0));
  }

  get maxNs(): number {
    const last = this.sorted.at(-1);
    return last ? bucketBounds(last[0])[1] - 1 : 0;
  }

  quantile(q: number): number | null {
    let left = this.count * q;
    for (const [bucket, n] of this.sorted) {
      left -= n;
      if (left <= 0) return Math.round((bucketBounds(bucket)[0] + bucketBounds(bucket)[1]) / 2);
    }
    return null;
  }

  row(name: string, value: string | undefined, seconds: number): SyscallRow {
    const bounds = this.sorted.map(([b]) => bucketBounds(b));
    return {
      syscall: name, abi: "x86-64", ...(value === undefined ? {} : { value }),
      count: this.count, returned: this.count, rate: seconds > 0 ? this.count / seconds : null, errors: this.errors,
      errnos: [...this.errnos].filter(([, e]) => e.count > 0).map(([errno, e]) => ({ errno, ...e })),
      sum_ns: this.sumNs, max_ns: this.maxNs, p50_ns: this.quantile(0.5), p90_ns: this.quantile(0.9), p99_ns: this.quantile(0.99),
      in_flight: this.inFlight, oldest_ns: this.inFlight > 0 ? 1_840_000_000 : 0,
      histogram: { from_ns: bounds.map((b) => b[0]), to_ns: bounds.map((b) => b[1]), count: this.sorted.map(([, n]) => n) },
    };
  }
}

const SORTS: Readonly<Record<string, (r: SyscallRow) => number>> = {
  time: (r) => r.sum_ns, count: (r) => r.count, errors: (r) => r.errors, max: (r) => r.max_ns, p99: (r) => r.p99_ns ?? -1, in_flight: (r) => r.in_flight,
};

function seriesOf(sources: readonly Source[], step: number, from: number, to: number, begin: number): SyscallsAnswer["series"] {
  const out: NonNullable<SyscallsAnswer["series"]> = { step_ms: step, times: [], count: [], errors: [], sum_ns: [], max_ns: [], p50_ns: [], p90_ns: [], p99_ns: [] };
  for (let t = Math.floor(from / step) * step; t < to; t += step) {
    const sum = new Sum();
    if (t >= begin) for (const x of sources) sum.add(x, t, t + step);
    const known = <T>(v: T): T | null => (t >= begin ? v : null);
    out.times.push(t);
    out.count.push(known(sum.count));
    out.errors.push(known(sum.errors));
    out.sum_ns.push(known(sum.sumNs));
    out.max_ns.push(known(sum.count > 0 ? sum.maxNs : null));
    out.p50_ns.push(known(sum.quantile(0.5)));
    out.p90_ns.push(known(sum.quantile(0.9)));
    out.p99_ns.push(known(sum.quantile(0.99)));
  }
  return out;
}

export function syscalls(q: URLSearchParams): SyscallsAnswer {
  const { s, sources } = sourcesOf(q);
  const begin = Date.now() - HISTORY_MS;
  const from = Math.max(s.from, begin);
  const seconds = Math.max(0, Math.round((s.to - from) / 1000));
  const by = q.get("by") ?? "";
  const sums = new Map<string, { name: string; value: string; sum: Sum }>();
  if (seconds > 0) {
    for (const x of sources) {
      const value = x.labels[by] ?? "";
      const key = `${x.call.name}\0${value}`;
      if (!sums.has(key)) sums.set(key, { name: x.call.name, value, sum: new Sum() });
      sums.get(key)!.sum.add(x, from, s.to);
    }
  }
  const sort = SORTS[q.get("sort") ?? "time"]!;
  const rows = [...sums.values()].map(({ name, value, sum }) => sum.row(name, by === "" ? undefined : value, seconds)).sort((a, b) => sort(b) - sort(a));
  const total = (of: (r: SyscallRow) => number): number => rows.reduce((sum, r) => sum + of(r), 0);
  const limit = Number(q.get("limit") ?? 500);
  const step = /^(\d+)s$/.exec(q.get("step") ?? "");
  const hosts = new Set(sources.map((x) => x.labels.host)).size;
  return {
    from: s.from, to: s.to, covered_s: seconds, by, count: total((r) => r.count), errors: total((r) => r.errors), sum_ns: total((r) => r.sum_ns),
    syscalls: rows.slice(0, limit),
    series: step ? seriesOf(sources, Number(step[1]) * 1000, s.from, s.to, begin) : null,
    coverage: {
      hosts_reporting: seconds > 0 ? hosts : 0, hosts_expected: HOSTS.length, samples: 0, complete_share: null, lost: 0, pending: 0, reasons: {},
      truncated: rows.length > limit ? { what: "rows", cut: rows.length - limit } : null,
    },
  };
}
