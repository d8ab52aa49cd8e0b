// SPDX-License-Identifier: Apache-2.0
/** A form that takes a token, in place of every page, where the aggregator asks for one. */
import { useState, type FormEvent, type ReactNode } from "react";
import { isAdmin, useLogin, useSession } from "@/api/session";
import { Logo } from "@/components/icons";

function LoginPage(): ReactNode {
  const [token, setToken] = useState("");
  const login = useLogin();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    login.mutate(token.trim(), { onSettled: () => setToken("") });
  };
  return (
    <main className="login">
      <form className="panel pad" onSubmit={submit} aria-labelledby="login-title">
        <h1 id="login-title"><Logo /> Aperture</h1>
        <p className="muted">This aggregator asks who you are. A token is made by <code>aperture-aggregator token create</code>, or by an administrator on the page Settings.</p>
        <label>
          Token
          <input className={login.isError ? "input invalid" : "input"} type="password" name="token" autoComplete="current-password" autoFocus required value={token} onChange={(e) => setToken(e.target.value)} aria-describedby={login.isError ? "login-problem" : undefined} />
        </label>
        {login.isError ? <p id="login-problem" className="problem" role="alert">{login.error.message}</p> : null}
        <button type="submit" className="button primary" disabled={login.isPending}>Log in</button>
      </form>
    </main>
  );
}

/** Shows the pages, once it is known that there is nothing to ask or who asks. */
export function SessionGate({ children }: { children: ReactNode }): ReactNode {
  const session = useSession();
  if (session.isPending) return null;
  if (session.data?.required && !session.data.authenticated) return <LoginPage />;
  return children;
}

/** Who is logged in, with the way out; nothing where no token is asked for. */
export function SessionFoot(): ReactNode {
  const session = useSession();
  const login = useLogin();
  if (!session.data?.required) return null;
  return (
    <div className="foot session">
      <span className="truncate" title={isAdmin(session.data) ? "may change everything" : `role ${session.data.role ?? ""}`}>{session.data.name}</span>
      <span className="spacer" />
      <button type="button" className="button quiet" onClick={() => login.mutate(null)} disabled={login.isPending}>Log out</button>
    </div>
  );
}
