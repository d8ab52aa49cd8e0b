"""Who may do what, over real TLS: agents, the command line, REST and gRPC against an aggregator that asks."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import grpc
import pytest

from conftest import AGENT, AGGREGATOR, BUILD, CHDB, ROOT, Agent, environment, wait_for
from openapi import DOC, check_named
from secured import JOIN, Secured, command, setup, sign
from test_grpc import Client, hour
from test_rest import OPERATIONS, request_for

APERTURE = BUILD / "src/cli/aperture"
UI = Path(os.environ.get("AP_UI_DIR", ROOT / "ui/dist"))
BROWSER = os.environ.get("CHROMIUM", "/usr/bin/chromium")
profiling = pytest.mark.skipif(os.geteuid() != 0 or not Path("/sys/kernel/btf/vmlinux").exists(),
                               reason="profiling needs root and a kernel with BTF")


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(*args):
        started.append(Secured(tmp_path / f"secured-{len(started)}", *args))
        return started[-1]

    yield begin
    for s in started:
        if s.alive():
            s.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    s = Secured(tmp_path_factory.mktemp("guard") / "secured")
    s.read = s.make_token("reader", "read")
    yield s
    assert s.stop() == 0


def stub_of(channel):
    import aggregator_pb2_grpc

    return aggregator_pb2_grpc.AggregatorStub(channel)


# ---- Roles. ----

PUBLIC = {"/healthz", "/readyz", "/api/openapi.json", "/api/v1/session"}
QUESTIONS = {"/api/aggregate", "/api/diff", "/api/alerts/dry-run"}  # POST, and change nothing
SECRETS = {"/api/v1/tokens", "/api/v1/audit"}  # GET, and not for everybody
MARKS = {("POST", "/api/v1/annotations")}  # what a pipeline tells, as an agent tells profiles


def roles_of(method, path):
    """By what an operation does, not by what the program's own table says."""
    if path in PUBLIC:
        return {None, "push", "read", "admin"}
    if path in QUESTIONS or (method == "GET" and path not in SECRETS):
        return {"read", "admin"}
    if (method, path) in MARKS:
        return {"push", "admin"}
    return {"admin"}


@pytest.mark.parametrize("role", [None, "push", "read"])
@pytest.mark.parametrize("path, method, operation", OPERATIONS, ids=[f"{m} {p}" for p, m, _ in OPERATIONS])
def test_every_route_asks_for_its_role(shared, path, method, operation, role):
    token = {"push": shared.push, "read": shared.read, None: None}[role]
    target, body = request_for(path, operation)
    answer = shared.ask(target, method, body, token)
    if role in roles_of(method, path):
        assert answer.status not in (401, 403) or path == "/api/v1/session", answer.body
        return
    assert answer.status == (403 if role else 401), answer.body
    check_named("Error", answer.json)
    assert answer.json["error"]["code"] == ("forbidden" if role else "unauthenticated")
    if not role:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_administrator_gets_everywhere(shared):
    for path, method, operation in OPERATIONS:
        if path == "/api/v1/session":
            continue
        target, body = request_for(path, operation, id=999)
        status = shared.ask(target, method, body, shared.admin).status
        assert status not in (401, 403), (method, path)


def test_head_asks_like_get(shared):
    assert shared.ask("/api/v1/agents", "HEAD").status == 401
    assert shared.ask("/api/v1/agents", "HEAD", token=shared.read).status == 200


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic YTpi", "Bearer apt_", "bearer x y", "apt_", ""])
def test_what_is_no_token_is_refused(shared, header):
    assert shared.ask("/api/health", headers={"Authorization": header}).status == 401


def test_the_dashboards_files_are_for_everybody(shared):
    assert shared.ask("/").status in (200, 404)  # 404: this build has none


