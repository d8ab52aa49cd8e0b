// SPDX-License-Identifier: Apache-2.0
/** What an answer rests on, in one line, with the reasons for incomplete stacks on request. */
import { Popover } from "radix-ui";
import type { ReactNode } from "react";
import type { Coverage } from "@/api/model";
import { useLedger } from "@/api/queries";
import { count, dateTime, percent } from "@/lib/format";
import { samplesOf } from "@/lib/measure";
import { Icon } from "./icons";

function Reasons({ reasons, noun }: { reasons: Record<string, number>; noun: string }): ReactNode {
  const ledger = useLedger("");
  const texts = new Map(ledger.data?.reasons.map((r) => [r.name, r.text]));
  const rows = Object.entries(reasons).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  const sum = rows.reduce((total, [, n]) => total + n, 0);
  return (
    <table className="reasons">
      <thead>
        <tr>
          <th>Where stacks end</th>
          <th className="numeric">{noun[0]!.toUpperCase() + noun.slice(1)}</th>
          <th className="numeric">Of all</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, n]) => (
          <tr key={name}>
            <td>
              <b>{name.replaceAll("_", " ")}</b>
              <div className="muted">{texts.get(name)}</div>
            </td>
            <td className="numeric">{count(n)}</td>
            <td className="numeric">{percent(sum > 0 ? n / sum : 0)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What the store's retention has left of the range, where that is not all. */
function Kept({ range }: { range: Coverage["range"] }): ReactNode {
  if (!range || (range.resolution_s === 1 && range.unanswered_to === null)) return null;
  const bucket = range.resolution_s === 3600 ? "hour" : "day";
  return (
    <>
      {range.resolution_s > 1 ? (
        <span className="warn" title={`Older samples are kept as sums by the ${bucket}: the range is widened to whole ${bucket}s`}>
          by the <b>{bucket}</b>, {dateTime(range.from)} to {dateTime(range.to)}
        </span>
      ) : null}
      {range.unanswered_to !== null ? (
        <span className="warn" title="Sums by the hour or day do not tell processes and threads apart, and in time they go too">
          nothing kept before <b>{dateTime(range.unanswered_to)}</b>
        </span>
      ) : null}
    </>
  );
}

/** `type` is the profile type of the answer, which says what its samples are. */
export function CoverageLine({ coverage, type }: { coverage: Coverage; type: string }): ReactNode {
  const noun = samplesOf(type);
  const missing = coverage.hosts_reporting < coverage.hosts_expected;
  return (
    <div className="coverage">
      <span><b>{count(coverage.samples)}</b> {noun}</span>
      <span className={missing ? "warn" : undefined}>
        <b>{coverage.hosts_reporting}</b> of {coverage.hosts_expected} {coverage.hosts_expected === 1 ? "host" : "hosts"}
      </span>
      <Popover.Root>
        <Popover.Trigger className="link">
          {coverage.complete_share === null ? "no stacks" : <><b>{percent(coverage.complete_share)}</b> complete stacks</>}
          <Icon name="info" size={13} />
        </Popover.Trigger>
        <Popover.Portal>
          <Popover.Content className="popover" sideOffset={6} collisionPadding={8} style={{ width: 420 }}>
            <p className="muted" style={{ marginBottom: 8 }}>
              A complete stack reaches its outermost frame. The others are kept, up to where they could be followed.
            </p>
            <Reasons reasons={coverage.reasons} noun={noun} />
          </Popover.Content>
        </Popover.Portal>
      </Popover.Root>
      <span className={coverage.lost > 0 ? "warn" : undefined} title="Counted on the hosts of this selection, whatever service they would have been of"><b>{count(coverage.lost)}</b> lost</span>
      {coverage.pending > 0 && (
        <span className="warn" title="The aggregator has them and lacks the memory to show them before its store has taken them in">
          <b>{count(coverage.pending)}</b> {coverage.pending === 1 ? "row waits" : "rows wait"} on disk and {coverage.pending === 1 ? "is" : "are"} not in this answer
        </span>
      )}
      <Kept range={coverage.range} />
    </div>
  );
}

export function CutNotice({ cut, what }: { cut: number; what: string }): ReactNode {
  return (
    <div className="notice" role="status">
      <Icon name="info" />
      <span>
        <b>{count(cut)}</b> {what}
      </span>
    </div>
  );
}
