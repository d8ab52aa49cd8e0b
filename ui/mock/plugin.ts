// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Plugin } from "vite";
import { BINARY_TYPE } from "../src/api/binary.ts";
import * as api from "./api.ts";
import { encodeFlamegraph } from "./binary.ts";
import { isLockType, lockFlamegraph, locks } from "./locks.ts";
import { syscalls } from "./syscalls.ts";

const ROUTES: Record<string, (q: URLSearchParams) => unknown> = {
  "/api/health": () => ({ status: "ok", version: "0.1.0", uptime_s: 7_290, store: { driver: "embedded", version: "26.7.3.1", error: null }, buffer: { batches: 3, bytes: 91_000, capacity_bytes: 268_435_456 } }),
  "/api/v1/profile-types": api.profileTypes,
  "/api/v1/labels": (q) => ({ labels: ["service", "host", "container", "comm", "pid", "version", ...(q.get("type")?.startsWith("cpu:") ? [] : ["state"])] }),
  "/api/v1/label-values": api.labelValues,
  "/api/v1/services": api.services,
  "/api/v1/agents": api.agents,
  "/api/v1/ledger": api.ledger,
  "/api/v1/flamegraph": (q) => (isLockType(q) ? lockFlamegraph(q) : api.flamegraph(q)),
  "/api/v1/callers": api.callers,
  "/api/v1/callees": api.callees,
  "/api/v1/heatmap": api.heatmap,
  "/api/v1/locks": locks,
  "/api/v1/syscalls": syscalls,
  "/api/v1/top": api.top,
  "/api/v1/modules": api.modules,
  "/api/v1/store": api.store,
  "/api/v1/series": api.series,
  "/api/v1/diff": api.diff,
};

function send(res: ServerResponse, status: number, body: unknown): void {
  res.statusCode = status;
  res.setHeader("Content-Type", "application/json");
  res.end(JSON.stringify(body));
}

function handle(req: IncomingMessage, res: ServerResponse, next: () => void): void {
  const url = new URL(req.url ?? "/", "http://localhost");
  if (!url.pathname.startsWith("/api/")) return next();
  const route = ROUTES[url.pathname];
  if (!route) return send(res, 404, { error: { code: "not_found", message: `no such endpoint: ${url.pathname}`, field: null } });
  try {
    const answer = route(url.searchParams);
    if (url.pathname === "/api/v1/flamegraph" && req.headers.accept?.includes(BINARY_TYPE)) {
      res.setHeader("Content-Type", BINARY_TYPE);
      res.end(Buffer.from(encodeFlamegraph(answer as Parameters<typeof encodeFlamegraph>[0])));
    } else send(res, 200, answer);
  } catch (error) {
    if (!(error instanceof api.BadRequest)) throw error;
    send(res, 400, { error: { code: "invalid_argument", message: error.message, field: error.field } });
  }
}

/** Serves made-up data in development and preview, where no server's address is given. */
export function mockApi(): Plugin {
  return {
    name: "aperture-mock-api",
    configureServer: (server) => void server.middlewares.use(handle),
    configurePreviewServer: (server) => void server.middlewares.use(handle),
  };
}
