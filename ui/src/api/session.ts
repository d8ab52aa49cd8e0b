// SPDX-License-Identifier: Apache-2.0
/** Who uses the dashboard, tokens, and the log of what was changed by whom. */
import { useMutation, useQuery, useQueryClient, type UseMutationResult, type UseQueryResult } from "@tanstack/react-query";
import { getJson, sendJson, setCsrf } from "./client";
import type { AuditAnswer, JoinAnswer, NewToken, SessionAnswer, TokenRequest, TokensAnswer } from "./model";

const SESSION = "/api/v1/session";
const TOKENS = "/api/v1/tokens";

export function useSession(): UseQueryResult<SessionAnswer> {
  return useQuery({
    queryKey: ["session"],
    staleTime: Infinity,
    queryFn: async ({ signal }) => {
      const session = await getJson<SessionAnswer>(SESSION, {}, signal);
      setCsrf(session.csrf);
      return session;
    },
  });
}

export function isAdmin(session: SessionAnswer | undefined): boolean {
  return session?.role === "admin";
}

/** Begins a session with a token, or, with null, ends it. What was known before is asked for anew. */
export function useLogin(): UseMutationResult<SessionAnswer, Error, string | null> {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (token) => (token === null ? sendJson<SessionAnswer>("DELETE", SESSION) : sendJson<SessionAnswer>("POST", SESSION, { token })),
    onSuccess: (session) => {
      setCsrf(session.csrf);
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== "session" });
      client.setQueryData(["session"], session);
    },
  });
}

export function useTokens(): UseQueryResult<TokensAnswer> {
  return useQuery({ queryKey: ["tokens"], queryFn: ({ signal }) => getJson<TokensAnswer>(TOKENS, {}, signal) });
}

function useChange<Answer, Request>(change: (request: Request) => Promise<Answer>): UseMutationResult<Answer, Error, Request> {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSettled: () => Promise.all([client.invalidateQueries({ queryKey: ["tokens"] }), client.invalidateQueries({ queryKey: ["audit"] })]),
  });
}

export function useAddToken(): UseMutationResult<NewToken, Error, TokenRequest> {
  return useChange((request) => sendJson<NewToken>("POST", TOKENS, request));
}

export function useRevokeToken(): UseMutationResult<unknown, Error, string> {
  return useChange((name) => sendJson("DELETE", `${TOKENS}/${encodeURIComponent(name)}`));
}

/** A push token of that name, and the command that another host joins with. */
export function useJoin(): UseMutationResult<JoinAnswer, Error, string> {
  return useChange((name) => sendJson<JoinAnswer>("POST", "/api/v1/join", { name }));
}

export function useAudit(before: number): UseQueryResult<AuditAnswer> {
  return useQuery({ queryKey: ["audit", before], queryFn: ({ signal }) => getJson<AuditAnswer>("/api/v1/audit", { before, limit: 50 }, signal) });
}
