// SPDX-License-Identifier: Apache-2.0
/** A sortable table that renders only the rows on screen. Its order is a string kept by the page. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef, type KeyboardEvent, type ReactNode } from "react";
import { useNarrow } from "./basics";
import { Icon } from "./icons";

export interface Column<Row> {
  id: string;
  header: string;
  /** The header for those who do not see the columns beside it. */
  label?: string;
  /** Explains the figure and names the base of its percentages. */
  hint?: string;
  /** A grid track, such as "120px" or "minmax(160px, 1fr)". */
  track: string;
  numeric?: boolean;
  /** Left out on narrow screens. */
  wide?: boolean;
  sort?(row: Row): number | string;
  cell(row: Row): ReactNode;
}

export interface Order {
  id: string;
  ascending: boolean;
}

export function parseOrder(text: string): Order {
  return text.endsWith(".asc") ? { id: text.slice(0, -4), ascending: true } : { id: text, ascending: false };
}

function sortRows<Row>(rows: readonly Row[], columns: readonly Column<Row>[], order: Order): readonly Row[] {
  const key = columns.find((c) => c.id === order.id)?.sort;
  if (!key) return rows;
  const direction = order.ascending ? 1 : -1;
  const keyed = rows.map((row) => ({ row, key: key(row) }));
  keyed.sort((a, b) => {
    if (typeof a.key === "number" && typeof b.key === "number") return (a.key - b.key) * direction;
    return String(a.key).localeCompare(String(b.key)) * direction;
  });
  return keyed.map((entry) => entry.row);
}

function HeaderCell<Row>({ column, order, onOrder }: { column: Column<Row>; order: Order; onOrder(text: string): void }): ReactNode {
  const active = order.id === column.id;
  const className = column.numeric ? "cell numeric" : "cell";
  if (!column.sort) {
    return <div role="columnheader" className={className} title={column.hint}>{column.header}</div>;
  }
  const next = active && !order.ascending ? `${column.id}.asc` : column.id;
  return (
    <div role="columnheader" className={className} aria-sort={active ? (order.ascending ? "ascending" : "descending") : "none"}>
      <button type="button" title={column.hint} aria-label={column.label} onClick={() => onOrder(next)} data-active={active || undefined}>
        {column.header}
        <span className={active ? (order.ascending ? "sort up" : "sort") : "sort off"}>
          <Icon name="chevron" size={12} />
        </span>
      </button>
    </div>
  );
}

/** Enter opens a row, arrows go to its neighbours. */
function rowKey(event: KeyboardEvent<HTMLElement>, open: () => void): void {
  const row = event.currentTarget;
  if (event.target !== row) return;
  if (event.key === "Enter") open();
  else if (event.key === "ArrowDown") (row.nextElementSibling as HTMLElement | null)?.focus();
  else if (event.key === "ArrowUp") (row.previousElementSibling as HTMLElement | null)?.focus();
  else return;
  event.preventDefault();
}

export function DataTable<Row>(props: {
  label: string;
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  order: string;
  onOrder(text: string): void;
  rowKey(row: Row): string;
  onRow?(row: Row): void;
  selected?(row: Row): boolean;
  /** Fills its parent and scrolls inside; otherwise as high as its rows. */
  fill?: boolean;
  rowHeight?: number;
}): ReactNode {
  const narrow = useNarrow();
  const scroller = useRef<HTMLDivElement>(null);
  const rowHeight = props.rowHeight ?? 34;
  const columns = useMemo(() => props.columns.filter((c) => !(narrow && c.wide)), [props.columns, narrow]);
  const order = parseOrder(props.order);
  const rows = useMemo(() => sortRows(props.rows, props.columns, parseOrder(props.order)), [props.rows, props.columns, props.order]);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    initialRect: { width: 0, height: 800 },
  });
  const tracks = columns.map((c) => c.track).join(" ");
  const items = props.fill
    ? virtual.getVirtualItems().map((item) => ({ index: item.index, start: item.start }))
    : rows.map((_, index) => ({ index, start: index * rowHeight }));
  return (
    <div className={props.fill ? "table fill" : "table"} ref={scroller} role="table" aria-label={props.label} aria-rowcount={rows.length + 1} tabIndex={props.fill ? 0 : undefined}>
      <div className="thead" role="row" style={{ gridTemplateColumns: tracks }}>
        {columns.map((column) => (
          <HeaderCell key={column.id} column={column} order={order} onOrder={props.onOrder} />
        ))}
      </div>
      <div className="tbody" role="rowgroup" style={{ height: rows.length * rowHeight }}>
        {items.map(({ index, start }) => {
          const row = rows[index]!;
          return (
            <div
              key={props.rowKey(row)}
              role="row"
              aria-rowindex={index + 2}
              aria-selected={props.selected?.(row)}
              className={props.onRow ? "row link" : "row"}
              style={{ gridTemplateColumns: tracks, height: rowHeight, transform: `translateY(${start}px)` }}
              tabIndex={props.onRow ? 0 : undefined}
              onClick={props.onRow ? () => props.onRow!(row) : undefined}
              onKeyDown={props.onRow ? (event) => rowKey(event, () => props.onRow!(row)) : undefined}
            >
              {columns.map((column) => (
                <div key={column.id} role="cell" className={column.numeric ? "cell numeric" : "cell"}>
                  {column.cell(row)}
                </div>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}

/** The largest figure of a column, at least a little above zero: what its bars are drawn against. */
export function maximum<Row>(rows: readonly Row[], key: (row: Row) => number): number {
  return rows.reduce((max, row) => Math.max(max, key(row)), Number.MIN_VALUE);
}

/** A figure with a bar behind it, as long as its part of the column's largest. */
export function BarCell({ share, title, children }: { share: number; title?: string; children: ReactNode }): ReactNode {
  return (
    <span className="bar-cell" title={title}>
      {share > 0 ? <span className="bar" style={{ width: `${Math.min(100, share * 100)}%` }} /> : null}
      <span className="figure">{children}</span>
    </span>
  );
}
