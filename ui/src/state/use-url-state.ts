// SPDX-License-Identifier: Apache-2.0
import { useCallback, useMemo } from "react";
import { useLocation, useSearch } from "wouter";
import { readState, writeState, type Schema, type State } from "./params";

export type SetState<S extends Schema> = (patch: Partial<State<S>>, options?: { replace?: boolean }) => void;

/** A page's state in the address. Changes make a history entry, unless `replace` is asked for. */
export function useUrlState<S extends Schema>(schema: S, prefix = ""): [State<S>, SetState<S>] {
  const search = useSearch();
  const [, navigate] = useLocation();
  const state = useMemo(() => readState(schema, search, prefix), [schema, search, prefix]);
  const set = useCallback<SetState<S>>(
    (patch, options) => {
      const next = writeState(schema, window.location.search, patch, prefix);
      if (next === window.location.search.replace(/^\?/, "")) return;
      navigate(window.location.pathname + (next === "" ? "" : `?${next}`), { replace: options?.replace ?? false });
    },
    [schema, prefix, navigate],
  );
  return [state, set];
}
