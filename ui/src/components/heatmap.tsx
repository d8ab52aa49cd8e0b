// SPDX-License-Identifier: Apache-2.0
/** The heatmap's canvas inside React: dragging, or the keys with Shift, selects a stretch of time. */
import { useEffect, useId, useMemo, useRef, useState, type ReactNode } from "react";
import { heatPalette } from "@/flamegraph/colors";
import { cellAt, moved, runOf, timesOf, type HeatGrid } from "@/heatmap/grid";
import { outlineRun, paintCells } from "@/heatmap/paint";
import { clock, dateTime } from "@/lib/format";
import { useTheme } from "@/state/theme";

interface HeatmapProps {
  grid: HeatGrid;
  label: string;
  height: number;
  /** What a cell holds, in words. */
  describe(value: number): string;
  onOpen(from: number, to: number): void;
}

/** The two ends of what is selected: where it began, and where the pointer or the cursor is. */
interface Ends {
  anchor: number;
  at: number;
}

const DAY_MS = 86_400_000;

function whenOf(grid: HeatGrid, ends: Ends): string {
  const { from, to } = timesOf(grid, runOf(ends.anchor, ends.at));
  if (to - from >= DAY_MS) return `${dateTime(from)} to ${dateTime(to)}`;
  return `${dateTime(from).slice(0, 10)} ${clock(from)} to ${clock(to)}`;
}

function textOf(props: HeatmapProps, ends: Ends): string {
  const { grid } = props;
  const value = grid.cells[ends.at] ?? null;
  const one = value === null ? "nothing was recorded" : props.describe(value);
  return ends.anchor === ends.at ? `${whenOf(grid, ends)}: ${one}` : whenOf(grid, ends);
}

/** The times of the left edge, the middle and the right edge. */
function axisOf(grid: HeatGrid): string[] {
  const length = grid.cells.length * grid.stepMs;
  return [0, length / 2, length].map((after) => (length > DAY_MS ? dateTime(grid.from + after) : clock(grid.from + after)));
}

export function Heatmap(props: HeatmapProps): ReactNode {
  const { grid, height } = props;
  const theme = useTheme();
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const cells = useRef<HTMLCanvasElement>(null);
  const overlay = useRef<HTMLCanvasElement>(null);
  const dragging = useRef(false);
  const [width, setWidth] = useState(0);
  const [ends, setEnds] = useState<Ends | null>(null);
  const colors = useMemo(() => ({ shades: heatPalette(theme), outline: theme === "dark" ? "#ffffff" : "#14171c" }), [theme]);

  useEffect(() => {
    const observer = new ResizeObserver(() => setWidth(box.current?.clientWidth ?? 0));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const canvas = cells.current!;
    canvas.width = Math.max(1, grid.columns);
    canvas.height = Math.max(1, grid.rows);
    if (grid.cells.length > 0) canvas.getContext("2d")!.putImageData(paintCells(grid, colors), 0, 0);
  }, [grid, colors]);
  useEffect(() => setEnds((e) => (e && Math.max(e.anchor, e.at) >= grid.cells.length ? null : e)), [grid]);
  useEffect(() => {
    const canvas = overlay.current!;
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d")!;
    context.scale(scale, scale);
    if (ends && width > 0) outlineRun(context, grid, runOf(ends.anchor, ends.at), width, height, colors);
  }, [ends, grid, width, height, colors]);

  const open = (e: Ends): void => {
    const { from, to } = timesOf(grid, runOf(e.anchor, e.at));
    props.onOpen(from, to);
  };
  const at = (event: React.PointerEvent): number => {
    const rect = box.current!.getBoundingClientRect();
    return cellAt(grid, event.clientX - rect.left, event.clientY - rect.top, rect.width, rect.height);
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const current = ends ?? { anchor: 0, at: 0 };
    const next = moved(grid, current.at, event.key);
    if (event.key === "Enter") open(current);
    else if (event.key === "Escape") setEnds(null);
    else if (next !== null) setEnds({ anchor: event.shiftKey ? current.anchor : next, at: next });
    else return;
    event.preventDefault();
  };
  return (
    <div className="heatmap">
      <div
        ref={box} className="heatmap-cells" style={{ height }} tabIndex={0} role="application" aria-label={props.label} aria-describedby={id} data-testid="heatmap"
        onKeyDown={onKeyDown}
        onPointerDown={(e) => {
          if (e.button !== 0 || grid.cells.length === 0) return;
          e.currentTarget.setPointerCapture(e.pointerId);
          dragging.current = true;
          setEnds({ anchor: at(e), at: at(e) });
        }}
        onPointerMove={(e) => {
          const cell = at(e);
          setEnds((old) => (dragging.current && old ? { ...old, at: cell } : { anchor: cell, at: cell }));
        }}
        onPointerUp={(e) => {
          if (dragging.current && ends) open({ ...ends, at: at(e) });
          dragging.current = false;
        }}
        onPointerCancel={() => (dragging.current = false)}
      >
        <canvas ref={cells} aria-hidden="true" />
        <canvas ref={overlay} aria-hidden="true" />
      </div>
      <div className="heatmap-axis" aria-hidden="true">{axisOf(grid).map((text, i) => <span key={i}>{text}</span>)}</div>
      <div className="heatmap-text">
        <span id={id} role="status" data-testid="heatmap-cell">{ends ? textOf(props, ends) : "Drag over a stretch of time for its flame graph; with keys, Shift and the arrows select, Enter opens"}</span>
        <span className="spacer" />
        <span className="ramp" aria-hidden="true">{colors.shades.map((color) => <i key={color} style={{ background: color }} />)}</span>
        <span className="muted">0 to {props.describe(grid.max)}</span>
      </div>
    </div>
  );
}
