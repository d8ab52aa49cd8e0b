// SPDX-License-Identifier: Apache-2.0
/** Why there is nothing to show, and what to do about it. */
import type { ReactNode } from "react";
import { useAgents, useProfileTypes } from "@/api/queries";
import { ago } from "@/lib/format";
import { useSelection } from "@/state/selection";
import { Command, Empty } from "./basics";
import { rangeLabel } from "./time-range";

/** What records waits beside CPU time. */
export const RECORD_WAITS = "aperture-agent --mode wall";

const OF_WAITS = /^(offcpu|wall):/;

export function NoData(): ReactNode {
  const agents = useAgents();
  const [selection, set] = useSelection();
  const types = useProfileTypes(selection);
  if (agents.data && agents.data.agents.length === 0) {
    return (
      <Empty icon="agents" title="No agent has reported yet">
        <p>Start one on each host that you want to profile. Its first samples show up here within seconds.</p>
        <Command text={agents.data.install_command} />
      </Empty>
    );
  }
  const removeFilter = selection.filter === "" ? null : <button type="button" className="button" onClick={() => set({ filter: "" })}>Remove the filter</button>;
  if (OF_WAITS.test(selection.type)) {
    const recorded = types.data?.types.some((t) => t.name === selection.type && t.available) ?? false;
    return (
      <Empty icon="clock" title="No waits in this selection">
        <p>
          {recorded ? "The filter may leave nothing, or its hosts record CPU time only. " : "No host recorded waits in this time. "}
          Agents record them beside CPU time where they are started with
        </p>
        <Command text={RECORD_WAITS} />
        {removeFilter}
      </Empty>
    );
  }
  const last = Math.max(0, ...(agents.data?.agents.map((a) => a.last_seen) ?? []));
  return (
    <Empty icon="clock" title="No samples in this selection">
      <p>
        {selection.filter !== "" ? "The filter may leave nothing, or no host reported in this time. " : "No host reported in this time. "}
        {last > 0 ? `The last report came ${ago(last, Date.now())}. ` : ""}
        Shown: {rangeLabel(selection)}.
      </p>
      <div className="actions">
        {removeFilter}
        {last > 0 ? (
          <button type="button" className="button primary" onClick={() => set({ from: String(last - 900_000), to: String(last + 1000), live: false })}>
            Show the last 15 minutes with data
          </button>
        ) : null}
      </div>
    </Empty>
  );
}
