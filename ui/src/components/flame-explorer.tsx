// SPDX-License-Identifier: Apache-2.0
/** Flame graph and table over one tree, with search, zoom, focus and hiding. Where its state lives is the caller's. */
import { useCallback, useDeferredValue, useMemo, useRef, useState, type ReactNode } from "react";
import { diffColors, diffPalette, frameColors, legendOf, type FrameColors } from "@/flamegraph/colors";
import { functionsOf, kindName } from "@/flamegraph/functions";
import { findByKey, keyOf } from "@/flamegraph/path-key";
import { compileQuery, nextHit, searchTree, type SearchResult } from "@/flamegraph/search";
import { callersOf, focusFunction, hideFunctions } from "@/flamegraph/transform";
import { KIND_NAMES, moduleOf, nameOf, pathTo, type DiffMode, type FlameTree } from "@/flamegraph/tree";
import { percent } from "@/lib/format";
import type { Measure } from "@/lib/measure";
import { useTheme } from "@/state/theme";
import { Empty, useNarrow } from "./basics";
import { FlameCanvas } from "./flame-canvas";
import { FlameMenu, type FrameLinks, type MenuTarget } from "./flame-menu";
import type { FlameState, SetFlameState } from "./flame-state";
import { FlameToolbar, Legend, SearchBox, type SearchSummary } from "./flame-toolbar";
import { FunctionTable } from "./function-table";
import { Icon } from "./icons";

export interface ExplorerProps {
  tree: FlameTree;
  measure: Measure;
  /** Given in comparisons: the measure of the first selection and how sides are weighed. */
  compared?: { measureA: Measure; mode: DiffMode };
  state: FlameState;
  set: SetFlameState;
  links?: FrameLinks;
  extra?: ReactNode;
}

function useShownTree(tree: FlameTree, state: FlameState, mode: DiffMode): FlameTree {
  const { focus, callers, hide } = state;
  return useMemo(() => {
    let shown = tree;
    if (hide.length > 0) shown = hideFunctions(shown, new Set(hide), mode);
    if (focus !== "") shown = focusFunction(shown, focus, mode);
    else if (callers !== "") shown = callersOf(shown, callers, mode);
    return shown;
  }, [tree, focus, callers, hide, mode]);
}

function useSearchResult(tree: FlameTree, whole: FlameTree, query: string, regex: boolean): { result: SearchResult | null; summary: SearchSummary | null } {
  const deferred = useDeferredValue(query);
  return useMemo(() => {
    const compiled = compileQuery(deferred, regex);
    if (compiled === null) return { result: null, summary: null };
    if (typeof compiled !== "function") return { result: null, summary: { hits: 0, share: 0, error: compiled.error } };
    const result = searchTree(tree, compiled);
    const all = whole.total[0]! + (whole.totalA?.[0] ?? 0);
    return { result, summary: { hits: result.hits, share: all > 0 ? (result.total + result.totalA) / all : 0, error: null } };
  }, [tree, whole, deferred, regex]);
}

function share(value: number, of: number): string {
  return percent(of > 0 ? value / of : 0);
}

/** What percentages refer to: everything selected, and the part of it that is shown. */
interface Bases {
  all: number;
  allA: number;
  shown: { name: string; total: number } | null;
}

function basesOf(whole: FlameTree, shown: FlameTree, zoomed: number, state: FlameState): Bases {
  const part = state.focus || state.callers;
  let name = "";
  if (zoomed > 0) name = nameOf(shown, zoomed);
  else if (part !== "") name = part;
  return {
    all: whole.total[0]!,
    allA: whole.totalA?.[0] ?? 0,
    shown: name === "" ? null : { name, total: shown.total[zoomed]! },
  };
}

