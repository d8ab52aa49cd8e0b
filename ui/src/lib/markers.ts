// SPDX-License-Identifier: Apache-2.0
/** Annotations as marks on a time axis, and the comparison that a mark leads to. */
import type { Annotation } from "@/api/model";

const HALF_HOUR_MS = 1_800_000;

/** Annotations too close to be marked apart. */
export interface Mark {
  /** Where on the axis, 0 to 1. */
  place: number;
  /** Newest first. */
  annotations: Annotation[];
}

/** Those within the range, in the order of time; `apart` is the least distance between marks, as a share of the axis. */
export function marksOf(annotations: readonly Annotation[], from: number, to: number, apart: number): Mark[] {
  const marks: Mark[] = [];
  const sorted = annotations.filter((a) => a.from < to && a.to >= from).sort((a, b) => a.from - b.from);
  for (const annotation of sorted) {
    const place = Math.max(0, (annotation.from - from) / (to - from));
    const last = marks.at(-1);
    if (last && place - last.place < apart) last.annotations.unshift(annotation);
    else marks.push({ place, annotations: [annotation] });
  }
  return marks;
}

/** The half hour before against the half hour after, as parameters of the page that compares. */
export function aroundOf(annotation: Annotation, now: number): { from: string; to: string; a_from: string; a_to: string } {
  const after = Math.min(annotation.to + HALF_HOUR_MS, Math.max(now, annotation.to + 1000));
  return {
    from: String(annotation.to),
    to: String(after),
    a_from: String(annotation.from - HALF_HOUR_MS),
    a_to: String(annotation.from),
  };
}

const SOME = 3;

/** "web-1, web-2, web-3 and 47 more" */
export function hostsText(hosts: readonly string[]): string {
  const shown = hosts.slice(0, SOME).join(", ");
  return hosts.length > SOME ? `${shown} and ${hosts.length - SOME} more` : shown;
}