def test_grpc_asks_too(shared, pb, generated):
    client = Client(pb)

    def code(call):
        with pytest.raises(grpc.RpcError) as e:
            call()
        return e.value.code()

    for token, pushes, asks in ((None, "UNAUTHENTICATED", "UNAUTHENTICATED"),
                                ("apt_" + "0" * 48, "UNAUTHENTICATED", "UNAUTHENTICATED"),
                                (shared.read, "PERMISSION_DENIED", None),
                                (shared.push, None, "PERMISSION_DENIED"),
                                (shared.admin, None, None)):
        with shared.channel(token) as channel:
            stub = stub_of(channel)
            for wanted, call in ((pushes, lambda: stub.Push(client.request(client.batch()))),
                                 *((asks, lambda m=m: getattr(stub, m)(hour(pb)))
                                   for m in ("Query", "QueryStorage", "Aggregate")),
                                 *((asks, lambda m=m: getattr(stub, m)(pb.FunctionRequest(query=hour(pb), function="main")))
                                   for m in ("Callers", "Callees")),
                                 (asks, lambda: stub.Heatmap(pb.HeatmapRequest(query=hour(pb)))),
                                 (asks, lambda: stub.Diff(pb.DiffRequest(a=hour(pb), b=hour(pb))))):
                if wanted:
                    assert code(call).name == wanted
                else:
                    call()


def test_health_needs_no_token(shared, generated):
    import health_pb2
    import health_pb2_grpc

    with shared.channel() as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_probe_does_not_tell_strangers_why(start):
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{nobody.getsockname()[1]}"
        s = start("--clickhouse-url", f"http://{where}")
        stranger, reader = s.ask("/readyz"), s.ask("/readyz", token=s.admin)
        assert stranger.status == reader.status == 200  # it takes what arrives, and keeps it
        assert stranger.json["checks"]["store"] == "failing"
        assert reader.json["checks"]["store"] not in ("ok", "failing")


# ---- Tokens, by the command line and by REST. ----

def test_tokens_come_and_go_while_it_runs(shared):
    token = shared.make_token("short", "read")
    assert shared.ask("/api/health", token=token).status == 200
    assert "short" in command(shared.folder, "token", "list")
    command(shared.folder, "token", "revoke", "short")
    assert shared.ask("/api/health", token=token).status == 401
    made = shared.ask("/api/v1/tokens", "POST", {"name": "by-rest", "role": "push"}, shared.admin).json
    assert shared.ask("/api/health", token=made["token"]).status == 403
    assert {"name": "by-rest", "role": "push"}.items() <= next(
        t for t in shared.ask("/api/v1/tokens", token=shared.admin).json["tokens"] if t["name"] == "by-rest").items()
    assert shared.ask("/api/v1/tokens", "POST", {"name": "by-rest"}, shared.admin).status == 409
    assert shared.ask("/api/v1/tokens/by-rest", "DELETE", token=shared.admin).status == 200
    assert shared.ask("/api/v1/tokens/by-rest", "DELETE", token=shared.admin).status == 404
    assert shared.ask("/api/health", token=made["token"]).status == 401


def test_secrets_are_in_no_log_and_in_no_list(shared):
    shared.ask("/api/v1/session", "POST", {"token": shared.admin})
    shared.ask("/api/health", token=shared.admin)
    shared.ask("/api/v1/join", "POST", {"name": "logged"}, shared.admin)
    assert not re.search(r"apt_[0-9a-f]", shared.text())
    for path in ("/api/v1/tokens", "/api/v1/audit", "/metrics"):
        assert b"apt_" not in shared.ask(path, token=shared.admin).body
    data = b"".join(p.read_bytes() for p in (shared.folder / "data").glob("guard.db*"))
    assert b"reader" in data and shared.read[4:].encode() not in data


# ---- The dashboard's sessions. ----

def login(server, token):
    answer = server.ask("/api/v1/session", "POST", {"token": token})
    assert answer.status == 200, answer.body
    return answer.headers["Set-Cookie"], answer.json


def test_a_session_is_a_guarded_cookie(start):
    s = start()
    assert s.ask("/api/v1/session").json == {"required": True, "authenticated": False, "name": None, "role": None,
                                             "csrf": None}
    header, session = login(s, s.admin)
    cookie, *flags = [f.strip() for f in header.split(";")]
    assert {"HttpOnly", "SameSite=Strict", "Secure", "Path=/"} <= set(flags)
    me = {"Cookie": f"x=1; {cookie}"}
    assert s.ask("/api/v1/agents", headers=me).status == 200
    assert s.ask("/api/v1/session", headers=me).json == session
    silence = {"duration_s": 60}
    refused = s.ask("/api/alerts/silences", "POST", silence, headers=me)
    assert (refused.status, refused.json["error"]["code"]) == (403, "csrf")
    wrong = s.ask("/api/alerts/silences", "POST", silence, headers={**me, "X-Aperture-CSRF": "0" * 48})
    assert wrong.status == 403
    csrf = {**me, "X-Aperture-CSRF": session["csrf"]}
    assert s.ask("/api/alerts/silences", "POST", silence, headers=csrf).status == 200
    assert s.ask("/api/v1/session", "DELETE", headers=me).status == 403
    ended = s.ask("/api/v1/session", "DELETE", headers=csrf)
    assert ended.status == 200 and "Max-Age=0" in ended.headers["Set-Cookie"]
    assert s.ask("/api/v1/agents", headers=me).status == 401


