// SPDX-License-Identifier: Apache-2.0
/**
 * The binary encoding of a flame graph: a header of six little-endian words ("APFG", version, nodes,
 * strings, bytes of metadata, reserved), metadata as JSON padded to 8, the columns, the string
 * offsets and the strings. Sizes are checked against the bytes at hand before anything is allocated.
 */
import type { FlameColumns } from "@/flamegraph/tree";
import type { FlameMeta } from "./model";

export const BINARY_TYPE = "application/vnd.aperture.flamegraph";
const MAGIC = 0x47465041;
const HEADER_BYTES = 24;
const BYTES_PER_NODE = 8 + 8 + 4 + 4 + 4 + 1;

export interface Flamegraph {
  meta: FlameMeta;
  columns: FlameColumns;
}

export class BinaryFormatError extends Error {}

function padded(bytes: number, to: number): number {
  return Math.ceil(bytes / to) * to;
}

function readU64(view: DataView, at: number, count: number): Float64Array {
  const out = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    out[i] = view.getUint32(at + i * 8 + 4, true) * 4294967296 + view.getUint32(at + i * 8, true);
  }
  return out;
}

function readU32(view: DataView, at: number, count: number): Uint32Array {
  const out = new Uint32Array(count);
  for (let i = 0; i < count; i++) out[i] = view.getUint32(at + i * 4, true);
  return out;
}

function readStrings(bytes: Uint8Array, view: DataView, at: number, count: number): string[] {
  const text = at + (count + 1) * 4;
  const decoder = new TextDecoder();
  const strings: string[] = [];
  let begin = view.getUint32(at, true);
  for (let i = 1; i <= count; i++) {
    const end = view.getUint32(at + i * 4, true);
    if (end < begin || text + end > bytes.byteLength) {
      throw new BinaryFormatError(`string ${i - 1} lies outside the data`);
    }
    strings.push(decoder.decode(bytes.subarray(text + begin, text + end)));
    begin = end;
  }
  return strings;
}

function readMeta(bytes: Uint8Array): FlameMeta {
  let meta: unknown;
  try {
    meta = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new BinaryFormatError("the metadata is not JSON");
  }
  if (typeof meta !== "object" || meta === null || typeof (meta as FlameMeta).total !== "number") {
    throw new BinaryFormatError("the metadata has no total");
  }
  return meta as FlameMeta;
}

export function decodeFlamegraph(buffer: ArrayBuffer): Flamegraph {
  const size = buffer.byteLength;
  if (size < HEADER_BYTES) throw new BinaryFormatError(`${size} bytes are shorter than the header`);
  const view = new DataView(buffer);
  const bytes = new Uint8Array(buffer);
  if (view.getUint32(0, true) !== MAGIC) throw new BinaryFormatError("not a flame graph");
  const version = view.getUint32(4, true);
  if (version !== 1) throw new BinaryFormatError(`version ${version} is newer than this dashboard: reload the page`);
  const nodes = view.getUint32(8, true);
  const strings = view.getUint32(12, true);
  const metaBytes = view.getUint32(16, true);
  const columnsAt = HEADER_BYTES + padded(metaBytes, 8);
  const stringsAt = columnsAt + padded(nodes * BYTES_PER_NODE, 4);
  if (stringsAt + (strings + 1) * 4 > size) {
    throw new BinaryFormatError(`${nodes} nodes and ${strings} strings do not fit into ${size} bytes`);
  }
  const meta = readMeta(bytes.subarray(HEADER_BYTES, HEADER_BYTES + metaBytes));
  const selfAt = columnsAt + nodes * 8;
  const depthAt = selfAt + nodes * 8;
  const nameAt = depthAt + nodes * 4;
  const moduleAt = nameAt + nodes * 4;
  const kindAt = moduleAt + nodes * 4;
  return {
    meta,
    columns: {
      total: readU64(view, columnsAt, nodes),
      self: readU64(view, selfAt, nodes),
      depth: readU32(view, depthAt, nodes),
      name: readU32(view, nameAt, nodes),
      module: readU32(view, moduleAt, nodes),
      kind: bytes.slice(kindAt, kindAt + nodes),
      strings: readStrings(bytes, view, stringsAt, strings),
    },
  };
}

/** The same from the JSON encoding. */
export function fromJson(answer: FlameMeta & { nodes: Omit<FlameColumns, "strings">; strings: string[] }): Flamegraph {
  const { nodes, strings, ...meta } = answer;
  return { meta, columns: { ...nodes, strings } };
}
