// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { encodeFlamegraph } from "../../mock/binary";
import { BinaryFormatError, decodeFlamegraph } from "./binary";
import type { FlameAnswer } from "./model";

const answer: FlameAnswer = {
  type: "cpu:nanoseconds",
  unit: "nanoseconds",
  from: 1,
  to: 2,
  filter: "",
  total: 2 ** 40 + 5,
  folded_nodes: 0,
  folded_total: 0,
  coverage: { hosts_reporting: 1, hosts_expected: 1, samples: 3, complete_share: 1, lost: 0, pending: 0, truncated: null, reasons: {} },
  nodes: { depth: [0, 1, 2], name: [1, 2, 3], module: [0, 4, 4], kind: [0, 0, 1], total: [2 ** 40 + 5, 7, 3], self: [0, 4, 3] },
  strings: ["", "all", "größe<>", "sys_read", "libc.so.6"],
};

function word(buffer: ArrayBuffer, at: number, value: number): ArrayBuffer {
  const copy = buffer.slice(0);
  new DataView(copy).setUint32(at, value, true);
  return copy;
}

describe("decodeFlamegraph", () => {
  const good = encodeFlamegraph(answer);

  it("reads back what was encoded", () => {
    const { meta, columns } = decodeFlamegraph(good);
    const { nodes, strings, ...rest } = answer;
    expect(meta).toEqual(rest);
    expect(columns.strings).toEqual(strings);
    for (const key of ["depth", "name", "module", "kind", "total", "self"] as const) {
      expect(Array.from(columns[key])).toEqual(nodes[key]);
    }
  });

  it.each([
    ["an empty answer", new ArrayBuffer(0)],
    ["another magic", word(good, 0, 1)],
    ["a newer version", word(good, 4, 2)],
    ["more nodes than bytes", word(good, 8, 0xffffffff)],
    ["more strings than bytes", word(good, 12, 0xffffffff)],
    ["metadata past the end", word(good, 16, 0xfffffff0)],
    ["metadata cut short", word(good, 16, 5)],
  ])("refuses %s", (_, buffer) => {
    expect(() => decodeFlamegraph(buffer)).toThrow(BinaryFormatError);
  });

  it("refuses every truncation", () => {
    for (let size = 0; size < good.byteLength; size++) {
      expect(() => decodeFlamegraph(good.slice(0, size))).toThrow(BinaryFormatError);
    }
  });

  it("refuses string offsets that run backwards or out of the data", () => {
    const meta = new DataView(good).getUint32(16, true);
    const offsets = 24 + Math.ceil(meta / 8) * 8 + Math.ceil((3 * 29) / 4) * 4;
    expect(() => decodeFlamegraph(word(good, offsets + 12, 1))).toThrow(BinaryFormatError);
    expect(() => decodeFlamegraph(word(good, offsets + 20, 0x7fffffff))).toThrow(BinaryFormatError);
  });
});
