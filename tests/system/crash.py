"""Agents whose samples are known, and what an aggregator says that it has of them."""

import os
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

from daemons import ROOT, environment
from waiting import wait_for

PROGRAM = Path(os.environ.get("AP_TEST_BUILD", ROOT / "build/debug")) / "tests/system/spool_agent"
DAY_MS = 86_400_000
DRAIN_SECONDS = 330  # spool_agent gives up before


class SpoolAgent:
    """An agent that can be killed at any moment and goes on where it was; see spool_agent.c."""

    def __init__(self, folder, service, pause_ms=10):
        self.folder, self.service, self.pause_ms = Path(folder), service, pause_ms
        self.folder.mkdir(parents=True)
        self.log = self.folder / "log"
        self.log.touch()
        self.process = None

    def start(self, server, batches=10**9, **kwargs):
        kwargs.setdefault("env", environment())
        with open(self.folder / "errors", "ab") as errors:
            self.process = subprocess.Popen(
                [PROGRAM, server, self.folder / "state", self.log, self.service, str(batches), str(self.pause_ms)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, **kwargs)
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.alive():
            self.process.kill()
            self.process.wait()

    def finish(self):
        """Makes no more batches and has all acknowledged: nothing will be sent again."""
        self.process.terminate()
        assert self.process.wait(DRAIN_SECONDS) == 0, (self.folder / "errors").read_text(errors="replace")

    def drain(self, server, status=0):
        """Sends all that is left. The status is 1 where some of it was refused or is still on disk."""
        self.start(server, batches=0)
        assert self.process.wait(DRAIN_SECONDS) == status, (self.folder / "errors").read_text(errors="replace")

    def batches(self):
        """{(epoch, sequence): {leaf: count}} of batches that are on disk for certain, and of those that may be."""
        begun, done = {}, set()
        for line in self.log.read_text().splitlines():
            kind, epoch, sequence, *leaves = line.split()
            if kind == "i":
                begun[epoch, sequence] = {k: int(v) for k, v in (leaf.split("=") for leaf in leaves)}
            else:
                done.add((epoch, sequence))
        return {k: v for k, v in begun.items() if k in done}, {k: v for k, v in begun.items() if k not in done}


def export(aggregator, service, now_s=None):
    """{leaf: count} of everything that the aggregator has of this service."""
    now = int((now_s or time.time()) * 1000)
    query = urllib.parse.urlencode({"from": now - 7 * DAY_MS, "to": now + 60_000, "type": "cpu:samples",
                                    "filter": f'{{service="{service}"}}'})
    with urllib.request.urlopen(f"{aggregator.url}/api/export/collapsed?{query}", timeout=120) as answer:
        lines = answer.read().decode().splitlines()
    counts = {}
    for line in lines:
        frames, count = line.rsplit(" ", 1)
        leaf = frames.split(";")[-1]
        counts[leaf] = counts.get(leaf, 0) + int(count)
    return counts


def metrics(aggregator):
    """By name and labels."""
    with urllib.request.urlopen(aggregator.url + "/metrics", timeout=60) as answer:
        text = answer.read().decode()
    return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")}


def metric(aggregator, name):
    return int(metrics(aggregator)[name])


def wait_until_stored(aggregator):
    wait_for(lambda: metric(aggregator, "aperture_clickhouse_pending_rows") == 0, "all to be stored", 300)


def missing(aggregator, agent):
    """The sum of samples that are on disk for certain and not stored."""
    sure, _ = agent.batches()
    stored = export(aggregator, agent.service)
    return sum(count - stored.get(leaf, 0) for leaves in sure.values() for leaf, count in leaves.items())


def check(aggregator, agent, hint=""):
    """Each batch that is on disk was stored once, each that may be once or not at all, and nothing else.
    The sum of samples."""
    sure, perhaps = agent.batches()
    stored = export(aggregator, agent.service)
    want = {leaf: count for leaves in sure.values() for leaf, count in leaves.items()}
    for leaves in perhaps.values():
        if any(leaf in stored for leaf in leaves):
            want |= leaves
    wrong = {k: (want.get(k), stored.get(k)) for k in want.keys() | stored.keys() if want.get(k) != stored.get(k)}
    assert not wrong, f"{hint}, {agent.service}: {len(wrong)} leaves (of the log, stored): {dict(list(wrong.items())[:9])}"
    return sum(want.values())
