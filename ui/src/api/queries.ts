// SPDX-License-Identifier: Apache-2.0
/** One hook per endpoint. In live mode answers are fetched again every few seconds and the last one stays on screen. */
import {
  keepPreviousData, queryOptions, useMutation, useQueries, useQuery, useQueryClient, type UseMutationResult, type UseQueryResult,
} from "@tanstack/react-query";
import { useMemo } from "react";
import { buildTree, type DiffMode, type FlameTree } from "@/flamegraph/tree";
import { coveredTime, type Covered } from "@/lib/stack";
import type { Selection } from "@/state/selection";
import { isRelative } from "@/state/time";
import { apiUrl, getFlamegraph, getJson, sendJson, type Params } from "./client";
import type {
  Agent, AgentsAnswer, AggregatorAnswer, AnnotationsAnswer, AlertHistoryAnswer, AlertsAnswer, DiffAnswer, FlameMeta, FunctionGraphMeta, HealthAnswer, HeatmapAnswer, LabelsAnswer, LabelValuesAnswer, LedgerAnswer, LocksAnswer, ModulesAnswer, ProfileTypesAnswer, SeriesAnswer, ServicesAnswer, SettingsRequest, StoreAnswer, SyscallsAnswer, TopAnswer,
} from "./model";

export const LIVE_MS = 3000;
const AGENTS_MS = 10_000;
const CHANGING_MS = 1500;
/** More than fits on any screen; what is beyond is folded by the server and shown as such. */
export const MAX_NODES = 100_000;

export function selectionParams(s: Selection): Params {
  return { from: s.from, to: s.to, type: s.type, filter: s.filter };
}

function refetchOf(s: Pick<Selection, "live" | "from" | "to">): number | false {
  return s.live && isRelative(s) ? LIVE_MS : false;
}

function answerOptions<T>(path: string, params: Params, live: Pick<Selection, "live" | "from" | "to">) {
  return queryOptions({
    queryKey: [path, params],
    queryFn: ({ signal }) => getJson<T>(path, params, signal),
    refetchInterval: refetchOf(live),
    placeholderData: keepPreviousData as <D>(previous: D | undefined) => D | undefined,
  });
}

function useAnswer<T>(path: string, params: Params, live: Pick<Selection, "live" | "from" | "to">): UseQueryResult<T> {
  return useQuery(answerOptions<T>(path, params, live));
}

export function useServices(s: Selection): UseQueryResult<ServicesAnswer> {
  return useAnswer("/api/v1/services", selectionParams(s), s);
}

export function useSeries(s: Selection, by?: string, top?: number): UseQueryResult<SeriesAnswer> {
  return useAnswer("/api/v1/series", { ...selectionParams(s), by, top }, s);
}

/** Time on the CPU, and off it by its state, in the same steps. */
export interface SplitTime {
  cpu: SeriesAnswer;
  waits: SeriesAnswer;
}

export function useSplitTime(s: Selection, stepMs: number): UseQueryResult<SplitTime> {
  const params = { from: s.from, to: s.to, filter: s.filter, step: `${stepMs / 1000}s` };
  return useQuery({
    queryKey: ["split-time", params],
    queryFn: async ({ signal }) => {
      const series = (of: Params): Promise<SeriesAnswer> => getJson<SeriesAnswer>("/api/v1/series", { ...params, ...of }, signal);
      const [cpu, waits] = await Promise.all([series({ type: "cpu:nanoseconds" }), series({ type: "offcpu:nanoseconds", by: "state" })]);
      return { cpu, waits };
    },
    refetchInterval: refetchOf(s),
    placeholderData: keepPreviousData,
  });
}

/**
 * The time that averages are over: the range, less where no host reported. Null until it is known.
 * `from` and `to` are those of the answer that is averaged.
 */
export function useCovered(s: Selection, range: { from: number; to: number } | undefined): Covered | null {
  const series = useSeries(s);
  return useMemo(
    () => (series.data && range ? coveredTime(series.data, range.from, range.to) : null),
    [series.data, range?.from, range?.to],
  );
}

/** By what functions are ordered: their own time, that of all they call, or what waits on their behalf. */
export type TopSort = "self" | "total" | "place";

export function useTop(s: Selection, sort: TopSort, limit: number): UseQueryResult<TopAnswer> {
  return useAnswer("/api/v1/top", { ...selectionParams(s), sort, limit }, s);
}

/** The first functions of each of several selections. */
export function useTops(asked: readonly { selection: Selection; sort: TopSort }[], limit: number): (TopAnswer | undefined)[] {
  return useQueries({
    queries: asked.map(({ selection, sort }) => answerOptions<TopAnswer>("/api/v1/top", { ...selectionParams(selection), sort, limit }, selection)),
    combine: (results) => results.map((r) => r.data),
  });
}

