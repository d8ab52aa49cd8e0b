// SPDX-License-Identifier: Apache-2.0
/**
 * The interactive flame graph on two canvases: frames below, outlines of hover and cursor above, so
 * that moving the pointer never redraws frames. Knows the DOM, but no framework. Redraws happen at
 * most once per animation frame.
 */
import type { FrameColors, Theme } from "./colors";
import { clampSpan, coveringNode, nodeAt, spanOf, type Span } from "./layout";
import { moveCursor, type Move } from "./navigate";
import { INKS, ROW_HEIGHT, levelAt, outline, paint, rowTop, type Direction, type Scene } from "./paint";
import { Raster } from "./raster";
import type { SearchResult } from "./search";
import { TextFitter } from "./text";
import type { FlameTree } from "./tree";

export const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const ZOOM_MS = 160;

export interface FlameElements {
  /** Scrolls vertically; receives focus and input. */
  scroller: HTMLElement;
  /** Inside the scroller; given the height of all rows. */
  content: HTMLElement;
  frames: HTMLCanvasElement;
  overlay: HTMLCanvasElement;
}

export interface FlameEvents {
  hover(node: number, x: number, y: number): void;
  cursor(node: number): void;
  zoom(node: number): void;
  menu(node: number, x: number, y: number): void;
}

export class FlameView {
  private readonly context: CanvasRenderingContext2D;
  private readonly overlayContext: CanvasRenderingContext2D;
  private readonly fitter: TextFitter;
  private raster = new Raster(1, 1);
  private ratio = 1;
  private readonly stop = new AbortController();
  private readonly observer: ResizeObserver;
  private tree: FlameTree | null = null;
  private colors: FrameColors | null = null;
  private search: SearchResult | null = null;
  private theme: Theme = "light";
  private direction: Direction = "icicle";
  private span: Span = { from: 0, to: 1 };
  private zoomed = 0;
  private cursorNode = 0;
  private hovered = -1;
  private width = 0;
  private height = 0;
  private pending = 0;
  private animation = 0;
  private dragging: { x: number; span: Span; moved: boolean } | null = null;

  constructor(private readonly el: FlameElements, private readonly on: FlameEvents) {
    this.context = el.frames.getContext("2d", { alpha: false })!;
    this.overlayContext = el.overlay.getContext("2d")!;
    this.fitter = new TextFitter(this.context, FONT);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(el.scroller);
    this.listen();
    this.resize();
  }

  destroy(): void {
    this.stop.abort();
    this.observer.disconnect();
    cancelAnimationFrame(this.pending);
    cancelAnimationFrame(this.animation);
  }

  /** Shows a tree zoomed to `zoomed` with the cursor on `cursor` (nodes of that tree). */
  setTree(tree: FlameTree, colors: FrameColors, zoomed: number, cursor: number): void {
    cancelAnimationFrame(this.animation);
    this.tree = tree;
    this.colors = colors;
    this.zoomed = zoomed;
    this.cursorNode = cursor;
    this.hovered = -1;
    this.span = spanOf(tree, zoomed);
    this.layoutContent();
  }

  setColors(colors: FrameColors, theme: Theme): void {
    this.colors = colors;
    this.theme = theme;
    this.redraw();
  }

  setSearch(search: SearchResult | null): void {
    this.search = search;
    this.redraw();
  }

  setDirection(direction: Direction): void {
    if (this.direction === direction) return;
    this.direction = direction;
    this.layoutContent();
    this.el.scroller.scrollTop = direction === "flame" ? this.el.scroller.scrollHeight : 0;
  }

  /** Animates to a node, unless the reader asked for less motion. */
  zoomTo(node: number): void {
    if (!this.tree || this.zoomed === node) return;
    this.zoomed = node;
    this.animateTo(spanOf(this.tree, node));
  }

  setCursor(node: number): void {
    this.cursorNode = node;
    this.reveal(node);
    this.redraw();
  }

  /** Draws now and returns when the frames are on the canvas; for measurements. */
  drawNow(): void {
    const scene = this.scene();
    if (scene) paint(this.context, this.raster, this.fitter, scene);
  }

