"""Deploys that are seen by themselves, annotations of people and pipelines, and what a killed aggregator still knows."""

import http.client
import json
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from conftest import BUILD, environment, wait_for
from test_agent import agents, busy, pytestmark as needs_root  # noqa: F401
from test_alerts import Alerts, Receiver, push
from test_grpc import S, Client

APERTURE = BUILD / "src/cli/aperture"
PATH = "/api/v1/annotations"


def annotations(aggregator, kind="all", query="from=now-1d"):
    return aggregator.get(f"{PATH}?{query}&kind={kind}")["annotations"]


def cli(aggregator, *args):
    return subprocess.run([APERTURE, "annotate", *args, "--server", aggregator.url], capture_output=True, text=True,
                          timeout=60, env=environment())


def build_id(program):
    notes = subprocess.run(["readelf", "-n", program], capture_output=True, text=True, check=True).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", notes)[1]


@pytest.fixture
def releases(tmp_path):
    """Two builds of one program, which keeps a CPU busy."""
    made = []
    for n in (1, 2):
        source = tmp_path / f"{n}.c"
        source.write_text(f"int main(void)\n{{\n\tfor (volatile int i = {n};; i++)\n\t\t;\n}}\n")
        made.append(tmp_path / f"release-{n}")
        subprocess.run(["gcc", "-Wl,--build-id", "-o", made[-1], source], check=True)
    return made


class Service:
    """What runs at one path, whichever release that is."""

    def __init__(self, path):
        self.path, self.process = path, None

    def run(self, release):
        self.stop()
        self.path.unlink(missing_ok=True)
        shutil.copy(release, self.path)
        self.process = subprocess.Popen([self.path], start_new_session=True)  # the leader of its group, which names the service
        return self.process.pid

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


def test_a_new_build_of_a_program_is_seen(aggregator, start_agent, releases, tmp_path):
    first, second = releases
    service = Service(tmp_path / "shopd")
    try:
        service.run(first)
        a = start_agent(aggregator.grpc, "--pid", service.process.pid, name="one").running()
        wait_for(lambda: "shopd" in {s["service"] for s in aggregator.get("/api/v1/services")["services"]}, "the service")
        assert a.stop() == 0
        assert annotations(aggregator) == []
        service.run(second)
        begun = time.time() * 1000
        start_agent(aggregator.grpc, "--pid", service.process.pid, name="one").running()
        [deploy] = wait_for(lambda: annotations(aggregator, "deploy"), "the deploy")
        assert deploy["service"] == "shopd"
        assert deploy["deploy"]["program"] == "shopd"
        assert deploy["deploy"]["from"]["build"] == build_id(first)
        assert deploy["deploy"]["to"]["build"] == build_id(second)
        [me] = agents(aggregator).values()
        assert deploy["deploy"]["hosts"] == [me["host"]]
        assert begun - 1000 <= deploy["from"] == deploy["to"] <= time.time() * 1000
        # What another service's charts show.
        other = urllib.request.quote('{service="other"}')
        assert annotations(aggregator, query=f"from=now-1d&filter={other}") == []
        aggregator.stop(signal.SIGKILL)
        again = aggregator.again("--grpc-listen", aggregator.grpc)
        try:
            batches = agents(again)[me["id"]]["last_seen"]
            wait_for(lambda: agents(again)[me["id"]]["last_seen"] > batches + 2000, "further batches")
            assert annotations(again, "deploy") == [deploy]
        finally:
            again.stop()
    finally:
        service.stop()


def test_programs_of_packages_have_its_version(aggregator, start_agent):
    """Of a program that dpkg installed, as dpkg-query tells it."""
    program = shutil.which("sha256sum")
    owner = subprocess.run(["dpkg-query", "-S", program, program.removeprefix("/usr")], capture_output=True, text=True)
    if not owner.stdout:
        pytest.skip("there is no program of a package")
    package = owner.stdout.split(":")[0]
    version = subprocess.run(["dpkg-query", "-f", "${Version}", "-W", package], capture_output=True, text=True).stdout
    p = subprocess.Popen([program, "/dev/zero"])
    try:
        start_agent(aggregator.grpc, "--pid", p.pid).running()
        values = "/api/v1/label-values?label=version&from=now-10m"
        wait_for(lambda: [v["value"] for v in aggregator.get(values)["values"]] == [version], "the version")
    finally:
        p.kill()
        p.wait()


