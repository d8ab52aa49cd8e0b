// SPDX-License-Identifier: Apache-2.0
import { useMemo, type ReactNode } from "react";
import { useLocation } from "wouter";
import type { Agent } from "@/api/model";
import { useAgents } from "@/api/queries";
import { Empty, ErrorState, Fact, Skeleton } from "@/components/basics";
import { DataTable, type Column } from "@/components/data-table";
import { Page } from "@/components/shell";
import { ago, bytes, count, duration, percent } from "@/lib/format";
import { formatFilter } from "@/state/filter";
import { text } from "@/state/params";
import { selectionLink } from "@/state/selection";
import { useUrlState } from "@/state/use-url-state";
import { AddHost } from "./join";
import { LedgerPanel } from "./ledger";
import { Countdown, SettingsPanel } from "./settings";

const SCHEMA = { agent: text(), order: text("host.asc") };

const STATES: Record<Agent["state"], string> = {
  ok: "reporting",
  stale: "silent",
  left: "left",
};

const rate = (a: Agent): number => a.frequency_hz / a.stride;
const hertz = (a: Agent): string => `${Number(rate(a).toPrecision(3))} Hz`;
const thinned = (a: Agent): string => `one of ${a.stride} samples of ${a.frequency_hz} Hz, to keep its CPU budget`;

const COLUMNS: Column<Agent>[] = [
  {
    id: "host", header: "Host", track: "minmax(100px, 1.2fr)", sort: (a) => a.host,
    cell: (a) => (
      <span className="fn">
        <span className="name truncate"><i className={`dot ${a.state}`} /> {a.host}</span>
        <span className="module truncate">{STATES[a.state]}, seen {ago(a.last_seen, Date.now())} <Countdown agent={a} /></span>
      </span>
    ),
  },
  { id: "version", header: "Version", track: "80px", wide: true, sort: (a) => a.version, cell: (a) => a.version },
  { id: "kernel", header: "Kernel", track: "minmax(120px, 1fr)", wide: true, sort: (a) => a.kernel, cell: (a) => <span title={`${a.arch}, ${a.cpus} CPUs`}>{a.kernel}</span> },
  { id: "rate", header: "Rate", hint: "Samples a second on each busy CPU", track: "72px", numeric: true, wide: true, sort: (a) => rate(a), cell: (a) => (a.stride > 1 ? <span title={thinned(a)}>{hertz(a)}</span> : hertz(a)) },
  { id: "samples", header: "Samples", track: "96px", numeric: true, wide: true, sort: (a) => a.samples, cell: (a) => count(a.samples) },
  { id: "complete", header: "Complete", hint: "Stacks that reach their outermost frame, percent of the agent's samples", track: "84px", numeric: true, sort: (a) => a.complete_share ?? -1, cell: (a) => (a.complete_share === null ? "–" : percent(a.complete_share)) },
  { id: "lost", header: "Lost", track: "66px", numeric: true, sort: (a) => a.lost, cell: (a) => <span className={a.lost > 0 ? "up" : undefined}>{count(a.lost)}</span> },
  { id: "cost", header: "Cost", hint: "CPU of the agent and its BPF programs, percent of the whole host, since its previous report", track: "72px", numeric: true, sort: (a) => a.cost.cpu_share ?? -1, cell: (a) => (a.cost.cpu_share === null ? <span className="muted" title="not measured yet">–</span> : percent(a.cost.cpu_share)) },
];

function AgentDetails({ agent, onProfile }: { agent: Agent; onProfile(): void }): ReactNode {
  const { cost } = agent;
  return (
    <section className="panel" aria-label={`Agent on ${agent.host}`}>
      <header>
        <i className={`dot ${agent.state}`} />
        <h2>{agent.host}</h2>
        <span className="muted truncate">{agent.id}</span>
        <span className="spacer" />
        <button type="button" className="button" onClick={onProfile}>Flame graph of this host</button>
      </header>
      <dl className="facts">
        <Fact term="State">{STATES[agent.state]}, seen {ago(agent.last_seen, Date.now())}</Fact>
        <Fact term="Version">{agent.version}, {agent.arch}</Fact>
        <Fact term="Kernel">{agent.kernel}, {agent.cpus} CPUs</Fact>
        <Fact term="Profiles">{agent.modes.join(", ") || "none"} at {hertz(agent)}{agent.stride > 1 && `, ${thinned(agent)}`}</Fact>
        <Fact term="First seen">{ago(agent.first_seen, Date.now())}, started {agent.epoch} {agent.epoch === 1 ? "time" : "times"}</Fact>
        <Fact term="Waiting to be sent">{count(agent.queued_batches)} {agent.queued_batches === 1 ? "batch" : "batches"}</Fact>
        <Fact term="CPU cost">{cost.cpu_share === null ? "not measured yet" : `${percent(cost.cpu_share)} of the whole host`}</Fact>
        <Fact term="CPU so far">{duration(cost.cpu_user_ns)} agent, {duration(cost.cpu_bpf_ns)} BPF</Fact>
        <Fact term="Memory">{bytes(cost.rss_bytes)} and {bytes(cost.map_bytes)} of BPF maps</Fact>
      </dl>
    </section>
  );
}

export function AgentsPage(): ReactNode {
  const agents = useAgents();
  const [state, set] = useUrlState(SCHEMA);
  const [, navigate] = useLocation();
  const chosen = useMemo(() => agents.data?.agents.find((a) => a.id === state.agent), [agents.data, state.agent]);

  let body: ReactNode;
  if (agents.isError && !agents.data) body = <section className="panel"><ErrorState error={agents.error} retry={() => void agents.refetch()} /></section>;
  else if (!agents.data) body = <section className="panel pad"><Skeleton height={260} /></section>;
  else if (agents.data.agents.length === 0) {
    body = (
      <section className="panel">
        <Empty icon="agents" title="No agent has reported yet">
          <p>Run this on each host that you want to profile. It needs no restart of what it profiles.</p>
          <AddHost command={agents.data.install_command} />
        </Empty>
      </section>
    );
  } else {
    body = (
      <>
        <section className="panel clip">
          <header>
            <h2>Agents</h2>
            <span className="muted">{count(agents.data.agents.filter((a) => a.state === "ok").length)} of {count(agents.data.hosts_expected)} reporting</span>
          </header>
          <DataTable label="Agents" rows={agents.data.agents} columns={COLUMNS} order={state.order} onOrder={(order) => set({ order }, { replace: true })} rowKey={(a) => a.id} onRow={(a) => set({ agent: a.id === state.agent ? "" : a.id })} selected={(a) => a.id === state.agent} rowHeight={46} />
        </section>
        {chosen ? <AgentDetails agent={chosen} onProfile={() => navigate(selectionLink("/flamegraph", "", { filter: formatFilter([{ label: "host", op: "=", value: chosen.host }]) }))} /> : null}
        {chosen ? <SettingsPanel key={chosen.id} agent={chosen} /> : null}
        <LedgerPanel agent={chosen?.id ?? ""} title={chosen ? chosen.host : "all agents"} onAll={chosen ? () => set({ agent: "" }) : undefined} />
        <section className="panel">
          <header><h2>Add a host</h2></header>
          <div className="pad">
            <p className="muted">Start an agent there. It reports within seconds; nothing that it profiles needs a restart.</p>
            <AddHost command={agents.data.install_command} />
          </div>
        </section>
      </>
    );
  }
  return <Page title="Agents" bare stale={agents.data ? agents.error : null}>{body}</Page>;
}
