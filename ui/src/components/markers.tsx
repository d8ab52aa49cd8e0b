// SPDX-License-Identifier: Apache-2.0
/** What happened, as marks over a chart's time axis and as a list below it; each leads to the comparison around it. */
import { type ReactNode } from "react";
import { Link, useSearch } from "wouter";
import type { Annotation } from "@/api/model";
import { useAnnotations } from "@/api/queries";
import { aroundOf, hostsText, marksOf } from "@/lib/markers";
import { count, dateTime } from "@/lib/format";
import { withLabel } from "@/state/filter";
import { selectionLink, type Selection } from "@/state/selection";
import { CutNotice } from "./coverage";
import { Icon } from "./icons";

const APART_PX = 14;
const LISTED = 20;

function useCompareLink(): (annotation: Annotation) => string {
  const search = useSearch();
  return (annotation) => {
    const { from, to, ...before } = aroundOf(annotation, Date.now());
    const filter = new URLSearchParams(search).get("filter") ?? "";
    const own = annotation.service ? withLabel(filter, "service", annotation.service) : filter;
    return selectionLink("/compare", search, { from, to, live: false, filter: own }, before);
  };
}

function titleOf(annotation: Annotation): string {
  const where = annotation.deploy ? hostsText(annotation.deploy.hosts) : "";
  const service = annotation.service ? `${annotation.service}: ` : "";
  return `${dateTime(annotation.from)}  ${service}${annotation.text}${where ? ` on ${where}` : ""}`;
}

/** Over an element of `width` pixels that shows a range of time. */
export function Marks(props: { annotations: readonly Annotation[]; from: number; to: number; width: number }): ReactNode {
  const compare = useCompareLink();
  if (props.width <= 0) return null;
  return marksOf(props.annotations, props.from, props.to, APART_PX / props.width).map((mark) => {
    const newest = mark.annotations[0]!;
    const text = mark.annotations.map(titleOf).join("\n");
    return (
      <Link key={newest.id} href={compare(newest)} className={`mark ${newest.kind}`} style={{ left: `${mark.place * 100}%` }}
        title={`${text}\nClick: compare the half hour before with the half hour after`} aria-label={`Compare around ${text}`}>
        <span>{mark.annotations.length > 1 ? mark.annotations.length : null}</span>
      </Link>
    );
  });
}

function Row({ annotation, href }: { annotation: Annotation; href: string }): ReactNode {
  const { deploy } = annotation;
  return (
    <li>
      <time dateTime={new Date(annotation.from).toISOString()}>{dateTime(annotation.from)}</time>
      <span className={`tag ${annotation.kind}`}>{annotation.kind}</span>
      <span className="truncate">
        {annotation.service ? <b>{annotation.service} </b> : null}
        {annotation.text}
        {deploy && deploy.hosts.length > 0 ? <span className="muted" title={deploy.hosts.join(", ")}> on {hostsText(deploy.hosts)}</span> : null}
      </span>
      <span className="spacer" />
      {annotation.link ? <a href={annotation.link} rel="noreferrer noopener" target="_blank">More</a> : null}
      <Link href={href}>Compare</Link>
    </li>
  );
}

/** Below a chart: folded, since charts are looked at for more than what was deployed. */
export function MarkList({ selection }: { selection: Selection }): ReactNode {
  const answer = useAnnotations(selection).data;
  const compare = useCompareLink();
  if (!answer || answer.annotations.length === 0) return null;
  const hidden = answer.annotations.length - LISTED + (answer.truncated?.cut ?? 0);
  return (
    <details className="mark-list">
      <summary>What happened: {count(answer.annotations.length)} {answer.annotations.length === 1 ? "mark" : "marks"}</summary>
      <ul>
        {answer.annotations.slice(0, LISTED).map((a) => <Row key={a.id} annotation={a} href={compare(a)} />)}
      </ul>
      {hidden > 0 ? <CutNotice cut={hidden} what="earlier ones are not listed: narrow the time range." /> : null}
    </details>
  );
}

/** A page without a chart has a strip of the time that it shows, where anything happened in it. */
export function MarkStrip({ selection, from, to }: { selection: Selection; from: number; to: number }): ReactNode {
  const annotations = useAnnotations(selection).data?.annotations ?? [];
  if (annotations.length === 0) return null;
  return (
    <div className="mark-strip" role="group" aria-label="What happened in this time">
      <Icon name="clock" />
      <div><Marks annotations={annotations} from={from} to={to} width={800} /></div>
    </div>
  );
}