def test_notes_from_the_command_line(aggregator):
    r = cli(aggregator, "add", "web 1.8.2", "--service", "web", "--at", "now-5m", "--until", "now-4m",
            "--link", "https://ci.example/1", "--label", "namespace=shop")
    assert r.returncode == 0, r.stderr
    [note] = annotations(aggregator)
    assert r.stdout == f"{note['id']}\n"
    assert note["to"] - note["from"] == 60_000
    assert {k: note[k] for k in ("kind", "service", "text", "labels", "link", "deploy")} == {
        "kind": "note", "service": "web", "text": "web 1.8.2", "labels": {"namespace": "shop"},
        "link": "https://ci.example/1", "deploy": None}
    r = cli(aggregator, "list")
    assert re.fullmatch(rf" +{note['id']}  \d{{4}}-\d\d-\d\d [\d:]{{8}}  note +web +web 1\.8\.2\s+", r.stdout), r.stdout
    for args, status, text in ((["add"], 2, "one TEXT"), (["lst"], 2, "list"), (["rm", "999"], 1, "no annotation 999"),
                               (["add", "x", "--at", "soon"], 2, "no time"), (["add", "x", "--label", "y"], 2, "NAME=VALUE")):
        r = cli(aggregator, *args)
        assert (r.returncode, text in r.stderr) == (status, True), (args, r)
    assert cli(aggregator, "rm", str(note["id"])).returncode == 0
    assert "Nothing was noted" in cli(aggregator, "list").stdout


@pytest.mark.parametrize("body, field", [
    ({}, None),
    ({"text": ""}, "text"),
    ({"text": "x" * 1001}, "text"),
    ({"text": "x", "time": "soon"}, "time"),
    ({"text": "x", "time": -1}, "time"),
    ({"text": "x", "time": 1, "to": 2}, "time"),
    ({"text": "x", "from": 2000, "to": 1000}, "to"),
    ({"text": "x", "from": 0, "to": 8 * 86400 * 1000}, "to"),
    ({"text": "x", "link": "javascript:alert(1)"}, "link"),
    ({"text": "x", "service": "s" * 256}, "service"),
    ({"text": "x", "labels": {"a b": "c"}}, "labels"),
    ({"text": "x", "labels": {"a": 1}}, "labels"),
    ({"text": "x", "labels": {f"l{i}": "" for i in range(17)}}, "labels"),
    ({"text": "x", "other": 1}, None),
])
def test_what_is_no_note_is_refused(rest, body, field):
    answer = rest("POST", PATH, body)
    assert answer[0] == 400
    assert answer[1]["error"]["field"] == field, answer


@pytest.fixture(scope="module")
def rest(tmp_path_factory):
    from daemons import Aggregator

    a = Aggregator(tmp_path_factory.mktemp("aggregator"))

    def ask(method, path, body=None):
        c = http.client.HTTPConnection(a.url.removeprefix("http://"), timeout=30)
        c.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        answer = c.getresponse()
        return answer.status, json.load(answer)

    yield ask
    a.stop()


def test_a_notification_that_waits_survives_a_kill(pb, stub, aggregator):
    receiver = Receiver(fail=10**6)
    try:
        push(pb, stub)
        alerts = Alerts(aggregator)
        id = alerts.add("leaf", metric="function_share", function="leaf", threshold=0.4, min_samples=100,
                        webhooks=[{"url": receiver.url + "/hook"}])
        assert alerts.evaluate(id)["state"] == "firing"
        wait_for(lambda: receiver.refused, "the first attempt")
        aggregator.stop(signal.SIGKILL)
        receiver.fail = 0
        again = aggregator.again()
        try:
            wait_for(lambda: receiver.got, "the notification")
            Alerts(again).evaluate(id)
            wait_for(lambda: Alerts(again).ask()["notifications"]["waiting"] == 0, "an empty outbox")
        finally:
            again.stop()
        third = aggregator.again()
        Alerts(third).evaluate(id)
        assert Alerts(third).ask()["notifications"]["delivered"] == 0
        third.stop()
        [(path, _, body)] = receiver.got
        assert (path, body["status"], body["name"]) == ("/hook", "firing", "leaf")
    finally:
        receiver.close()


def test_a_silence_of_a_host_is_for_that_host_alone(pb, stub, aggregator):
    receiver = Receiver()
    try:
        push(pb, stub)
        alerts = Alerts(aggregator)
        hook = [{"url": receiver.url}]
        silence = alerts.ask("/silences", "POST", {"filter": '{host="py-host"}', "duration_s": 600})["id"]
        id = alerts.add("leaf", metric="function_share", function="leaf", threshold=0.4, min_samples=100, webhooks=hook)
        status = alerts.evaluate(id)
        assert status["state"] == "firing" and status["silenced"]
        silent = alerts.add("silent", metric="agent_silent", operator="gte", threshold=0, webhooks=hook)
        assert alerts.evaluate(silent)["silenced"]
        assert alerts.ask()["notifications"]["waiting"] == 0 and receiver.got == []
        # Another host goes silent as well.
        other = Client(pb)
        batch = other.batch(rows=1)
        batch.agent.host = "other"
        assert stub.Push(other.request(batch)).status == pb.PushResponse.STATUS_OK
        wait_for(lambda: not alerts.evaluate(silent)["silenced"] and receiver.got, "the notification")
        assert receiver.got[0][2]["name"] == "silent"
        assert alerts.evaluate(id)["silenced"]
        alerts.ask(f"/silences/{silence}", "DELETE")
        assert not alerts.evaluate(id)["silenced"]
        wait_for(lambda: len(receiver.got) == 2, "the other notification")
        with pytest.raises(urllib.error.HTTPError) as refused:
            alerts.ask("/silences", "POST", {"filter": "{host=", "duration_s": 600})
        assert refused.value.code == 400
    finally:
        receiver.close()


