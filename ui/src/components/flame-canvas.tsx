// SPDX-License-Identifier: Apache-2.0
/** The engine's canvas inside React, with what assistive technology needs to follow its cursor. */
import { useEffect, useId, useRef, type ReactNode, type RefObject } from "react";
import type { FrameColors, Theme } from "@/flamegraph/colors";
import { siblingPosition } from "@/flamegraph/navigate";
import type { Direction } from "@/flamegraph/paint";
import type { SearchResult } from "@/flamegraph/search";
import type { FlameTree } from "@/flamegraph/tree";
import { FlameView, type FlameEvents } from "@/flamegraph/view";

export interface FlameCanvasProps {
  tree: FlameTree;
  colors: FrameColors;
  theme: Theme;
  search: SearchResult | null;
  direction: Direction;
  zoomed: number;
  cursor: number;
  label: string;
  /** What the cursor's frame is, in words. */
  describe(node: number): string;
  events: FlameEvents;
  /** Keys that the graph does not use itself. */
  onKey(event: React.KeyboardEvent): void;
  focusRef: RefObject<HTMLDivElement | null>;
}

export function FlameCanvas(props: FlameCanvasProps): ReactNode {
  const { tree, colors, theme, search, direction, zoomed, cursor, focusRef } = props;
  const id = useId();
  const content = useRef<HTMLDivElement>(null);
  const frames = useRef<HTMLCanvasElement>(null);
  const overlay = useRef<HTMLCanvasElement>(null);
  const view = useRef<FlameView | null>(null);
  const shown = useRef<FlameTree | null>(null);
  const events = useRef(props.events);
  events.current = props.events;

  useEffect(() => {
    const made = new FlameView(
      { scroller: focusRef.current!, content: content.current!, frames: frames.current!, overlay: overlay.current! },
      {
        hover: (node, x, y) => events.current.hover(node, x, y),
        cursor: (node) => events.current.cursor(node),
        zoom: (node) => events.current.zoom(node),
        menu: (node, x, y) => events.current.menu(node, x, y),
      },
    );
    view.current = made;
    shown.current = null;
    return () => {
      made.destroy();
      view.current = null;
    };
  }, [focusRef]);

  useEffect(() => view.current?.setDirection(direction), [direction]);
  useEffect(() => {
    if (shown.current === tree) view.current?.zoomTo(zoomed);
    else view.current?.setTree(tree, colors, zoomed, cursor);
    shown.current = tree;
    // A new tree takes its colours and cursor along; later changes of those are separate.
  }, [tree, zoomed]);
  useEffect(() => view.current?.setColors(colors, theme), [colors, theme]);
  useEffect(() => view.current?.setSearch(search), [search]);
  useEffect(() => view.current?.setCursor(cursor), [cursor]);

  const place = siblingPosition(tree, cursor);
  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (view.current?.key(event)) event.preventDefault();
    else props.onKey(event);
  };
  return (
    <div
      ref={focusRef}
      className="flame-scroll"
      role="tree"
      tabIndex={0}
      aria-label={props.label}
      aria-activedescendant={`${id}cursor`}
      onKeyDown={onKeyDown}
      data-testid="flamegraph"
    >
      <div ref={content}>
        <div className="flame-sticky" aria-hidden="true">
          <canvas ref={frames} />
          <canvas ref={overlay} />
        </div>
      </div>
      <div
        id={`${id}cursor`}
        role="treeitem"
        className="visually-hidden"
        aria-level={tree.depth[cursor]! + 1}
        aria-posinset={place.position}
        aria-setsize={place.count}
        aria-expanded={tree.end[cursor]! > cursor + 1 ? true : undefined}
        aria-selected="true"
        data-testid="flame-cursor"
      >
        {props.describe(cursor)}
      </div>
    </div>
  );
}
