// SPDX-License-Identifier: Apache-2.0
/** Answers of the made-up fleet, in the shapes of the server. */
import type {
  AgentsAnswer, Coverage, DiffAnswer, FlameAnswer, FlameNodes, FunctionGraphAnswer, HeatmapAnswer, LabelValuesAnswer, LedgerAnswer, ModulesAnswer, ProfileTypesAnswer, SeriesAnswer, ServicesAnswer, StoreAnswer, TopAnswer,
} from "../src/api/model";
import { parseFilter } from "../src/state/filter.ts";
import { resolveTime } from "../src/state/time.ts";
import { FREQUENCY, HISTORY_MS, HOSTS, SERVICES, WAITS_MS, WAIT_HOSTS, loadAt, type Frame, type MockService, type MockStack } from "./data.ts";

export class BadRequest extends Error {
  constructor(readonly field: string, message: string) {
    super(message);
  }
}

interface Selection {
  from: number;
  to: number;
  type: string;
  filter: string;
  services: { service: MockService; hosts: string[] }[];
  /** Whether a sample with this state, "" for one of CPU time, passes the filter. */
  passes(state: string): boolean;
}

type Chosen = Selection["services"][number];

const REASONS = { ok: 0.968, no_table: 0.012, kernel_only: 0.014, no_frame_pointer: 0.006 };

function test(op: string, pattern: string, value: string): boolean {
  const equal = op.endsWith("~") ? new RegExp(`^(?:${pattern})$`).test(value) : value === pattern;
  return op.startsWith("!") ? !equal : equal;
}

export function select(q: URLSearchParams, prefix = ""): Selection {
  const now = Date.now();
  const from = resolveTime(q.get(prefix + "from") ?? "now-1h", now);
  const to = resolveTime(q.get(prefix + "to") ?? "now", now);
  if (from === null) throw new BadRequest(prefix + "from", "not a time: use Unix milliseconds, now, now-1h or RFC 3339");
  if (to === null || to <= from) throw new BadRequest(prefix + "to", "the end must lie after the start");
  const filter = q.get(prefix + "filter") ?? "";
  const matchers = parseFilter(filter);
  if (matchers === null) throw new BadRequest(prefix + "filter", "expected {label=\"value\"}");
  const services = SERVICES.map((service) => ({
    service,
    hosts: service.hosts.filter((host) =>
      matchers.every((m) =>
        m.label === "host" ? test(m.op, m.value, host) : m.label === "service" ? test(m.op, m.value, service.name) : m.label === "state" || m.op.startsWith("!"),
      ),
    ),
  })).filter((s) => s.hosts.length > 0);
  const passes = (state: string): boolean => matchers.every((m) => m.label !== "state" || test(m.op, m.value, state));
  return { from, to, type: q.get(prefix + "type") ?? "cpu:nanoseconds", filter, services, passes };
}

/** What threads do at once: a state of theirs, "" on the CPU, how many, and in which stacks. */
interface Doing {
  state: string;
  stacks: MockStack[];
  since: number;
  /** At a time, on the hosts chosen. */
  at(ms: number): number;
}

function doings(s: Selection, { service, hosts }: Chosen): Doing[] {
  const [kind] = s.type.split(":");
  const out: Doing[] = [];
  const load = (ms: number): number => loadAt(service.name, ms);
  if (kind === "cpu" || kind === "wall") {
    const each = service.cores / service.hosts.length;
    out.push({ state: "", stacks: service.stacks, since: HISTORY_MS, at: (ms) => each * hosts.length * load(ms) });
  }
  if (kind === "offcpu" || kind === "wall") {
    const waiting = hosts.filter((host) => WAIT_HOSTS.includes(host)).length / service.hosts.length;
    for (const w of service.waits) {
      out.push({ state: w.state, stacks: w.stacks, since: WAITS_MS, at: (ms) => w.threads * waiting * Math.max(0, 1 + w.follows * (load(ms) - 1)) });
    }
  }
  return out.filter((d) => s.passes(d.state));
}

/** Nanoseconds in a range; 0 before the history begins. */
function nanoseconds(doing: Doing, from: number, to: number): number {
  const begin = Math.max(from, Date.now() - doing.since);
  if (to <= begin) return 0;
  let sum = 0;
  const steps = Math.min(24, Math.ceil((to - begin) / 60_000));
  for (let k = 0; k < steps; k++) sum += doing.at(begin + ((to - begin) * (k + 0.5)) / steps);
  return Math.round((sum / steps) * (to - begin) * 1e6);
}

