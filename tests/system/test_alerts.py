"""Alert rules on the running aggregator: what is pushed makes them fire, webhooks hear of it, and a restart
forgets nothing."""

import http.server
import json
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from conftest import BUILD, wait_for
from crash import SpoolAgent, metric
from test_dashboard import BROWSER, UI, walk
from test_grpc import MS, S, Client

DEFAULTS = {"Agent silent", "Samples lost", "Disk almost full", "Store behind", "Write-ahead log almost full",
            "Stacks incomplete"}


class Receiver:
    """An HTTP server of the test's own; `fail` requests are answered with 500 first."""

    def __init__(self, fail=0):
        self.got, self.refused, self.fail = [], 0, fail
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.refused < outer.fail:
                    outer.refused += 1
                    self.send_response(500)
                elif self.path == "/moved":
                    self.send_response(302)
                    self.send_header("Location", "/elsewhere")
                else:
                    outer.got.append((self.path, self.headers["Content-Type"], json.loads(body)))
                    self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    r = Receiver(fail=1)
    yield r
    r.close()


class Alerts:
    def __init__(self, aggregator):
        self.url = aggregator.url + "/api/alerts"

    def ask(self, path="", method="GET", body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, method=method), timeout=60) as answer:
            return json.load(answer)

    def add(self, name="mine", operator="gt", threshold=0.0, **fields):
        return self.ask("", "POST", {"name": name, "operator": operator, "threshold": threshold, **fields})["id"]

    def evaluate(self, id):
        """Its status, evaluated now."""
        rules = self.ask(f"/evaluate?rule={id}", "POST")["rules"]
        return next(r for r in rules if r["id"] == id)["status"]

    def events(self, id):
        return [(e["from"], e["to"]) for e in reversed(self.ask(f"/history?rule={id}")["events"])]


@pytest.fixture
def alerts(aggregator):
    return Alerts(aggregator)


def push(pb, stub, rows=300, **kwargs):
    """Some minutes up to now: every second 2 periods of 20 ms."""
    client = Client(pb)
    batch = client.batch(rows=rows, start_ns=time.time_ns() - (rows + 20) * S, **kwargs)
    assert stub.Push(client.request(batch)).status == pb.PushResponse.STATUS_OK
    return client


def test_rules_ship_enabled(alerts):
    answer = alerts.ask()
    assert {r["name"] for r in answer["rules"]} == DEFAULTS
    assert all(r["enabled"] for r in answer["rules"])
    assert answer["state_error"] is None


def test_shares_of_functions_and_modules(pb, stub, alerts):
    push(pb, stub)
    share = {"min_samples": 100}
    leaf = alerts.evaluate(alerts.add("leaf", metric="function_share", function="leaf", threshold=0.4, **share))
    assert (leaf["state"], leaf["value"]) == ("firing", pytest.approx(0.5, abs=0.02))
    none = alerts.evaluate(alerts.add("none", metric="function_share", function="nobody", **share))
    assert (none["state"], none["value"]) == ("ok", 0)
    module = alerts.evaluate(alerts.add("module", metric="module_share", module="app", threshold=0.99, **share))
    assert (module["state"], module["value"]) == ("firing", 1)
    other = alerts.evaluate(alerts.add("other", metric="function_share", function="leaf",
                                       filter='{service="nobody"}', **share))
    assert (other["state"], other["samples"]) == ("insufficient", 0)


def test_time_is_per_second_that_was_reported(pb, stub, alerts):
    push(pb, stub)
    s = alerts.evaluate(alerts.add("cpu", metric="cpu_time", threshold=0.015, window_s=60, min_samples=50))
    assert s["state"] == "firing"
    assert s["value"] == pytest.approx(0.02, rel=0.1)


def test_too_few_samples_are_insufficient(pb, stub, alerts):
    push(pb, stub, rows=200)  # 400 samples
    s = alerts.evaluate(alerts.add("leaf", metric="function_share", function="leaf", threshold=0.1))
    assert s["state"] == "insufficient" and s["value"] is None and 0 < s["samples"] < 500


