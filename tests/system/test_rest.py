"""The REST API as docs/openapi.json describes it, against the running aggregator: every path, what
each answers, how it refuses, and what a program that cannot start says."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from openapi import DOC, check, check_named, resolve
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("AP_BUILD", ROOT / "build/release"))
PROGRAM = BUILD / "src/aggregator/aperture-aggregator"
LIBRARY = os.environ.get(
    "AP_CHDB_LIBRARY",
    ROOT / "deps/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so")


def command(folder, **flags):
    flags = {"listen": "127.0.0.1:0", "grpc-listen": "127.0.0.1:0", "data-dir": folder / "data",
             "ui-dir": folder / "ui", "chdb-library": LIBRARY, "config": folder / "aperture.yaml",
             **flags}
    return [PROGRAM] + [f"--{name}={value}" for name, value in flags.items()]


def make_folder(folder):
    (folder / "ui/assets").mkdir(parents=True)
    (folder / "ui/index.html").write_text("<!doctype html><title>test page</title>")
    (folder / "ui/assets/app-0a1b.js").write_text("export default 1")
    (folder / "aperture.yaml").write_text("aggregator: {}\n")


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Server:
    """An aggregator of this module's own, with a small dashboard, on free ports."""

    def __init__(self, folder):
        make_folder(folder)
        self.folder = folder
        ports = folder / "ports.json"
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(command(folder, **{"ports-file": ports}),
                                        stdout=subprocess.PIPE, stderr=self.log)
        deadline = time.monotonic() + 60
        while not ports.exists():
            assert self.process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "not ready within 60 s"
            time.sleep(0.05)
        self.port = json.loads(ports.read_text())["http"]

    def ask(self, path, method="GET", body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.log.close()
        return status


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("rest"))
    yield s
    assert s.stop() == 0


OPERATIONS = [(path, method.upper(), operation) for path, item in DOC["paths"].items()
              for method, operation in item.items()]
READS = [(p, o) for p, m, o in OPERATIONS if m == "GET"]
IDS = [f"{m} {p}" for p, m, _ in OPERATIONS]
# These answer of what samples or agents have; an empty aggregator says that there is none.
NEED_DATA = {"/api/v1/symbols", "/api/v1/symbols/missing", "/api/v1/agents/{agent}/settings"}
# What needs tokens and TLS (test_guard.py has both): how this one, which asks nobody, refuses it.
NEED_GUARD = {("POST", "/api/v1/session"): 401, ("POST", "/api/v1/join"): 409, ("DELETE", "/api/v1/tokens/{name}"): 404}


def contents(node):
    """Every {schema, example} in the document."""
    if isinstance(node, dict):
        if "schema" in node and "example" in node:
            yield node["schema"], node["example"]
        for value in node.values():
            yield from contents(value)
    elif isinstance(node, list):
        for value in node:
            yield from contents(value)


def path_of(path, format="pprof", id=1):
    return path.replace("{format}", format).replace("{agent}", "web-1").replace("{name}", "nobody").replace("{id}", str(id))


def id_for(server, path):
    """Of a rule, a silence or an annotation of its own, for a path that needs one."""
    if "{id}" not in path:
        return None
    if "annotations" in path:
        where, body = "/api/v1/annotations", {"text": "a"}
    elif "silences" in path:
        where, body = "/api/alerts/silences", {"duration_s": 60}
    else:
        where, body = "/api/alerts", {
            "name": str(uuid.uuid4()), "metric": "event_throughput", "operator": "lt", "threshold": 0}
    return server.ask(where, "POST", json.dumps(body)).json["id"]


def request_for(path, operation, id=1):
    """A request that gives every required parameter."""
    query = [f"{p['name']}={p['example']}" for p in map(resolve, operation.get("parameters", []))
             if p["in"] == "query" and p.get("required")]
    body = operation.get("requestBody")
    example = json.dumps(body["content"]["application/json"]["example"]) if body else None
    return path_of(path, id=id) + ("?" + "&".join(query) if query else ""), example


def test_the_document_is_valid_and_served(server):
    validate(DOC)
    assert server.ask("/api/openapi.json").json == DOC


def test_the_documents_examples_fit_their_schemas():
    examples = list(contents(DOC))
    assert len(examples) > 20
    for schema, example in examples:
        check(schema, example)


