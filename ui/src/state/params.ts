// SPDX-License-Identifier: Apache-2.0
/**
 * A view's state as the parameters of its address. Each page declares its fields with a codec;
 * values equal to the default are left out, so that links stay short, and malformed values read as
 * the default.
 */

export interface Codec<T> {
  readonly fallback: T;
  parse(text: string): T | null;
  format(value: T): string;
}

export function text(fallback = ""): Codec<string> {
  return { fallback, parse: (t) => t, format: (v) => v };
}

export function flag(): Codec<boolean> {
  return { fallback: false, parse: (t) => (t === "1" ? true : null), format: (v) => (v ? "1" : "") };
}

export function choice<const T extends string>(values: readonly T[], fallback: NoInfer<T>): Codec<T> {
  return { fallback, parse: (t) => values.find((v) => v === t) ?? null, format: (v) => v };
}

/** A list of strings, for which the parameter is repeated. */
export interface ListCodec {
  readonly list: true;
}

export function list(): ListCodec {
  return { list: true };
}

export type Schema = Record<string, Codec<any> | ListCodec>;
export type State<S extends Schema> = {
  [K in keyof S]: S[K] extends Codec<infer T> ? T : readonly string[];
};

function isList(codec: Codec<unknown> | ListCodec): codec is ListCodec {
  return "list" in codec;
}

/** `prefix` tells apart several states of one schema in an address. */
export function readState<S extends Schema>(schema: S, search: string, prefix = ""): State<S> {
  const params = new URLSearchParams(search);
  const state: Record<string, unknown> = {};
  for (const [key, codec] of Object.entries(schema)) {
    if (isList(codec)) {
      state[key] = params.getAll(prefix + key);
      continue;
    }
    const raw = params.get(prefix + key);
    state[key] = (raw === null ? null : codec.parse(raw)) ?? codec.fallback;
  }
  return state as State<S>;
}

/** The search string after a change; parameters of other schemas stay as they are. */
export function writeState<S extends Schema>(schema: S, search: string, patch: Partial<State<S>>, prefix = ""): string {
  const params = new URLSearchParams(search);
  for (const [key, value] of Object.entries(patch)) {
    const codec = schema[key]!;
    const name = prefix + key;
    params.delete(name);
    if (isList(codec)) {
      for (const item of value as readonly string[]) params.append(name, item);
    } else if (value !== undefined && value !== codec.fallback) {
      params.set(name, codec.format(value));
    }
  }
  return params.toString();
}
