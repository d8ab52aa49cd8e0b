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

async function request(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "The aggregator does not answer.", null);
  }
  if (!response.ok) throw await toError(response);
  return response;
}

export async function getJson<T>(path: string, params: Params, signal?: AbortSignal): Promise<T> {
  const response = await request(apiUrl(path, params), { headers: { Accept: "application/json" }, signal: signal ?? null });
  return (await response.json()) as T;
}

/** What a session's changes have to show; null where there is none. */
let csrf: string | null = null;

export function setCsrf(value: string | null): void {
  csrf = value;
}

/** Changes something on the server; `body` is sent as JSON. */
export async function sendJson<T>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json", "Content-Type": "application/json" };
  if (csrf !== null) headers["X-Aperture-CSRF"] = csrf;
  const response = await request(path, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
  return (await response.json()) as T;
}

/** `path` is one that answers with a tree. */
export async function getFlamegraph(path: string, params: Params, signal?: AbortSignal): Promise<Flamegraph> {
  const headers = { Accept: `${BINARY_TYPE}, application/json;q=0.5` };
  const response = await request(apiUrl(path, params), { headers, signal: signal ?? null });
  if (response.headers.get("Content-Type")?.startsWith(BINARY_TYPE)) {
    return decodeFlamegraph(await response.arrayBuffer());
  }
  return fromJson((await response.json()) as FlameAnswer);
}