function Details({ tree, node, bases, measure, compared }: { tree: FlameTree; node: number; bases: Bases } & Pick<ExplorerProps, "measure" | "compared">): ReactNode {
  const module = moduleOf(tree, node);
  return (
    <>
      <div className="what">
        <b>{nameOf(tree, node)}</b>
        <span className="muted">{node === 0 ? "everything selected" : `${module || "no module"} · ${kindName(tree.kind[node]!)}`}</span>
      </div>
      <dl>
        {compared && tree.totalA && tree.selfA ? (
          <>
            <dt>A</dt>
            <dd>{compared.measureA.long(tree.totalA[node]!)} · {share(tree.totalA[node]!, bases.allA)} of A</dd>
            <dt>B</dt>
            <dd>{measure.long(tree.total[node]!)} · {share(tree.total[node]!, bases.all)} of B</dd>
          </>
        ) : (
          <>
            <dt>Total</dt>
            <dd>
              {measure.long(tree.total[node]!)} · {share(tree.total[node]!, bases.all)} of all
              {bases.shown ? ` · ${share(tree.total[node]!, bases.shown.total)} of ${bases.shown.name}` : ""}
            </dd>
            <dt>Self</dt>
            <dd>{measure.long(tree.self[node]!)} · {share(tree.self[node]!, bases.all)} of all</dd>
          </>
        )}
      </dl>
    </>
  );
}

function Applied({ tree, zoomed, state, set }: { tree: FlameTree; zoomed: number; state: FlameState; set: SetFlameState }): ReactNode {
  const chips: [string, string, () => void][] = [];
  if (zoomed > 0) chips.push(["Zoomed to", nameOf(tree, zoomed), () => set({ zoom: "" })]);
  if (state.focus !== "") chips.push(["Only through", state.focus, () => set({ focus: "" })]);
  if (state.callers !== "") chips.push(["Callers of", state.callers, () => set({ callers: "" })]);
  for (const name of state.hide) chips.push(["Without", name, () => set({ hide: state.hide.filter((h) => h !== name) })]);
  if (chips.length === 0) return null;
  return (
    <div className="applied">
      {chips.map(([verb, name, remove]) => (
        <span className="chip" key={verb + name}>
          <span className="truncate">{verb} <b>{name}</b></span>
          <button type="button" aria-label={`Undo: ${verb} ${name}`} onClick={remove}><Icon name="close" size={12} /></button>
        </span>
      ))}
    </div>
  );
}

function DiffLegend(): ReactNode {
  const theme = useTheme();
  return (
    <div className="legend diff">
      <span>Less in B</span>
      <span className="ramp">{diffPalette(theme).map((color) => <i key={color} style={{ background: color }} />)}</span>
      <span>More in B</span>
    </div>
  );
}

