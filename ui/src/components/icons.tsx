// SPDX-License-Identifier: Apache-2.0
import type { ReactNode } from "react";

const PATHS = {
  overview: <path d="M2.5 13.5v-4m4 4v-9m4 9V7m3.5 6.5V3" />,
  flame: <path d="M2 3.5h12M2 8h8M2 12.5h4.5" strokeWidth="2.4" />,
  top: <path d="M2.5 4h11M2.5 8h8M2.5 12h5" />,
  compare: <path d="M5.5 2.5v11m0-11L3 5m2.5-2.5L8 5m2.5 8.5v-11m0 11L8 11m2.5 2.5L13 11" />,
  timeline: <path d="M2.5 2.5v11h11M5 10.5c1.5 0 1.8-3 3.2-3s1.6 1.5 2.8 1.5 1.2-5 2.5-5" />,
  calls: <path d="M2 8h7m0 0L6 5m3 3-3 3M11.5 2.5h2v11h-2" />,
  lock: <path d="M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5M8 10v1.2" />,
  bell: <path d="M4 11V7.5a4 4 0 0 1 8 0V11l1.2 1.5H2.8zM6.5 14.2h3" />,
  agents: <path d="M3 3h10v4H3zM3 9h10v4H3zM5.5 5h.01M5.5 11h.01" />,
  aggregator: <path d="M2.5 4c0-2 11-2 11 0v8c0 2-11 2-11 0zm0 0c0 2 11 2 11 0m-11 4c0 2 11 2 11 0" />,
  settings: <path d="M2 4.5h6m4 0h2M2 11.5h2m4 0h6M10 6.3a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6zM6 13.3a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6z" />,
  clock: <path d="M8 4.5V8l2.3 1.5M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z" />,
  filter: <path d="M2.5 4h11M4.5 8h7M6.5 12h3" />,
  close: <path d="m4.5 4.5 7 7m0-7-7 7" />,
  search: <path d="m10.2 10.2 3.3 3.3M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9z" />,
  download: <path d="M8 2.5v7.5m0 0L5 7m3 3 3-3M3 13.5h10" />,
  copy: <path d="M5.5 5.5v-3h8v8h-3m-8-5h8v8h-8z" />,
  check: <path d="m3 8.5 3.2 3.2L13 5" />,
  chevron: <path d="m4.5 6.5 3.5 3.5 3.5-3.5" />,
  left: <path d="M10 3.5 5.5 8l4.5 4.5" />,
  right: <path d="M6 3.5 10.5 8 6 12.5" />,
  refresh: <path d="M13 5.5A5.5 5.5 0 1 0 13.5 9M13.5 2.5v3.3h-3.3" />,
  sun: <path d="M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1.5v1M8 13.5v1M1.5 8h1m11 0h1M3.4 3.4l.7.7m7.8 7.8.7.7m0-9.2-.7.7M4.1 11.9l-.7.7" />,
  moon: <path d="M13.5 9.5A5.8 5.8 0 0 1 6.5 2.5a5.8 5.8 0 1 0 7 7z" />,
  warn: <path d="M8 6v3.2M8 11.4v.01M8 2 1.8 13h12.4z" />,
  info: <path d="M8 7.2v4M8 4.8v.01M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z" />,
  flip: <path d="M2.5 8h11M5.5 5 8 2.5 10.5 5M5.5 11 8 13.5l2.5-2.5" />,
  focus: <path d="M2.5 5.5v-3h3m5 0h3v3m0 5v3h-3m-5 0h-3v-3M8 9.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3z" />,
  hide: <path d="M2.5 2.5l11 11M6.3 4.2A7 7 0 0 1 14 8a8 8 0 0 1-1.7 2.2M9.9 11.6A6.6 6.6 0 0 1 2 8a8 8 0 0 1 2.2-2.5" />,
  callers: <path d="M8 13.5v-8m0 0L4.5 9M8 5.5 11.5 9M3 2.5h10" />,
  keyboard: <path d="M1.5 4h13v8h-13zM4 6.5h.01M6.5 6.5h.01M9 6.5h.01M11.5 6.5h.01M5 9.5h6" />,
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }): ReactNode {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      {PATHS[name]}
    </svg>
  );
}

export function Logo(): ReactNode {
  return (
    <svg width="24" height="24" viewBox="0 0 24 24" aria-hidden="true">
      <rect width="24" height="24" rx="6" fill="#1f2530" />
      <rect x="4" y="5" width="16" height="3.4" rx="1" fill="#f2b45a" />
      <rect x="4" y="10.3" width="11" height="3.4" rx="1" fill="#e08a3c" />
      <rect x="4" y="15.6" width="6" height="3.4" rx="1" fill="#6ea8fe" />
    </svg>
  );
}
