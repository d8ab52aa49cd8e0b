// SPDX-License-Identifier: Apache-2.0
/**
 * Rows of frames as pixels. Filling thousands of narrow rectangles through a canvas costs far more
 * than writing their colours: a row of frames is one line of pixels, repeated, so the cost of a
 * redraw is bounded by the size of the window whatever the number of frames.
 */

/** "#rrggbb" as a little-endian RGBA pixel. */
export function pixelOf(color: string): number {
  const rgb = parseInt(color.slice(1), 16);
  return (0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >>> 16)) >>> 0;
}

export class Raster {
  private image: ImageData;
  private pixels: Uint32Array;
  readonly width: number;
  readonly height: number;

  /** In device pixels. */
  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.image = new ImageData(Math.max(1, width), Math.max(1, height));
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  clear(pixel: number): void {
    this.pixels.fill(pixel);
  }

  /** Copies one line of pixels to the rows [top, bottom), clipped to the raster. */
  rows(line: Uint32Array, top: number, bottom: number): void {
    const from = Math.max(0, top);
    const to = Math.min(this.height, bottom);
    for (let y = from; y < to; y++) this.pixels.set(line, y * this.width);
  }

  put(context: CanvasRenderingContext2D): void {
    context.putImageData(this.image, 0, 0);
  }
}