export interface SyscallParams {
  syscall?: string;
  abi?: string;
  by?: string;
  step?: string;
  limit?: number;
}

/** The selection's type does not matter to system calls. Null: nothing is asked. */
export function useSyscalls(s: Selection | null, params: SyscallParams): UseQueryResult<SyscallsAnswer> {
  const range = s ?? { from: "", to: "", filter: "", live: false };
  const options = answerOptions<SyscallsAnswer>("/api/v1/syscalls", { from: range.from, to: range.to, filter: range.filter, ...params }, range);
  return useQuery({ ...options, enabled: s !== null });
}

export function useModules(s: Selection, limit: number): UseQueryResult<ModulesAnswer> {
  return useAnswer("/api/v1/modules", { ...selectionParams(s), limit }, s);
}

export interface LocksQuery {
  filter: string;
  contended: boolean;
  domain: "all" | "user" | "kernel";
  sort: "ns" | "count";
  limit: number;
}

export function useLocks(s: Selection, query: LocksQuery | null): UseQueryResult<LocksAnswer> {
  const params: Params = { from: s.from, to: s.to, ...query, contended: String(query?.contended ?? false) };
  return useQuery({
    queryKey: ["locks", params],
    queryFn: ({ signal }) => getJson<LocksAnswer>("/api/v1/locks", params, signal),
    refetchInterval: refetchOf(s),
    placeholderData: keepPreviousData,
    enabled: query !== null,
  });
}

export interface FlameData {
  meta: FlameMeta;
  tree: FlameTree;
}

export function useFlamegraph(s: Selection): UseQueryResult<FlameData> {
  const params = { ...selectionParams(s), max_nodes: MAX_NODES };
  return useQuery({
    queryKey: ["flamegraph", params],
    queryFn: async ({ signal }) => {
      const { meta, columns } = await getFlamegraph("/api/v1/flamegraph", params, signal);
      return { meta, tree: buildTree(columns) };
    },
    refetchInterval: refetchOf(s),
    placeholderData: keepPreviousData,
    structuralSharing: false,
  });
}

export interface FunctionData {
  meta: FunctionGraphMeta;
  tree: FlameTree;
}

/** The callers or the callees of a function, of one module or (with none given) of all. */
export function useFunctionGraph(side: "callers" | "callees", s: Selection, of: { function: string; module: string }): UseQueryResult<FunctionData> {
  const params = { ...selectionParams(s), function: of.function, module: of.module || undefined, max_nodes: MAX_NODES };
  return useQuery({
    queryKey: [side, params],
    queryFn: async ({ signal }) => {
      const { meta, columns } = await getFlamegraph(`/api/v1/${side}`, params, signal);
      return { meta: meta as FunctionGraphMeta, tree: buildTree(columns) };
    },
    enabled: of.function !== "",
    refetchInterval: refetchOf(s),
    placeholderData: keepPreviousData,
    structuralSharing: false,
  });
}

export function useHeatmap(s: Selection): UseQueryResult<HeatmapAnswer> {
  return useAnswer("/api/v1/heatmap", selectionParams(s), s);
}

export interface DiffData {
  answer: DiffAnswer;
  tree: FlameTree;
}

export function useDiff(a: Selection, b: Selection, mode: DiffMode): UseQueryResult<DiffData> {
  const params: Params = { mode, max_nodes: MAX_NODES };
  for (const [prefix, side] of [["a.", a], ["b.", b]] as const) {
    for (const [key, value] of Object.entries(selectionParams(side))) params[prefix + key] = value;
  }
  return useQuery({
    queryKey: ["diff", params],
    queryFn: async ({ signal }) => {
      const answer = await getJson<DiffAnswer>("/api/v1/diff", params, signal);
      const { total_a: totalA, self_a: selfA, ...nodes } = answer.nodes;
      return { answer, tree: buildTree({ ...nodes, totalA, selfA, strings: answer.strings }, mode) };
    },
    placeholderData: keepPreviousData,
    structuralSharing: false,
  });
}

export function useProfileTypes(s: Selection): UseQueryResult<ProfileTypesAnswer> {
  return useAnswer("/api/v1/profile-types", { from: s.from, to: s.to }, { ...s, live: false });
}

export function useLabels(s: Selection, enabled: boolean): UseQueryResult<LabelsAnswer> {
  const params = { from: s.from, to: s.to, type: s.type };
  return useQuery({
    queryKey: ["labels", params],
    queryFn: ({ signal }) => getJson<LabelsAnswer>("/api/v1/labels", params, signal),
    enabled,
  });
}

