"""Many agents at once, each with a connection of its own (`tools/bench.sh agents` runs 10,000)."""

import json
import os
import subprocess
from pathlib import Path

from conftest import ROOT
from crash import metrics, wait_until_stored

SWARM = Path(os.environ.get("AP_TEST_BUILD", ROOT / "build/debug")) / "bench/swarm"
AGENTS, BATCHES, ROWS = 300, 3, 40


def test_each_of_many_agents_counts_once(aggregator):
    run = subprocess.run([SWARM, "--server", aggregator.grpc, "--agents", str(AGENTS), "--batches", str(BATCHES),
                          "--rows", str(ROWS), "--interval", "1s", "--threads", "16"],
                         check=True, stdout=subprocess.PIPE, text=True)
    swarm = json.loads(run.stdout)
    assert swarm["connections"] == AGENTS and swarm["samples"] == AGENTS * BATCHES * ROWS
    wait_until_stored(aggregator)
    graph = aggregator.get("/api/v1/flamegraph?type=cpu:samples&from=now-1h&to=now&max_nodes=100")
    assert graph["total"] == swarm["samples"]
    assert metrics(aggregator)["aperture_push_events_total"] == swarm["samples"]
    assert len(aggregator.get("/api/v1/agents")["agents"]) == AGENTS