def test_settings_outlive_the_aggregator(aggregator, start_agent, busy):  # noqa: F811
    agent = start_agent(aggregator.grpc, "--pid", busy.pid).running()
    wait_for(lambda: agents(aggregator).get(agent.id, {}).get("settings", {}).get("control") == "on", "the agent")
    request = urllib.request.Request(
        f"{aggregator.url}/api/v1/agents/{agent.id}/settings", json.dumps({"duration_s": 600, "frequency_hz": 250}).encode(),
        {"Content-Type": "application/json"}, method="POST")
    wanted = json.load(urllib.request.urlopen(request, timeout=30))["settings"]["wanted"]
    assert agent.stop() == 0
    aggregator.stop(signal.SIGKILL)
    again = aggregator.again()
    try:
        kept = agents(again)[agent.id]["settings"]["wanted"]
        assert {k: kept[k] for k in ("frequency_hz", "until", "version")} == {
            k: wanted[k] for k in ("frequency_hz", "until", "version")}
        start_agent(again.grpc, "--pid", busy.pid).running()
        wait_for(lambda: agents(again)[agent.id]["frequency_hz"] == 250, "the agent to follow")
        urllib.request.urlopen(urllib.request.Request(
            f"{again.url}/api/v1/agents/{agent.id}/settings", method="DELETE"), timeout=30)
        wait_for(lambda: agents(again)[agent.id]["frequency_hz"] == 99, "the agent's own settings")
        again.stop(signal.SIGKILL)
        third = aggregator.again()
        assert agents(third)[agent.id]["settings"]["wanted"] is None
        third.stop()
    finally:
        if again.alive():
            again.stop()


def readyz(aggregator):
    c = http.client.HTTPConnection(aggregator.url.removeprefix("http://"), timeout=30)
    c.request("GET", "/readyz")
    answer = c.getresponse()
    return answer.status, json.load(answer)


def test_not_ready_once_the_log_is_full(pb, generated, start_aggregator):
    import grpc
    from aggregator_pb2_grpc import AggregatorStub

    a = start_aggregator("a", "--wal-bytes", "16MiB", store=("--clickhouse-url", "http://127.0.0.1:9"))
    status, body = readyz(a)
    assert (status, body["ready"], body["reason"]) == (200, True, None)
    assert body["checks"]["store"] != "ok"  # told, but the log takes everything in
    client = Client(pb)
    with grpc.insecure_channel(a.grpc, options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub = AggregatorStub(channel)
        for _ in range(400):
            batch = client.batch(rows=1)
            batch.strings.append(b"x" * 100_000)
            if stub.Push(client.request(batch), timeout=30).status != pb.PushResponse.STATUS_OK:
                break
    status, body = readyz(a)
    assert (status, body["ready"]) == (503, False)
    assert "write-ahead log is full" in body["reason"] and body["checks"]["log"] == body["reason"]
    now = a.get("/api/v1/aggregator")
    assert now["wal"]["bytes"] > 0.9 * now["wal"]["max_bytes"]
    assert not now["store"]["reached"] and now["buffer"]["lag_s"] > 0
    assert now["pushes"]["backpressure"] >= 1


def test_a_drain_answers_what_is_in_flight(pb, generated, start_aggregator):
    """Pushes while the aggregator is told to stop: each is acknowledged and stored, or not acknowledged."""
    import grpc
    from aggregator_pb2_grpc import AggregatorStub

    a = start_aggregator()
    acknowledged, errors = [], []

    def pushes():
        client = Client(pb)
        with grpc.insecure_channel(a.grpc, options=[("grpc.enable_http_proxy", 0)]) as channel:
            stub = AggregatorStub(channel)
            while True:
                try:
                    answer = stub.Push(client.request(client.batch(rows=1, start_ns=time.time_ns() - 60 * S)), timeout=20)
                except grpc.RpcError as e:
                    errors.append(e.code())
                    return
                if answer.status == pb.PushResponse.STATUS_OK:
                    acknowledged.append(2)
                elif answer.status == pb.PushResponse.STATUS_BACKPRESSURE:
                    return

    threads = [threading.Thread(target=pushes) for _ in range(4)]
    for t in threads:
        t.start()
    wait_for(lambda: len(acknowledged) > 50, "pushes")
    assert a.stop() == 0
    for t in threads:
        t.join()
    assert set(errors) <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}, errors
    again = a.again()
    try:
        total = again.get("/api/v1/flamegraph?type=cpu:samples&from=now-10m&to=now")["total"]
        assert total == sum(acknowledged)
    finally:
        again.stop()