@pytest.mark.parametrize("path, method, operation", OPERATIONS, ids=IDS)
def test_every_path_answers_as_described(server, path, method, operation):
    target, body = request_for(path, operation, id_for(server, path))
    if method == "PUT":
        body = json.dumps({**json.loads(body), "name": "another"})
    answer = server.ask(target, method, body, {"Content-Type": "application/json"})
    wanted = 404 if path in NEED_DATA else NEED_GUARD.get((method, path), 200)
    if wanted != 200:
        assert answer.status == wanted, answer.body
        assert str(wanted) in operation["responses"]
        check_named("Error", answer.json)
        return
    assert answer.status == 200, answer.body
    content = operation["responses"]["200"]["content"]
    kind = answer.headers["Content-Type"].split(";")[0]
    if path != "/api/export/{format}":
        assert kind in content
    if kind == "application/json":
        check(content[kind]["schema"], answer.json)


# Probes and scrapers may add parameters of their own to the others.
STRICT = [(p, o) for p, o in READS if p.startswith("/api/")]


@pytest.mark.parametrize("path, operation", STRICT, ids=[p for p, _ in STRICT])
def test_every_parameter_is_taken_and_no_other(server, path, operation):
    given = []
    for p in map(resolve, operation.get("parameters", [])):
        if p["in"] == "query" and p["name"] != "agent":
            value = p["schema"].get("default", p.get("example", ""))
            given.append(f"{p['name']}={value}")
    target = path_of(path)
    assert server.ask(f"{target}?{'&'.join(given)}").status == (404 if path in NEED_DATA else 200)
    refused = server.ask(f"{target}?{'&'.join([*given, 'nonsense=1'])}")
    assert refused.status == 400
    assert refused.json["error"]["field"] == "nonsense"


@pytest.mark.parametrize("path, operation", READS, ids=[p for p, _ in READS])
def test_head_is_get_without_the_body(server, path, operation):
    target, _ = request_for(path, operation)
    head = server.ask(target, "HEAD")
    assert head.status == (404 if path in NEED_DATA else 200)
    assert head.body == b""
    assert head.headers["Content-Type"] == server.ask(target).headers["Content-Type"]


FG = "/api/v1/flamegraph"
SYMBOLS = "/api/v1/symbols"
ONE = {"offset": 1, "functions": [{"name": "a"}]}


def symbols(rows, **more):
    return json.dumps({"build_id": "ab", "symbols": rows, **more})


def function(**fields):
    return symbols([{"offset": 1, "functions": [fields]}])


ALERTS = "/api/alerts"


def rule(**fields):
    return json.dumps({"name": "n", "metric": "cpu_time", "operator": "gt", "threshold": 1, **fields})