def test_a_session_ends_with_its_token(shared):
    token = shared.make_token("fleeting", "read")
    cookie = login(shared, token)[0].split(";")[0]
    assert shared.ask("/api/v1/agents", headers={"Cookie": cookie}).status == 200
    command(shared.folder, "token", "revoke", "fleeting")
    assert shared.ask("/api/v1/agents", headers={"Cookie": cookie}).status == 401


def test_failed_logins_have_to_wait(start):
    s = start("--max-sessions", "1")
    login(s, s.admin)
    full = s.ask("/api/v1/session", "POST", {"token": s.admin})
    assert (full.status, full.json["error"]["code"]) == (503, "too_many_sessions")
    statuses = [s.ask("/api/v1/session", "POST", {"token": "apt_wrong"}).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    limited = s.ask("/api/v1/session", "POST", {"token": s.admin})
    assert limited.status == 429 and 0 < int(limited.headers["Retry-After"]) <= 12
    assert s.ask("/api/health", token=s.admin).status == 200  # a token is not a log-in
    metrics = s.ask("/metrics", token=s.admin).body.decode()
    for line in ('aperture_logins_total{status="rate_limited"} 2', 'aperture_logins_total{status="failed"} 5',
                 'aperture_logins_total{status="sessions_full"} 1', "aperture_sessions 1"):
        assert line in metrics


def test_without_tokens_the_page_is_open(start_aggregator):
    a = start_aggregator()
    assert a.get("/api/v1/session") == {"required": False, "authenticated": True, "name": "anonymous",
                                        "role": "admin", "csrf": None}


# ---- The audit log. ----

def test_the_audit_log_names_who_did_what(start):
    s = start()
    read = s.make_token("bob", "read")
    ci = s.make_token("ci", "push")
    s.ask("/api/v1/annotations", "POST", {"text": "web 1.8.2"}, ci)
    s.ask("/api/v1/annotations", "POST", {"text": "web 1.8.2"}, read)
    s.ask("/api/alerts/silences", "POST", {"duration_s": 60}, s.admin)
    s.ask("/api/alerts/silences", "POST", {"duration_s": 60}, read)
    s.ask("/api/alerts/silences", "POST", {"duration_s": -1}, s.admin)
    s.ask("/api/aggregate", "POST", {}, read)  # a question, not a change
    login(s, s.admin)
    s.ask("/api/v1/session", "POST", {"token": "apt_"})
    answer = s.ask("/api/v1/audit", token=s.admin).json
    check_named("Audit", answer)
    assert [(e["who"], e["from"], e["action"], e["target"], e["status"]) for e in answer["entries"]] == [
        ("anonymous", "127.0.0.1", "login", "", 401),
        ("admin", "127.0.0.1", "login", "", 200),
        ("admin", "127.0.0.1", "POST /api/alerts/silences", "", 400),
        ("bob", "127.0.0.1", "POST /api/alerts/silences", "", 403),
        ("admin", "127.0.0.1", "POST /api/alerts/silences", "", 200),
        ("bob", "127.0.0.1", "POST /api/v1/annotations", "", 403),
        ("ci", "127.0.0.1", "POST /api/v1/annotations", "", 200),
        ("local", "", "token create", "ci", 200),
        ("local", "", "token create", "bob", 200),
    ]
    assert "audit: POST /api/alerts/silences by bob from 127.0.0.1: 403" in s.text()
    page = s.ask(f"/api/v1/audit?limit=2&before={answer['entries'][1]['id']}", token=s.admin).json
    assert page["entries"] == answer["entries"][2:4]
    assert s.stop() == 0


# ---- TLS. ----

def test_old_protocols_are_refused(shared):
    context = shared.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    for port in shared.ports.values():
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, pytest.raises(OSError):
            context.wrap_socket(plain, server_hostname="127.0.0.1")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = shared.context()
        context.set_alpn_protocols(["h2"])
        context.minimum_version = context.maximum_version = version
        for port in shared.ports.values():
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                context.wrap_socket(plain, server_hostname="127.0.0.1").close()


def test_plain_text_gets_nowhere(shared, pb, generated):
    with socket.create_connection(("127.0.0.1", shared.ports["http"]), timeout=10) as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            assert b"ok" not in s.recv(1000)
        except ConnectionResetError:
            pass
    with grpc.insecure_channel(shared.grpc, options=[("grpc.enable_http_proxy", 0)]) as channel, \
            pytest.raises(grpc.RpcError) as e:
        stub_of(channel).Aggregate(hour(pb), timeout=20)
    assert e.value.code() == grpc.StatusCode.UNAVAILABLE


def test_clients_show_certificates_where_they_are_asked_to(start, tmp_path, pb, generated):
    folder = tmp_path / "secured-0"
    setup(folder)
    stranger = tmp_path / "stranger"
    setup(stranger)
    s = start("--tls-client-ca", folder / "etc/ca.pem")
    mine, others = sign(folder, "client"), sign(stranger, "client")
    servers = (s.tls / "server.pem", s.tls / "server-key.pem")  # of the right CA, and not for clients
    for cert in (None, others, servers):
        with pytest.raises(OSError):
            s.ask("/healthz", connection=s.connect(s.context(cert)))
        pair = [p.read_bytes() for p in cert] if cert else (None, None)
        with s.channel(s.push, *pair) as channel, pytest.raises(grpc.RpcError) as e:
            stub_of(channel).Push(Client(pb).request(Client(pb).batch()))
        assert e.value.code() == grpc.StatusCode.UNAVAILABLE
    assert s.ask("/healthz", connection=s.connect(s.context(mine))).status == 200
    assert s.ask("/api/health", connection=s.connect(s.context(mine))).status == 401
    with s.channel(s.push, *[p.read_bytes() for p in mine]) as channel:
        stub_of(channel).Push(Client(pb).request(Client(pb).batch()))
    listed = cli(s, "agents", "list", "--tls-cert", mine[0], "--tls-key", mine[1])
    assert listed.returncode == 0 and "py-host" in listed.stdout, listed.stderr
    assert cli(s, "agents", "list").returncode == 1


def serial(server):
    """Of the certificate that a new connection gets, on each port."""
    context = server.context()
    context.set_alpn_protocols(["h2"])
    out = []
    for port in server.ports.values():
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, \
                context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
            out.append(tls.getpeercert()["serialNumber"])
    assert len(set(out)) == 1, "the ports differ"
    return out[0]


def test_certificates_are_replaced_under_load(start, pb, generated):
    s = start()
    stop, failures, done = threading.Event(), [], [0, 0]
    kept = s.connect()
    kept.connect()

    def reads():
        while not stop.is_set():
            try:
                assert s.ask("/api/v1/agents", token=s.admin).status == 200
                done[0] += 1
            except Exception as e:
                failures.append(e)

    def pushes():
        client = Client(pb)
        with s.channel(s.push) as channel:
            stub = stub_of(channel)
            while not stop.is_set():
                try:
                    assert stub.Push(client.request(client.batch(1))).status == pb.PushResponse.STATUS_OK
                    done[1] += 1
                except Exception as e:
                    failures.append(e)

    threads = [threading.Thread(target=t) for t in (reads, pushes)]
    for t in threads:
        t.start()
    try:
        seen = [serial(s)]
        for n in range(1, 4):
            before = list(done)
            setup(s.folder)  # a new certificate of the same CA
            s.process.send_signal(signal.SIGHUP)
            wait_for(lambda: s.text().count("were read again") == n, "the new certificate")
            seen.append(serial(s))
            wait_for(lambda: all(d > b for d, b in zip(done, before)) or failures, "answers")
        assert len(set(seen)) == 4
        good = (s.tls / "server.pem").read_bytes()
        for broken in (b"", b"nonsense", good[:len(good) // 3]):
            said = s.text().count("go on with the certificate from before")
            (s.tls / "server.pem").write_bytes(broken)
            s.process.send_signal(signal.SIGHUP)
            wait_for(lambda: s.text().count("go on with the certificate from before") == said + 1, "the refusal")
            assert serial(s) == seen[-1]
        assert str(s.tls / "server.pem") in s.text().splitlines()[-1]
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not failures, failures[:3]
    # The connection of before the first replacement.
    assert s.ask("/api/health", token=s.admin, connection=kept).status == 200
    kept.close()


# ---- What may be listened on. ----

@pytest.mark.parametrize("flags, says", [
    ([], "nothing asks them who they are"),
    (["--auth", "token"], "in the clear"),
    (["--tls-cert", "CERT", "--tls-key", "KEY"], "nothing asks them who they are"),
    (["--auth", "token", "--tls-cert", "CERT", "--tls-key", "KEY"], None),
    (["--tls-client-ca", "CA", "--tls-cert", "CERT", "--tls-key", "KEY"], None),
    (["--insecure"], None),
    (["--tls-cert", "CERT"], "both --tls-cert and --tls-key"),
    (["--tls-client-ca", "CA"], "--tls-client-ca asks for TLS"),
    (["--auth", "token", "--tls-cert", "CERT", "--tls-key", "CA"], "PEM"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_other_machines_are_let_in_only_with_secrets(tmp_path, flags, says):
    setup(tmp_path)
    names = {"CERT": tmp_path / "data/tls/server.pem", "KEY": tmp_path / "data/tls/server-key.pem",
             "CA": tmp_path / "etc/ca.pem"}
    ports = tmp_path / "ports.json"
    args = [AGGREGATOR, "--chdb-library", CHDB, "--data-dir", tmp_path / "data", "--ports-file", ports,
            "--config", "/dev/null", "--listen", "0.0.0.0:0", "--grpc-listen", "0.0.0.0:0",
            *(names.get(f, f) for f in flags)]
    with open(tmp_path / "log", "wb") as log:
        p = subprocess.Popen(args, stdout=log, stderr=log, env=environment())
    try:
        wait_for(lambda: ports.exists() or p.poll() is not None, "the aggregator")
        assert ports.exists() == (says is None), (tmp_path / "log").read_text()
    finally:
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
        status = p.wait(60)
    if says:
        assert status == 1 and says in (tmp_path / "log").read_text()


# ---- The command line and agents. ----

def cli(server, *args, token=None, **env):
    given = {"APERTURE_TOKEN": token or server.admin, **env}
    return subprocess.run([APERTURE, *args, "--server", server.url, "--tls-ca", server.ca], text=True,
                          capture_output=True, timeout=60, env={**environment(), **given})


def test_the_command_line_shows_token_and_checks_the_server(shared, tmp_path):
    assert cli(shared, "alerts", "list").returncode == 0
    r = cli(shared, "alerts", "list", token="apt_" + "0" * 48)
    assert r.returncode == 4 and "revoked" in r.stderr
    by_file = cli(shared, "alerts", "list", "--token-file", shared.folder / "etc/admin-token", token="apt_")
    assert by_file.returncode == 0, by_file.stderr
    other = tmp_path / "other"
    setup(other)
    r = subprocess.run([APERTURE, "alerts", "list", "--server", shared.url, "--tls-ca", other / "etc/ca.pem"],
                       text=True, capture_output=True, env={**environment(), "APERTURE_TOKEN": shared.admin})
    assert r.returncode == 4 and "does not prove who it is" in r.stderr
    r = subprocess.run([APERTURE, "alerts", "list", "--server", "http://192.0.2.1:9090"], text=True,
                       capture_output=True, env={**environment(), "APERTURE_TOKEN": shared.admin})
    assert "not encrypted" in r.stderr


def join(text, folder):
    return subprocess.run([AGENT, "join", "--config-dir", folder], input=text, text=True, capture_output=True,
                          timeout=60, env=environment())


def real(server):
    """The join string with the port that the server really has."""
    return server.join.replace(":50051", f":{server.ports['grpc']}")


@profiling
def test_a_host_joins_and_pushes(start, tmp_path):
    s = start()
    r = join(real(s), tmp_path / "joined")
    assert r.returncode == 0, r.stderr
    config = tmp_path / "joined/aperture.yaml"
    token = tmp_path / "joined/agent-token"
    assert token.stat().st_mode & 0o077 == 0
    assert (tmp_path / "joined/ca.pem").read_bytes() == s.ca.read_bytes()
    agent = Agent(tmp_path / "agent", s.grpc, "--config", config, "--pid", str(os.getpid())).running()
    try:
        def agents():
            return s.ask("/api/v1/agents", token=s.admin).json["agents"]

        wait_for(lambda: [a for a in agents() if a["samples"] > 0], "its samples")
        # Revoked, it keeps what it has; with a new token in its file it goes on, without a restart.
        command(s.folder, "token", "revoke", "agents-1")
        wait_for(lambda: "UNAUTHENTICATED" in agent.text(), "the refusal")
        token.write_text(s.make_token("again", "push"))
        wait_for(lambda: "pushing again" in agent.text(), "the agent's return")
        assert not re.search(r"apt_[0-9a-f]", agent.text())
        assert "apt_" not in Path(f"/proc/{agent.process.pid}/cmdline").read_text()
    finally:
        assert agent.stop() == 0
    left = s.ask("/api/v1/agents", token=s.admin).json["agents"]
    assert [a["state"] for a in left] == ["left"]
    stages = {x["stage"]: x for x in s.ask("/api/v1/ledger", token=s.admin).json["stages"]}
    assert all(loss["count"] == 0 for loss in stages["push"]["losses"]), stages["push"]


def test_a_join_string_is_for_one_aggregator(start, tmp_path):
    s, impostor = start(), start()
    wrong = real(s).replace(f":{s.ports['grpc']}", f":{impostor.ports['grpc']}")
    r = join(wrong, tmp_path / "joined")
    assert r.returncode == 1 and "not the aggregator" in r.stderr
    assert not (tmp_path / "joined").exists()
    for text, status in (("", 2), ("hello", 2), (real(s)[:-1], 2)):
        r = join(text, tmp_path / "joined")
        assert r.returncode == status and "join string" in r.stderr
    assert "apt_" not in r.stderr


def test_setup_again_keeps_ca_and_tokens(tmp_path):
    first = setup(tmp_path)
    ca, admin = (tmp_path / "etc/ca.pem").read_bytes(), (tmp_path / "etc/admin-token").read_bytes()
    cert = (tmp_path / "data/tls/server.pem").read_bytes()
    second = setup(tmp_path)
    assert ca == (tmp_path / "etc/ca.pem").read_bytes() and admin == (tmp_path / "etc/admin-token").read_bytes()
    assert cert != (tmp_path / "data/tls/server.pem").read_bytes()
    assert first != second and first.split("?")[1] == second.split("?")[1]
    for secret in ("etc/ca-key.pem", "etc/admin-token", "data/tls/server-key.pem", "data/guard.db"):
        assert (tmp_path / secret).stat().st_mode & 0o077 == 0, secret
    subprocess.run(["openssl", "verify", "-CAfile", tmp_path / "etc/ca.pem", tmp_path / "data/tls/server.pem"],
                   check=True, capture_output=True)
    config = (tmp_path / "etc/aperture.yaml").read_text()
    assert config.count("aggregator:") == 1 and "apt_" not in config
    r = subprocess.run([AGGREGATOR, "--config", tmp_path / "etc/aperture.yaml", "--print-config"], text=True,
                       capture_output=True, env=environment())
    assert r.returncode == 0 and "auth: token" in r.stdout


def test_the_agents_page_has_the_command_for_another_host(shared):
    made = shared.ask("/api/v1/join", "POST", {"name": "web-7"}, shared.admin).json
    assert JOIN.fullmatch(made["join"]) and made["join"] in made["command"]
    assert made["join"].split("?")[1] == shared.join.split("?")[1]
    assert f"@{shared.grpc}?" in made["join"]
    assert shared.ask("/api/v1/join", "POST", {"name": "web-7"}, shared.admin).status == 409
    assert DOC["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


@pytest.mark.skipif(not (UI / "index.html").exists() or not Path(BROWSER).exists() or not shutil.which("node"),
                    reason="needs the built dashboard, Chromium and Node")
def test_a_browser_logs_in_and_out(start):
    s = start("--ui-dir", UI)
    r = subprocess.run(["node", ROOT / "ui/e2e/login.mjs", s.url], text=True, capture_output=True, timeout=300,
                       env={**environment(), "TOKEN": s.admin, "CHROMIUM": BROWSER})
    assert r.returncode == 0, r.stdout + r.stderr
    assert re.search(r"^7 passed, 0 failed$", r.stdout, re.MULTILINE), r.stdout
