// SPDX-License-Identifier: Apache-2.0
/** Functions with self and total, or with both sides of a comparison. */
import { useMemo, type ReactNode } from "react";
import { kindName, type FunctionRow } from "@/flamegraph/functions";
import { OTHER_NAME } from "@/flamegraph/tree";
import { percent, points } from "@/lib/format";
import type { Measure } from "@/lib/measure";
import { BarCell, DataTable, maximum, type Column } from "./data-table";

export interface FunctionTotals {
  total: number;
  totalA: number;
}

/** Functions of the kernel and of generated code say so; for the others the module suffices. */
function NameCell({ row }: { row: FunctionRow }): ReactNode {
  return (
    <span className="fn" title={`${row.function}\n${row.module || "no module"} (${kindName(row.kind)})`}>
      <span className="truncate name">{row.function}</span>
      <span className="truncate module">{row.function === OTHER_NAME ? "smallest frames, folded" : row.module || kindName(row.kind)}</span>
    </span>
  );
}

function plainColumns(measure: Measure, totals: FunctionTotals, rows: readonly FunctionRow[]): Column<FunctionRow>[] {
  const share = (v: number): number => (totals.total > 0 ? v / totals.total : 0);
  const largest = { self: maximum(rows, (r) => r.self), total: maximum(rows, (r) => r.total) };
  const figure = (v: number, of: "self" | "total"): ReactNode => (
    <BarCell share={v / largest[of]} title={measure.long(v)}>
      {measure.short(v)} <em>{percent(share(v))}</em>
    </BarCell>
  );
  return [
    { id: "function", header: "Function", track: "minmax(120px, 1fr)", sort: (r) => r.function, cell: (row) => <NameCell row={row} /> },
    { id: "self", header: `Self, ${measure.unit}`, hint: "In the function itself; percent of the total shown", track: "116px", numeric: true, sort: (r) => r.self, cell: (r) => figure(r.self, "self") },
    { id: "total", header: `Total, ${measure.unit}`, hint: "With everything it calls; percent of the total shown", track: "128px", numeric: true, wide: true, sort: (r) => r.total, cell: (r) => figure(r.total, "total") },
  ];
}

function diffColumns(totals: FunctionTotals): Column<FunctionRow>[] {
  const a = (v: number): number => (totals.totalA > 0 ? v / totals.totalA : 0);
  const b = (v: number): number => (totals.total > 0 ? v / totals.total : 0);
  const change = (r: FunctionRow): number => b(r.self) - a(r.selfA);
  return [
    { id: "function", header: "Function", track: "minmax(120px, 1fr)", sort: (r) => r.function, cell: (row) => <NameCell row={row} /> },
    { id: "a", header: "Self in A", hint: "Percent of A's total", track: "84px", numeric: true, wide: true, sort: (r) => r.selfA, cell: (r) => percent(a(r.selfA)) },
    { id: "b", header: "Self in B", hint: "Percent of B's total", track: "84px", numeric: true, wide: true, sort: (r) => r.self, cell: (r) => percent(b(r.self)) },
    {
      id: "change",
      header: "Change",
      hint: "Percentage points of self time from A to B",
      track: "96px",
      numeric: true,
      sort: (r) => Math.abs(change(r)),
      cell: (r) => <span className={change(r) > 0.0005 ? "up" : change(r) < -0.0005 ? "down" : "muted"}>{points(change(r))}</span>,
    },
  ];
}

export function FunctionTable(props: {
  rows: readonly FunctionRow[];
  totals: FunctionTotals;
  measure: Measure;
  compared: boolean;
  order: string;
  onOrder(order: string): void;
  onPick(row: FunctionRow): void;
  picked: string;
}): ReactNode {
  const { measure, totals, compared } = props;
  const columns = useMemo(
    () => (compared ? diffColumns(totals) : plainColumns(measure, totals, props.rows)),
    [compared, measure, totals, props.rows],
  );
  const known = columns.some((c) => props.order === c.id || props.order === `${c.id}.asc`);
  return (
    <DataTable
      label="Functions"
      fill
      rows={props.rows}
      columns={columns}
      order={known ? props.order : compared ? "change" : "self"}
      onOrder={props.onOrder}
      rowKey={(row) => `${row.module}\0${row.function}`}
      onRow={props.onPick}
      selected={(row) => props.picked !== "" && row.function === props.picked}
      rowHeight={40}
    />
  );
}