/** How many samples those are: of a wait there is one, however long it took. */
function samplesIn(doing: Doing, ns: number): number {
  return Math.round((ns / 1e9) * (doing.state === "" ? FREQUENCY : 12));
}

function valueIn(type: string, doing: Doing, ns: number): number {
  return type.endsWith(":nanoseconds") ? ns : samplesIn(doing, ns);
}

/** The value of a service in the selection, in the unit of its type. */
function valueOf(s: Selection, chosen: Chosen): number {
  return doings(s, chosen).reduce((sum, d) => sum + valueIn(s.type, d, nanoseconds(d, s.from, s.to)), 0);
}

function samplesOf(s: Selection, chosen: Chosen): number {
  return doings(s, chosen).reduce((sum, d) => sum + samplesIn(d, nanoseconds(d, s.from, s.to)), 0);
}

function coverage(s: Selection, cut: Coverage["truncated"] = null): Coverage {
  const samples = s.services.reduce((sum, x) => sum + samplesOf(s, x), 0);
  const reasons = Object.fromEntries(Object.entries(REASONS).map(([k, v]) => [k, Math.round(samples * v)]));
  const hosts = new Set(s.services.flatMap((x) => x.hosts)).size;
  return {
    hosts_reporting: samples > 0 ? hosts : 0,
    hosts_expected: HOSTS.length,
    samples,
    complete_share: samples > 0 ? 0.982 : null,
    lost: Math.round(samples * 0.0003),
    pending: 0,
    truncated: cut,
    reasons,
  };
}

interface Node {
  frame: Frame;
  /** Of the stacks whose innermost frame outside the kernel and the C library it is. */
  place: number;
  total: number;
  self: number;
  totalA: number;
  selfA: number;
  children: Map<string, Node>;
}

const newNode = (frame: Frame): Node => ({ frame, place: 0, total: 0, self: 0, totalA: 0, selfA: 0, children: new Map() });

function addSelection(root: Node, s: Selection, side: "a" | "b"): void {
  const middle = (s.from + s.to) / 2;
  for (const doing of s.services.flatMap((chosen) => doings(s, chosen))) {
    const whole = valueIn(s.type, doing, nanoseconds(doing, s.from, s.to));
    const drifting = doing.stacks.map((stack) => stack.weight * (1 + 0.5 * Math.sin(middle / 5_000_000 + stack.phase * 20)));
    const sum = drifting.reduce((total, x) => total + x, 0);
    for (const [i, stack] of doing.stacks.entries()) {
      const value = Math.round((whole * drifting[i]!) / sum);
      if (value === 0) continue;
      let at = root;
      const path = [root];
      for (const frame of stack.frames) {
        const key = frame.module + "\0" + frame.function;
        let next = at.children.get(key);
        if (!next) at.children.set(key, (next = newNode(frame)));
        path.push((at = next));
      }
      for (const node of path) node[side === "a" ? "totalA" : "total"] += value;
      at[side === "a" ? "selfA" : "self"] += value;
      const place = path.findLast((node) => node !== root && node.frame.kind !== 1 && !node.frame.module.startsWith("libc"));
      (place ?? at).place += side === "a" ? 0 : value;
    }
  }
}

function columns(root: Node): { nodes: FlameNodes & { total_a: number[]; self_a: number[] }; strings: string[] } {
  const strings = [""];
  const ids = new Map([["", 0]]);
  const id = (text: string): number => {
    let found = ids.get(text);
    if (found === undefined) ids.set(text, (found = strings.push(text) - 1));
    return found;
  };
  const nodes: FlameNodes & { total_a: number[]; self_a: number[] } = {
    depth: [], name: [], module: [], kind: [], total: [], self: [], total_a: [], self_a: [],
  };
  const walk = (node: Node, depth: number): void => {
    nodes.depth.push(depth);
    nodes.name.push(id(node.frame.function));
    nodes.module.push(id(node.frame.module));
    nodes.kind.push(node.frame.kind);
    nodes.total.push(node.total);
    nodes.self.push(node.self);
    nodes.total_a.push(node.totalA);
    nodes.self_a.push(node.selfA);
    const children = [...node.children.values()].sort((x, y) => y.total + y.totalA - x.total - x.totalA);
    for (const child of children) walk(child, depth + 1);
  };
  walk(root, 0);
  return { nodes, strings };
}

