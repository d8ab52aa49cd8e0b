"""What one agent may cost: rate, labels and the size of a message; each refusal is counted and nothing is lost."""

import time

import grpc
import pytest

from conftest import wait_for
from test_grpc import Client, hour, paths


def counters(aggregator):
    import urllib.request

    with urllib.request.urlopen(f"{aggregator.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def labelled(client, pods):
    """A batch with a row for each pod."""
    b = client.batch(len(pods))
    first = len(b.strings) + 1  # 0 is ""
    b.strings.extend([b"pod", *(p.encode() for p in pods)])
    del b.label_sets[:]
    for i in range(len(pods)):
        b.label_sets.add(key=[7, 5, first], value=[8, 6, first + 1 + i])
    b.samples.label_set[:] = range(1, len(pods) + 1)
    return b


@pytest.fixture
def start(start_aggregator, generated):
    channels = []

    def begin(*args):
        import aggregator_pb2_grpc

        a = start_aggregator("aggregator", *args)
        channels.append(grpc.insecure_channel(a.grpc, options=[
            ("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)]))
        return a, aggregator_pb2_grpc.AggregatorStub(channels[-1])

    yield begin
    for c in channels:
        c.close()


def values(aggregator):
    return {v["value"] for v in aggregator.get("/api/v1/label-values?label=pod&from=now-1h&to=now")["values"]}


def test_values_beyond_the_limit_are_others_and_sums_stay(start, pb):
    a, stub = start("--max-label-values", "3", "--flush-interval", "60s")
    client = Client(pb)
    pods = [f"pod-{i}" for i in range(10)]
    assert stub.Push(client.request(labelled(client, pods))).status == pb.PushResponse.STATUS_OK
    shown = values(a)
    assert "(other)" in shown and len(shown - {"(other)"}) == 3
    tree = paths(stub.Aggregate(hour(pb, type="cpu:samples")).tree)
    assert sum(total for path, (total, _) in tree.items() if path == "main") == 20
    assert counters(a)['aperture_labels_cut_total{how="folded"}'] == 7
    # What is read back from the write-ahead log after a kill is within the limit as well.
    a.process.kill()
    a.process.wait()
    again = a.again("--max-label-values", "3")
    try:
        assert values(again) == shown
        assert again.get("/api/v1/ledger")["coverage"]["lost"] == 0
    finally:
        again.stop()


def test_surplus_labels_are_left_out(start, pb):
    a, stub = start("--max-labels", "12")
    client = Client(pb)
    b = client.batch(4)
    first = len(b.strings) + 1  # 0 is ""
    b.strings.extend(f"l{i:02}".encode() for i in range(20))
    b.label_sets[0].key.extend(range(first, first + 20))
    b.label_sets[0].value.extend([6] * 20)
    assert stub.Push(client.request(b)).status == pb.PushResponse.STATUS_OK
    labels = set(a.get("/api/v1/labels?from=now-1h&to=now")["labels"])
    assert {"service", "host", "l00", "l09"} <= labels and not labels & {"l10", "l19"}
    assert counters(a)['aperture_labels_cut_total{how="dropped"}'] == 40


def test_an_agent_that_pushes_too_much_is_told_to_wait(start, pb):
    a, stub = start("--agent-rate", "1000")
    busy, other = Client(pb), Client(pb)
    request = busy.request(busy.batch(1))
    first = stub.Push(request)
    assert first.status == pb.PushResponse.STATUS_OK
    for _ in range(20):
        refused = busy.request(busy.batch(1))
        answer = stub.Push(refused)
        if answer.status != pb.PushResponse.STATUS_OK:
            break
    assert answer.status == pb.PushResponse.STATUS_BACKPRESSURE and answer.retry_after_ms > 0
    assert stub.Push(other.request(other.batch(1))).status == pb.PushResponse.STATUS_OK
    deadline = time.monotonic() + 60
    while stub.Push(refused).status == pb.PushResponse.STATUS_BACKPRESSURE:  # as the agent does
        assert time.monotonic() < deadline
        time.sleep(answer.retry_after_ms / 1000)
    assert counters(a)['aperture_limit_refused_total{limit="agent_rate"}'] >= 1
    assert "--agent-rate" in answer.text


def test_messages_have_a_largest_size(start, pb):
    a, stub = start("--max-message", "1MiB")
    client = Client(pb)
    with pytest.raises(grpc.RpcError) as e:
        stub.Push(pb.PushRequest(version=1, batch=b"x" * (2 << 20)))
    assert e.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    wait_for(lambda: counters(a)['aperture_limit_refused_total{limit="message_size"}'] == 1, "the count")
    assert stub.Push(client.request(client.batch())).status == pb.PushResponse.STATUS_OK
