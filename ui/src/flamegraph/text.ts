// SPDX-License-Identifier: Apache-2.0
/** Fits labels into frames without asking the canvas for each: widths of characters, measured once. */

export class TextFitter {
  private readonly ascii = new Float32Array(128);
  private readonly average: number;
  private readonly ellipsis: number;
  private readonly widths = new Map<string, number>();

  constructor(context: CanvasRenderingContext2D, readonly font: string) {
    context.font = font;
    let sum = 0;
    for (let code = 32; code < 127; code++) {
      this.ascii[code] = context.measureText(String.fromCharCode(code)).width;
      sum += this.ascii[code]!;
    }
    this.average = (sum / 95) * 1.6;
    this.ellipsis = context.measureText("…").width;
  }

  private charWidth(code: number): number {
    return code < 128 ? this.ascii[code]! : this.average;
  }

  private width(text: string): number {
    let known = this.widths.get(text);
    if (known === undefined) {
      known = 0;
      for (let i = 0; i < text.length; i++) known += this.charWidth(text.charCodeAt(i));
      this.widths.set(text, known);
    }
    return known;
  }

  /** The text, its beginning with an ellipsis, or "" where less than two characters would fit. */
  fit(text: string, room: number): string {
    if (this.width(text) <= room) return text;
    let used = this.ellipsis;
    let end = 0;
    for (; end < text.length; end++) {
      used += this.charWidth(text.charCodeAt(end));
      if (used > room) break;
    }
    return end < 2 ? "" : text.slice(0, end) + "…";
  }
}
