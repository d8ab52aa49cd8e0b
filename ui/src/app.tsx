// SPDX-License-Identifier: Apache-2.0
import { Component, type ReactNode } from "react";
import { Link, Route, Switch } from "wouter";
import { Empty, ErrorState } from "./components/basics";
import { Page, Shell } from "./components/shell";
import { AgentsPage } from "./pages/agents/page";
import { AggregatorPage } from "./pages/aggregator/page";
import { AlertsPage } from "./pages/alerts/page";
import { CallersPage } from "./pages/callers/page";
import { ComparePage } from "./pages/compare/page";
import { FlamegraphPage } from "./pages/flamegraph/page";
import { SessionGate } from "./pages/login/page";
import { LocksPage } from "./pages/locks/page";
import { OverviewPage } from "./pages/overview/page";
import { SettingsPage } from "./pages/settings/page";
import { TimelinePage } from "./pages/timeline/page";
import { SyscallsPage } from "./pages/syscalls/page";
import { TopPage } from "./pages/top/page";

/** Shows what went wrong in a page, instead of an empty window. */
class Guard extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return <ErrorState error={error} retry={() => this.setState({ error: null })} />;
  }
}

function NotFound(): ReactNode {
  return (
    <Page title="Not found" bare>
      <Empty title="There is no such page">
        <Link href="/" className="button">Go to the overview</Link>
      </Empty>
    </Page>
  );
}

export function App(): ReactNode {
  return (
    <SessionGate>
      <Shell>
        <Guard>
          <Switch>
            <Route path="/" component={OverviewPage} />
            <Route path="/flamegraph" component={FlamegraphPage} />
            <Route path="/top" component={TopPage} />
            <Route path="/callers" component={CallersPage} />
            <Route path="/syscalls" component={SyscallsPage} />
            <Route path="/locks" component={LocksPage} />
            <Route path="/compare" component={ComparePage} />
            <Route path="/timeline" component={TimelinePage} />
            <Route path="/alerts" component={AlertsPage} />
            <Route path="/agents" component={AgentsPage} />
            <Route path="/aggregator" component={AggregatorPage} />
            <Route path="/settings" component={SettingsPage} />
            <Route component={NotFound} />
          </Switch>
        </Guard>
      </Shell>
    </SessionGate>
  );
}