def test_against_a_baseline(pb, stub, alerts, aggregator):
    now = time.time_ns()
    client = Client(pb)
    for start, rows in ((now - 1200 * S, 300), (now - 320 * S, 300)):
        assert stub.Push(client.request(client.batch(rows=rows, start_ns=start))).status == pb.PushResponse.STATUS_OK
    baseline = {"offset_s": 600, "window_s": 900}
    s = alerts.evaluate(alerts.add("same", metric="function_share", function="leaf", operator="gt", threshold=0.2,
                                   min_samples=100, baseline=baseline))
    assert s["state"] == "ok" and s["value"] == pytest.approx(0, abs=0.05)
    s = alerts.evaluate(alerts.add("none", metric="function_share", function="leaf", threshold=0.2, min_samples=100,
                                   baseline={"offset_s": 86400, "window_s": 900}))
    assert (s["state"], s["error"]) == ("insufficient", "0 samples in the baseline, 100 are asked for")
    assert s["error"] in cli(aggregator, "list").stdout


def test_a_baseline_older_than_what_is_kept_is_refused(alerts, aggregator, tmp_path):
    """Samples are kept for 7 days and sums by hour for 90: those do for a share over whole hours."""
    old = {"name": "old", "metric": "cpu_time", "operator": "gt", "threshold": 0.2,
           "baseline": {"offset_s": 30 * 86400, "window_s": 3600}}
    with pytest.raises(urllib.error.HTTPError) as refused:
        alerts.ask("", "POST", old)
    assert refused.value.code == 422
    error = json.load(refused.value)["error"]
    assert error["field"] == "baseline" and "--retention" in error["message"]
    file = tmp_path / "rule.json"
    file.write_text(json.dumps(old))
    run = cli(aggregator, "add", file)
    assert run.returncode != 0 and error["message"] in run.stderr
    assert alerts.ask("", "POST", old | {"metric": "function_share", "function": "f"})["baseline"] == old["baseline"]


def test_losses_and_incomplete_stacks(pb, stub, alerts):
    push(pb, stub)
    lost = alerts.evaluate(alerts.add("lost", metric="loss_share", operator="gte", threshold=0, min_samples=1))
    assert lost["state"] == "firing" and lost["value"] >= 0
    incomplete = alerts.evaluate(alerts.add("cut", metric="incomplete_share", threshold=0.4, min_samples=1))
    assert (incomplete["state"], incomplete["value"]) == ("firing", pytest.approx(0.5, abs=0.02))


def test_the_aggregators_own_counters(pb, stub, alerts):
    id = alerts.add("errors", metric="push_errors_total", operator="gte", threshold=2)
    assert alerts.evaluate(id)["state"] == "ok"
    for _ in range(2):
        stub.Push(pb.PushRequest(version=1, batch=b"junk"))
    wait_for(lambda: alerts.evaluate(id)["state"] == "firing", "the errors to be seen")
    for metric in ("buffer_utilization", "wal_utilization", "disk_free_share", "clickhouse_pending_rows"):
        s = alerts.evaluate(alerts.add(metric, metric=metric, operator="gte", threshold=0))
        assert s["state"] == "firing" and s["value"] >= 0, metric
    # Of a window nothing is known before it has passed.
    assert alerts.evaluate(alerts.add("rate", metric="event_throughput"))["state"] == "insufficient"


def test_a_store_that_takes_no_rows_is_told_of(start_aggregator, start_clickhouse, tmp_path):
    server = start_clickhouse()
    a = start_aggregator("a", "--flush-interval", "50ms", store=server.flags)
    alerts = Alerts(a)
    id = alerts.add("behind", metric="clickhouse_lag", threshold=1)
    agent = SpoolAgent(tmp_path / "agent", "delayed").start(a.grpc)
    wait_for(lambda: metric(a, "aperture_clickhouse_flush_rows_total") > 0, "rows")
    server.pause()
    try:
        wait_for(lambda: alerts.evaluate(id)["state"] == "firing", "the rule to fire")
    finally:
        server.resume()
    agent.finish()
    wait_for(lambda: alerts.evaluate(id)["state"] != "firing", "the store to have all")


def test_an_agent_that_left_is_not_silent(pb, stub, alerts, aggregator):
    client = push(pb, stub, rows=10)
    id = alerts.add("silent", metric="agent_silent", operator="gte", threshold=0)
    assert alerts.evaluate(id)["state"] == "firing"
    last = client.batch(rows=0)
    last.status.stopping = True
    assert stub.Push(client.request(last)).status == pb.PushResponse.STATUS_OK
    wait_for(lambda: alerts.evaluate(id)["state"] == "insufficient", "no agent to be left")
    aggregator.stop()
    again = aggregator.again()
    try:
        assert Alerts(again).evaluate(id)["state"] == "insufficient"
        assert again.get("/api/v1/agents")["agents"][0]["state"] == "left"
    finally:
        again.stop()


