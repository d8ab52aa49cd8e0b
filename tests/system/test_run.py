"""`make run`'s script as a user meets it: a dashboard's address, real profiles, a clean stop, and
the earlier data still there the next time."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(condition, seconds, what):
    """The first true value of `condition`, tried until the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    pytest.fail(f"{what}: not within {seconds} s")


class Run:
    """One run of tools/run.sh on free ports, profiling only process `pid`."""

    def __init__(self, folder, pid):
        self.port = free_port()
        env = dict(os.environ, HTTP=str(self.port), GRPC=str(free_port()), METRICS=str(free_port()),
                   RUN_DIR=os.path.relpath(folder, ROOT),
                   AGENT_ARGS=f"--pid {pid}")
        self.log = open(folder / "run.log", "ab")
        self.process = subprocess.Popen([ROOT / "tools/run.sh"], env=env, stdout=self.log,
                                        stderr=self.log, start_new_session=True)

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as r:
                return json.load(r)
        except OSError:
            assert self.process.poll() is None, "run.sh ended by itself"
            return None

    def total(self):
        answer = self.get("/api/v1/flamegraph?from=now-1h&to=now")
        return answer["total"] if answer else 0

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture
def spinner():
    process = subprocess.Popen(["sh", "-c", "while :; do :; done"])
    yield process.pid
    process.kill()
    process.wait()


def children_of(folder):
    """Processes whose command line names the run's folder."""
    out = []
    for d in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (d / "cmdline").read_bytes():
                out.append(int(d.name))
        except OSError:
            pass
    return out


def test_run_shows_profiles_and_keeps_them(tmp_path, spinner):
    first = Run(tmp_path, spinner)
    until(first.total, 30, "a first profile")
    services = first.get("/api/v1/services?from=now-1h&to=now")
    assert services["total_value"] > 0
    assert services["coverage"]["hosts_reporting"] == 1
    assert first.stop() == 0
    assert children_of(tmp_path) == []
    kept = (tmp_path / "run.log").read_text()
    assert f"http://127.0.0.1:{first.port}/" in kept

    until_ms = int(time.time() * 1000)
    second = Run(tmp_path, spinner)
    earlier = until(lambda: second.get(f"/api/v1/flamegraph?from=now-1h&to={until_ms}"),
                    10, "an answer after the restart")
    assert earlier["total"] > 0
    assert second.stop() == 0