TOMORROW = int((time.time() + 86400) * 1000)
REFUSED = [
    ("GET", FG + "?from=yesterday", None, 400, "invalid_argument", "from"),
    ("GET", FG + "?to=2026-13-01T00:00:00Z", None, 400, "invalid_argument", "to"),
    ("GET", FG + "?from=-5", None, 400, "invalid_argument", "from"),
    ("GET", FG + "?from=99999999999999999999", None, 400, "invalid_argument", "from"),
    ("GET", FG + "?from=now&to=now-1h", None, 400, "invalid_argument", "to"),
    ("GET", FG + "?from=now&to=now", None, 400, "invalid_argument", "to"),
    ("GET", FG + f"?from={TOMORROW}&to={TOMORROW + 1000}", None, 400, "invalid_argument", "from"),
    ("GET", FG + "?from=0", None, 400, "invalid_argument", "from"),
    ("GET", FG + "?from=now-1h&from=now-2h", None, 400, "invalid_argument", "from"),
    ("GET", FG + "?type=cpu:bananas", None, 400, "invalid_argument", "type"),
    ("GET", FG + "?filter=service", None, 400, "invalid_argument", "filter"),
    ("GET", FG + "?filter=%7Bservice%3D%22x%7D", None, 400, "invalid_argument", "filter"),
    ("GET", FG + "?filter=%7Bservice%3D~%22(%22%7D", None, 400, "invalid_argument", "filter"),
    ("GET", FG + "?max_nodes=0", None, 400, "invalid_argument", "max_nodes"),
    ("GET", FG + "?max_nodes=1000001", None, 400, "invalid_argument", "max_nodes"),
    ("GET", FG + "?max_nodes=1e3", None, 400, "invalid_argument", "max_nodes"),
    ("GET", FG + "?format=xml", None, 400, "invalid_argument", "format"),
    ("GET", FG + "?from=%zz", None, 400, "bad_request", None),
    ("GET", "/api/v1/top?limit=0", None, 400, "invalid_argument", "limit"),
    ("POST", "/api/v1/agents/a/settings", '{"duration_s":60}', 400, "invalid_argument", None),
    ("POST", "/api/v1/agents/a/settings", '{"duration_s":60,"modes":["x"]}', 400, "invalid_argument", "modes"),
    ("POST", "/api/v1/agents/a/settings?x=1", "{}", 400, "invalid_argument", "x"),
    ("POST", "/api/v1/agents/a/settings", '{"duration_s":60,"frequency_hz":9}', 404, "not_found", "agent"),
    ("GET", "/api/v1/agents/a/settings", None, 405, "method_not_allowed", None),
    ("GET", "/api/v1/top?sort=name", None, 400, "invalid_argument", "sort"),
    ("GET", "/api/v1/series?step=1500ms", None, 400, "invalid_argument", "step"),
    ("GET", "/api/v1/series?step=1s&from=now-7d", None, 400, "invalid_argument", "step"),
    ("GET", "/api/v1/series?by=%21", None, 400, "invalid_argument", "by"),
    ("GET", "/api/v1/syscalls?sort=name", None, 400, "invalid_argument", "sort"),
    ("GET", "/api/v1/syscalls?limit=0", None, 400, "invalid_argument", "limit"),
    ("GET", "/api/v1/syscalls?step=1500ms", None, 400, "invalid_argument", "step"),
    ("GET", "/api/v1/syscalls?by=%21", None, 400, "invalid_argument", "by"),
    ("GET", "/api/v1/syscalls?filter=%7Bx", None, 400, "invalid_argument", "filter"),
    ("GET", "/api/v1/syscalls?type=cpu:samples", None, 400, "invalid_argument", "type"),
    ("GET", "/api/v1/label-values", None, 400, "invalid_argument", "label"),
    ("GET", "/api/v1/diff?a.from=never", None, 400, "invalid_argument", "a.from"),
    ("GET", "/api/v1/diff?b.type=cpu:samples", None, 400, "invalid_argument", "b.type"),
    ("GET", "/api/v1/diff?from=now", None, 400, "invalid_argument", "from"),
    ("GET", "/api/v1/ledger?agent=nobody", None, 404, "not_found", "agent"),
    ("GET", "/api/v1/locks?sort=name", None, 400, "invalid_argument", "sort"),
    ("GET", "/api/v1/locks?contended=1", None, 400, "invalid_argument", "contended"),
    ("GET", "/api/v1/locks?type=lock:count", None, 400, "invalid_argument", "type"),
    ("GET", "/api/v1/modules?limit=0", None, 400, "invalid_argument", "limit"),
    ("GET", "/api/v1/modules?max_nodes=5", None, 400, "invalid_argument", "max_nodes"),
    ("GET", "/api/v1/symbols/missing", None, 400, "invalid_argument", "build_id"),
    ("GET", "/api/v1/symbols/missing?build_id=AB", None, 400, "invalid_argument", "build_id"),
    ("GET", "/api/v1/symbols/missing?build_id=ab&after=-1", None, 400, "invalid_argument", "after"),
    ("GET", "/api/v1/symbols/missing?build_id=ab", None, 404, "not_found", "build_id"),
    ("GET", "/api/v1/symbols", None, 405, "method_not_allowed", None),
    ("POST", SYMBOLS, "{}", 400, "invalid_argument", None),
    ("POST", SYMBOLS, "{\"build_id\":\"..\",\"symbols\":[]}", 400, "invalid_argument", "build_id"),
    ("POST", SYMBOLS, "{\"build_id\":\"ab\",\"symbols\":[]}", 400, "invalid_argument", "symbols"),
    ("POST", SYMBOLS, symbols([ONE] * 10001), 400, "invalid_argument", "symbols"),
    ("POST", SYMBOLS, symbols([ONE], more=1), 400, "invalid_argument", None),
    ("POST", SYMBOLS, symbols([{**ONE, "x": 1}]), 400, "invalid_argument", "symbols[0]"),
    ("POST", SYMBOLS, symbols([{**ONE, "offset": -1}]), 400, "invalid_argument", "symbols[0]"),
    ("POST", SYMBOLS, symbols([{**ONE, "functions": {}}]), 400, "invalid_argument", "symbols[0]"),
    ("POST", SYMBOLS, symbols([ONE, ONE]), 400, "invalid_argument", "symbols[1]"),
    ("POST", SYMBOLS, symbols([{"offset": 1, "functions": [{"name": "a"}] * 257}]), 400,
     "invalid_argument", "symbols[0]"),
    ("POST", SYMBOLS, function(name=""), 400, "invalid_argument", "symbols[0].functions[0]"),
    ("POST", SYMBOLS, function(name=1), 400, "invalid_argument", "symbols[0].functions[0]"),
    ("POST", SYMBOLS, function(name="a\0b"), 400, "bad_json", None),
    ("POST", SYMBOLS, function(nam="a"), 400, "invalid_argument", "symbols[0].functions[0]"),
    ("POST", SYMBOLS, function(name="a", line=2**32), 400, "invalid_argument",
     "symbols[0].functions[0]"),
    ("POST", SYMBOLS, function(name="a" * 32769), 400, "invalid_argument",
     "symbols[0].functions[0]"),
    ("POST", SYMBOLS, "[" + " " * (4 << 20), 413, "too_large", None),
    ("POST", SYMBOLS, symbols([ONE]), 404, "not_found", "build_id"),
    ("GET", ALERTS + "?from=now-1h", None, 400, "invalid_argument", "from"),
    ("POST", ALERTS, "{}", 400, "invalid_argument", "name"),
    ("POST", ALERTS, rule(metric="bananas"), 400, "invalid_argument", "metric"),
    ("POST", ALERTS, rule(operator="like"), 400, "invalid_argument", "operator"),
    ("POST", ALERTS, rule(threshold="1"), 400, "invalid_argument", "threshold"),
    ("POST", ALERTS, rule(filter="{"), 400, "invalid_argument", "filter"),
    ("POST", ALERTS, rule(more=1), 400, "invalid_argument", None),
    ("POST", ALERTS, rule(baseline={"offset_s": 700000}), 422, "not_kept", "baseline"),
    ("POST", ALERTS, rule(webhooks=[{"url": "ftp://x/"}]), 400, "invalid_argument", "webhooks"),
    ("POST", ALERTS, rule(name="Samples lost"), 409, "conflict", "name"),
    ("POST", ALERTS, " " * 100000, 413, "too_large", None),
    ("DELETE", ALERTS, None, 405, "method_not_allowed", None),
    ("PUT", ALERTS + "/999", rule(), 404, "not_found", "id"),
    ("PUT", ALERTS + "/x", rule(), 404, "not_found", "id"),
    ("DELETE", ALERTS + "/999", None, 404, "not_found", "id"),
    ("POST", ALERTS + "/999/toggle", None, 404, "not_found", "id"),
    ("POST", ALERTS + "/evaluate?rule=999", None, 404, "not_found", "rule"),
    ("POST", ALERTS + "/dry-run", rule(metric="agent_silent", filter="{host='a'}"), 422, "not_supported", "filter"),
    ("GET", ALERTS + "/history?limit=0", None, 400, "invalid_argument", "limit"),
    ("POST", ALERTS + "/silences", "{}", 400, "invalid_argument", None),
    ("POST", ALERTS + "/silences", '{"duration_s":0}', 400, "invalid_argument", "duration_s"),
    ("POST", ALERTS + "/silences", '{"duration_s":9,"rule":999}', 404, "not_found", "rule"),
    ("DELETE", ALERTS + "/silences/999", None, 404, "not_found", "id"),
    ("GET", "/api/export/docx", None, 404, "not_found", None),
    ("GET", "/api/none", None, 404, "not_found", None),
    ("GET", "/api/", None, 404, "not_found", None),
    ("GET", "/assets/none.js", None, 404, "not_found", None),
    ("GET", "/api/aggregate", None, 405, "method_not_allowed", None),
    ("POST", FG, "{}", 405, "method_not_allowed", None),
    ("DELETE", "/api/health", None, 405, "method_not_allowed", None),
    ("POST", "/api/aggregate", "", 400, "bad_json", None),
    ("POST", "/api/aggregate", "{\"from\":", 400, "bad_json", None),
    ("POST", "/api/aggregate", "{\"from\":1,\"from\":2}", 400, "bad_json", None),
    ("POST", "/api/aggregate", "[]", 400, "invalid_argument", None),
    ("POST", "/api/aggregate", "{\"from\":true}", 400, "invalid_argument", "from"),
    ("POST", "/api/aggregate", "{\"max_nodes\":1.5}", 400, "invalid_argument", "max_nodes"),
    ("POST", "/api/aggregate", "{\"fro\":1}", 400, "invalid_argument", "fro"),
    ("POST", "/api/diff", "{\"a\":{},\"b\":{\"to\":\"then\"}}", 400, "invalid_argument", "b.to"),
    ("POST", "/api/diff", "{\"a\":{\"max_nodes\":5}}", 400, "invalid_argument", "a.max_nodes"),
    ("POST", "/api/aggregate", "[" * 3000, 400, "bad_json", None),
    ("POST", "/api/aggregate", " " * 100000, 413, "too_large", None),
]


