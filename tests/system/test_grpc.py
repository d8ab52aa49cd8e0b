"""A client in another language, generated from proto/, against the real aggregator: what it pushes
is what it reads back; what is wrong is refused precisely and harms nothing."""

import itertools
import time
import uuid

import grpc
import pytest

from conftest import wait_for

MS = 1_000_000
S = 1_000_000_000


class Client:
    """Makes batches of one agent."""

    def __init__(self, pb):
        self.pb = pb
        self.id = str(uuid.uuid4())
        self.sequence = itertools.count(1)

    def batch(self, rows=10, service="python", start_ns=None):
        """main;work and main;work;leaf in turn, one row a second, 2 periods and 20 ms each."""
        start = start_ns if start_ns is not None else time.time_ns() - 120 * S
        pb = self.pb
        b = pb.Batch(
            agent=pb.Agent(id=self.id, host="py-host", version="0.0.1", kernel="6.1", cpus=4, arch="x86_64"),
            epoch=1, sequence=next(self.sequence), start_time_ns=start, end_time_ns=start + max(rows, 1) * S,
            period_ns=10 * MS,
            strings=[b"/usr/bin/app", b"main", b"work", b"leaf", b"service", service.encode(), b"host", b"py-host"],
            mappings=[pb.Mapping(path=1)],
            functions=[pb.Function(name=n) for n in (2, 3, 4)],
            frames=pb.Frames(mapping=[1] * 3, offset=[16, 32, 48], function=[1, 2, 3], line=[0] * 3,
                             inline_index=[0] * 3, kind=[0] * 3),
            stacks=pb.Stacks(depth=[2, 3], reason=[0, 9], frames=[1, 2, 1, 2, 3]),
            label_sets=[pb.LabelSet(key=[7, 5], value=[8, 6])],
            samples=pb.Samples(time_delta_ns=[start] + [S] * (rows - 1) if rows else [], event=[1] * rows,
                               label_set=[1] * rows, stack=[1 + i % 2 for i in range(rows)],
                               count=[2] * rows, value=[20 * MS] * rows),
            ledger=[pb.LedgerEntry(id=0, count=100), pb.LedgerEntry(id=3, count=40)],
            stack_reasons=[pb.StackReason(reason=0, count=rows), pb.StackReason(reason=9, count=rows)],
            status=pb.AgentStatus(cpu_user_ns=1, frequency_hz=99, modes=["cpu"]))
        return b

    def request(self, batch):
        return self.pb.PushRequest(version=1, batch=batch.SerializeToString())


@pytest.fixture
def client(pb):
    return Client(pb)


def hour(pb, **kwargs):
    """A question about the last hour."""
    now = time.time_ns() // MS
    return pb.QueryRequest(from_ms=now - 3_600_000, to_ms=now + 60_000, **kwargs)


def paths(tree):
    """{"main;work": (total, self)} from the preorder columns."""
    out, stack = {}, []
    for i, depth in enumerate(tree.depth):
        del stack[depth:]
        stack.append(tree.strings[tree.name[i]].decode())
        out[";".join(stack[1:])] = (tree.total[i], tree.self[i])
    return out


def test_what_is_pushed_is_queried_exactly(pb, stub, client):
    batch = client.batch(rows=10)
    assert stub.Push(client.request(batch)).status == pb.PushResponse.STATUS_OK
    answer = stub.Aggregate(hour(pb, type="cpu:samples", filter='{service="python"}'))
    assert paths(answer.tree) == {"": (20, 0), "main": (20, 0), "main;work": (20, 10), "main;work;leaf": (10, 10)}
    assert answer.tree.unit == "samples"
    assert answer.coverage.samples == 20
    assert answer.coverage.hosts_reporting == 1
    assert answer.coverage.complete_share == pytest.approx(0.5)
    answer = stub.Aggregate(hour(pb, type="cpu:nanoseconds", filter='{host="py-host"}'))
    assert answer.tree.total[0] == 10 * 20 * MS
    assert stub.Aggregate(hour(pb, filter='{service="other"}')).tree.total[0] == 0


