// SPDX-License-Identifier: Apache-2.0
/** The answers of the server under the dashboard's names. Values of `*:nanoseconds` are nanoseconds. */
import type { components } from "./types";

type Schemas = components["schemas"];

export type Coverage = Schemas["Coverage"];
export type Service = Schemas["Service"];
export type SessionAnswer = Schemas["Session"];
export type TokensAnswer = Schemas["Tokens"];
export type TokenRequest = Schemas["TokenRequest"];
export type NewToken = Schemas["NewToken"];
export type JoinAnswer = Schemas["Join"];
export type AuditAnswer = Schemas["Audit"];
export type ServicesAnswer = Schemas["Services"];
export type Agent = Schemas["Agent"];
export type AgentsAnswer = Schemas["Agents"];
export type SettingsRequest = Schemas["SettingsRequest"];
export type LedgerCount = Schemas["LedgerEntry"];
export type LedgerStage = Schemas["LedgerStage"];
export type LedgerAnswer = Schemas["Ledger"];
export type ProfileType = Schemas["ProfileTypes"]["types"][number];
export type ProfileTypesAnswer = Schemas["ProfileTypes"];
export type FlameNodes = Schemas["Nodes"];
export type FlameAnswer = Schemas["FlameGraph"];
/** Everything of a flame graph but its columns; shared by the JSON and the binary encoding. */
export type FlameMeta = Omit<FlameAnswer, "nodes" | "strings">;
/** A flame graph of what passes through one function. */
export type FunctionGraphAnswer = Schemas["FunctionGraph"];
export type FunctionGraphMeta = Omit<FunctionGraphAnswer, "nodes" | "strings">;
export type HeatmapAnswer = Schemas["Heatmap"];
export type TopAnswer = Schemas["TopFunctions"];
export type TopFunction = TopAnswer["functions"][number];
export type SeriesAnswer = Schemas["Series"];
export type DiffAnswer = Schemas["Diff"];
export type DiffSide = Schemas["DiffSide"];
export type DiffFunction = DiffAnswer["functions"][number];
export type LabelsAnswer = Schemas["Labels"];
export type LabelValuesAnswer = Schemas["LabelValues"];
export type ModulesAnswer = Schemas["Modules"];
export type Module = ModulesAnswer["modules"][number];
export type SyscallsAnswer = Schemas["Syscalls"];
export type SyscallRow = Schemas["SyscallRow"];
export type LocksAnswer = Schemas["Locks"];
export type LockRow = LocksAnswer["locks"][number];
export type LockPair = LocksAnswer["pairs"][number];
export type AlertsAnswer = Schemas["Alerts"];
export type AlertRule = Schemas["AlertRule"];
export type AlertRuleRequest = Schemas["AlertRuleRequest"];
export type AlertMetric = Schemas["AlertMetric"];
export type AlertState = AlertRule["status"]["state"];
export type AlertHistoryAnswer = Schemas["AlertHistory"];
export type AlertDryRunAnswer = Schemas["AlertDryRun"];
export type StoreAnswer = Schemas["Store"];
export type HealthAnswer = Schemas["Health"];
export type AggregatorAnswer = Schemas["Aggregator"];
export type Annotation = Schemas["Annotation"];
export type AnnotationsAnswer = Schemas["Annotations"];