@pytest.mark.parametrize("method, path, body, status, code, field", REFUSED,
                         ids=[f"{m} {p} {(b or '')[:30]}" for m, p, b, *_ in REFUSED])
def test_refusals_are_precise(server, method, path, body, status, code, field):
    answer = server.ask(path, method, body)
    assert answer.status == status, answer.body
    check_named("Error", answer.json)
    error = answer.json["error"]
    assert (error["code"], error["field"]) == (code, field)
    assert len(error["message"]) > 10
    if status == 405:
        assert answer.headers["Allow"]
    operation = DOC["paths"].get(path.split("?")[0], {}).get(method.lower())
    if operation:
        assert str(status) in operation["responses"], "an answer that is not described"


def test_the_server_goes_on_after_bad_input(server):
    for junk in (b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /api/diff HTTP/1.1\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
            s.sendall(junk)
    assert server.ask("/healthz").body == b"ok\n"


@pytest.mark.parametrize("path", ["/", "/flamegraph", "/assets/app-0a1b.js", "/api/health",
                                  "/api/none", "/metrics", "/healthz"])
def test_security_headers(server, path):
    headers = server.ask(path).headers
    policy = headers["Content-Security-Policy"]
    for rule in ("default-src 'self'", "connect-src 'self'", "frame-ancestors 'none'",
                 "base-uri 'none'", "form-action 'self'"):
        assert rule in policy
    assert "unsafe-eval" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Server" not in headers


def test_the_dashboard_is_served(server):
    page = server.ask("/")
    assert page.status == 200 and b"test page" in page.body
    assert server.ask("/compare").body == page.body
    asset = server.ask("/assets/app-0a1b.js")
    assert "immutable" in asset.headers["Cache-Control"]
    again = server.ask("/", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/../aperture.yaml", "/%2e%2e/aperture.yaml",
                                  "/assets/..%2f..%2faperture.yaml", "//etc/hostname.txt"])
