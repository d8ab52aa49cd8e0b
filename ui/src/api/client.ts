// SPDX-License-Identifier: Apache-2.0
/** Requests to the server this page came from, and errors as it words them. */
import { BINARY_TYPE, decodeFlamegraph, fromJson, type Flamegraph } from "./binary";
import type { FlameAnswer } from "./model";

export class ApiError extends Error {
  constructor(
    /** 0 where no answer came. */
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field: string | null,
  ) {
    super(message);
  }
}

export type Params = Record<string, string | number | undefined>;

export function apiUrl(path: string, params: Params): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value !== undefined && value !== "") query.set(key, String(value));
  }
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}

async function toError(response: Response): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as { error: { code: string; message: string; field?: string } };
    return new ApiError(response.status, error.code, error.message, error.field ?? null);
  } catch {
    return new ApiError(response.status, "unexpected", `The server answered ${response.status} ${response.statusText}.`, null);
  }
}

async function request(url: string, accept: string, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { headers: { Accept: accept }, signal: signal ?? null });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "The aggregator does not answer.", null);
  }
  if (!response.ok) throw await toError(response);
  return response;
}

export async function getJson<T>(path: string, params: Params, signal?: AbortSignal): Promise<T> {
  const response = await request(apiUrl(path, params), "application/json", signal);
  return (await response.json()) as T;
}

export async function getFlamegraph(params: Params, signal?: AbortSignal): Promise<Flamegraph> {
  const accept = `${BINARY_TYPE}, application/json;q=0.5`;
  const response = await request(apiUrl("/api/v1/flamegraph", params), accept, signal);
  if (response.headers.get("Content-Type")?.startsWith(BINARY_TYPE)) {
    return decodeFlamegraph(await response.arrayBuffer());
  }
  return fromJson((await response.json()) as FlameAnswer);
}