const ROOT: Frame = { function: "all", module: "", kind: 0 };
type Unit = FlameAnswer["unit"];
const unitOf = (type: string): Unit => type.split(":")[1] as Unit;
const about = (s: Selection): { type: string; unit: Unit; from: number; to: number } => ({ type: s.type, unit: unitOf(s.type), from: s.from, to: s.to });

export function flamegraph(q: URLSearchParams): FlameAnswer {
  const s = select(q);
  const root = newNode(ROOT);
  addSelection(root, s, "b");
  const { nodes, strings } = columns(root);
  const { total_a: _a, self_a: _b, ...plain } = nodes;
  return { ...about(s), filter: s.filter, total: root.total, nodes: plain, strings, folded_nodes: 12, folded_total: Math.round(root.total / 4000), coverage: coverage(s) };
}

/** The stacks through a function, from its outermost frame outwards or inwards. */
function through(q: URLSearchParams, outwards: boolean): FunctionGraphAnswer {
  const s = select(q);
  const [name, module] = [q.get("function") ?? "", q.get("module")];
  const all = newNode(ROOT);
  const root = newNode(ROOT);
  addSelection(all, s, "b");
  const add = (frames: Frame[], value: number): void => {
    let at = root;
    root.total += value;
    for (const frame of frames) {
      const key = frame.module + "\0" + frame.function;
      let next = at.children.get(key);
      if (!next) at.children.set(key, (next = newNode(frame)));
      (at = next).total += value;
    }
    at.self += value;
  };
  const walk = (node: Node, path: Frame[]): void => {
    const frames = node === all ? path : [...path, node.frame];
    const found = frames.findIndex((f) => f.function === name && (module === null || f.module === module));
    if (found >= 0 && node.self > 0) add(outwards ? frames.slice(0, found + 1).reverse() : frames.slice(found), node.self);
    for (const child of node.children.values()) walk(child, frames);
  };
  walk(all, []);
  const { nodes, strings } = columns(root);
  const { total_a: _a, self_a: _b, ...plain } = nodes;
  return { ...about(s), filter: s.filter, function: name, module, selection_total: all.total, total: root.total, nodes: plain, strings, folded_nodes: 0, folded_total: 0, coverage: coverage(s) };
}

export const callers = (q: URLSearchParams): FunctionGraphAnswer => through(q, true);
export const callees = (q: URLSearchParams): FunctionGraphAnswer => through(q, false);

interface Sums { function: string; module: string; kind: number; place: number; self: number; total: number; selfA: number; totalA: number }

function functions(root: Node): Sums[] {
  const rows = new Map<string, Sums>();
  const walk = (node: Node, above: Set<string>): void => {
    const key = node.frame.module + "\0" + node.frame.function;
    let row = rows.get(key);
    if (!row) rows.set(key, (row = { ...node.frame, place: 0, self: 0, total: 0, selfA: 0, totalA: 0 }));
    row.place += node.place;
    row.self += node.self;
    row.selfA += node.selfA;
    if (!above.has(key)) {
      row.total += node.total;
      row.totalA += node.totalA;
    }
    for (const child of node.children.values()) walk(child, new Set([...above, key]));
  };
  for (const child of root.children.values()) walk(child, new Set());
  return [...rows.values()];
}

export function top(q: URLSearchParams): TopAnswer {
  const s = select(q);
  const root = newNode(ROOT);
  addSelection(root, s, "b");
  const by = (["total", "place"] as const).find((sort) => sort === q.get("sort")) ?? "self";
  const limit = Number(q.get("limit") ?? 100);
  const rows = functions(root).sort((x, y) => y[by] - x[by]);
  return {
    functions: rows.slice(0, limit).map(({ function: f, module, kind, self, total, place }) => ({ function: f, module, kind, self, total, place, file: kind === 0 && f.includes(".") ? `${f.split(/[.(]/)[0]}.go` : "", line: kind === 0 && f.includes(".") ? 42 : 0 })),
    ...about(s),
    total: root.total,
    coverage: coverage(s, rows.length > limit ? { what: "functions", cut: rows.length - limit } : null),
  };
}

const TYPES = [
  ["cpu:nanoseconds", "CPU time"],
  ["cpu:samples", "CPU samples"],
  ["offcpu:nanoseconds", "Off-CPU time"],
  ["offcpu:count", "Off-CPU waits"],
  ["wall:nanoseconds", "Wall time: on and off the CPU"],
  ["lock:nanoseconds", "Lock wait time"],
] as const;

