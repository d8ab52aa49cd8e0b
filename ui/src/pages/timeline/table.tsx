// SPDX-License-Identifier: Apache-2.0
/** Each layer in figures, with the functions that hold most of it. */
import { useMemo, type ReactNode } from "react";
import type { TopAnswer } from "@/api/model";
import { useNarrow } from "@/components/basics";
import { BarCell, DataTable, type Column } from "@/components/data-table";
import { duration, percent, significant } from "@/lib/format";
import { shareOf, sortOf, type Layer, type LayerKey } from "./layers";

export const FUNCTIONS = 3;

export interface LayerRow {
  layer: Layer;
  /** Null until it is known. */
  top: TopAnswer | null;
}

const NONE = <span className="muted">–</span>;

function functionsOf({ layer, top }: LayerRow): string[] {
  if (!top) return [];
  const by = sortOf(layer.kind.key);
  return top.functions.filter((f) => f[by] > 0).slice(0, FUNCTIONS).map((f) => `${f.function} ${percent(f[by] / top.total)}`);
}

function Functions({ row }: { row: LayerRow }): ReactNode {
  if (row.layer.average === null) return <span className="muted">not recorded</span>;
  if (!row.top) return <span className="muted">…</span>;
  const [first, ...rest] = functionsOf(row);
  if (first === undefined) return NONE;
  return (
    <span className="fn" title={[first, ...rest].join("\n")}>
      <span className="truncate name">{first}</span>
      <span className="truncate module">{rest.join(", ")}</span>
    </span>
  );
}

function Name({ row, narrow }: { row: LayerRow; narrow: boolean }): ReactNode {
  const { title, meaning, color } = row.layer.kind;
  const first = functionsOf(row)[0];
  return (
    <span className="fn" title={meaning}>
      <span className="truncate name"><i className="swatch" style={{ background: color }} />{title}</span>
      <span className="truncate module">{narrow ? first ?? meaning : meaning}</span>
    </span>
  );
}

function makeColumns(rows: readonly LayerRow[], off: ReadonlySet<LayerKey>, narrow: boolean): Column<LayerRow>[] {
  const all = rows.map((r) => r.layer);
  const shown = all.filter((l) => !off.has(l.kind.key));
  // What was not recorded is a part of wall time too, but nobody knows which.
  const wholeWall = all.every((l) => l.average !== null);
  const share = (layer: Layer): number => (wholeWall ? shareOf(layer, all) ?? 0 : -1);
  const ofShown = (layer: Layer): number | null => (off.has(layer.kind.key) ? null : shareOf(layer, shown));
  return [
    { id: "layer", header: "Layer", track: narrow ? "minmax(130px, 1fr)" : "minmax(150px, 1.5fr)", cell: (r) => <Name row={r} narrow={narrow} /> },
    {
      id: "total", header: "Total", hint: "Of all threads together, over the range", track: narrow ? "84px" : "104px", numeric: true, sort: (r) => r.top?.total ?? -1,
      cell: (r) => (r.layer.average === null ? NONE : r.top ? duration(r.top.total) : "…"),
    },
    {
      id: "threads", header: "Threads", hint: "On average at once, over the time in which it was recorded", track: "88px", numeric: true, wide: true, sort: (r) => r.layer.average ?? -1,
      cell: (r) => (r.layer.average === null ? NONE : significant(r.layer.average)),
    },
    {
      id: "share", header: "Of wall time", hint: "Percent of the time of all threads, on and off the CPU", track: "104px", numeric: true, sort: (r) => share(r.layer),
      cell: (r) => (wholeWall ? percent(share(r.layer)) : NONE),
    },
    {
      id: "shown", header: "Of what is shown", hint: "Percent of the layers that are switched on", track: "132px", numeric: true, wide: true, sort: (r) => ofShown(r.layer) ?? -1,
      cell: (r) => { const part = ofShown(r.layer); return part === null ? NONE : <BarCell share={part}>{percent(part)}</BarCell>; },
    },
    { id: "functions", header: "Most of it in", hint: "Percent of the layer. On the CPU the innermost functions; of waits the innermost of the program, which called what waits in a runtime, the C library and the kernel", track: "minmax(180px, 1.6fr)", wide: true, cell: (r) => <Functions row={r} /> },
  ];
}

export function LayerTable(props: {
  rows: readonly LayerRow[];
  off: ReadonlySet<LayerKey>;
  order: string;
  onOrder(order: string): void;
  onOpen(key: LayerKey): void;
}): ReactNode {
  const narrow = useNarrow();
  const columns = useMemo(() => makeColumns(props.rows, props.off, narrow), [props.rows, props.off, narrow]);
  return (
    <section className="panel clip">
      <header>
        <h2>Layers</h2>
        <span className="muted">Each leads to its flame graph</span>
      </header>
      <DataTable label="Layers" rows={props.rows} columns={columns} order={props.order} onOrder={props.onOrder} rowKey={(r) => r.layer.kind.key} onRow={(r) => props.onOpen(r.layer.kind.key)} rowHeight={46} />
    </section>
  );
}