def test_no_path_leads_out_of_the_dashboards_folder(server, path):
    assert server.ask(path).status == 404


def test_other_names_for_this_machine_are_refused(server):
    assert server.ask("/api/health", headers={"Host": "evil.example"}).status == 403
    assert server.ask("/api/health", headers={"Host": f"localhost:{server.port}"}).status == 200
    for path in ("/api/aggregate", SYMBOLS):
        cross = server.ask(path, "POST", "{}", {"Sec-Fetch-Site": "cross-site"})
        assert (cross.status, cross.json["error"]["code"]) == (403, "cross_site")


def test_binary_flame_graph(server):
    for how in ({"path": FG + "?format=binary"},
                {"path": FG, "headers": {"Accept": "application/vnd.aperture.flamegraph"}}):
        answer = server.ask(**how)
        assert answer.headers["Content-Type"] == "application/vnd.aperture.flamegraph"
        assert answer.body[:4] == b"APFG"


@pytest.mark.parametrize("format", ["json", "collapsed", "pprof", "speedscope", "svg"])
def test_exports_are_files(server, format):
    answer = server.ask(f"/api/export/{format}?filter=%7Bservice%3D%22a%2Fb%22%7D")
    assert answer.status == 200
    name = re.fullmatch(r'attachment; filename="(aperture-a-b-\d{8}T\d{6}Z\.[a-z.]+)"',
                        answer.headers["Content-Disposition"])
    assert name, answer.headers["Content-Disposition"]
    if format == "pprof":
        assert answer.body[:2] == b"\x1f\x8b"


METRICS = {
    "aperture_push": "counter", "aperture_push_events": "counter",
    "aperture_push_duration_seconds": "histogram", "aperture_buffer_batches": "gauge",
    "aperture_buffer_drops": "counter", "aperture_clickhouse_flush": "counter",
    "aperture_clickhouse_flush_rows": "counter",
    "aperture_clickhouse_flush_duration_seconds": "summary",
    "aperture_clickhouse_pending_rows": "gauge", "aperture_lost": "counter",
    "aperture_stacks": "counter", "aperture_alert_rules": "gauge",
    "aperture_alert_evaluations": "counter", "aperture_alert_notifications": "counter",
    "aperture_build_info": "gauge", "process_cpu_seconds": "counter",
    "process_resident_memory_bytes": "gauge",
}


