// SPDX-License-Identifier: Apache-2.0
/** Tokens and the audit log, for administrators. */
import { useState, type FormEvent, type ReactNode } from "react";
import type { NewToken, TokenRequest } from "@/api/model";
import { isAdmin, useAddToken, useAudit, useRevokeToken, useSession, useTokens } from "@/api/session";
import { Command, ErrorState, Skeleton } from "@/components/basics";
import { count } from "@/lib/format";

const ROLES: readonly { value: TokenRequest["role"]; label: string }[] = [
  { value: "read", label: "read: asks" },
  { value: "push", label: "push: an agent" },
  { value: "admin", label: "admin: everything" },
];

function day(ms: number): string {
  return new Date(ms).toLocaleDateString();
}

function Shown({ token }: { token: NewToken }): ReactNode {
  return (
    <div role="status">
      <p>This is the token <strong>{token.name}</strong>. It is not shown again.</p>
      <Command text={token.token} />
    </div>
  );
}

function TokenForm(): ReactNode {
  const [name, setName] = useState("");
  const [role, setRole] = useState(ROLES[0]!.value);
  const add = useAddToken();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    add.mutate({ name: name.trim(), role, expires_in_s: 0 }, { onSuccess: () => setName("") });
  };
  return (
    <>
      <form className="token-form" onSubmit={submit}>
        <label>Name <input className="input" required maxLength={64} pattern="[A-Za-z0-9._@\-]+" value={name} onChange={(e) => setName(e.target.value)} /></label>
        <label>
          Role
          <select className="input" value={role} onChange={(e) => setRole(e.target.value as typeof role)}>
            {ROLES.map((r) => <option key={r.value} value={r.value}>{r.label}</option>)}
          </select>
        </label>
        <button type="submit" className="button" disabled={add.isPending}>Make a token</button>
      </form>
      {add.isError ? <p className="problem" role="alert">{add.error.message}</p> : null}
      {add.data ? <Shown token={add.data} /> : null}
    </>
  );
}

function Tokens(): ReactNode {
  const tokens = useTokens();
  const revoke = useRevokeToken();
  const [doomed, setDoomed] = useState("");
  if (tokens.isError) return <ErrorState error={tokens.error} retry={() => void tokens.refetch()} />;
  if (!tokens.data) return <Skeleton height={80} />;
  const end = (name: string): void => (doomed === name ? revoke.mutate(name, { onSettled: () => setDoomed("") }) : setDoomed(name));
  return (
    <>
      <table className="store-tables">
        <thead><tr><th>Token</th><th>Role</th><th>Made</th><th>Ends</th><th aria-label="Revoke" /></tr></thead>
        <tbody>
          {tokens.data.tokens.map((t) => (
            <tr key={t.name}>
              <td>{t.name}</td><td>{t.role}</td><td>{day(t.created)}</td><td>{t.expires === null ? "never" : day(t.expires)}</td>
              <td className="numeric"><button type="button" className="button quiet" onClick={() => end(t.name)}>{doomed === t.name ? `Really revoke ${t.name}` : "Revoke"}</button></td>
            </tr>
          ))}
        </tbody>
      </table>
      {revoke.isError ? <p className="problem" role="alert">{revoke.error.message}</p> : null}
      <TokenForm />
    </>
  );
}

function outcome(status: number): string {
  if (status < 400) return "done";
  return status === 401 || status === 403 ? `refused (${status})` : `failed (${status})`;
}

function Audit(): ReactNode {
  const [before, setBefore] = useState(0);
  const audit = useAudit(before);
  if (audit.isError) return <ErrorState error={audit.error} retry={() => void audit.refetch()} />;
  if (!audit.data) return <Skeleton height={120} />;
  const { entries } = audit.data;
  return (
    <>
      <table className="store-tables">
        <thead><tr><th>When</th><th>Who</th><th>From</th><th>What</th><th>Outcome</th></tr></thead>
        <tbody>
          {entries.map((e) => (
            <tr key={e.id}>
              <td>{new Date(e.at).toLocaleString()}</td><td>{e.who}</td><td>{e.from || "command line"}</td>
              <td><code>{e.action}{e.target ? ` ${e.target}` : ""}</code></td>
              <td className={e.status < 400 ? undefined : "up"}>{outcome(e.status)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <div className="pager">
        {before ? <button type="button" className="button quiet" onClick={() => setBefore(0)}>Latest</button> : null}
        {entries.length ? <button type="button" className="button quiet" onClick={() => setBefore(audit.data.before)}>Older than these {count(entries.length)}</button> : <span className="muted">Nothing{before ? " older" : " yet"}.</span>}
      </div>
    </>
  );
}

export function SecurityPanels(): ReactNode {
  const session = useSession();
  if (!isAdmin(session.data)) return null;
  return (
    <>
      {session.data?.required ? (
        <section className="panel" aria-label="Tokens">
          <header><h2>Tokens</h2><span className="muted">what agents, programs and people show</span></header>
          <div className="pad"><Tokens /></div>
        </section>
      ) : null}
      <section className="panel" aria-label="Audit log">
        <header><h2>Audit log</h2><span className="muted">what was changed here, and by whom</span></header>
        <div className="pad"><Audit /></div>
      </section>
    </>
  );
}
