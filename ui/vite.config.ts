// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { mockApi } from "./mock/plugin.ts";

/** The server's own policy, so that a preview fails where production would. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const server = process.env.APERTURE_URL;

export default defineConfig({
  plugins: [react(), ...(server ? [] : [mockApi()])],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 800,
  },
  server: server ? { proxy: { "/api": server, "/healthz": server } } : {},
  preview: { headers: { "Content-Security-Policy": CONTENT_SECURITY_POLICY } },
  test: { include: ["src/**/*.test.ts", "mock/**/*.test.ts"] },
});
