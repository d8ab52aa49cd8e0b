// SPDX-License-Identifier: Apache-2.0
/** Runs inside the browser: times redraws of a synthetic tree, rasterised, at changing zoom and scroll. */
import { frameColors } from "../src/flamegraph/colors";
import { syntheticTree } from "../src/flamegraph/fixture";
import { compileQuery, searchTree } from "../src/flamegraph/search";
import { FlameView } from "../src/flamegraph/view";

export interface RedrawResult {
  frames: number;
  levels: number;
  build_ms: number;
  p50_ms: number;
  p95_ms: number;
  max_ms: number;
  searched_p95_ms: number;
}

function quantile(sorted: readonly number[], q: number): number {
  return Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!.toFixed(2));
}

function elements(): ConstructorParameters<typeof FlameView>[0] {
  const scroller = document.createElement("div");
  const content = document.createElement("div");
  const frames = document.createElement("canvas");
  const overlay = document.createElement("canvas");
  scroller.style.cssText = "position:relative;width:1440px;height:800px;overflow:auto";
  for (const canvas of [frames, overlay]) canvas.style.cssText = "position:absolute;top:0;left:0";
  content.append(frames, overlay);
  scroller.append(content);
  document.body.replaceChildren(scroller);
  return { scroller, content, frames, overlay };
}

function redraw(size: number, rounds: number): RedrawResult {
  const began = performance.now();
  const tree = syntheticTree(size);
  const build = performance.now() - began;
  const el = elements();
  const ignore = (): void => {};
  const view = new FlameView(el, { hover: ignore, cursor: ignore, zoom: ignore, menu: ignore });
  view.setTree(tree, frameColors(tree, "module", "light"), 0, 0);
  const context = el.frames.getContext("2d")!;
  const wide = [...tree.width.keys()].sort((a, b) => tree.width[b]! - tree.width[a]!).slice(0, 40);
  const times = (): number[] => {
    const taken: number[] = [];
    for (let k = 0; k < rounds; k++) {
      el.scroller.scrollTop = (k % 4) * 60;
      const start = performance.now();
      view.zoomTo(k % 2 === 0 ? wide[k % wide.length]! : 0);
      context.getImageData(0, 0, 1, 1);
      taken.push(performance.now() - start);
    }
    return taken.slice(5).sort((a, b) => a - b);
  };
  const plain = times();
  const matcher = compileQuery("_1", false);
  if (typeof matcher === "function") view.setSearch(searchTree(tree, matcher));
  const searched = times();
  view.destroy();
  return {
    frames: tree.size,
    levels: tree.maxDepth + 1,
    build_ms: Math.round(build),
    p50_ms: quantile(plain, 0.5),
    p95_ms: quantile(plain, 0.95),
    max_ms: quantile(plain, 1),
    searched_p95_ms: quantile(searched, 0.95),
  };
}

declare global {
  interface Window {
    redraw: typeof redraw;
  }
}
window.redraw = redraw;
