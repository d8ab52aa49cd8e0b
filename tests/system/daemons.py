"""The agent and the aggregator as programs that run until they are told to stop."""

import json
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

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

    successor = None  # which again() has started

    def __init__(self, folder, *args, store=(), **kwargs):
        self.folder, self.store = Path(folder), store
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = self.folder / "ports.json"
        ports.unlink(missing_ok=True)
        super().__init__(
            [*self.command, "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--data-dir",
             self.folder / "data", "--ports-file", ports, *store, *args],
            self.folder / "aggregator.log", **kwargs)
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

    def stages(self, agent):
        """The stages of an agent's ledger, by name."""
        return {s["stage"]: s for s in self.get(f"/api/v1/ledger?agent={agent.id}")["stages"]}

    def again(self, *args, **kwargs):
        """Another aggregator on the same data; this one must have been stopped."""
        self.successor = Aggregator(self.folder, *args, store=self.store, **kwargs)
        return self.successor


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


def metrics_of(port):
    """An agent's own, by name and labels, and their text."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = answer.read().decode()
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