export function FlameExplorer(props: ExplorerProps): ReactNode {
  const { state, set, measure, compared, links } = props;
  const theme = useTheme();
  const narrow = useNarrow();
  const mode = compared?.mode ?? "normalised";
  const tree = useShownTree(props.tree, state, mode);
  const colors = useMemo<FrameColors>(
    () => (compared ? diffColors(tree, mode === "normalised", theme) : frameColors(tree, state.color, theme)),
    [tree, compared !== undefined, mode, state.color, theme],
  );
  const legend = useMemo(() => (compared ? [] : legendOf(tree, colors, state.color, KIND_NAMES, narrow ? 4 : 8)), [tree, colors, state.color, compared, narrow]);
  const { result, summary } = useSearchResult(tree, props.tree, state.search, state.re);
  const zoomed = useMemo(() => Math.max(0, findByKey(tree, state.zoom)), [tree, state.zoom]);
  const [cursorKey, setCursorKey] = useState("");
  const cursor = useMemo(() => Math.max(0, findByKey(tree, cursorKey)), [tree, cursorKey]);
  const bases = useMemo(() => basesOf(props.tree, tree, zoomed, state), [props.tree, tree, zoomed, state]);
  const rows = useMemo(() => functionsOf(tree, zoomed), [tree, zoomed]);
  const totals = useMemo(() => ({ total: tree.total[0]!, totalA: tree.totalA?.[0] ?? 0 }), [tree]);
  const [hover, setHover] = useState<{ node: number; x: number; y: number } | null>(null);
  const [menu, setMenu] = useState<MenuTarget | null>(null);
  const graph = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);

  const describe = useCallback(
    (node: number) => `${nameOf(tree, node)}, ${measure.long(tree.total[node]!)}, ${share(tree.total[node]!, bases.all)} of all, self ${share(tree.self[node]!, bases.all)}`,
    [tree, measure, bases],
  );
  const stepHit = (step: 1 | -1): void => {
    if (!result) return;
    const next = nextHit(tree, result, cursor, step);
    if (next < 0) return;
    setCursorKey(keyOf(tree, next));
    const outside = next < zoomed || next >= tree.end[zoomed]!;
    if (outside && zoomed > 0) set({ zoom: "" });
  };
  const onKey = (event: React.KeyboardEvent): void => {
    if (event.key === "/") input.current?.focus();
    else if (event.key === "n") stepHit(1);
    else if (event.key === "N") stepHit(-1);
    else if (event.key === "Escape" && state.search !== "") set({ search: "" }, { replace: true });
    else return;
    event.preventDefault();
  };
  const events = {
    hover: (node: number, x: number, y: number) => setHover(node < 0 ? null : { node, x, y }),
    cursor: (node: number) => setCursorKey(keyOf(tree, node)),
    zoom: (node: number) => set({ zoom: keyOf(tree, node) }),
    menu: (node: number, x: number, y: number) => {
      setHover(null);
      setMenu({ x, y, name: nameOf(tree, node), module: moduleOf(tree, node), zoomKey: keyOf(tree, node), path: pathTo(tree, node).slice(1).map((i) => nameOf(tree, i)), isRoot: node === 0 });
    },
  };
  const view = narrow && state.view === "both" ? "graph" : state.view;
  const detailed = hover && hover.node < tree.size ? hover.node : cursor;
  const tip = hover && hover.node < tree.size && !menu ? hover : null;
  return (
    <div className="explorer panel">
      <FlameToolbar state={state} set={set} compared={compared !== undefined} extra={props.extra}>
        <SearchBox state={state} set={set} summary={summary} inputRef={input} onStep={stepHit} onLeave={() => graph.current?.focus()} />
      </FlameToolbar>
      <Applied tree={tree} zoomed={zoomed} state={state} set={set} />
      <div className={`panes ${view}`}>
        {view === "table" ? null : (
          <div className="graph-pane">
            {tree.size === 1 && tree.total[0] === 0 ? (
              <Empty title="Nothing is left to show">
                <p>No stack has the functions asked for. Remove one of the conditions above.</p>
              </Empty>
            ) : (
              <FlameCanvas
                tree={tree} colors={colors} theme={theme} search={result} direction={state.dir} zoomed={zoomed} cursor={cursor}
                label="Flame graph. Arrow keys move between frames, Enter zooms, Escape zooms out, slash searches."
                describe={describe} events={events} onKey={onKey} focusRef={graph}
              />
            )}
            <div className="details" data-testid="flame-details"><Details tree={tree} node={detailed} bases={bases} measure={measure} compared={compared} /></div>
            {compared ? <DiffLegend /> : <Legend entries={legend} total={tree.total[0]!} />}
          </div>
        )}
        {view === "graph" ? null : (
          <div className="table-pane">
            <FunctionTable
              rows={rows} totals={totals} measure={measure} compared={compared !== undefined} order={state.sort} picked={state.search}
              onOrder={(sort) => set({ sort }, { replace: true })}
              onPick={(row) => set({ search: state.search === row.function ? "" : row.function, re: false })}
            />
          </div>
        )}
      </div>
      {tip ? <Tooltip x={tip.x} y={tip.y}><Details tree={tree} node={tip.node} bases={bases} measure={measure} compared={compared} /></Tooltip> : null}
      <FlameMenu target={menu} state={state} set={set} links={links} onClose={() => { setMenu(null); graph.current?.focus(); }} />
    </div>
  );
}

function Tooltip({ x, y, children }: { x: number; y: number; children: ReactNode }): ReactNode {
  const horizontal = x > window.innerWidth - 440 ? { right: window.innerWidth - x + 14 } : { left: x + 14 };
  const vertical = y > window.innerHeight - 180 ? { bottom: window.innerHeight - y + 14 } : { top: y + 18 };
  return (
    <div className="flame-tip" role="presentation" style={{ ...horizontal, ...vertical }}>
      {children}
    </div>
  );
}
