"""The aggregator from its start to its end, as a load balancer, a client and its own page see it."""

import json
import signal
import threading
import urllib.error
import urllib.request

import pytest
from conftest import wait_for
from crash import SpoolAgent, check, metric, metrics, wait_until_stored
from test_agent import free_port
from test_faults import faults, faults_library, fill, needs_root, small_disk  # noqa: F401

QUESTION = "/api/v1/labels?from=now-1h&to=now"


def ask(url):
    """(status, headers, text); None: nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return None


def readyz(url):
    """(status, what it says)."""
    answer = ask(url + "/readyz")
    return answer and (answer[0], json.loads(answer[2]))


def reason(url):
    """Why it is not ready; None: it is, or does not answer."""
    answer = readyz(url)
    return answer and answer[1]["reason"]


def check_pause(url, why):
    """What is answered while nothing is."""
    status, body = readyz(url)
    assert (status, body["ready"]) == (503, False)
    assert why in body["reason"] and body["checks"]["phase"] == body["reason"]
    status, headers, text = ask(url + QUESTION)
    assert status == 503 and int(headers["Retry-After"]) > 0
    assert json.loads(text)["error"]["code"] == "not_ready" and why in json.loads(text)["error"]["message"]
    assert ask(url + "/healthz")[0] == 200  # it lives, and is not to be started again
    status, _, text = ask(url + "/metrics")
    assert status == 200 and "\naperture_running 0\n" in text


def test_a_start_tells_that_it_replays_the_log(start_aggregator, tmp_path, faults):  # noqa: F811
    a = start_aggregator("a", "--flush-interval", "1m")
    agent = SpoolAgent(tmp_path / "agent", "replayed", pause_ms=0).start(a.grpc, batches=50)
    assert agent.process.wait(60) == 0
    a.stop(signal.SIGKILL)
    faults.hold_reads(True)
    url, started = f"http://127.0.0.1:{(port := free_port())}", []
    starter = threading.Thread(target=lambda: started.append(
        start_aggregator("a", "--listen", f"127.0.0.1:{port}", env=faults.env)))
    starter.start()
    try:
        wait_for(lambda: "replaying the log" in (reason(url) or ""), "the log to be read")
        check_pause(url, "replaying the log: what an earlier run took in is being read")
        assert readyz(url)[1]["checks"]["log"] == readyz(url)[1]["checks"]["store"] == "not opened yet"
    finally:
        faults.hold_reads(False)
        starter.join()
    assert readyz(url)[0] == 200
    assert "\naperture_running 1\n" in ask(url + "/metrics")[2]
    assert check(started[0], agent) > 0


def test_a_start_that_fails_leaves_no_port(start_aggregator, tmp_path):
    port = free_port()
    with pytest.raises(AssertionError, match="chdb-library"):
        start_aggregator("a", "--listen", f"127.0.0.1:{port}", "--chdb-library", tmp_path / "none")
    assert ask(f"http://127.0.0.1:{port}/readyz") is None


@needs_root
def test_not_ready_while_the_disk_is_full(start_aggregator, small_disk, tmp_path):  # noqa: F811
    disk = small_disk("a", "200m")
    a = start_aggregator("a")
    assert readyz(a.url)[0] == 200
    filler = fill(disk)
    status, body = readyz(a.url)
    assert (status, body["ready"]) == (503, False)
    assert "disk is full" in body["reason"] == body["checks"]["disk"]
    assert ask(a.url + QUESTION)[0] == 200  # what is stored can be read
    filler.unlink()
    assert readyz(a.url)[0] == 200


def test_a_stop_tells_that_it_stores_what_has_arrived(start_aggregator, start_clickhouse, tmp_path):
    server = start_clickhouse()
    a = start_aggregator("a", "--flush-interval", "50ms", store=server.flags)
    agent = SpoolAgent(tmp_path / "agent", "drained").start(a.grpc)
    wait_for(lambda: metric(a, "aperture_clickhouse_flush_rows_total") > 0, "rows")
    server.pause()
    agent.finish()
    assert metrics(a)["aperture_clickhouse_pending_rows"] > 0
    a.process.send_signal(signal.SIGTERM)
    try:
        wait_for(lambda: "stopping" in (reason(a.url) or ""), "the stop")
        check_pause(a.url, "stopping")
    finally:
        server.resume()
    assert a.process.wait(60) == 0, a.text()
    a = a.again()
    try:
        assert check(a, agent) == int(server.ask("SELECT sum(count) FROM samples")) > 0
    finally:
        a.stop()


def test_rows_of_the_run_before_are_told_from_those_pushed(start_aggregator, tmp_path):
    """What is stored since the start is what came since then and what the log held."""
    a = start_aggregator("a", "--flush-interval", "1m")
    agent = SpoolAgent(tmp_path / "agent", "restored", pause_ms=0).start(a.grpc, batches=20)
    assert agent.process.wait(60) == 0
    before = metric(a, "aperture_push_events_total")
    a.stop(signal.SIGKILL)
    a = start_aggregator("a")
    agent = SpoolAgent(tmp_path / "other", "pushed", pause_ms=0).start(a.grpc, batches=10)
    assert agent.process.wait(60) == 0
    wait_until_stored(a)
    now = a.get("/api/v1/aggregator")
    assert now["buffer"]["restored_rows"] == before > 0
    assert now["pushes"]["rows"] > 0
    assert now["store"]["rows"] == now["pushes"]["rows"] + now["buffer"]["restored_rows"]
