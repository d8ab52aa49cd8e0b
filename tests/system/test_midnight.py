"""A batch over midnight UTC: an insert is of one day, so it is stored in parts. Every second keeps its own
rows and each is counted once, from the buffer, from the log of a killed aggregator, and from the store."""

import signal
import time
import urllib.parse
import uuid

import pytest
from openapi import check_named
from test_rest_data import INDEX, PERIOD, batch

MIDNIGHT = int(time.time()) // 86400 * 86400
START, END = MIDNIGHT - 5, MIDNIGHT + 5
SAMPLES = {START + i: i + 1 for i in range(10)}  # by second
CALLS = {MIDNIGHT + 2: 5, MIDNIGHT - 1: 2}  # not in the order of time
UNTIL_STOPPED = ("--flush-interval", "60s")  # when the store has it


def add_calls(b, calls):
    b.strings.append(b"x86-64")
    at = 0
    for second, count in calls.items():
        b.syscalls.time_delta_ns.append(second * 10**9 - at)
        at = second * 10**9
        b.syscalls.label_set.append(1)
        b.syscalls.name.append(INDEX["read"])
        b.syscalls.abi.append(len(b.strings))
        b.syscalls.count.append(count)
        b.syscalls.sum_ns.append(count * 1000)
        b.syscalls.max_ns.append(1000)
        b.syscalls.in_flight.append(0)
        b.syscalls.oldest_ns.append(0)
        b.syscalls.buckets.append(1)
        b.syscalls.errors.append(0)
        b.syscalls.bucket.append(63)  # of 1000 ns
        b.syscalls.bucket_count.append(count)


class Stored:
    """An aggregator that has taken one batch, and flushes when it stops."""

    def __init__(self, start_aggregator, pb, rows, calls):
        import aggregator_pb2_grpc
        import grpc

        b = batch(pb, str(uuid.uuid4()), 1, START, [(s - START, "redis", 0, n) for s, n in rows.items()])
        add_calls(b, calls)
        self.aggregator = start_aggregator("midnight", *UNTIL_STOPPED)
        with grpc.insecure_channel(self.aggregator.grpc,
                                   options=[("grpc.enable_http_proxy", 0)]) as channel:
            stub = aggregator_pb2_grpc.AggregatorStub(channel)
            answer = stub.Push(pb.PushRequest(version=1, batch=b.SerializeToString()))
        assert answer.status == pb.PushResponse.STATUS_OK, answer

    def each_way(self):
        """Where the answers come from, one after the other."""
        yield "buffer"
        for place, sig in (("log", signal.SIGKILL), ("store", signal.SIGTERM)):
            assert self.aggregator.stop(sig) == (0 if sig == signal.SIGTERM else -sig)
            self.aggregator = self.aggregator.again(*UNTIL_STOPPED)
            yield place

    def get(self, path, schema, first, last, **more):
        query = urllib.parse.urlencode({"from": first * 1000, "to": last * 1000, **more})
        return check_named(schema, self.aggregator.get(f"{path}?{query}"))

    def series(self, first, last, step):
        answer = self.get("/api/v1/series", "Series", first, last, step=f"{step}s")
        return dict(zip((t // 1000 for t in answer["times"]), answer["series"][0]["values"]))

    def calls(self, first, last, **more):
        return self.get("/api/v1/syscalls", "Syscalls", first, last, **more)


@pytest.fixture
def stored(start_aggregator, pb):
    running = []

    def start(rows, calls):
        running.append(Stored(start_aggregator, pb, rows, calls))
        return running[0]

    yield start
    for s in running:
        s.aggregator.stop()


def assert_each_second_once(s):
    seconds = range(START - 2, END + 2)
    expected = {t: SAMPLES[t] * PERIOD if t in SAMPLES else None for t in seconds}
    assert s.series(START - 2, END + 2, 1) == expected
    for t in seconds:
        graph = s.get("/api/v1/flamegraph", "FlameGraph", t, t + 1)
        assert graph["total"] == (expected[t] or 0)
        assert graph["coverage"]["samples"] == SAMPLES.get(t, 0)
    assert s.series(MIDNIGHT - 3600, MIDNIGHT + 3600, 3600) == {
        MIDNIGHT - 3600: 15 * PERIOD, MIDNIGHT: 40 * PERIOD}
    days = s.series(MIDNIGHT - 86400, MIDNIGHT + 86400, 86400)
    assert days == {MIDNIGHT - 86400: 15 * PERIOD, MIDNIGHT: 40 * PERIOD}


def assert_each_call_once(s):
    assert [s.calls(*span)["count"] for span in ((START, MIDNIGHT), (MIDNIGHT, END), (START, END))] == \
        [2, 5, 7]
    both = s.calls(START, END, step="1s")
    counts = dict(zip(both["series"]["times"], both["series"]["count"]))
    assert counts == {t * 1000: CALLS.get(t, 0) for t in range(START, END)}
    assert both["covered_s"] == 10
    assert both["coverage"]["lost"] == 0


def test_every_second_of_a_batch_over_midnight_is_counted_once(stored):
    s = stored(SAMPLES, CALLS)
    for _ in s.each_way():
        assert_each_second_once(s)
        assert_each_call_once(s)
    day = time.strftime("%Y-%m-%d", time.gmtime(MIDNIGHT - 1))
    assert s.aggregator.get("/api/v1/store")["oldest_day"] == day


def test_time_before_midnight_without_rows_is_covered(stored):
    """No rows of the old day: nothing ran then, which is not the same as nothing being known."""
    s = stored({MIDNIGHT + 1: 3}, {MIDNIGHT + 2: 5})
    for _ in s.each_way():
        values = s.series(START - 2, END, 1)
        assert values == {t: None if t < START else 3 * PERIOD if t == MIDNIGHT + 1 else 0
                          for t in range(START - 2, END)}
        assert s.calls(START, MIDNIGHT)["covered_s"] == 5