  /** Handles a key; false leaves it to the page. */
  key(event: { key: string; shiftKey: boolean }): boolean {
    if (!this.tree) return false;
    const towardCallee = this.direction === "icicle" ? "ArrowDown" : "ArrowUp";
    const towardCaller = this.direction === "icicle" ? "ArrowUp" : "ArrowDown";
    const moves: Record<string, Move> = {
      [towardCallee]: "callee",
      [towardCaller]: "caller",
      ArrowLeft: "previous",
      ArrowRight: "next",
      Home: "first",
      End: "last",
    };
    const move = moves[event.key];
    if (move) {
      this.on.cursor(moveCursor(this.tree, this.cursorNode, move, this.span));
    } else if (event.key === "Enter" || event.key === " ") {
      this.on.zoom(this.cursorNode);
    } else if (event.key === "Escape" || event.key === "Backspace") {
      if (this.zoomed === 0) return false;
      this.on.zoom(event.shiftKey ? 0 : Math.max(0, this.tree.parent[this.zoomed]!));
    } else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) {
      const { x, y } = this.pointOf(this.cursorNode);
      this.on.menu(this.cursorNode, x, y);
    } else {
      return false;
    }
    return true;
  }

  private scene(): Scene | null {
    if (!this.tree || !this.colors || this.width === 0) return null;
    return {
      tree: this.tree,
      colors: this.colors,
      search: this.search,
      span: this.span,
      direction: this.direction,
      ink: INKS[this.theme],
      width: this.width,
      height: this.height,
      ratio: this.ratio,
      scroll: this.el.scroller.scrollTop,
      contentHeight: this.contentHeight(),
    };
  }

  private contentHeight(): number {
    return Math.max(this.height, this.tree ? (this.tree.maxDepth + 1) * ROW_HEIGHT : 0);
  }

  private layoutContent(): void {
    const atBottom = this.direction === "flame" && this.el.scroller.scrollTop === 0;
    this.el.content.style.height = `${this.contentHeight()}px`;
    if (atBottom) this.el.scroller.scrollTop = this.el.scroller.scrollHeight;
    this.redraw();
  }

  private resize(): void {
    const { clientWidth, clientHeight } = this.el.scroller;
    const ratio = window.devicePixelRatio || 1;
    this.ratio = ratio;
    this.raster = new Raster(Math.round(clientWidth * ratio), Math.round(clientHeight * ratio));
    this.width = clientWidth;
    this.height = clientHeight;
    for (const canvas of [this.el.frames, this.el.overlay]) {
      canvas.width = Math.round(clientWidth * ratio);
      canvas.height = Math.round(clientHeight * ratio);
      canvas.style.width = `${clientWidth}px`;
      canvas.style.height = `${clientHeight}px`;
      canvas.getContext("2d")!.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.el.content.style.height = `${this.contentHeight()}px`;
    this.drawNow();
    this.drawOverlay();
  }

  private redraw(): void {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.drawNow();
      this.drawOverlay();
    });
  }

  private drawOverlay(): void {
    const scene = this.scene();
    this.overlayContext.clearRect(0, 0, this.width, this.height);
    if (!scene) return;
    if (this.hovered >= 0) outline(this.overlayContext, scene, this.hovered, scene.ink.outline, 1);
    if (document.activeElement === this.el.scroller) {
      outline(this.overlayContext, scene, this.cursorNode, scene.ink.cursor, 2.5);
    }
  }

  private animateTo(target: Span): void {
    cancelAnimationFrame(this.animation);
    const from = this.span;
    const began = performance.now();
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const step = (): void => {
      const t = still ? 1 : Math.min(1, (performance.now() - began) / ZOOM_MS);
      const eased = 1 - (1 - t) ** 3;
      this.span = {
        from: from.from + (target.from - from.from) * eased,
        to: from.to + (target.to - from.to) * eased,
      };
      this.drawNow();
      this.drawOverlay();
      if (t < 1) this.animation = requestAnimationFrame(step);
    };
    step();
  }

  private hit(event: MouseEvent): number {
    const scene = this.scene();
    if (!scene) return -1;
    const box = this.el.frames.getBoundingClientRect();
    const x = event.clientX - box.left;
    const level = levelAt(scene, event.clientY - box.top + scene.scroll);
    const value = this.span.from + (x / this.width) * (this.span.to - this.span.from);
    return nodeAt(scene.tree, level, value);
  }

  /** Scrolls rows, and the span where needed, so that the node is on the screen. */
  private reveal(node: number): void {
    const scene = this.scene();
    if (!scene) return;
    const top = rowTop(scene, scene.tree.depth[node]!);
    const { scroller } = this.el;
    if (top < scroller.scrollTop + ROW_HEIGHT) scroller.scrollTop = Math.max(0, top - ROW_HEIGHT * 2);
    else if (top + ROW_HEIGHT > scroller.scrollTop + this.height) {
      scroller.scrollTop = top + ROW_HEIGHT * 3 - this.height;
    }
  }

  private pointOf(node: number): { x: number; y: number } {
    const scene = this.scene()!;
    const box = this.el.frames.getBoundingClientRect();
    const scale = this.width / (this.span.to - this.span.from);
    const middle = scene.tree.start[node]! + scene.tree.width[node]! / 2;
    const x = Math.min(this.width - 8, Math.max(8, (middle - this.span.from) * scale));
    return { x: box.left + x, y: box.top + rowTop(scene, scene.tree.depth[node]!) - scene.scroll + ROW_HEIGHT };
  }

  private panOrZoomWheel(event: WheelEvent): void {
    if (!this.tree || (!event.ctrlKey && !event.metaKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY))) return;
    event.preventDefault();
    cancelAnimationFrame(this.animation);
    const extent = this.span.to - this.span.from;
    if (event.ctrlKey || event.metaKey) {
      const box = this.el.frames.getBoundingClientRect();
      const anchor = this.span.from + ((event.clientX - box.left) / this.width) * extent;
      const factor = Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.008);
      this.span = clampSpan(this.tree, {
        from: anchor - (anchor - this.span.from) * factor,
        to: anchor + (this.span.to - anchor) * factor,
      });
    } else {
      const shift = (event.deltaX / this.width) * extent;
      this.span = clampSpan(this.tree, { from: this.span.from + shift, to: this.span.to + shift });
    }
    this.redraw();
  }

  private drag(event: PointerEvent): void {
    if (!this.tree || !this.dragging) return;
    const moved = event.clientX - this.dragging.x;
    if (Math.abs(moved) > 4) this.dragging.moved = true;
    if (!this.dragging.moved) return;
    const { span } = this.dragging;
    const shift = (-moved / this.width) * (span.to - span.from);
    this.span = clampSpan(this.tree, { from: span.from + shift, to: span.to + shift });
    this.redraw();
  }

  private setHovered(node: number, x: number, y: number): void {
    if (node !== this.hovered) {
      this.hovered = node;
      this.redraw();
    }
    this.on.hover(node, x, y);
  }

  private listen(): void {
    const { scroller } = this.el;
    const options = { signal: this.stop.signal };
    scroller.addEventListener("scroll", () => this.redraw(), { ...options, passive: true });
    scroller.addEventListener("wheel", (e) => this.panOrZoomWheel(e), { ...options, passive: false });
    scroller.addEventListener("focus", () => this.redraw(), options);
    scroller.addEventListener("blur", () => this.redraw(), options);
    scroller.addEventListener("pointerdown", (e) => {
      if (e.button === 0 && e.pointerType === "mouse") this.dragging = { x: e.clientX, span: this.span, moved: false };
    }, options);
    window.addEventListener("pointerup", () => setTimeout(() => (this.dragging = null)), options);
    scroller.addEventListener("pointermove", (e) => {
      this.drag(e);
      if (e.pointerType === "mouse") this.setHovered(this.dragging?.moved ? -1 : this.hit(e), e.clientX, e.clientY);
    }, options);
    scroller.addEventListener("pointerleave", () => this.setHovered(-1, 0, 0), options);
    scroller.addEventListener("click", (e) => {
      const node = this.hit(e);
      if (this.dragging?.moved || node < 0 || !this.tree) return;
      this.on.cursor(node);
      if (node !== this.zoomed) this.on.zoom(node);
      else if (node !== coveringNode(this.tree, this.span)) this.animateTo(spanOf(this.tree, node));
      else this.on.zoom(Math.max(0, this.tree.parent[node]!));
    }, options);
    scroller.addEventListener("contextmenu", (e) => {
      const node = this.hit(e);
      if (node < 0) return;
      e.preventDefault();
      this.on.cursor(node);
      this.on.menu(node, e.clientX, e.clientY);
    }, options);
  }
}
