// SPDX-License-Identifier: Apache-2.0
import type { ReactNode } from "react";
import { Link, useSearch } from "wouter";
import type { AgentsAnswer, ServicesAnswer } from "@/api/model";
import { ago, count, percent, significant } from "@/lib/format";
import { samplesOf, type Measure } from "@/lib/measure";
import { selectionLink } from "@/state/selection";

function Tile({ label, value, unit, children }: { label: string; value: string; unit?: string; children: ReactNode }): ReactNode {
  return (
    <div className="tile">
      <div className="label">{label}</div>
      <div className="value">{value}{unit ? <small> {unit}</small> : null}</div>
      <div className="note">{children}</div>
    </div>
  );
}

function AgentDots({ agents }: { agents: AgentsAnswer }): ReactNode {
  const search = useSearch();
  return (
    <Link href={selectionLink("/agents", search)} className="agent-dots" title="Show the agents">
      {agents.agents.slice(0, 24).map((a) => (
        <i key={a.id} className={`dot ${a.state}`} title={`${a.host}: ${a.state}, seen ${ago(a.last_seen, Date.now())}`} />
      ))}
      <span>{agents.agents.length > 24 ? `and ${agents.agents.length - 24} more` : "Agents"} →</span>
    </Link>
  );
}

/** The state of the whole selection in five figures. */
export function Tiles(props: { services: ServicesAnswer; agents: AgentsAnswer | undefined; cpu: number | null; measure: Measure }): ReactNode {
  const { services, agents, cpu } = props;
  const { coverage } = services;
  const hostCpus = agents?.agents.filter((a) => a.state !== "left").reduce((sum, a) => sum + a.cpus, 0) ?? 0;
  const costs = agents?.agents.filter((a) => a.state === "ok" && a.cost.cpu_share !== null) ?? [];
  const cost = costs.length > 0 ? costs.reduce((sum, a) => sum + a.cost.cpu_share! * a.cpus, 0) / costs.reduce((sum, a) => sum + a.cpus, 0) : null;
  const healthy = agents?.agents.filter((a) => a.state === "ok").length ?? 0;
  return (
    <section className="tiles" aria-label="Summary">
      <Tile label={cpu !== null ? "CPU used" : "Total"} value={props.measure.short(services.total_value)} unit={props.measure.unit}>
        {cpu !== null && hostCpus > 0 ? `${percent(cpu / hostCpus)} of ${hostCpus} cores` : `${count(coverage.samples)} ${samplesOf(services.type)}`}
      </Tile>
      <Tile label="Agents reporting" value={agents ? `${healthy}` : "–"} unit={agents ? `of ${Math.max(agents.hosts_expected, healthy)}` : ""}>
        {agents ? <AgentDots agents={agents} /> : "…"}
      </Tile>
      <Tile label="Complete stacks" value={coverage.complete_share === null ? "–" : percent(coverage.complete_share)}>of {count(coverage.samples)} {samplesOf(services.type)}</Tile>
      <Tile label="Lost samples" value={count(coverage.lost)}>{coverage.lost > 0 ? "counted by stage under Agents" : "none on the whole way"}</Tile>
      <Tile label="Cost of profiling" value={cost === null ? "–" : percent(cost)}>
        {cost === null ? "not measured yet" : `of all CPUs, ${significant(costs.reduce((sum, a) => sum + a.cost.rss_bytes, 0) / costs.length / 2 ** 20)} MiB a host`}
      </Tile>
    </section>
  );
}
