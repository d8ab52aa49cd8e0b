"""What the system tests share: the built programs, an aggregator of a test's own, and a gRPC client
generated from proto/. Everything started here is ended by its pid."""

import sys

import pytest

import clickhouse
import cluster
import proxy
from daemons import AGENT, AGGREGATOR, BUILD, CHDB, ROOT, Agent, Aggregator, Program, environment  # noqa: F401
from waiting import wait_for  # noqa: F401


@pytest.fixture
def start_aggregator(tmp_path):
    """Starts aggregators (of folder names) that end with the test."""
    started = []

    def start(name="aggregator", *args, store=(), **kwargs):
        started.append(Aggregator(tmp_path / name, *args, store=store, **kwargs))
        return started[-1]

    yield start
    for a in started:
        while a:
            if a.alive():
                a.stop()
            a = a.successor


@pytest.fixture
def start_agent(tmp_path):
    started = []

    def start(server, *args, name="agent", **kwargs):
        started.append(Agent(tmp_path / name, server, *args, **kwargs))
        return started[-1]

    yield start
    for a in started:
        if a.alive():
            a.stop()


@pytest.fixture
def start_clickhouse(tmp_path):
    if not clickhouse.PROGRAM:
        pytest.skip("clickhouse-server is not installed")
    started = []

    def start(name="clickhouse", **kwargs):
        started.append(clickhouse.ClickHouse(tmp_path / name, **kwargs))
        return started[-1].start()

    yield start
    for c in started:
        c.stop()


@pytest.fixture
def start_cluster(tmp_path):
    if not clickhouse.PROGRAM:
        pytest.skip("clickhouse-server is not installed")
    if not cluster.JAVA or not cluster.JAR.exists():
        pytest.skip("zookeeper is not installed")
    started = []

    def start(**kwargs):
        started.append(cluster.Cluster(tmp_path / f"cluster{len(started)}", **kwargs))
        return started[-1]

    yield start
    for c in started:
        c.stop()


@pytest.fixture
def start_proxy():
    started = []

    def start(server):
        started.append(proxy.Proxy(server))
        return started[-1]

    yield start
    for p in started:
        p.close()


@pytest.fixture
def aggregator(start_aggregator):
    return start_aggregator()


@pytest.fixture(params=["embedded", "server"])
def store_flags(request):
    """For tests that are to pass on either store: an aggregator's flags."""
    return request.getfixturevalue("start_clickhouse")().flags if request.param == "server" else ()


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    """The Python modules that protoc makes of our .proto files, as any user's client would."""
    from grpc_tools import protoc

    out = tmp_path_factory.mktemp("proto")
    for folder, name in (("aperture/v1", "aggregator"), ("grpc/health/v1", "health")):
        assert protoc.main(["protoc", f"-I{ROOT / 'proto' / folder}", f"--python_out={out}",
                            f"--grpc_python_out={out}", f"{name}.proto"]) == 0
    sys.path.insert(0, str(out))
    yield out
    sys.path.remove(str(out))


@pytest.fixture(scope="session")
def pb(generated):
    import aggregator_pb2

    return aggregator_pb2


@pytest.fixture
def channel(aggregator):
    import grpc

    with grpc.insecure_channel(aggregator.grpc, options=[
            ("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1),
            ("grpc.enable_http_proxy", 0)]) as c:
        yield c


@pytest.fixture
def stub(generated, channel):
    import aggregator_pb2_grpc

    return aggregator_pb2_grpc.AggregatorStub(channel)
