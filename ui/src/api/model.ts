// SPDX-License-Identifier: Apache-2.0
/** The answers of the server, as the dashboard names them. Values of `*:nanoseconds` are nanoseconds. */

export interface Truncated {
  what: string;
  cut: number;
}

export interface Coverage {
  hosts_reporting: number;
  hosts_expected: number;
  samples: number;
  complete_share: number | null;
  lost: number;
  truncated: Truncated | null;
  reasons: Record<string, number>;
}

export interface ProfileType {
  name: string;
  unit: string;
  title: string;
  available: boolean;
}

export interface Riser {
  function: string;
  module: string;
  value: number;
  previous_value: number;
}

export interface Service {
  service: string;
  value: number;
  samples: number;
  share: number;
  hosts: number;
  complete_share: number | null;
  previous_value: number | null;
  previous_day_value: number | null;
  largest_riser: Riser | null;
}

export interface ServicesAnswer {
  services: Service[];
  total_value: number;
  previous: { from: number; to: number };
  coverage: Coverage;
}

export interface Agent {
  id: string;
  host: string;
  version: string;
  kernel: string;
  arch: string;
  cpus: number;
  state: "ok" | "stale" | "left";
  first_seen: number;
  last_seen: number;
  epoch: number;
  modes: string[];
  frequency_hz: number;
  queued_batches: number;
  cost: {
    cpu_user_ns: number | null;
    cpu_bpf_ns: number | null;
    cpu_share: number | null;
    rss_bytes: number | null;
    map_bytes: number | null;
  };
  samples: number;
  complete_share: number | null;
  reasons: Record<string, number>;
  lost: number;
}

export interface AgentsAnswer {
  agents: Agent[];
  hosts_expected: number;
  install_command: string;
}

export interface LedgerCount {
  name: string;
  text: string;
  count: number;
}

export interface LedgerStage {
  stage: string;
  in: LedgerCount;
  out: LedgerCount;
  losses: LedgerCount[];
  balance: number;
}

export interface LedgerAnswer {
  stages: LedgerStage[];
  reasons: LedgerCount[];
  coverage: Coverage;
}

export interface FlameNodes {
  depth: number[];
  name: number[];
  module: number[];
  kind: number[];
  total: number[];
  self: number[];
}

/** Everything of a flame graph but its columns; shared by the JSON and the binary encoding. */
export interface FlameMeta {
  type: string;
  unit: string;
  from: number;
  to: number;
  total: number;
  folded_nodes: number;
  folded_total: number;
  coverage: Coverage;
}

export interface FlameAnswer extends FlameMeta {
  nodes: FlameNodes;
  strings: string[];
}

export interface TopFunction {
  function: string;
  module: string;
  file: string | null;
  line: number | null;
  kind: number;
  self: number;
  total: number;
}

export interface TopAnswer {
  functions: TopFunction[];
  total: number;
  unit: string;
  coverage: Coverage;
}

export interface SeriesAnswer {
  step_ms: number;
  from: number;
  to: number;
  times: number[];
  series: { value: string; values: (number | null)[]; total: number }[];
  other: { count: number; values: (number | null)[] } | null;
  unit: string;
  coverage: Coverage;
}

export interface DiffSide {
  from: number;
  to: number;
  filter: string;
  total: number;
  coverage: Coverage;
}

export interface DiffFunction {
  function: string;
  module: string;
  self_a: number;
  self_b: number;
  total_a: number;
  total_b: number;
}

export interface DiffAnswer {
  unit: string;
  a: DiffSide;
  b: DiffSide;
  nodes: FlameNodes & { total_a: number[]; self_a: number[] };
  strings: string[];
  functions: DiffFunction[];
  folded_nodes: number;
}

export interface LabelsAnswer {
  labels: string[];
  coverage: Coverage;
}

export interface LabelValuesAnswer {
  label: string;
  values: { value: string; samples: number }[];
  coverage: Coverage;
}

export interface HealthAnswer {
  status: string;
  version: string;
  uptime_s: number;
  store: { driver: string; version: string };
  buffer: { batches: number; bytes: number; capacity_bytes: number };
}