def test_buffer_and_store_hold_each_sample_once(pb, stub, client):
    """While batches go from the buffer to the store, their union stays exact."""
    pushed = 0
    for _ in range(30):
        assert stub.Push(client.request(client.batch(rows=20))).status == pb.PushResponse.STATUS_OK
        pushed += 40
        assert stub.Aggregate(hour(pb, type="cpu:samples")).tree.total[0] == pushed
    wait_for(lambda: stub.QueryStorage(hour(pb, type="cpu:samples")).tree.total[0] == pushed, "the store to have all")
    assert stub.Aggregate(hour(pb, type="cpu:samples")).tree.total[0] == pushed


def test_a_batch_pushed_twice_counts_once(pb, stub, client):
    request = client.request(client.batch())
    assert stub.Push(request).status == pb.PushResponse.STATUS_OK
    assert stub.Push(request).status == pb.PushResponse.STATUS_DUPLICATE
    assert stub.Aggregate(hour(pb, type="cpu:samples")).tree.total[0] == 20


def test_a_comparison_has_both_sides(pb, stub, client):
    now = time.time_ns()
    stub.Push(client.request(client.batch(rows=10, start_ns=now - 1800 * S)))
    stub.Push(client.request(client.batch(rows=4, start_ns=now - 60 * S)))
    split = (now - 600 * S) // MS
    a = pb.QueryRequest(from_ms=split - 3_000_000, to_ms=split, type="cpu:samples")
    b = pb.QueryRequest(from_ms=split, to_ms=now // MS + 1000, type="cpu:samples")
    answer = stub.Diff(pb.DiffRequest(a=a, b=b))
    assert (answer.total_a[0], answer.tree.total[0]) == (20, 8)
    assert len(answer.total_a) == len(answer.self_a) == len(answer.tree.total)


WRONG = {
    "stack index": (lambda b: b.samples.stack.__setitem__(3, 90), "samples.stack[3] is 90 but the batch has 2 stacks"),
    "string index": (lambda b: setattr(b.functions[0], "name", 99), "functions.name[0] is 99"),
    "frame index": (lambda b: b.stacks.frames.__setitem__(4, 7), "stacks.frames[4] is 7"),
    "columns": (lambda b: b.samples.count.pop(), "samples.count has 9 entries but samples.time_delta_ns has 10"),
    "reversed": (lambda b: setattr(b, "end_time_ns", b.start_time_ns - 1), "end_time_ns"),
    "agent id": (lambda b: setattr(b.agent, "id", "me"), "agent.id is not a UUID"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_batch_is_refused_with_the_field(pb, stub, client, name):
    change, text = WRONG[name]
    batch = client.batch()
    change(batch)
    answer = stub.Push(client.request(batch))
    assert answer.status == pb.PushResponse.STATUS_ERROR
    assert answer.code == pb.PushResponse.CODE_INVALID_ARGUMENT
    assert text in answer.text
    assert stub.Push(client.request(client.batch())).status == pb.PushResponse.STATUS_OK
    assert stub.Aggregate(hour(pb, type="cpu:samples")).tree.total[0] == 20


def test_bad_input_leaves_the_good_data_alone(pb, stub, channel, client):
    good = client.request(client.batch())
    assert stub.Push(good).status == pb.PushResponse.STATUS_OK
    raw = channel.unary_unary("/aperture.aggregator.v1.Aggregator/Push",
                              response_deserializer=pb.PushResponse.FromString)
    assert raw(b"\xff\xff\xff\xffgarbage").code == pb.PushResponse.CODE_MALFORMED
    answer = stub.Push(pb.PushRequest(version=2, batch=good.batch))
    assert answer.code == pb.PushResponse.CODE_UNSUPPORTED_VERSION
    assert "upgrade the aggregator" in answer.text
    answer = stub.Push(client.request(client.batch(start_ns=time.time_ns() + 3600 * S)))
    assert answer.code == pb.PushResponse.CODE_TOO_NEW
    answer = stub.Push(client.request(client.batch(start_ns=time.time_ns() - 30 * 86400 * S)))
    assert answer.code == pb.PushResponse.CODE_TOO_OLD
    answer = stub.Push(pb.PushRequest(version=1, encoding=1, raw_size=1 << 40, batch=b"\x28\xb5\x2f\xfd" + bytes(16)))
    assert answer.status == pb.PushResponse.STATUS_ERROR
    with pytest.raises(grpc.RpcError) as e:
        stub.Push(pb.PushRequest(version=1, batch=bytes(100 << 20)))
    assert e.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    # Unknown fields are nothing to complain about: field 1000, a varint.
    extended = client.request(client.batch()).SerializeToString() + b"\xc0\x3e\x07"
    assert raw(extended).status == pb.PushResponse.STATUS_OK
    assert stub.Aggregate(hour(pb, type="cpu:samples")).tree.total[0] == 40


def test_wrong_questions_name_what_is_wrong(pb, stub):
    def refused(call, *args):
        with pytest.raises(grpc.RpcError) as e:
            call(*args)
        assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        return e.value.details()

    assert "cpu:apples" in refused(stub.Aggregate, hour(pb, type="cpu:apples"))
    assert "filter" in refused(stub.Aggregate, hour(pb, filter="{service="))
    assert "from_ms" in refused(stub.Query, pb.QueryRequest())
    assert "max_nodes" in refused(stub.Query, hour(pb, max_nodes=1))
    assert "a.from_ms" in refused(stub.Diff, pb.DiffRequest(a=pb.QueryRequest(), b=hour(pb)))


def test_max_nodes_folds_with_exact_sums(pb, stub, client):
    stub.Push(client.request(client.batch()))
    tree = stub.Aggregate(hour(pb, type="cpu:samples", max_nodes=3)).tree
    assert len(tree.total) <= 3
    assert tree.total[0] == 20
    assert tree.folded_nodes > 0


def test_data_survives_a_restart(pb, generated, start_aggregator, client):
    import aggregator_pb2_grpc

    def stub_of(a):
        return aggregator_pb2_grpc.AggregatorStub(
            grpc.insecure_channel(a.grpc, options=[("grpc.enable_http_proxy", 0)]))

    first = start_aggregator()
    assert stub_of(first).Push(client.request(client.batch())).status == pb.PushResponse.STATUS_OK
    assert first.stop() == 0
    second = start_aggregator("aggregator")
    assert stub_of(second).Aggregate(hour(pb, type="cpu:samples")).tree.total[0] == 20
    assert stub_of(second).Push(client.request(client.batch())).status == pb.PushResponse.STATUS_OK
    assert stub_of(second).Aggregate(hour(pb, type="cpu:samples")).tree.total[0] == 40


def test_health_is_reported_and_watched(generated, aggregator, channel):
    import health_pb2
    import health_pb2_grpc

    health = health_pb2_grpc.HealthStub(channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    assert health.Check(health_pb2.HealthCheckRequest()).status == serving
    ours = health_pb2.HealthCheckRequest(service="aperture.aggregator.v1.Aggregator")
    assert health.Check(ours).status == serving
    with pytest.raises(grpc.RpcError) as e:
        health.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert e.value.code() == grpc.StatusCode.NOT_FOUND
    # Watchers hear the state at once, give up in any order, and hear the end.
    for _ in range(5):
        watch = health.Watch(ours)
        assert next(watch).status == serving
        watch.cancel()
    watch = health.Watch(ours)
    assert next(watch).status == serving
    unknown = health.Watch(health_pb2.HealthCheckRequest(service="nobody"))
    assert next(unknown).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    assert aggregator.stop() == 0
    states = []
    with pytest.raises(grpc.RpcError) as e:
        for answer in watch:
            states.append(answer.status)
    assert e.value.code() == grpc.StatusCode.UNAVAILABLE
    assert serving not in states
