"""Agents, the aggregator and its ClickHouse server are killed with SIGKILL at random moments under load, and
started again on the same data: what an agent has put on disk counts exactly once, whether it was in the
spool, in the log, on the way to the store or stored, and however often it was sent.

AP_CRASH_ROUNDS and AP_CRASH_SEED set how many rounds there are for each store and which, AP_CRASH_STORE the
store (`tools/bench.sh crash` runs 1,000)."""

import json
import os
import random
import signal
import time
import urllib.error
import urllib.request

import pytest
from conftest import Aggregator
from crash import SpoolAgent, check, metric, wait_until_stored
from waiting import wait_for

ROUNDS = int(os.environ.get("AP_CRASH_ROUNDS", "26"))
SEED = int(os.environ.get("AP_CRASH_SEED", "1"))
STORES = os.environ.get("AP_CRASH_STORE", "embedded server").split()
AGENTS = 3
OPTIONS = ("--flush-interval", "20ms", "--buffer-bytes", "1MiB", "--retention", "30d", "--rollup-interval", "1s",
           "--clickhouse-hold", "300ms")


class World:
    """Who can be killed, and how each comes back."""

    def __init__(self, folder, server):
        self.server = server
        self.aggregator = Aggregator(folder, *OPTIONS, store=server.flags if server else ())
        self.address = self.aggregator.ports["grpc"]
        self.agents = [SpoolAgent(folder / f"agent-{i}", f"crash-{i}").start(self.aggregator.grpc)
                       for i in range(AGENTS)]
        self.kills = dict.fromkeys(["agent", "aggregator", "clickhouse"] if server else ["agent", "aggregator"], 0)
        self.replayed = 0

    def kill(self, victim):
        self.kills[victim] += 1
        if victim == "agent":
            self.random_agent().kill()
        elif victim == "aggregator":
            self.aggregator.stop(signal.SIGKILL)
        else:
            self.server.kill()

    def random_agent(self):
        """The first one lives on: a spool sends again what it still holds of acknowledged batches when its agent
        starts, and would put right what the aggregator has lost."""
        return self.agents[1 + sum(self.kills.values()) % (AGENTS - 1)]

    def revive(self):
        """Those that do not live, the server last: what asks for it has to wait."""
        if not self.aggregator.alive():
            self.aggregator = self.aggregator.again("--grpc-listen", f"127.0.0.1:{self.address}", *OPTIONS)
            self.replayed += metric(self.aggregator, "aperture_wal_replayed_rows")
        for a in self.agents:
            if not a.alive():
                a.start(self.aggregator.grpc)
        if self.server and self.server.process.poll() is not None:
            self.server.start()

    def end(self):
        for a in self.agents:
            a.kill()
        self.aggregator.stop(signal.SIGKILL)


def is_ready(aggregator):
    try:
        with urllib.request.urlopen(aggregator.url + "/readyz", timeout=30):
            return True
    except urllib.error.HTTPError:
        return False


def check_rollups(server):
    """What sums by hour and day have, where the server has such tables, is what they were made of."""
    for kind, table in ((1, "samples_1h"), (2, "samples_1d")):
        if server.ask(f"EXISTS TABLE {table}") == "1":
            upto = server.ask(f"SELECT max(value) FROM rollups WHERE kind = {kind}")
            made, source = (server.ask(f"SELECT stack, sum(count) FROM {t} WHERE segment <= {upto} GROUP BY stack "
                                       "ORDER BY stack") for t in (table, "samples"))
            assert made == source, table


@pytest.mark.parametrize("store", STORES)
def test_what_is_on_disk_counts_once_through_kills(store, tmp_path, request):
    rng = random.Random(SEED)
    world = World(tmp_path / "world", request.getfixturevalue("start_clickhouse")() if store == "server" else None)
    hint = f"seed {SEED}, {store}"
    try:
        for _ in range(ROUNDS):
            time.sleep(rng.uniform(0, 0.4))  # when the kill comes: what the test varies, not what it waits for
            victims = rng.sample(list(world.kills), rng.choice([1, 1, 1, 2, len(world.kills)]))
            for victim in victims:
                world.kill(victim)
            world.revive()
        for a in world.agents:
            a.finish()
        wait_for(lambda: is_ready(world.aggregator), "the aggregator to be ready", 300)
        wait_until_stored(world.aggregator)
        samples = sum(check(world.aggregator, a, hint) for a in world.agents)
        assert world.aggregator.stop() == 0
        world.aggregator = world.aggregator.again(*OPTIONS)  # and from the store alone
        wait_until_stored(world.aggregator)  # a log that holds what a server has not synced shows it once it was asked for
        assert samples == sum(check(world.aggregator, a, hint) for a in world.agents)
        if world.server:
            check_rollups(world.server)
        batches = [a.batches() for a in world.agents]
        print(json.dumps({"bench": "crash", "store": store, "rounds": ROUNDS, "seed": SEED, "kills": world.kills,
                          "batches": sum(len(b[0]) for b in batches), "torn": sum(len(b[1]) for b in batches),
                          "replayed_rows": world.replayed, "samples": samples}))
        assert world.replayed > 0, "no kill met rows that were not stored: nothing was tried"
    finally:
        world.end()