export function profileTypes(q: URLSearchParams): ProfileTypesAnswer {
  const s = select(q);
  const since: Record<string, number> = { cpu: HISTORY_MS, offcpu: WAITS_MS, wall: WAITS_MS };
  return {
    types: TYPES.map(([name, title]) => ({
      name, title, unit: unitOf(name), available: s.to > Date.now() - (since[name.split(":")[0]!] ?? 0),
    })),
  };
}

/** Some are stripped, one was built without a build-id, and there is always the kernel. */
const UNNAMED: readonly [module: string, buildId: string, kind: number, total: number, self: number, frames: number][] = [
  ["/usr/sbin/nginx", "b61dbc5a1f1bb2c2a6cb47b6b8a9bb9a2a5b1c11", 0, 0.21, 0.13, 412],
  ["/usr/lib/x86_64-linux-gnu/libcrypto.so.3", "43a1f02fd5e5ae0c2fbb1d2ff9f6aa07c1b7f1c0", 0, 0.08, 0.074, 96],
  ["/opt/billing/bin/ledgerd", "", 0, 0.031, 0.012, 233],
  ["[anon]", "", 2, 0.022, 0.018, 1720],
  ["[kernel]", "", 1, 0.004, 0.004, 12],
];

export function modules(q: URLSearchParams): ModulesAnswer {
  const s = select(q);
  const total = s.services.reduce((sum, x) => sum + valueOf(s, x), 0);
  return {
    ...about(s),
    total,
    modules: UNNAMED.map(([module, build_id, kind, share, self, frames]) => ({
      module, build_id, kind, share, frames, total: Math.round(total * share), self: Math.round(total * self),
    })),
    coverage: coverage(s),
  };
}

export function store(): StoreAnswer {
  const tables = [["samples", 20_412_800, 66_812_000, "raw", 7], ["samples_1h", 2_410_000, 21_000_000, "hourly", 90], ["samples_1d", 100_000, 1_200_000, "daily", 400], ["stacks", 210_400, 9_120_000, "shared", 400], ["frames", 61_220, 3_400_000, "shared", 400], ["ledger", 120_960, 1_010_000, "raw", 7]] as const;
  const oldest_day = new Date(Date.now() - HISTORY_MS).toISOString().slice(0, 10);
  return {
    driver: "embedded", version: "26.7.3.1", folder: "/var/lib/aperture/aggregator", retention_s: 604_800,
    oldest_day,
    bytes: tables.reduce((sum, [, , size]) => sum + size, 0),
    disk: {
      budget_bytes: 100_000_000_000, bytes: 500_000_000_000, free_bytes: 300_000_000_000, keep_free_bytes: 25_000_000_000,
      bytes_per_day: 100_000_000, bytes_full: 7_000_000_000, days_left: null, acts_first: "retention",
    },
    tables: tables.map(([table, rows, size, level, days]) => ({ table, rows, bytes: size, oldest_day, level, retention_s: days * 86_400, bytes_per_day: size })),
  };
}

export function diff(q: URLSearchParams): DiffAnswer {
  const a = select(q, "a.");
  const b = select(q, "b.");
  const root = newNode(ROOT);
  addSelection(root, a, "a");
  addSelection(root, b, "b");
  const rows = functions(root).map((r) => ({ function: r.function, module: r.module, self_a: r.selfA, self_b: r.self, total_a: r.totalA, total_b: r.total }));
  const side = (s: Selection, total: number): DiffAnswer["a"] => ({ from: s.from, to: s.to, type: s.type, filter: s.filter, total, coverage: coverage(s) });
  return { unit: unitOf(a.type), a: side(a, root.totalA), b: side(b, root.total), ...columns(root), functions: rows.slice(0, 200), mode: q.get("mode") === "absolute" ? "absolute" : "normalised", total: root.total, total_a: root.totalA, folded_nodes: 0, folded_total: 0, folded_total_a: 0 };
}

