"""Sums by hour and day: answers stay what they were, also when the job that builds them is killed; and once the
samples have gone for want of room, the hours answer and say so. tests/system/test_crash.py kills under load."""

import signal
import time
import urllib.parse
import urllib.request
import uuid

from openapi import check_named
from test_rest_data import batch
from waiting import wait_for

HOUR = 3600
TODAY = int(time.time()) // 86400 * 86400
STARTS = [TODAY - 3 * 86400 + 5 * HOUR + 100, TODAY - 2 * 86400 + 7 * HOUR + 3590, TODAY - 86400 + 60]
ROWS = [(0, "redis", 0, 10), (20, "nginx", 1, 20)]
# A server of 2018 is to have had samples, and then their sums, for as long as the hold.
BUILDING = ("--rollup-interval", "1s", "--flush-interval", "50ms", "--clickhouse-hold", "100ms")


def push(aggregator, pb, agent, first, starts):
    import aggregator_pb2_grpc
    import grpc

    with grpc.insecure_channel(aggregator.grpc, options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub = aggregator_pb2_grpc.AggregatorStub(channel)
        for i, start in enumerate(starts):
            b = batch(pb, agent, first + i, start, ROWS)
            answer = stub.Push(pb.PushRequest(version=1, batch=b.SerializeToString()))
            assert answer.status == pb.PushResponse.STATUS_OK, answer


def metric(aggregator, name):
    with urllib.request.urlopen(aggregator.url + "/metrics", timeout=60) as answer:
        return sum(float(line.rsplit(" ", 1)[1]) for line in answer.read().decode().splitlines()
                   if line.startswith(name))


def wait_until_built(aggregator, rows):
    def built():
        tables = {t["table"]: t for t in aggregator.get("/api/v1/store")["tables"]}
        return {"samples_1h", "samples_1d"} <= set(tables) and tables["samples_1h"]["rows"] >= rows and tables

    return wait_for(built, "the sums", 120)


def flamegraph(aggregator, first, last, **more):
    query = urllib.parse.urlencode({"from": first * 1000, "to": last * 1000, "type": "cpu:samples", **more})
    return check_named("FlameGraph", aggregator.get(f"/api/v1/flamegraph?{query}"))


def assert_totals(aggregator, times):
    """Of all, of one service, of whole hours, and of a range that begins amid the first batch."""
    assert flamegraph(aggregator, TODAY - 5 * 86400, TODAY + 86400)["total"] == 90 * times
    assert flamegraph(aggregator, TODAY - 5 * 86400, TODAY, filter='{service="redis"}')["total"] == 30 * times
    assert flamegraph(aggregator, STARTS[0] // HOUR * HOUR, STARTS[0] // HOUR * HOUR + HOUR)["total"] == 30 * times
    assert flamegraph(aggregator, STARTS[0] + 10, TODAY)["total"] == 80 * times
    assert flamegraph(aggregator, STARTS[1], STARTS[1] + 12)["total"] == 10 * times


def test_answers_stay_what_they_were(store_flags, start_aggregator, pb):
    a = start_aggregator("rollup", *BUILDING, store=store_flags)
    agent = str(uuid.uuid4())
    push(a, pb, agent, 1, STARTS)
    assert_totals(a, 1)
    tables = wait_until_built(a, 6)
    assert tables["samples_1h"]["level"] == "hourly" and tables["samples_1d"]["retention_s"] == 400 * 86400
    assert_totals(a, 1)
    push(a, pb, agent, 4, STARTS)  # late
    assert_totals(a, 2)
    assert a.stop(signal.SIGKILL) == -signal.SIGKILL
    a = a.again(*BUILDING)
    assert_totals(a, 2)
    wait_until_built(a, 12)
    assert_totals(a, 2)
    a.stop()


def test_without_room_hours_answer_for_samples(start_aggregator, pb):
    a = start_aggregator("budget", *BUILDING)
    push(a, pb, str(uuid.uuid4()), 1, STARTS)
    wait_until_built(a, 6)
    tables = {t["table"]: t["bytes"] for t in a.get("/api/v1/store")["tables"]}
    a.stop()
    # The first of three days of samples makes room enough.
    budget = sum(tables.values()) - (tables["samples"] + tables["ledger"]) // 6
    a = a.again(*BUILDING, "--disk-budget", str(budget))
    wait_for(lambda: metric(a, 'aperture_store_dropped_rows_total{level="raw",reason="budget"}') >= 2,
             "samples to go", 120)
    wait_for(lambda: "before their time" in a.text(), "the log to tell of it")
    store = check_named("Store", a.get("/api/v1/store"))
    assert store["disk"]["budget_bytes"] == budget
    hour = STARTS[0] // HOUR * HOUR
    graph = flamegraph(a, STARTS[0] + 10, STARTS[0] + 15)
    assert graph["total"] == 30
    assert graph["coverage"]["range"] == {"from": hour * 1000, "to": (hour + HOUR) * 1000, "resolution_s": HOUR,
                                          "unanswered_to": None}
    graph = flamegraph(a, STARTS[0], STARTS[0] + 60, filter='{pid="1"}')
    assert graph["coverage"]["range"]["unanswered_to"] == (STARTS[0] + 60) * 1000
    a.stop()