export function useLabelValues(s: Selection, label: string): UseQueryResult<LabelValuesAnswer> {
  const params = { from: s.from, to: s.to, type: s.type, label, limit: 200 };
  return useQuery({
    queryKey: ["label-values", params],
    queryFn: ({ signal }) => getJson<LabelValuesAnswer>("/api/v1/label-values", params, signal),
    enabled: label !== "",
  });
}

/** The hosts that a selection has samples of. */
export function useHosts(s: Selection): UseQueryResult<LabelValuesAnswer> {
  return useAnswer("/api/v1/label-values", { ...selectionParams(s), label: "host", limit: 1000 }, s);
}

/** Asked more often while an agent follows settings or is about to. */
export function useAgents(): UseQueryResult<AgentsAnswer> {
  return useQuery({
    queryKey: ["agents"],
    queryFn: ({ signal }) => getJson<AgentsAnswer>("/api/v1/agents", {}, signal),
    refetchInterval: ({ state }) =>
      state.data?.agents.some((a) => a.settings.wanted || a.settings.active_until) ? CHANGING_MS : AGENTS_MS,
  });
}

/** Asks an agent to follow settings for a time; null: to return to its own. */
export function useSetAgent(agent: string): UseMutationResult<Agent, Error, SettingsRequest | null> {
  const client = useQueryClient();
  const path = `/api/v1/agents/${encodeURIComponent(agent)}/settings`;
  return useMutation({
    mutationFn: (settings: SettingsRequest | null) =>
      settings ? sendJson<Agent>("POST", path, settings) : sendJson<Agent>("DELETE", path),
    onSettled: () => client.invalidateQueries({ queryKey: ["agents"] }),
  });
}

export function useLedger(agent: string): UseQueryResult<LedgerAnswer> {
  return useQuery({
    queryKey: ["ledger", agent],
    queryFn: ({ signal }) => getJson<LedgerAnswer>("/api/v1/ledger", { agent }, signal),
    refetchInterval: AGENTS_MS,
    placeholderData: keepPreviousData,
  });
}

export function useAlerts(): UseQueryResult<AlertsAnswer> {
  return useQuery({
    queryKey: ["alerts"],
    queryFn: ({ signal }) => getJson<AlertsAnswer>("/api/alerts", {}, signal),
    refetchInterval: AGENTS_MS,
  });
}

/** Of one rule, or of all (0). */
export function useAlertHistory(rule: number): UseQueryResult<AlertHistoryAnswer> {
  return useQuery({
    queryKey: ["alert-history", rule],
    queryFn: ({ signal }) => getJson<AlertHistoryAnswer>("/api/alerts/history", { rule: rule || undefined, limit: 100 }, signal),
    refetchInterval: AGENTS_MS,
    placeholderData: keepPreviousData,
  });
}

/** What happened in the time and to the labels of a selection. */
export function useAnnotations(s: Selection): UseQueryResult<AnnotationsAnswer> {
  return useAnswer("/api/v1/annotations", { from: s.from, to: s.to, filter: s.filter }, s);
}

export function useAggregator(hours: number): UseQueryResult<AggregatorAnswer> {
  return useQuery({
    queryKey: ["aggregator", hours],
    queryFn: ({ signal }) => getJson<AggregatorAnswer>("/api/v1/aggregator", { hours }, signal),
    refetchInterval: CHANGING_MS,
    placeholderData: keepPreviousData,
  });
}

export function useStore(): UseQueryResult<StoreAnswer> {
  return useQuery({
    queryKey: ["store"],
    queryFn: ({ signal }) => getJson<StoreAnswer>("/api/v1/store", {}, signal),
    refetchInterval: AGENTS_MS,
  });
}

export function useHealth(): UseQueryResult<HealthAnswer> {
  return useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => getJson<HealthAnswer>("/api/health", {}, signal),
    refetchInterval: 15_000,
  });
}

export const EXPORT_FORMATS = [
  { format: "pprof", title: "pprof", hint: "go tool pprof, Grafana" },
  { format: "collapsed", title: "Collapsed stacks", hint: "one line per stack" },
  { format: "speedscope", title: "Speedscope", hint: "speedscope.app file" },
  { format: "json", title: "JSON", hint: "columns, as on the wire" },
  { format: "svg", title: "SVG", hint: "a picture to share" },
] as const;

export function exportUrl(format: string, s: Selection): string {
  return apiUrl(`/api/export/${format}`, selectionParams(s));
}