export function services(q: URLSearchParams): ServicesAnswer {
  const s = select(q);
  const length = s.to - s.from;
  const rows = s.services.map((chosen) => {
    const { service, hosts } = chosen;
    const value = valueOf(s, chosen);
    const hasDay = s.to - 86_400_000 > Date.now() - HISTORY_MS;
    const previous = Math.round(value / service.trend);
    const leaf = service.stacks[0]!.frames.at(-1)!;
    return {
      service: service.name, value, samples: samplesOf(s, chosen), share: 0, hosts: hosts.length, complete_share: service.complete,
      previous_value: s.from - length < Date.now() - HISTORY_MS ? null : previous,
      previous_day_value: hasDay ? previous : null,
      largest_riser: service.trend > 1 ? { function: leaf.function, module: leaf.module, value: value * 0.3, previous_value: previous * 0.2 } : null,
    };
  }).filter((r) => r.value > 0);
  const total = rows.reduce((sum, r) => sum + r.value, 0);
  for (const row of rows) row.share = row.value / total;
  rows.sort((x, y) => y.value - x.value);
  return { ...about(s), services: rows, total_value: total, previous: { from: s.from - length, to: s.from }, coverage: coverage(s) };
}

export function series(q: URLSearchParams): SeriesAnswer {
  const s = select(q);
  const units = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200].map((x) => x * 1000);
  const asked = /^(\d+)s$/.exec(q.get("step") ?? "");
  const step = asked ? Number(asked[1]) * 1000 : units.find((u) => u >= (s.to - s.from) / 300) ?? 14_400_000;
  const from = Math.floor(s.from / step) * step;
  const to = Math.ceil(s.to / step) * step;
  const times: number[] = [];
  for (let t = from; t < to; t += step) times.push(t);
  const begin = Date.now() - HISTORY_MS;
  const by = q.get("by");
  const named = s.services.flatMap((chosen) => doings(s, chosen).map((doing) => ({ doing, name: by === "service" ? chosen.service.name : by === "state" ? doing.state : "" })));
  const names = by ? [...new Set(named.filter(({ doing }) => nanoseconds(doing, from, to) > 0).map(({ name }) => name))] : [""];
  const value = (name: string, t: number): number | null =>
    t < begin || t % 7_000_000 < 90_000 ? null : named.reduce((sum, x) => (x.name === name ? sum + valueIn(s.type, x.doing, nanoseconds(x.doing, t, t + step)) : sum), 0);
  const all = names.map((name) => ({ value: name, values: times.map((t) => value(name, t)) }));
  const withTotals = all.map((x) => ({ ...x, total: x.values.reduce<number>((sum, v) => sum + (v ?? 0), 0) })).sort((x, y) => y.total - x.total);
  return { ...about(s), step_ms: step, from, to, times, series: withTotals, other: null, coverage: coverage(s) };
}

export function heatmap(q: URLSearchParams): HeatmapAnswer {
  const s = select(q);
  const [step, rows] = [[1, 60], [10, 60], [60, 60], [600, 144], [3600, 24]].find(([x, n]) => (s.to - s.from) / (x! * 1000) + 2 * n! < 11_000)!;
  const column = step! * rows! * 1000;
  const [from, to] = [Math.floor(s.from / column) * column, Math.ceil(s.to / column) * column];
  const params = new URLSearchParams(q);
  for (const [key, value] of Object.entries({ from, to, step: `${step!}s` })) params.set(key, String(value));
  const smooth = series(params).series[0]!.values;
  // A burst each minute, as a timer makes it.
  const cells = smooth.map((v, i) => (v === null ? null : Math.round(v * (i % 60 === 20 ? 1.8 : 0.8 + 0.3 * Math.sin(i * 12.9898)))));
  const total = cells.reduce<number>((sum, v) => sum + (v ?? 0), 0);
  return { ...about(s), from, to, step_ms: step! * 1000, rows: rows!, columns: (to - from) / column, cells, max: cells.reduce<number>((most, v) => Math.max(most, v ?? 0), 0), total, coverage: coverage(s) };
}

export function labelValues(q: URLSearchParams): LabelValuesAnswer {
  const s = select(q);
  const label = q.get("label") ?? "";
  const named = s.services.flatMap((x) =>
    x.hosts.flatMap((host) => {
      const chosen = { ...x, hosts: [host] };
      return doings(s, chosen).map((d) => ({
        name: label === "host" ? host : label === "service" ? x.service.name : label === "state" ? d.state : "example",
        samples: samplesIn(d, nanoseconds(d, s.from, s.to)),
      }));
    }),
  );
  const sums = new Map<string, number>();
  for (const { name, samples } of named) if (samples > 0) sums.set(name, (sums.get(name) ?? 0) + samples);
  const values = [...sums].map(([value, samples]) => ({ value, samples })).sort((x, y) => y.samples - x.samples);
  return { label, values, coverage: coverage(s) };
}

