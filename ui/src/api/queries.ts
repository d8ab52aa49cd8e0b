// SPDX-License-Identifier: Apache-2.0
/** One hook per endpoint. In live mode answers are fetched again every few seconds and the last one stays on screen. */
import { keepPreviousData, queryOptions, useQueries, useQuery, type UseQueryResult } from "@tanstack/react-query";
import { useMemo } from "react";
import { buildTree, type DiffMode, type FlameTree } from "@/flamegraph/tree";
import { coveredTime, type Covered } from "@/lib/stack";
import type { Selection } from "@/state/selection";
import { isRelative } from "@/state/time";
import { apiUrl, getFlamegraph, getJson, type Params } from "./client";
import type {
  AgentsAnswer, DiffAnswer, FlameMeta, HealthAnswer, LabelsAnswer, LabelValuesAnswer, LedgerAnswer, LocksAnswer, ModulesAnswer, ProfileTypesAnswer, SeriesAnswer, ServicesAnswer, StoreAnswer, SyscallsAnswer, TopAnswer,
} from "./model";

export const LIVE_MS = 3000;
const AGENTS_MS = 10_000;
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

export function useTop(s: Selection, sort: "self" | "total", limit: number): UseQueryResult<TopAnswer> {
  return useAnswer("/api/v1/top", { ...selectionParams(s), sort, limit }, s);
}

/** The functions with the largest self values in each of several selections. */
export function useTops(selections: readonly Selection[], limit: number): (TopAnswer | undefined)[] {
  return useQueries({
    queries: selections.map((s) => answerOptions<TopAnswer>("/api/v1/top", { ...selectionParams(s), sort: "self", limit }, s)),
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

/** The selection's type does not matter to system calls. */
export function useSyscalls(s: Selection, params: SyscallParams): UseQueryResult<SyscallsAnswer> {
  return useAnswer("/api/v1/syscalls", { from: s.from, to: s.to, filter: s.filter, ...params }, s);
}

export function useModules(s: Selection, limit: number): UseQueryResult<ModulesAnswer> {
  return useAnswer("/api/v1/modules", { ...selectionParams(s), limit }, s);
}

export interface LocksQuery {
  filter: string;
  contended: boolean;
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
      const { meta, columns } = await getFlamegraph(params, signal);
      return { meta, tree: buildTree(columns) };
    },
    refetchInterval: refetchOf(s),
    placeholderData: keepPreviousData,
    structuralSharing: false,
  });
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

export function useAgents(): UseQueryResult<AgentsAnswer> {
  return useQuery({
    queryKey: ["agents"],
    queryFn: ({ signal }) => getJson<AgentsAnswer>("/api/v1/agents", {}, signal),
    refetchInterval: AGENTS_MS,
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
