// SPDX-License-Identifier: Apache-2.0
/** Stacked series over time. Dragging over the chart narrows the time range, a click may pick a series. */
import { useEffect, useMemo, useRef, useState, type ReactNode, type RefObject } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Annotation } from "@/api/model";
import { clock, dateTime, significant } from "@/lib/format";
import { aloneAt, seriesAt, stackSeries } from "@/lib/stack";
import { useTheme } from "@/state/theme";
import { Marks } from "./markers";

export interface ChartSeries {
  label: string;
  color: string;
  values: readonly (number | null)[];
}

/** Colours that stay apart with any colour vision; the last is for the rest. */
export const SERIES_COLORS = ["#4c86c6", "#e69f4c", "#3fa796", "#c878a8", "#d8bd4a", "#7c6fc4", "#7fb8de", "#b5714d"] as const;
export const REST_COLOR = "#8d96a5";

interface Hover {
  index: number;
  /** Under the pointer. */
  series: number | null;
  left: number;
  width: number;
}

function axisColors(): { text: string; grid: string; surface: string } {
  const style = getComputedStyle(document.documentElement);
  return { text: style.getPropertyValue("--text-3"), grid: style.getPropertyValue("--line"), surface: style.getPropertyValue("--surface") };
}

interface ChartProps {
  times: readonly number[];
  from: number;
  to: number;
  series: readonly ChartSeries[];
  unit: string;
  height: number;
  label: string;
  onRange(from: number, to: number): void;
  /** What happened meanwhile. */
  annotations?: readonly Annotation[];
  /** Makes the series clickable. The card then lists them as they are stacked, and tells what a click does. */
  pick?: { hint(series: number): string; open(series: number): void };
}

const AXIS_WIDTH = 48;
const RIGHT_PADDING = 26;

/** The series at a place of the plot, in its pixels. */
function seriesUnder(u: uPlot, left: number, top: number): number | null {
  const index = u.posToIdx(left);
  return seriesAt(u.data.slice(1).map((outline) => outline[index]), u.posToVal(top, "y"));
}

function makeOptions(latest: RefObject<ChartProps>, width: number, onHover: (h: Hover | null) => void): uPlot.Options {
  const { text, grid, surface } = axisColors();
  const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  let dragged = false;
  const time = (ticks: number[]): string[] => {
    const length = latest.current.to - latest.current.from;
    return ticks.map((t) => (length > 90_000_000 ? dateTime(t).slice(5) : clock(t).slice(0, length > 600_000 ? 5 : 8)));
  };
  return {
    width,
    height: latest.current.height,
    ms: 1,
    padding: [8, RIGHT_PADDING, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: true, y: false, setScale: false, click: () => {} }, points: { show: false } },
    scales: { x: { time: true, range: () => [latest.current.from, latest.current.to] }, y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.08 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, size: 28, space: 90, values: (_u, ticks) => time(ticks) },
      { ...axis, size: AXIS_WIDTH, space: 36, values: (_u, ticks) => ticks.map((t) => significant(t).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "")) },
    ],
    series: [
      {},
      ...latest.current.series.map((s) => ({
        label: s.label,
        stroke: surface,
        width: 1,
        fill: s.color,
        // All that there is in the first moments after a start.
        points: { show: true, size: 7, width: 0, fill: s.color, filter: (u: uPlot, k: number) => aloneAt(u.data[k]!) },
        spanGaps: false,
      })),
    ],
    hooks: {
      ready: [
        (u) => {
          u.over.addEventListener("mousedown", () => (dragged = false));
          u.over.addEventListener("click", (event) => {
            const series = dragged ? null : seriesUnder(u, event.offsetX, event.offsetY);
            if (series !== null) latest.current.pick?.open(series);
          });
        },
      ],
      setCursor: [
        (u) => {
          const { idx, left, top } = u.cursor;
          const outside = idx == null || left == null || top == null || left < 0;
          const series = outside || !latest.current.pick ? null : seriesUnder(u, left, top);
          u.over.classList.toggle("pickable", series !== null);
          onHover(outside ? null : { index: idx, series, left: left + AXIS_WIDTH, width: u.width });
        },
      ],
      setSelect: [
        (u) => {
          if (u.select.width < 4) return;
          const from = u.posToVal(u.select.left, "x");
          const to = u.posToVal(u.select.left + u.select.width, "x");
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          dragged = true;
          latest.current.onRange(Math.round(from), Math.round(to));
        },
      ],
    },
  };
}

function HoverCard({ hover, times, series, unit, pick }: { hover: Hover } & Pick<ChartProps, "times" | "series" | "unit" | "pick">): ReactNode {
  const known = series.filter((s) => s.values[hover.index] != null);
  const lines = known.map((s) => ({ ...s, value: s.values[hover.index]! })).filter((s) => s.value > 0);
  if (!pick) lines.sort((a, b) => b.value - a.value);
  const under = hover.series === null ? undefined : series[hover.series];
  const side = hover.left > hover.width / 2 ? { right: hover.width - hover.left + 12 } : { left: hover.left + 12 };
  const sum = known.reduce((total, s) => total + s.values[hover.index]!, 0);
  return (
    <div className="chart-card" style={side}>
      <div className="when">
        {clock(times[hover.index]!)}
        <b>{known.length === 0 ? "no data" : `${significant(sum)} ${unit}`}</b>
      </div>
      {lines.map((s) => (
        <div key={s.label} className={s.label === under?.label ? "line under" : "line"}>
          <span className="swatch" style={{ background: s.color }} />
          <span className="truncate">{s.label}</span>
          <b>{significant(s.value)}</b>
        </div>
      ))}
      {pick && hover.series !== null ? <div className="muted">{pick.hint(hover.series)}</div> : null}
    </div>
  );
}

export function SeriesChart(props: ChartProps): ReactNode {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const [width, setWidth] = useState(0);
  const [hover, setHover] = useState<Hover | null>(null);
  const theme = useTheme();
  const latest = useRef(props);
  latest.current = props;
  const data = useMemo(
    () => [[...props.times], ...stackSeries(props.series.map((s) => s.values), props.times.length)] as uPlot.AlignedData,
    [props.times, props.series],
  );
  const shape = props.series.map((s) => s.label + s.color).join("|");

  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(host.current!);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (width === 0) return;
    chart.current = new uPlot(makeOptions(latest, width, setHover), data, host.current!);
    return () => {
      chart.current?.destroy();
      chart.current = null;
    };
    // Data alone is set below; everything that shapes the chart is in `shape`.
  }, [width, theme, shape, props.height]);

  useEffect(() => {
    chart.current?.setData(data);
  }, [data, props.from, props.to]);

  return (
    <div className="chart" style={{ minHeight: props.height }} onPointerLeave={() => setHover(null)}>
      <div ref={host} role="img" aria-label={props.label} />
      {props.annotations ? <div className="marks"><Marks annotations={props.annotations} from={props.from} to={props.to} width={width - AXIS_WIDTH - RIGHT_PADDING} /></div> : null}
      {hover && hover.index < props.times.length ? (
        <HoverCard hover={hover} times={props.times} series={props.series} unit={props.unit} pick={props.pick} />
      ) : null}
    </div>
  );
}
