// SPDX-License-Identifier: Apache-2.0
/** A made-up fleet for development: services with stacks, weights over time, hosts and agents. */

export interface Frame {
  function: string;
  module: string;
  kind: number;
}

export interface MockStack {
  frames: Frame[];
  weight: number;
  /** 0..1: where in the made-up week this stack gets heavier. */
  phase: number;
}

export interface MockWaits {
  state: string;
  /** Threads in this state at a load of 1, on all hosts together. */
  threads: number;
  /** How much that follows the load: 0 not at all, 2 twice as much as it. */
  follows: number;
  stacks: MockStack[];
}

export interface MockService {
  name: string;
  hosts: string[];
  cores: number;
  waits: MockWaits[];
  /** Change of the load against the range before, as a factor. */
  trend: number;
  complete: number;
  stacks: MockStack[];
}

export const HOSTS = ["web-1", "web-2", "db-1"];

let state = 42;
function random(): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 4294967296;
}

const KERNEL = "[kernel]";

function frame(text: string, module: string): Frame {
  if (text.startsWith("k:")) return { function: text.slice(2), module: KERNEL, kind: 1 };
  if (text.startsWith("i:")) return { function: text.slice(2), module, kind: 3 };
  if (text.startsWith("j:")) return { function: text.slice(2), module: "[jit]", kind: 2 };
  const at = text.lastIndexOf("@");
  return at > 0 ? { function: text.slice(0, at), module: text.slice(at + 1), kind: 0 } : { function: text, module, kind: 0 };
}

const LIBC = "libc.so.6";
const SYSCALL = "k:entry_SYSCALL_64;k:do_syscall_64";

