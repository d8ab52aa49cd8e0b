// SPDX-License-Identifier: Apache-2.0
import { DropdownMenu } from "radix-ui";
import { useMemo, type ReactNode } from "react";
import { useLocation, useSearch } from "wouter";
import { EXPORT_FORMATS, exportUrl, useCovered, useFlamegraph, type FlameData } from "@/api/queries";
import { ErrorState, Skeleton } from "@/components/basics";
import { CoverageLine } from "@/components/coverage";
import { FlameExplorer } from "@/components/flame-explorer";
import { FLAME_SCHEMA } from "@/components/flame-state";
import { Icon } from "@/components/icons";
import { MarkStrip } from "@/components/markers";
import { NoData } from "@/components/no-data";
import { Page } from "@/components/shell";
import { count, percent } from "@/lib/format";
import { measureOf } from "@/lib/measure";
import { selectionLink, useSelection, type Selection } from "@/state/selection";
import { useUrlState } from "@/state/use-url-state";
import { callersLink } from "../callers/link";

export function ExportMenu({ selection }: { selection: Selection }): ReactNode {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className="button" aria-label="Export">
        <Icon name="download" /> <span className="only-wide">Export</span>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="end" sideOffset={4} collisionPadding={8}>
          {EXPORT_FORMATS.map(({ format, title, hint }) => (
            <DropdownMenu.Item key={format} className="menu-item" asChild>
              <a href={exportUrl(format, selection)} download>
                {title}
                <span className="muted">{hint}</span>
              </a>
            </DropdownMenu.Item>
          ))}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

function Basis({ data }: { data: FlameData }): ReactNode {
  const { meta } = data;
  const cut = meta.coverage.truncated;
  return (
    <div className="basis">
      <CoverageLine coverage={meta.coverage} type={meta.type} />
      {meta.folded_nodes > 0 ? (
        <span className="tag" title="Totals stay exact: the smallest frames are added up under (other)">
          {count(meta.folded_nodes)} smallest frames folded, {percent(meta.total > 0 ? meta.folded_total / meta.total : 0)} of the total
        </span>
      ) : null}
      {cut ? <span className="tag up">{count(cut.cut)} {cut.what} cut off</span> : null}
    </div>
  );
}

export function FlamegraphPage(): ReactNode {
  const [selection] = useSelection();
  const [state, set] = useUrlState(FLAME_SCHEMA);
  const [, navigate] = useLocation();
  const search = useSearch();
  const flame = useFlamegraph(selection);
  const meta = flame.data?.meta;
  const averaged = useCovered(selection, meta)?.ms ?? (meta ? meta.to - meta.from : 0);
  const measure = useMemo(() => measureOf(meta?.type ?? "", meta?.unit ?? "", averaged), [meta?.type, meta?.unit, averaged]);
  const links = useMemo(
    () => ({
      callers: (name: string, module: string) => navigate(callersLink(search, name, module)),
      showInTop: (name: string) => navigate(selectionLink("/top", search, {}, { find: name })),
      compare: (name: string) => navigate(selectionLink("/compare", search, {}, { search: name })),
    }),
    [navigate, search],
  );
  let body: ReactNode;
  if (flame.isError && !flame.data) body = <section className="panel"><ErrorState error={flame.error} retry={() => void flame.refetch()} /></section>;
  else if (!flame.data) body = <section className="panel pad grow"><Skeleton height={36} /><Skeleton height="100%" /></section>;
  else if (flame.data.meta.total === 0) body = <section className="panel"><NoData /></section>;
  else {
    body = (
      <>
        <Basis data={flame.data} />
        <MarkStrip selection={selection} from={flame.data.meta.from} to={flame.data.meta.to} />
        <FlameExplorer tree={flame.data.tree} measure={measure} state={state} set={set} links={links} extra={<ExportMenu selection={selection} />} />
      </>
    );
  }
  return <Page title="Flame graph" fill stale={flame.data ? flame.error : null}>{body}</Page>;
}
