// SPDX-License-Identifier: Apache-2.0
import type { ReactNode } from "react";
import type { HealthAnswer, StoreAnswer } from "@/api/model";
import { useHealth, useStore } from "@/api/queries";
import { ErrorState, Fact, Skeleton } from "@/components/basics";
import { Page } from "@/components/shell";
import { bytes, count, duration } from "@/lib/format";
import { ModulesPanel } from "./modules";
import { SecurityPanels } from "./security";

const TABLES: Record<string, string> = {
  samples: "samples",
  samples_1h: "samples by hour",
  samples_1d: "samples by day",
  syscalls: "system calls",
  syscalls_1h: "system calls by hour",
  syscalls_1d: "system calls by day",
  ledger_1h: "ledger by hour",
  rollups: "progress of sums",
  stacks: "stacks",
  frames: "frames",
  symbols: "symbols that came later",
  ledger: "ledger",
  meta: "schema",
};

const DAY_S = 86_400;

function kept(seconds: number): string {
  const days = seconds / DAY_S;
  return days >= 1 ? `${count(Math.round(days))} ${Math.round(days) === 1 ? "day" : "days"}` : duration(seconds * 1e9);
}

function AggregatorFacts({ health }: { health: HealthAnswer }): ReactNode {
  const { buffer } = health;
  return (
    <dl className="facts">
      <Fact term="Version">{health.version}</Fact>
      <Fact term="Running for">{duration(health.uptime_s * 1e9)}</Fact>
      <Fact term="Buffer">{count(buffer.batches)} {buffer.batches === 1 ? "batch" : "batches"}, {bytes(buffer.bytes)} of {bytes(buffer.capacity_bytes)}</Fact>
    </dl>
  );
}

const LIMITS: Record<string, string> = {
  retention: "its age",
  budget: "the disk budget",
  free: "the part of the disk that stays free",
};

/** What there is room for, and for how long at the rate of the last week. */
function RoomFacts({ disk }: { disk: StoreAnswer["disk"] }): ReactNode {
  return (
    <>
      <Fact term="Room">{disk.budget_bytes === null ? "no budget" : bytes(disk.budget_bytes)}{disk.free_bytes === null ? "" : `, ${bytes(disk.free_bytes)} of the disk free`}</Fact>
      <Fact term="Grows by">{disk.bytes_per_day === null ? "known after the first whole day" : `${bytes(disk.bytes_per_day)} a day, to ${bytes(disk.bytes_full ?? 0)}`}</Fact>
      <Fact term="A day goes for">
        {disk.acts_first === null ? "–"
          : disk.days_left === null ? LIMITS[disk.acts_first]
          : <span className="warn">{LIMITS[disk.acts_first]}, in {count(Math.floor(disk.days_left))} days</span>}
      </Fact>
    </>
  );
}

function StoreFacts({ store, error }: { store: StoreAnswer; error: string | null }): ReactNode {
  return (
    <>
      <dl className="facts">
        <Fact term="On disk">{bytes(store.bytes)}</Fact>
        <RoomFacts disk={store.disk} />
        <Fact term="Oldest day">{store.oldest_day ? `${store.oldest_day} UTC` : "nothing is stored yet"}</Fact>
        <Fact term="Engine">ClickHouse {store.version}, {store.driver}</Fact>
        <Fact term="Folder"><code>{store.folder}</code></Fact>
        <Fact term="Last write">{error === null ? "went well" : <span className="up">{error}</span>}</Fact>
      </dl>
      <table className="store-tables">
        <thead>
          <tr><th>Table</th><th className="numeric">Rows</th><th className="numeric">On disk</th><th className="numeric">A day</th><th className="numeric">Oldest day</th><th className="numeric">Kept for</th></tr>
        </thead>
        <tbody>
          {store.tables.map((t) => (
            <tr key={t.table}>
              <td>{TABLES[t.table] ?? t.table}</td>
              <td className="numeric">{count(t.rows)}</td>
              <td className="numeric">{bytes(t.bytes)}</td>
              <td className="numeric">{t.bytes_per_day ? bytes(t.bytes_per_day) : "–"}</td>
              <td className="numeric">{t.oldest_day ?? "–"}</td>
              <td className="numeric">{t.retention_s === null ? "–" : kept(t.retention_s)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

export function SettingsPage(): ReactNode {
  const health = useHealth();
  const store = useStore();
  return (
    <Page title="Settings" stale={store.data ? store.error : null}>
      <ModulesPanel />
      <section className="panel" aria-label="Aggregator">
        <header><h2>Aggregator</h2></header>
        {health.data ? <AggregatorFacts health={health.data} /> : <div className="pad"><Skeleton height={40} /></div>}
      </section>
      <section className="panel" aria-label="Store">
        <header><h2>Store</h2></header>
        {store.data ? <StoreFacts store={store.data} error={health.data?.store.error ?? null} />
          : store.isError ? <ErrorState error={store.error} retry={() => void store.refetch()} />
          : <div className="pad"><Skeleton height={120} /></div>}
      </section>
      <SecurityPanels />
    </Page>
  );
}