const PATTERNS: Record<string, { module: string; lines: string[] }> = {
  "checkout-api": {
    module: "checkout",
    lines: [
      "runtime.goexit;net/http.(*conn).serve;net/http.HandlerFunc.ServeHTTP;checkout/api.(*Cart).Handle;checkout/pricing.Apply;checkout/pricing.(*Rule).Match;regexp.(*Regexp).doExecute;regexp.(*machine).step 34",
      "runtime.goexit;net/http.(*conn).serve;net/http.HandlerFunc.ServeHTTP;checkout/api.(*Cart).Handle;encoding/json.Marshal;encoding/json.(*encodeState).reflectValue;i:encoding/json.structEncoder.encode 18",
      `runtime.goexit;net/http.(*conn).serve;bufio.(*Writer).Flush;internal/poll.(*FD).Write;syscall.Syscall;${SYSCALL};k:__x64_sys_write;k:sock_write_iter;k:tcp_sendmsg;k:tcp_write_xmit;k:__ip_queue_xmit 12`,
      "runtime.goexit;runtime.gcBgMarkWorker;runtime.gcDrain;runtime.scanobject;runtime.greyobject 15",
      "runtime.mcall;runtime.schedule;runtime.findRunnable;runtime.stealWork 6",
    ],
  },
  "redis-server": {
    module: "redis-server",
    lines: [
      "_start;main;aeMain;aeProcessEvents;readQueryFromClient;processInputBuffer;processCommand;call;zaddCommand;zsetAdd;zslInsert;zslRandomLevel 9",
      `_start;main;aeMain;aeProcessEvents;readQueryFromClient;processInputBuffer;processCommand;call;getCommand;lookupKeyRead;dictFind;siphash 24`,
      `_start;main;aeMain;aeProcessEvents;readQueryFromClient;connSocketRead;read@${LIBC};${SYSCALL};k:ksys_read;k:sock_read_iter;k:tcp_recvmsg;k:skb_copy_datagram_iter 14`,
      `_start;main;aeMain;aeProcessEvents;handleClientsWithPendingWrites;writeToClient;write@${LIBC};${SYSCALL};k:ksys_write;k:sock_write_iter;k:tcp_sendmsg;k:tcp_push;k:__tcp_transmit_skb;k:ip_output 22`,
      `_start;main;aeMain;aeProcessEvents;epoll_wait@${LIBC};${SYSCALL};k:do_epoll_wait;k:ep_poll 8`,
      "_start;main;aeMain;serverCron;databasesCron;activeExpireCycle;dictScan 5",
      `start_thread@${LIBC};bioProcessBackgroundJobs;lazyfreeFreeObject;je_free@libjemalloc.so.2 4`,
    ],
  },
  "search-indexer": {
    module: "indexer",
    lines: [
      "__libc_start_main@libc.so.6;main;std::thread::run;indexer::Segment::merge;indexer::postings::decode_block;i:bitpacking::unpack32 40",
      "__libc_start_main@libc.so.6;main;std::thread::run;indexer::Segment::merge;core::slice::sort::merge_sort;i:core::cmp::Ord::cmp 21",
      "__libc_start_main@libc.so.6;main;std::thread::run;indexer::tokenize::<impl Iterator>::next;unicode_segmentation::grapheme_step 26",
      "__libc_start_main@libc.so.6;main;std::thread::run;ZSTD_compress_usingDict@libzstd.so.1;ZSTD_compressBlock_fast@libzstd.so.1 17",
      `__libc_start_main@libc.so.6;main;std::thread::run;memmap2::Mmap::flush;msync@${LIBC};${SYSCALL};k:__x64_sys_msync;k:ext4_sync_file;k:jbd2_complete_transaction 7`,
    ],
  },
  postgresql: {
    module: "postgres",
    lines: [
      "_start;main;PostmasterMain;ServerLoop;BackendStartup;PostgresMain;exec_simple_query;PortalRun;ExecutorRun;ExecHashJoin;ExecScanHashBucket;ExecQual;int4eq 28",
      "_start;main;PostmasterMain;ServerLoop;BackendStartup;PostgresMain;exec_simple_query;pg_plan_queries;planner;standard_planner;subquery_planner;grouping_planner;add_paths_to_joinrel 13",
      `_start;main;PostmasterMain;ServerLoop;BackendStartup;PostgresMain;exec_simple_query;PortalRun;ExecutorRun;ExecSeqScan;heap_getnextslot;heapgetpage;ReadBuffer;pread@${LIBC};${SYSCALL};k:ksys_pread64;k:ext4_file_read_iter;k:filemap_read;k:copy_page_to_iter 24`,
      "_start;main;PostmasterMain;ServerLoop;StartAutoVacWorker;do_autovacuum;vacuum_rel;lazy_scan_heap;heap_page_prune 11",
    ],
  },
  "recommendation": {
    module: "java",
    lines: [
      "start_thread@libc.so.6;JavaThread::run@libjvm.so;j:java.lang.Thread.run;j:com.shop.rec.Worker.process;j:com.shop.rec.Model.score;j:java.util.HashMap.getNode 37",
      "start_thread@libc.so.6;JavaThread::run@libjvm.so;j:java.lang.Thread.run;j:com.shop.rec.Worker.process;j:com.fasterxml.jackson.core.JsonParser.nextToken 16",
      "start_thread@libc.so.6;GangWorker::run@libjvm.so;G1ParTask::work@libjvm.so;G1ParScanThreadState::trim_queue@libjvm.so 22",
      "start_thread@libc.so.6;CompileBroker::compiler_thread_loop@libjvm.so;C2Compiler::compile_method@libjvm.so;PhaseIdealLoop::build_and_optimize@libjvm.so 9",
    ],
  },
  nginx: {
    module: "nginx",
    lines: [
      `_start;main;ngx_master_process_cycle;ngx_worker_process_cycle;ngx_epoll_process_events;ngx_http_process_request;ngx_http_gzip_body_filter;deflate@libz.so.1;longest_match@libz.so.1 31`,
      `_start;main;ngx_master_process_cycle;ngx_worker_process_cycle;ngx_epoll_process_events;ngx_ssl_handshake;SSL_do_handshake@libssl.so.3;x25519_fe64_mul@libcrypto.so.3 17`,
      `_start;main;ngx_master_process_cycle;ngx_worker_process_cycle;ngx_epoll_process_events;ngx_writev;writev@${LIBC};${SYSCALL};k:do_writev;k:tcp_sendmsg;k:skb_page_frag_refill 12`,
    ],
  },
  kubelet: {
    module: "kubelet",
    lines: ["runtime.goexit;k8s.io/kubelet/pkg.(*Kubelet).syncLoop;k8s.io/kubelet/pkg/cadvisor.housekeeping;os.ReadFile 8"],
  },
  "aperture-agent": {
    module: "aperture-agent",
    lines: ["_start;main;ap_agent_run;ap_ring_poll;ap_rows_add;XXH3_64bits@libxxhash.so.0 5", "_start;main;ap_agent_run;ap_symboliser_run;blaze_symbolize_elf_virt_offsets 4"],
  },
};

function stacksOf(name: string): MockStack[] {
  const { module, lines } = PATTERNS[name]!;
  const out: MockStack[] = [];
  for (const line of lines) {
    const cut = line.lastIndexOf(" ");
    const frames = line.slice(0, cut).split(";").map((f) => frame(f, module));
    let weight = Number(line.slice(cut + 1));
    out.push({ frames, weight: weight * 0.6, phase: random() });
    weight *= 0.4;
    for (let depth = frames.length - 1; depth > 2 && weight > 0.05; depth--) {
      const leaf = { function: `${frames[depth]!.function.split(/[.(<:]/)[0] || "helper"}_${Math.floor(random() * 900)}`, module: frames[depth]!.module, kind: frames[depth]!.kind };
      out.push({ frames: [...frames.slice(0, depth), leaf], weight: weight * 0.3, phase: random() });
      out.push({ frames: frames.slice(0, depth), weight: weight * 0.2, phase: random() });
      weight *= 0.5;
    }
  }
  const sum = out.reduce((s, x) => s + x.weight, 0);
  for (const stack of out) stack.weight /= sum;
  return out;
}

