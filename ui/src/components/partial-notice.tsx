// SPDX-License-Identifier: Apache-2.0
import type { ReactNode } from "react";
import { span } from "@/lib/format";
import type { Covered } from "@/lib/stack";
import { useSelection } from "@/state/selection";
import { isRelative } from "@/state/time";
import { Icon } from "./icons";

/** Says over which time averages are, where that is not the whole range. */
export function PartialNotice({ covered, range }: { covered: Covered | null; range: { from: number; to: number } }): ReactNode {
  const [selection, set] = useSelection();
  if (!covered?.partial) return null;
  const zoom = (): void => set({ from: String(covered.from), to: isRelative(selection) ? "now" : selection.to, live: false });
  return (
    <div className="notice" role="status">
      <Icon name="info" />
      <span>
        Hosts reported for <b>{span(covered.ms)}</b> of these {span(range.to - range.from)}; averages are over that time.
      </span>
      <button type="button" className="button" onClick={zoom}>Show only the time with data</button>
    </div>
  );
}
