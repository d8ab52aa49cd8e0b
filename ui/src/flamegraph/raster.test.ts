// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";
import { diffPalette } from "./colors";
import { pixelOf } from "./raster";

describe("pixelOf", () => {
  it("puts red first in memory and is opaque", () => {
    const bytes = new Uint8Array(Uint32Array.of(pixelOf("#123456")).buffer);
    expect([...bytes]).toEqual([0x12, 0x34, 0x56, 0xff]);
  });

  it("takes every colour of the palettes", () => {
    for (const color of diffPalette("dark")) {
      expect(color).toMatch(/^#[0-9a-f]{6}$/);
      expect(pixelOf(color) >>> 24).toBe(0xff);
    }
  });
});
