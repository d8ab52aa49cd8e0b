// SPDX-License-Identifier: Apache-2.0
/** The frame around every page: navigation that keeps the selection, and the bar that changes it. */
import { useIsFetching } from "@tanstack/react-query";
import { useEffect, type ReactNode } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { useHealth } from "@/api/queries";
import { SessionFoot } from "@/pages/login/page";
import { selectionLink, useSelection } from "@/state/selection";
import { FilterChips, TypeSelect } from "./filter-bar";
import { Icon, Logo, type IconName } from "./icons";
import { ThemeToggle } from "./theme-toggle";
import { RangeControls } from "./time-range";

const PAGES: readonly { path: string; title: string; short: string; icon: IconName }[] = [
  { path: "/", title: "Overview", short: "Overview", icon: "overview" },
  { path: "/flamegraph", title: "Flame graph", short: "Flame", icon: "flame" },
  { path: "/top", title: "Top functions", short: "Top", icon: "top" },
  { path: "/syscalls", title: "System calls", short: "Syscalls", icon: "calls" },
  { path: "/compare", title: "Compare", short: "Compare", icon: "compare" },
  { path: "/timeline", title: "Timeline", short: "Timeline", icon: "timeline" },
  { path: "/locks", title: "Locks", short: "Locks", icon: "lock" },
  { path: "/alerts", title: "Alerts", short: "Alerts", icon: "bell" },
  { path: "/agents", title: "Agents", short: "Agents", icon: "agents" },
  { path: "/aggregator", title: "Aggregator", short: "Server", icon: "aggregator" },
  { path: "/settings", title: "Settings", short: "Settings", icon: "settings" },
];

function Rail(): ReactNode {
  const [location] = useLocation();
  const search = useSearch();
  const health = useHealth();
  const narrow = window.matchMedia("(max-width: 760px)").matches;
  const state = health.isError ? "stale" : health.data?.status === "ok" ? "ok" : "left";
  return (
    <div className="rail">
      <Link href={selectionLink("/", search)} className="brand"><Logo /> Aperture</Link>
      <nav aria-label="Pages">
        {PAGES.map((page) => (
          <Link key={page.path} href={selectionLink(page.path, search)} aria-current={location === page.path ? "page" : undefined}>
            <Icon name={page.icon} />
            {narrow ? page.short : page.title}
          </Link>
        ))}
      </nav>
      <SessionFoot />
      <div className="foot">
        <span className={`dot ${state}`} />
        <span className="truncate">{health.isError ? "not reachable" : health.data ? `v${health.data.version}` : "…"}</span>
        <span className="spacer" />
        <ThemeToggle />
      </div>
    </div>
  );
}

export function Shell({ children }: { children: ReactNode }): ReactNode {
  return (
    <div className="shell">
      <Rail />
      <div className="main">{children}</div>
    </div>
  );
}

/**
 * A page's bar and body. `stale` is why what is shown could not be refreshed. `bare` leaves out what does
 * not apply (a page about agents has no filter), `untyped` the choice of one profile type; `type` is the
 * one that the page is about, whatever is selected.
 */
export function Page(props: { title: string; fill?: boolean; bare?: boolean; ownSelection?: boolean; untyped?: boolean; type?: string; stale?: Error | null; children: ReactNode }): ReactNode {
  const [selection, set] = useSelection();
  const loading = useIsFetching({ predicate: (query) => query.state.data === undefined }) > 0;
  useEffect(() => {
    document.title = `${props.title} · Aperture`;
  }, [props.title]);
  return (
    <>
      {loading ? <div className="loading" role="progressbar" aria-label="Loading" /> : null}
      <header className="topbar">
        <h1>{props.title}</h1>
        <div className="filters">
          {props.bare || props.untyped || props.type ? null : <TypeSelect selection={selection} onChange={(type) => set({ type })} />}
          {props.bare || props.ownSelection ? null : <FilterChips selection={props.type ? { ...selection, type: props.type } : selection} onChange={(filter) => set({ filter })} />}
        </div>
        {props.bare || props.ownSelection ? null : <RangeControls />}
        <span className="only-narrow"><ThemeToggle /></span>
      </header>
      <main className="content">
        <div className={props.fill ? "page fill" : "page"}>
          {props.stale ? <div className="notice" role="alert"><Icon name="warn" />This is not up to date: {props.stale.message}</div> : null}
          {props.children}
        </div>
      </main>
    </>
  );
}
