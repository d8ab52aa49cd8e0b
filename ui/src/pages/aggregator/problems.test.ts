// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import type { AggregatorAnswer } from "@/api/model";
import { problemsOf } from "./problems";

const WELL: AggregatorAnswer = {
  version: "1", uptime_s: 1, at: 0,
  wal: { bytes: 10, max_bytes: 100, files: 1, records: 0, oldest_s: 0, commits: 1, commit_ns: 1, failures: 0, damaged_bytes: 0, error: null },
  store: { driver: "embedded", version: "26", reached: true, rows: 1, flushes: 1, flush_errors: 0, flush_ns: 1, last_flush_ns: 1, error: null, disk_free_bytes: 50, disk_bytes: 100 },
  buffer: { batches: 1, bytes: 1, pending_bytes: 1, max_bytes: 100, pending_rows: 1, hidden_rows: 0, restored_rows: 0, lag_s: 1 },
  pushes: { ok: 1, duplicate: 0, backpressure: 0, error: 0, rows: 1 },
  queries: { running: 0, waiting: 0, ok: 1, cancelled: 0, timeout: 0, limited: 0, busy: 0, error: 0, ns: 1 },
  agents: { ok: 1, stale: 0, left: 0 },
  state: { error: null, notifications_waiting: 0, notifications_dropped: 0, programs: 0, programs_forgotten: 0 },
  history: { times: [], wal_bytes: [], lag_s: [], pending_rows: [], buffer_bytes: [], rows_in: [], rows_stored: [], refused: [], errors: [], queries: [], query_failures: [], disk_free_bytes: [], agents_ok: [] },
};

test("nothing is wrong with one that is well", () => {
  expect(problemsOf(WELL)).toEqual([]);
});

test("a store that is not reached is one problem, and comes before the log that fills for it", () => {
  const wrong = { ...WELL, store: { ...WELL.store, reached: false, error: "refused" }, wal: { ...WELL.wal, bytes: 90 } };
  expect(problemsOf(wrong).map((p) => p.what)).toEqual(["The store is not reached.", "The write-ahead log is 90.0 % full."]);
});

test("a disk of which nothing is known is no problem, a full one is", () => {
  expect(problemsOf({ ...WELL, store: { ...WELL.store, disk_bytes: 0, disk_free_bytes: 0 } })).toEqual([]);
  expect(problemsOf({ ...WELL, store: { ...WELL.store, disk_free_bytes: 1 } })).toHaveLength(1);
});