def test_a_kill_forgets_no_rule_and_no_state(pb, stub, alerts, aggregator):
    push(pb, stub)
    id = alerts.add("leaf", metric="function_share", function="leaf", threshold=0.4, min_samples=100)
    assert alerts.evaluate(id)["state"] == "firing"
    aggregator.stop(signal.SIGKILL)
    again = aggregator.again()
    try:
        a = Alerts(again)
        assert next(r for r in a.ask()["rules"] if r["id"] == id)["status"]["state"] == "firing"
        assert a.events(id) == [("ok", "firing")]
    finally:
        again.stop()


def test_a_state_file_of_a_later_version_is_refused(start_aggregator):
    first = start_aggregator()
    first.stop()
    with sqlite3.connect(first.folder / "data/state.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(AssertionError, match="later version"):
        first.again()


def test_webhooks_hear_of_it_once(pb, stub, alerts, receiver):
    push(pb, stub)
    id = alerts.add("leaf", metric="function_share", function="leaf", threshold=0.4, min_samples=100,
                    severity="critical", filter='{service="python"}',
                    webhooks=[{"url": receiver.url + "/plain"},
                              {"url": receiver.url + "/am/api/v2/alerts", "format": "alertmanager"}])
    assert alerts.evaluate(id)["state"] == "firing"
    alerts.evaluate(id)
    wait_for(lambda: len(receiver.got) == 2, "both webhooks, after one refusal")
    assert receiver.refused == 1
    got = {path: body for path, _, body in receiver.got}
    plain = got["/plain"]
    assert (plain["status"], plain["name"], plain["severity"]) == ("firing", "leaf", "critical")
    assert plain["value"] == pytest.approx(0.5, abs=0.02)
    assert (plain["hosts"], plain["hosts_total"]) == (["py-host"], 1)
    assert "/compare?from=" in plain["link"] and "filter=%7Bservice" in plain["link"]
    assert len(plain["risers"]) <= 5
    [alert] = got["/am/api/v2/alerts"]
    assert alert["labels"] == {"alertname": "leaf", "severity": "critical", "metric": "function_share", "rule": str(id)}
    assert alert["startsAt"] < alert["endsAt"]
    assert alert["annotations"]["hosts"] == "py-host"
    alerts.ask(f"/{id}", "DELETE")
    wait_for(lambda: len(receiver.got) == 4, "the end to be told")
    assert {b["status"] for p, _, b in receiver.got if p == "/plain"} == {"firing", "resolved"}
    assert alerts.ask()["notifications"]["delivered"] == 4


def test_many_hosts_are_listed_in_part(pb, stub, alerts, receiver):
    for i in range(25):
        client = Client(pb)
        batch = client.batch(rows=30, start_ns=time.time_ns() - 60 * S)
        batch.agent.host = f"host-{i:02}"
        batch.strings[7] = batch.agent.host.encode()
        assert stub.Push(client.request(batch)).status == pb.PushResponse.STATUS_OK
    id = alerts.add("leaf", metric="function_share", function="leaf", webhooks=[{"url": receiver.url + "/a"}])
    assert alerts.evaluate(id)["state"] == "firing"
    wait_for(lambda: receiver.got, "the webhook")
    _, _, body = receiver.got[0]
    assert (len(body["hosts"]), body["hosts_total"]) == (20, 25)


def test_redirects_are_not_followed(pb, stub, alerts, receiver):
    push(pb, stub)
    receiver.fail = 0
    id = alerts.add("leaf", metric="function_share", function="leaf", min_samples=1,
                    webhooks=[{"url": receiver.url + "/moved"}])
    alerts.evaluate(id)
    wait_for(lambda: "302" in (alerts.ask()["notifications"]["last_error"] or ""), "the refusal")
    assert receiver.got == []


def test_a_silence_keeps_it_quiet(pb, stub, alerts, receiver):
    push(pb, stub)
    receiver.fail = 0
    id = alerts.add("leaf", metric="function_share", function="leaf", min_samples=1,
                    webhooks=[{"url": receiver.url + "/a"}])
    silence = alerts.ask("/silences", "POST", {"rule": id, "duration_s": 3600, "comment": "deploy"})["id"]
    s = alerts.evaluate(id)
    assert (s["state"], s["silenced"]) == ("firing", True)
    assert alerts.ask()["notifications"]["waiting"] == 0 and receiver.got == []
    alerts.ask(f"/silences/{silence}", "DELETE")
    alerts.evaluate(id)
    wait_for(lambda: receiver.got, "what the silence held back")


def test_a_dry_run_shows_the_day(pb, stub, alerts):
    client = Client(pb)
    start = time.time_ns() - 3 * 3600 * S
    assert stub.Push(client.request(client.batch(rows=900, start_ns=start))).status == pb.PushResponse.STATUS_OK
    answer = alerts.ask("/dry-run", "POST", {"name": "x", "metric": "function_share", "function": "leaf",
                                             "operator": "gt", "threshold": 0.4, "min_samples": 100})
    assert len(answer["points"]) == 288 and answer["truncated"] is None
    assert answer["fired"] >= 1 and 300 <= answer["firing_s"] <= 1800
    fired = [p for p in answer["points"] if p["state"] == "firing"]
    assert all(start // MS <= p["at"] <= start // MS + 1_500_000 for p in fired)
    assert {r["name"] for r in alerts.ask()["rules"]} == DEFAULTS


def test_rules_are_changed_and_switched_off(pb, stub, alerts):
    push(pb, stub)
    id = alerts.add("leaf", metric="function_share", function="leaf", min_samples=1)
    assert alerts.evaluate(id)["state"] == "firing"
    changed = alerts.ask(f"/{id}", "PUT", {"name": "leaf", "metric": "function_share", "function": "leaf",
                                           "operator": "gt", "threshold": 0.9, "min_samples": 1})
    assert (changed["threshold"], changed["status"]["state"]) == (0.9, "ok")
    assert alerts.evaluate(id)["state"] == "ok"
    assert alerts.ask(f"/{id}/toggle", "POST")["enabled"] is False
    with pytest.raises(urllib.error.HTTPError):
        alerts.evaluate(id)
    assert alerts.ask(f"/{id}/toggle", "POST")["enabled"] is True
    assert alerts.events(id) == [("ok", "firing"), ("firing", "ok")]


def cli(aggregator, *args, **kwargs):
    return subprocess.run([BUILD / "src/cli/aperture", "alerts", *args, "--server", aggregator.url],
                          capture_output=True, text=True, timeout=60, check=False, **kwargs)


def test_the_command_line(pb, stub, alerts, aggregator):
    push(pb, stub)
    text = json.dumps({"name": "leaf\x1b[2J", "metric": "function_share", "function": "leaf", "operator": "gt",
                       "threshold": 0.4, "min_samples": 100})
    tried = cli(aggregator, "dry-run", "-", input=text)
    assert tried.returncode == 0 and "it would have fired" in tried.stdout
    added = cli(aggregator, "add", "-", input=text)
    assert added.returncode == 0, added.stderr
    id = added.stdout.strip()
    again = cli(aggregator, "add", "-", input=text)
    assert again.returncode == 1 and "already" in again.stderr
    [row] = [line for line in cli(aggregator, "eval", id).stdout.splitlines() if "leaf" in line]
    assert row.split()[:3] == [id, "firing", "warning"]
    assert "\x1b" not in row
    assert "ok" in cli(aggregator, "history", id).stdout
    silence = cli(aggregator, "silence", id, "--duration", "30m", "--comment", "deploy").stdout.strip()
    assert "deploy" in cli(aggregator, "list").stdout
    assert cli(aggregator, "unsilence", silence).returncode == 0
    assert cli(aggregator, "toggle", id).returncode == 0
    assert json.loads(cli(aggregator, "list", "--format", "json").stdout)["rules"][-1]["enabled"] is False
    assert cli(aggregator, "rm", id).returncode == 0
    gone = cli(aggregator, "rm", id)
    assert gone.returncode == 1 and "no rule" in gone.stderr
    for wrong in (["lst"], ["rm"], ["rm", "x"], ["dry-run"]):
        assert cli(aggregator, *wrong).returncode == 2


@pytest.mark.skipif(not (UI / "index.html").exists() or not Path(BROWSER).exists() or not shutil.which("node"),
                    reason="needs the dashboard, Chromium and Node")
def test_a_rules_life_in_the_dashboard(pb, generated, start_aggregator):
    import aggregator_pb2_grpc
    import grpc

    a = start_aggregator("aggregator", "--ui-dir", UI)
    with grpc.insecure_channel(a.grpc, options=[("grpc.enable_http_proxy", 0)]) as channel:
        push(pb, aggregator_pb2_grpc.AggregatorStub(channel))
    assert walk("alerts.mjs", a.url) == 1
