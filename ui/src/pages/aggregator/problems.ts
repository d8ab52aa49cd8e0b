// SPDX-License-Identifier: Apache-2.0
/** What is wrong with an aggregator, worst first, and what helps. */
import type { AggregatorAnswer } from "@/api/model";
import { bytes, count, duration, percent } from "@/lib/format";

export interface Problem {
  what: string;
  remedy: string;
}

const BEHIND_S = 30;
const FULL = 0.8;
const SCARCE = 0.05;

export function problemsOf(a: AggregatorAnswer): Problem[] {
  const problems: Problem[] = [];
  const add = (wrong: boolean, what: string, remedy: string): void => {
    if (wrong) problems.push({ what, remedy });
  };
  const { wal, store, buffer } = a;
  add(wal.error !== null, `The write-ahead log cannot be written: ${wal.error}.`, "Nothing is acknowledged until it can: agents keep what they have. Look at the disk of the data folder.");
  add(!store.reached, "The store is not reached.", "What is pushed is kept in the write-ahead log meanwhile. Check that the ClickHouse server runs, and its address and credentials.");
  add(store.reached && store.error !== null, `The last write to the store failed: ${store.error}.`, "It is tried again by itself; what is pushed is in the write-ahead log.");
  add(store.disk_bytes > 0 && store.disk_free_bytes < SCARCE * store.disk_bytes, `The disk has ${bytes(store.disk_free_bytes)} left.`, "Free some of it, or keep profiles for a shorter time (--retention).");
  add(wal.max_bytes > 0 && wal.bytes > FULL * wal.max_bytes, `The write-ahead log is ${percent(wal.bytes / wal.max_bytes)} full.`, "When it is full, agents are turned away and keep their batches. Find out why the store is slow, or give it more (--wal-bytes).");
  add(buffer.lag_s > BEHIND_S, `What is stored is ${duration(buffer.lag_s * 1e9)} behind what has arrived.`, "The store takes in less than agents push: look at its CPU and disk.");
  add(buffer.hidden_rows > 0, `${count(buffer.hidden_rows)} rows are on disk alone.`, "Queries do not see them until they are stored: the buffer's memory is used up (--buffer-bytes).");
  add(a.state.error !== null, `Alert states cannot be saved: ${a.state.error}.`, "Rules are evaluated all the same.");
  return problems;
}
