"""What the system tests share: the built programs, an aggregator of a test's own, and a gRPC client
generated from proto/. Everything started here is ended by its pid."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("AP_BUILD", ROOT / "build/release"))
CHDB = Path(os.environ.get(
    "AP_CHDB_LIBRARY", ROOT / "deps/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"))
AGENT = BUILD / "src/agent/aperture-agent"
AGGREGATOR = BUILD / "src/aggregator/aperture-aggregator"


def environment():
    """This process's, without settings of its own for Aperture."""
    return {k: v for k, v in os.environ.items() if not k.startswith("APERTURE_")}


class Program:
    """A program of ours that runs until it is told to stop, with its log in a file."""

    def __init__(self, args, log, **kwargs):
        self.args = [str(a) for a in args]
        self.log = log
        kwargs.setdefault("env", environment())
        with open(log, "wb") as out:
            self.process = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **kwargs)

    def text(self):
        return self.log.read_text(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def stop(self, sig=signal.SIGTERM, seconds=60):
        """Its exit status."""
        if self.alive():
            self.process.send_signal(sig)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.args[0]} did not stop:\n{self.text()}") from None


class Aggregator(Program):
    """aperture-aggregator on free ports; its data folder is the caller's, so that it can be started
    again on the same data."""

    command = [AGGREGATOR, "--chdb-library", CHDB]

    def __init__(self, folder, *args):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = self.folder / "ports.json"
        ports.unlink(missing_ok=True)
        super().__init__(
            [*self.command, "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--data-dir",
             self.folder / "data", "--ports-file", ports, *args],
            self.folder / "aggregator.log")
        try:
            wait_for(lambda: ports.exists() or not self.alive(), "the aggregator")
            if not ports.exists():
                raise AssertionError(f"the aggregator ended:\n{self.text()}")
            self.ports = json.loads(ports.read_text())
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.grpc = f"127.0.0.1:{self.ports['grpc']}"
        self.url = f"http://127.0.0.1:{self.ports['http']}"

    def get(self, path):
        """The JSON at a path of the REST API."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def again(self, *args):
        """Another aggregator on the same data; this one must have been stopped."""
        return Aggregator(self.folder, *args)


class Agent(Program):
    def __init__(self, folder, server, *args, prefix=(), **kwargs):
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(
            [*prefix, AGENT, "--server", server, "--state-dir", folder / "state", "--metrics-listen", "off",
             "--flush-interval", "500ms", *args], folder / "agent.log", **kwargs)

    def running(self):
        wait_for(lambda: "profiling" in self.text() or not self.alive(), "the agent to run")
        assert self.alive(), self.text()
        return self

    @property
    def id(self):
        return re.search(r"agent ([0-9a-f-]{36})", self.text()).group(1)


@pytest.fixture
def start_aggregator(tmp_path):
    """Starts aggregators (of folder names) that end with the test."""
    started = []

    def start(name="aggregator", *args):
        started.append(Aggregator(tmp_path / name, *args))
        return started[-1]

    yield start
    for a in started:
        if a.alive():
            a.stop()


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
def aggregator(start_aggregator):
    return start_aggregator()


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
