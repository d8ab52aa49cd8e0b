// SPDX-License-Identifier: Apache-2.0
/** How another host is added: by a command alone, or, where tokens are asked for, by one that brings a token along. */
import { useState, type FormEvent, type ReactNode } from "react";
import { isAdmin, useJoin, useSession } from "@/api/session";
import { Command } from "@/components/basics";

function JoinForm(): ReactNode {
  const [name, setName] = useState("");
  const join = useJoin();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    join.mutate(name.trim(), { onSuccess: () => setName("") });
  };
  return (
    <>
      <form className="token-form" onSubmit={submit}>
        <label>Name of the host, or of a group of hosts <input className="input" required maxLength={64} pattern="[A-Za-z0-9._@\-]+" value={name} onChange={(e) => setName(e.target.value)} /></label>
        <button type="submit" className="button" disabled={join.isPending}>Make its command</button>
      </form>
      {join.isError ? <p className="problem" role="alert">{join.error.message}</p> : null}
      {join.data ? (
        <div role="status">
          <p>Paste this there. It holds the token <strong>{join.data.name}</strong>, which is a secret and is not shown again.</p>
          <Command text={join.data.command} />
        </div>
      ) : null}
    </>
  );
}

export function AddHost({ command }: { command: string }): ReactNode {
  const session = useSession();
  if (!session.data?.required) return <Command text={command} />;
  if (isAdmin(session.data)) return <JoinForm />;
  return <p>An administrator finds the command for another host here.</p>;
}