export function agents(): AgentsAnswer {
  const now = Date.now();
  const agent = (host: string, i: number): AgentsAnswer["agents"][number] => ({
    id: `0f3c9a5e-7d1b-4b52-9c11-0000000000${i}0`, host, version: "0.1.0", kernel: i === 2 ? "5.15.0-91-generic" : "6.18.2-amd64", arch: "x86_64", cpus: i === 2 ? 16 : 8,
    state: i === 2 ? "stale" : "ok", first_seen: now - 9e8, last_seen: now - (i === 2 ? 94_000 : 3_000), epoch: 3 + i, modes: WAIT_HOSTS.includes(host) ? ["cpu", "offcpu", "syscall"] : ["cpu", "syscall"], frequency_hz: FREQUENCY, stride: i === 2 ? 4 : 1, wait_threshold_ns: 1e6,
    settings: { control: i === 2 ? "none" : "on", max_frequency_hz: i === 2 ? null : 1000, max_duration_s: i === 2 ? null : 3600, active_until: null, wanted: null, error: "" },
    queued_batches: i === 2 ? 4 : 0,
    cost: { cpu_user_ns: 1.3e11, cpu_bpf_ns: 4.1e10, cpu_share: 0.0009 + i * 0.0004, rss_bytes: 31e6 + i * 2e6, map_bytes: 12e6 },
    samples: 1_200_000 - i * 210_000, complete_share: 0.992 - i * 0.04, reasons: { ok: 990_000, no_table: 8_000 - i * 100, kernel_only: 12_000 }, lost: i === 2 ? 1_240 : 0,
  });
  return { agents: HOSTS.map(agent), hosts_expected: 3, install_command: "aperture-agent --server 127.0.0.1:50051" };
}

export function ledger(q: URLSearchParams): LedgerAnswer {
  const scaleBy = q.get("agent") ? 1 : 3;
  const n = (x: number): number => x * scaleBy;
  const stage = (name: string, input: [string, string, number], out: [string, string, number], losses: [string, string, number][]): LedgerAnswer["stages"][number] => ({
    stage: name, in: { name: input[0], text: input[1], count: n(input[2]) }, out: { name: out[0], text: out[1], count: n(out[2]) },
    losses: losses.map(([lossName, text, c]) => ({ name: lossName, text, count: n(c) })),
    balance: n(input[2] - out[2] - losses.reduce((sum, l) => sum + l[2], 0)),
  });
  return {
    stages: [
      stage("sample", ["elapsed", "sampling periods by the counters' own value", 2_851_200], ["delivered", "periods written to the ring buffer", 1_204_118], [["not_run", "the BPF program did not run", 12], ["idle", "the CPU was idle", 1_646_870], ["filtered", "another process than those asked for", 0], ["ringbuf_full", "the ring buffer had no room", 200]]),
      stage("reader", ["in", "periods read from the ring buffer", 1_204_118], ["out", "periods added to the aggregation table", 1_204_118], [["malformed", "a record that could not be parsed", 0], ["table_full", "the aggregation table was full", 0]]),
      stage("batch", ["in", "periods taken from the aggregation table", 1_203_900], ["out", "periods in finished batches", 1_203_900], [["encode", "the batch could not be encoded", 0]]),
      stage("push", ["in", "periods in batches handed to the pusher", 1_203_900], ["acknowledged", "periods the aggregator acknowledged", 1_202_100], [["queue_full", "the queue was full: oldest batch dropped", 800]]),
      stage("ingest", ["in", "periods in decoded batches", 1_202_100], ["accepted", "periods accepted into the buffer", 1_202_100], [["invalid", "a batch that failed validation", 0], ["too_old", "older than the retention", 0]]),
      stage("store", ["in", "periods handed to the store writer", 1_202_100], ["stored", "periods in the store", 1_202_100], [["failed", "an insert failed: kept in the buffer and retried", 0]]),
    ],
    reasons: [
      { name: "ok", text: "the stack reaches its outermost frame", count: n(1_180_000) },
      { name: "kernel_only", text: "a kernel thread, or a program being replaced: there is no user stack", count: n(17_100) },
      { name: "no_table", text: "no unwind table for the file yet; walked by frame pointers", count: n(14_100) },
      { name: "no_frame_pointer", text: "frame pointers ended before the outermost frame", count: n(7_010) },
    ],
    coverage: coverage(select(new URLSearchParams())),
  };
}
