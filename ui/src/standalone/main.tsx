// SPDX-License-Identifier: Apache-2.0
/** A saved profile in one file: the dashboard's flame graph over the profile embedded in the page. */
import { StrictMode, useMemo, useState, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import type { FlameAnswer } from "@/api/model";
import { Empty, ErrorState } from "@/components/basics";
import { FlameExplorer } from "@/components/flame-explorer";
import { FLAME_SCHEMA, type FlameState } from "@/components/flame-state";
import { Logo } from "@/components/icons";
import { ThemeToggle } from "@/components/theme-toggle";
import { buildTree } from "@/flamegraph/tree";
import { count, dateTime, percent, span } from "@/lib/format";
import { measureOf } from "@/lib/measure";
import { readState, writeState } from "@/state/params";
import "../styles/index.css";

/** What `aperture record` puts into the page: a flame graph with a title; losses may be unknown. */
type SavedProfile = Omit<FlameAnswer, "coverage" | "filter"> & {
  title?: string;
  coverage: Omit<FlameAnswer["coverage"], "lost"> & { lost: number | null };
};

function useHashState(): [FlameState, (patch: Partial<FlameState>) => void] {
  const [search, setSearch] = useState(window.location.hash.slice(1));
  const state = useMemo(() => readState(FLAME_SCHEMA, search), [search]);
  const set = (patch: Partial<FlameState>): void =>
    setSearch((old) => {
      const next = writeState(FLAME_SCHEMA, old, patch);
      window.history.replaceState(null, "", `#${next}`);
      return next;
    });
  return [state, set];
}

function Summary({ answer }: { answer: SavedProfile }): ReactNode {
  const { coverage } = answer;
  return (
    <span className="muted">
      {dateTime(answer.from)} · {span(answer.to - answer.from)} · {count(coverage.samples)} samples
      {coverage.complete_share === null ? "" : ` · ${percent(coverage.complete_share)} complete stacks`}
      {coverage.lost === null ? "" : ` · ${count(coverage.lost)} lost`}
      {answer.folded_nodes > 0 ? ` · ${count(answer.folded_nodes)} smallest frames folded` : ""}
    </span>
  );
}

function Saved({ answer }: { answer: SavedProfile }): ReactNode {
  const [state, set] = useHashState();
  const tree = useMemo(() => buildTree({ ...answer.nodes, strings: answer.strings }), [answer]);
  const measure = useMemo(() => measureOf(answer.type, answer.unit, answer.to - answer.from), [answer]);
  return (
    <div className="saved">
      <header>
        <Logo />
        <h1>{answer.title ?? "Profile"}</h1>
        <Summary answer={answer} />
        <span className="spacer" />
        <ThemeToggle />
      </header>
      <FlameExplorer tree={tree} measure={measure} state={state} set={set} />
    </div>
  );
}

function Root(): ReactNode {
  const text = document.getElementById("aperture-profile")?.textContent;
  if (!text) {
    return (
      <Empty title="This file holds no profile">
        <p>Make one with: aperture record --format html -o profile.html -- COMMAND</p>
      </Empty>
    );
  }
  try {
    return <Saved answer={JSON.parse(text) as SavedProfile} />;
  } catch (error) {
    return <ErrorState error={error instanceof Error ? error : new Error(String(error))} />;
  }
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Root />
  </StrictMode>,
);
