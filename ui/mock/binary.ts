// SPDX-License-Identifier: Apache-2.0
import type { FlameAnswer } from "../src/api/model";

/** The binary encoding of a flame graph, as the server writes it. */
export function encodeFlamegraph(answer: FlameAnswer): ArrayBuffer {
  const { nodes, strings, ...rest } = answer;
  const encoder = new TextEncoder();
  const meta = encoder.encode(JSON.stringify(rest));
  const texts = strings.map((text) => encoder.encode(text));
  const n = nodes.depth.length;
  const columns = 24 + Math.ceil(meta.length / 8) * 8;
  const offsets = columns + Math.ceil((n * 29) / 4) * 4;
  const text = offsets + (texts.length + 1) * 4;
  const buffer = new ArrayBuffer(text + texts.reduce((sum, t) => sum + t.length, 0));
  const view = new DataView(buffer);
  const bytes = new Uint8Array(buffer);
  [0x47465041, 1, n, texts.length, meta.length, 0].forEach((word, i) => view.setUint32(i * 4, word, true));
  bytes.set(meta, 24);
  nodes.total.forEach((v, i) => view.setBigUint64(columns + i * 8, BigInt(v), true));
  nodes.self.forEach((v, i) => view.setBigUint64(columns + n * 8 + i * 8, BigInt(v), true));
  [nodes.depth, nodes.name, nodes.module].forEach((column, k) =>
    column.forEach((v, i) => view.setUint32(columns + n * 16 + (k * n + i) * 4, v, true)),
  );
  bytes.set(nodes.kind, columns + n * 28);
  let at = 0;
  texts.forEach((t, i) => {
    view.setUint32(offsets + i * 4, at, true);
    bytes.set(t, text + at);
    at += t.length;
  });
  view.setUint32(offsets + texts.length * 4, at, true);
  return buffer;
}