def test_metrics_are_valid_and_complete(server):
    answer = server.ask("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = answer.body.decode()
    families = {f.name: f for f in text_string_to_metric_families(text)}
    for name, kind in METRICS.items():
        assert families[name].type == kind, name
    helps = re.findall(r"^# HELP (\S+)", text, re.M)
    assert len(helps) == len(set(helps)) == len(re.findall(r"^# TYPE ", text, re.M))
    for family in families.values():
        assert family.documentation
        seen = [(s.name, tuple(sorted(s.labels.items()))) for s in family.samples]
        assert len(seen) == len(set(seen)), family.name
        if family.type == "counter":
            assert all(s.name.endswith("_total") and s.value >= 0 for s in family.samples)
    check_histogram(families["aperture_push_duration_seconds"])
    losses = {(s.labels["stage"], s.labels["reason"]) for s in families["aperture_lost"].samples}
    assert {("sample", "ringbuf_full"), ("push", "queue_full"), ("ingest", "invalid")} <= losses
    reasons = {s.labels["reason"] for s in families["aperture_stacks"].samples}
    assert {"ok", "kernel_only", "no_table", "truncated"} <= reasons
    assert {s.labels["status"] for s in families["aperture_push"].samples} == \
        {"ok", "duplicate", "backpressure", "error"}


def check_histogram(family):
    buckets = [(float(s.labels["le"]), s.value) for s in family.samples
               if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets) and buckets[-1][0] == float("inf")
    assert [v for _, v in buckets] == sorted(v for _, v in buckets)
    count = next(s.value for s in family.samples if s.name.endswith("_count"))
    assert count == buckets[-1][1]


# ---- A program that cannot start says why in one line, and what to do. ----


def refuses(arguments):
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode != 0
    assert run.stdout == ""
    lines = run.stderr.strip().splitlines()
    assert len(lines) == 1, run.stderr
    assert lines[0].startswith("aperture-aggregator: ")
    return run.returncode, lines[0]


@pytest.fixture
def folder(tmp_path):
    make_folder(tmp_path)
    return tmp_path


def test_port_in_use(server, folder):
    _, line = refuses(command(folder, listen=f"127.0.0.1:{server.port}"))
    assert f"port {server.port}" in line and "in use" in line and "--listen" in line


def test_grpc_port_in_use(server, folder):
    _, line = refuses(command(folder, **{"grpc-listen": f"127.0.0.1:{server.port}"}))
    assert "in use" in line and "--grpc-listen" in line


def test_data_folder_locked(server, folder):
    _, line = refuses(command(folder, **{"data-dir": server.folder / "data"}))
    assert "in use by another aggregator" in line and "--data-dir" in line


def test_library_missing(folder):
    _, line = refuses(command(folder, **{"chdb-library": folder / "none.so"}))
    assert str(folder / "none.so") in line and "--chdb-library" in line


def test_other_machines_need_insecure(folder):
    for flag in ("listen", "grpc-listen"):
        _, line = refuses(command(folder, **{flag: "0.0.0.0:0"}))
        assert f"--{flag}" in line and "--insecure" in line


@pytest.mark.parametrize("flag, value", [("listen", "9090"), ("retention", "1m"),
                                         ("buffer-bytes", "lots"), ("lisen", "x")])
def test_bad_settings(folder, flag, value):
    status, line = refuses(command(folder, **{flag: value}))
    assert flag in line
    assert status == (1 if flag == "listen" else 2)


def test_unwritable_data_folder(folder):
    (folder / "file").write_text("")
    _, line = refuses(command(folder, **{"data-dir": folder / "file/data"}))
    assert "file/data" in line


def test_the_dashboard_may_be_missing(tmp_path):
    (tmp_path / "a").mkdir()
    s = Server(tmp_path / "a")
    assert s.stop() == 0
    (tmp_path / "a/ui/index.html").unlink()
    (tmp_path / "a/ports.json").unlink()
    run = subprocess.Popen(command(tmp_path / "a", **{"ports-file": tmp_path / "a/ports.json"}),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stdout.readline().startswith("Dashboard: http://127.0.0.1:")
    run.send_signal(signal.SIGTERM)
    _, log = run.communicate(timeout=60)
    assert run.returncode == 0
    assert "no dashboard" in log and "index.html" in log