/** Where threads wait, by state: what follows the service's own frames, and its weight. */
const WAITS: Record<string, readonly [string, number][]> = {
  sleeping: [
    [`epoll_wait@${LIBC};${SYSCALL};k:do_epoll_wait;k:ep_poll`, 90],
    [`clock_nanosleep@${LIBC};${SYSCALL};k:common_nsleep;k:hrtimer_nanosleep`, 10],
  ],
  lock: [
    [`pthread_cond_wait@${LIBC};${SYSCALL};k:__x64_sys_futex;k:do_futex;k:futex_wait;k:__futex_wait`, 88],
    [`pthread_mutex_lock@${LIBC};${SYSCALL};k:__x64_sys_futex;k:do_futex;k:futex_wait;k:__futex_wait`, 12],
  ],
  blocked: [
    [`pread@${LIBC};${SYSCALL};k:ksys_pread64;k:ext4_file_read_iter;k:filemap_get_pages;k:folio_wait_bit_common`, 58],
    [`fdatasync@${LIBC};${SYSCALL};k:ext4_sync_file;k:jbd2_log_wait_commit`, 31],
    ["k:asm_exc_page_fault;k:do_user_addr_fault;k:rwsem_down_read_slowpath", 11],
  ],
  runnable: [
    ["[short waits]", 37],
    ["k:asm_sysvec_apic_timer_interrupt;k:irqentry_exit_to_user_mode", 49],
    [`sched_yield@${LIBC};${SYSCALL};k:do_sched_yield`, 14],
  ],
};

/** Each leaf below up to three of the service's own functions. */
function waitStacks(name: string, state: string): MockStack[] {
  const { module, lines } = PATTERNS[name]!;
  const callers = lines.slice(0, 3).map((line) => {
    const frames = line.slice(0, line.lastIndexOf(" ")).split(";").map((f) => frame(f, module));
    const kernel = frames.findIndex((f) => f.kind === 1);
    return frames.slice(0, kernel < 0 ? frames.length : kernel - 1);
  });
  const out = WAITS[state]!.flatMap(([leaf, weight]) =>
    callers.map((above, i) => ({
      frames: leaf.startsWith("[") ? [frame(leaf, "")] : [...above, ...leaf.split(";").map((f) => frame(f, module))],
      weight: weight / 2 ** i,
      phase: random(),
    })),
  );
  const sum = out.reduce((s, x) => s + x.weight, 0);
  for (const stack of out) stack.weight /= sum;
  return out;
}

/** `waiting`: threads that sleep or wait for a lock, are blocked, and are runnable. */
function service(name: string, hosts: string[], cores: number, trend: number, complete: number, waiting: readonly [number, number, number]): MockService {
  const [idle, blocked, runnable] = waiting;
  const of = (state: string, threads: number, follows: number): MockWaits => ({ state, threads, follows, stacks: waitStacks(name, state) });
  return {
    name, hosts, cores, trend, complete, stacks: stacksOf(name),
    waits: [of("sleeping", idle * 0.7, -0.05), of("lock", idle * 0.3, -0.02), of("blocked", blocked, 2), of("runnable", runnable, 1.4)],
  };
}

export const SERVICES: MockService[] = [
  service("checkout-api", ["web-1", "web-2"], 3.4, 1.42, 0.998, [46, 1.3, 0.9]),
  service("redis-server", ["db-1"], 0.92, 0.97, 1, [5, 0.04, 0.03]),
  service("search-indexer", ["web-2", "db-1"], 2.1, 0.71, 0.991, [9, 2.6, 0.5]),
  service("postgresql", ["db-1"], 1.7, 1.08, 0.996, [31, 1.9, 0.4]),
  service("recommendation", ["web-1", "web-2"], 1.25, 1.01, 0.871, [88, 0.2, 0.7]),
  service("nginx", ["web-1", "web-2"], 0.44, 0.99, 1, [7, 0.06, 0.05]),
  service("kubelet", HOSTS, 0.08, 1, 0.97, [40, 0.02, 0.01]),
  service("aperture-agent", HOSTS, 0.009, 1.02, 1, [9, 0.001, 0.001]),
];

/** Load of a service at a time, around 1: a slow wave, noise, and a spike in the checkout every 40 minutes. */
export function loadAt(name: string, ms: number): number {
  const seed = [...name].reduce((s, c) => s + c.charCodeAt(0), 0);
  const wave = 1 + 0.18 * Math.sin(ms / 900_000 + seed) + 0.08 * Math.sin(ms / 97_000 + seed * 3);
  const jitter = Math.sin(Math.floor(ms / 10_000) * 12.9898 + seed) * 43758.5453;
  const noise = (jitter - Math.floor(jitter) - 0.5) * 0.14;
  const inSpike = name === "checkout-api" && ms % 2_400_000 < 200_000;
  return Math.max(0.05, wave + noise + (inSpike ? 1.1 : 0));
}

/** No data before this long ago, so that gaps can be seen. */
export const HISTORY_MS = 26 * 3_600_000;
/** Since when the agents on WAIT_HOSTS record waits too. */
export const WAITS_MS = 9 * 3_600_000;
export const WAIT_HOSTS = ["web-1", "web-2"];
export const FREQUENCY = 99;
