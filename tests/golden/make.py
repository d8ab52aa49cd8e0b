#!/usr/bin/env python3
"""Writes what the present version keeps on disk:  tests/golden/make.py FORMAT

To be run before a format changes, so that tests/system/test_golden.py opens what earlier versions
left for ever: a folder with the aggregator's data (a write-ahead log with saved agents and batches that are not
stored, rules of alerts, tokens, and an embedded store, as a tar file since it is many small ones), an agent's
state folder with a spool of batches that nobody has seen, another one of those that the aggregator knows, and
in expected.json what is to be read there."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))
from crash import SpoolAgent, export, wait_until_stored  # noqa: E402
from daemons import AGGREGATOR, Aggregator  # noqa: E402
from waiting import wait_for  # noqa: E402

RULE = {"name": "golden", "metric": "wal_utilization", "operator": "gt", "threshold": 0.5}


def leaves(agent):
    return {leaf: count for batch in agent.batches()[0].values() for leaf, count in batch.items()}


def run(agent, aggregator, batches):
    agent.start(aggregator.grpc, batches=batches)
    assert agent.process.wait(60) == 0


def spool(agent, batches):
    """Leaves them in the spool: nobody listens there."""
    agent.start("127.0.0.1:1", batches=batches)
    wait_for(lambda: len(agent.batches()[0]) == batches, "the spool")
    agent.kill()


def make(out, work, started):
    def start(interval):
        started.append(Aggregator(work, "--flush-interval", interval))
        return started[-1]

    aggregator = start("50ms")
    agent = SpoolAgent(work / "agent", "golden", pause_ms=0)
    spool(agent, 3)
    shutil.copytree(agent.folder / "state", out / "known", ignore=shutil.ignore_patterns("lock"))
    agent.drain(aggregator.grpc)
    wait_until_stored(aggregator)
    request = urllib.request.Request(aggregator.url + "/api/alerts", json.dumps(RULE).encode(),
                                     {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()
    for _ in range(2):  # a start begins a file of the log, and the first one goes once the agents are saved
        aggregator.stop()
        aggregator = start("50ms")
        run(agent, aggregator, 2)
        wait_until_stored(aggregator)
    aggregator.stop()
    with tarfile.open(out / "store.tar.xz", "w:xz") as tar:
        for path in sorted((work / "data").iterdir()):
            if path.name not in ("wal", "state.db", "state.db-wal", "state.db-shm", "lock"):
                tar.add(path, path.name)
    aggregator = start("1m")
    run(agent, aggregator, 3)
    expected = {"made_ns": time.time_ns(), "stored": export(aggregator, agent.service), "rule": RULE["name"]}
    assert expected["stored"] == leaves(agent)
    aggregator.stop(signal.SIGKILL)
    shutil.copytree(work / "data/wal", out / "wal", ignore=shutil.ignore_patterns("lock", "reserve"))
    shutil.copy(work / "data/state.db", out)

    spooled = SpoolAgent(work / "spool", "spooled", pause_ms=0)
    spool(spooled, 4)
    expected["spooled"] = leaves(spooled)
    shutil.copytree(spooled.folder / "state", out / "agent", ignore=shutil.ignore_patterns("lock"))

    (work / "tokens").mkdir()
    subprocess.run([AGGREGATOR, "token", "create", "golden", "--role", "read", "--data-dir", work / "tokens"],
                   check=True, capture_output=True)
    shutil.copy(work / "tokens/guard.db", out)
    (out / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


def main():
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    out = HERE / sys.argv[1]
    out.mkdir()
    os.umask(0o022)
    started = []
    with tempfile.TemporaryDirectory(prefix="aperture-golden-") as work:
        try:
            make(out, Path(work) / "work", started)
        finally:
            for aggregator in started:
                aggregator.stop(signal.SIGKILL)


main()
