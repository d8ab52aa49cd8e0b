"""The aggregator on a ClickHouse cluster: two shards, of which one is killed and comes back."""

import json
import urllib.error

import pytest
from crash import metrics
from test_clickhouse import TOTAL, Pusher, ready, refusal, total
from test_crash import check_rollups
from test_rollup import BUILDING
from waiting import wait_for


@pytest.fixture
def pusher(generated, pb):
    return lambda aggregator: Pusher(pb, aggregator)


class Sharded:
    """An aggregator on a cluster of two shards, `one` and `two`, and what pushes to it."""

    def __init__(self, cluster, start_aggregator, pusher, flags=("--flush-interval", "10ms")):
        (self.one,), (self.two,) = cluster.servers
        self.cluster, self.start_aggregator = cluster, start_aggregator
        self.aggregator = self.start(*flags)
        self.pusher = pusher(self.aggregator)

    def start(self, *flags):
        return self.start_aggregator("a", *flags, store=self.cluster.flags)

    def push(self, n=1):
        for _ in range(n):
            self.pusher.push()

    def stored(self):
        """Waits until all that was pushed can be read."""
        wait_for(lambda: samples(self.one) == self.pusher.sequence * TOTAL, "the rows")

    def notices(self):
        """Waits until the aggregator says that it misses `two`, which has been killed."""
        wait_for(lambda: f"127.0.0.1:{self.two.tcp_port}" in ready(self.aggregator)[1], "the aggregator to notice")


@pytest.fixture
def sharded(start_cluster, start_aggregator, pusher):
    return Sharded(start_cluster(), start_aggregator, pusher)


def samples(server, table="samples"):
    return int(server.ask(f"SELECT sum(count) FROM {table}"))


def test_segments_are_spread_over_shards(sharded):
    one, two, a = sharded.one, sharded.two, sharded.aggregator
    for _ in range(8):
        sharded.push()
        sharded.stored()
    assert samples(two) == 8 * TOTAL
    # Each segment is on one shard, and each shard has some.
    here, there = samples(one, "samples_local"), samples(two, "samples_local")
    assert here and there and here + there == 8 * TOTAL
    segments = [set(s.ask("SELECT DISTINCT segment FROM samples_local").split()) for s in (one, two)]
    assert not segments[0] & segments[1]
    assert total(a) == 8 * TOTAL
    assert a.get("/api/v1/labels?type=cpu:samples&from=now-10m&to=now")
    tables = {t["table"]: t for t in a.get("/api/v1/store")["tables"]}
    rows = int(one.ask("SELECT count() FROM samples"))
    assert tables["samples"]["rows"] == rows
    assert not any(name.endswith("_local") for name in tables)
    assert a.stop() == 0


def test_a_shard_that_is_killed_again_and_again(sharded):
    one, two, a = sharded.one, sharded.two, sharded.aggregator
    for _ in range(4):
        sharded.push(10)
        two.kill()
        sharded.push(5)
        sharded.notices()
        with pytest.raises(urllib.error.HTTPError) as refused:
            total(a)
        assert refused.value.code == 503
        error = json.load(refused.value)["error"]
        assert error["code"] == "store_unreachable" and f"127.0.0.1:{two.tcp_port}" in error["message"]
        two.start()
    wait_for(lambda: ready(a)[0], "the aggregator to be ready")
    wait_for(lambda: samples(one) >= 60 * TOTAL, "all rows")
    batches = "SELECT uniqExact(sequence), countIf(kind = 2) FROM ledger"
    wait_for(lambda: one.ask(batches).startswith("60\t"), "the ledger")
    assert one.ask(batches) == "60\t60"
    assert samples(one) == samples(two) == 60 * TOTAL
    assert total(a) == 60 * TOTAL
    assert a.stop() == 0


def test_a_full_log_names_the_shard_that_is_down(start_cluster, start_aggregator, pusher):
    """Nothing is stored without it, so the log fills; agents are told to wait, and what was taken in is there once."""
    flags = ("--flush-interval", "10ms", "--wal-bytes", "16MiB", "--clickhouse-hold", "300ms")
    sharded = Sharded(start_cluster(), start_aggregator, pusher, flags)
    a, two = sharded.aggregator, sharded.two
    port = f"127.0.0.1:{two.tcp_port}"

    def up():
        return metrics(a)["aperture_clickhouse_up"]

    sharded.push()
    sharded.stored()
    assert up() == 1
    two.kill()
    # Nobody pushes, and it shows.
    wait_for(lambda: up() == 0, "the metrics to tell")
    sharded.notices()
    assert not sharded.pusher.fill(400)
    with pytest.raises(urllib.error.HTTPError) as refused:
        a.get("/readyz")
    body = json.load(refused.value)
    assert refused.value.code == 503 and "--wal-bytes" in body["reason"] and port in body["reason"], body
    now = a.get("/api/v1/aggregator")
    assert port in now["store"]["error"] and now["pushes"]["backpressure"] >= 1, now
    wait_for(lambda: "taking in what agents push does not work" in a.text() and port in a.text(), "the log to tell")
    two.start()
    wait_for(lambda: ready(a) == (True, "ok"), "the shard", 200)
    wait_for(lambda: samples(sharded.one) == sharded.pusher.sequence * TOTAL, "the rows", 120)
    wait_for(lambda: "taking in what agents push works again" in a.text(), "the log to tell of the end")
    assert a.get("/readyz")["ready"]
    sharded.push()
    sharded.stored()
    assert up() == 1 and total(a) == sharded.pusher.sequence * TOTAL
    assert a.stop() == 0


def test_a_name_that_no_server_knows(start_clickhouse, tmp_path):
    server = start_clickhouse()
    line = refusal(tmp_path, *server.flags, "--clickhouse-cluster", "nowhere")
    assert "nowhere" in line and "--clickhouse-cluster" in line
    line = refusal(tmp_path, *server.flags, "--clickhouse-cluster", "a'b")
    assert "--clickhouse-cluster" in line


def answer(aggregator):
    """What total() says, once no replica is behind."""
    try:
        return total(aggregator)
    except urllib.error.HTTPError as e:
        assert e.code == 503
        return None


def test_replicas_take_over(start_cluster, start_aggregator, pusher):
    """One of a shard's two replicas is killed, and the other one goes on; then both have all."""
    cluster = start_cluster(replicas=(2, 1))
    (first, second), (other,) = cluster.servers
    a = start_aggregator("a", "--flush-interval", "10ms",
                         store=(*other.flags, "--clickhouse-cluster", cluster.name))
    p = pusher(a)

    def push(n):
        # Each a segment of its own: many in one would leave a shard without rows.
        for _ in range(n):
            p.push()
            wait_for(lambda: ready(a)[0] and samples(other) == p.sequence * TOTAL, "the rows")
        assert wait_for(lambda: answer(a), "an answer") == p.sequence * TOTAL

    def agree():
        wait_for(lambda: samples(first, "samples_local") == samples(second, "samples_local") > 0, "the replica")

    push(10)
    agree()
    for server in (first, second):
        server.kill()
        push(10)
        server.start()
        agree()
    assert samples(first, "samples_local") + samples(other, "samples_local") == 30 * TOTAL
    assert a.stop() == 0


def test_old_days_go_from_all_shards(sharded):
    one, two, p = sharded.one, sharded.two, sharded.pusher
    today = p.start
    for start in (today - 3 * 86400, today - 3 * 86400, today, today):
        p.start = start
        sharded.push()
        sharded.stored()
    assert samples(one, "samples_local") == samples(two, "samples_local") == 2 * TOTAL
    # Of modules without frames, one on each shard at least.
    one.ask("INSERT INTO symbols (build_id, version) VALUES ('a', 1), ('b', 1), ('c', 1), ('d', 1), ('e', 1)")
    wait_for(lambda: one.ask("SELECT count() FROM symbols") == "5", "the symbols")
    assert sharded.aggregator.stop() == 0
    a = sharded.start("--retention", "1d", "--retention-hourly", "1d", "--retention-daily", "1d")
    wait_for(lambda: samples(one) == samples(two) == 2 * TOTAL, "the old day to go")
    assert samples(one, "samples_local") == samples(two, "samples_local") == TOTAL
    wait_for(lambda: one.ask("SELECT count() FROM symbols") == "0", "the symbols to go")
    assert ready(a)[0] and total(a) == 2 * TOTAL
    assert a.stop() == 0


def test_a_server_with_an_empty_disk_gets_its_tables(sharded):
    one, two, a = sharded.one, sharded.two, sharded.aggregator
    sharded.push()
    sharded.stored()
    two.ask("DROP DATABASE aperture")
    sharded.push(2)
    wait_for(lambda: two.ask("EXISTS TABLE aperture.samples_local", "default") == "1", "the tables")
    wait_for(lambda: ready(a)[0] and samples(one) >= 2 * TOTAL, "the rows")
    assert samples(two, "samples_local") >= TOTAL
    assert a.stop() == 0


def test_an_idle_aggregator_notices_a_shard_that_is_down(sharded):
    a = sharded.aggregator
    wait_for(lambda: ready(a)[0], "the store")
    sharded.two.kill()
    sharded.notices()
    sharded.two.start()
    wait_for(lambda: ready(a)[0], "the shard")
    assert sharded.one.listens() and a.stop() == 0


def test_sums_wait_for_a_shard_and_are_exact_once_it_is_back(start_cluster, start_aggregator, pusher):
    """It goes when samples are stored and not summed up yet; samples and sums go on where they were."""
    sharded = Sharded(start_cluster(), start_aggregator, pusher, BUILDING)
    one, two, a, p = sharded.one, sharded.two, sharded.aggregator, sharded.pusher

    def waiting():
        m = metrics(a)
        return [m[f'aperture_rollup_waiting_segments{{level="{level}"}}'] for level in ("hourly", "daily")]

    def lose_the_shard_with_work_to_do():
        sharded.push(5)
        wait_for(lambda: metrics(a)["aperture_clickhouse_pending_rows"] == 0, "the rows")
        two.kill()
        if waiting()[0] > 0:
            return True
        two.start()  # the job, each second, was quicker
        wait_for(lambda: ready(a)[0], "the shard")
        return False

    for _ in range(3):
        wait_for(lose_the_shard_with_work_to_do, "samples that are not summed up")
        sharded.push()
        sharded.notices()
        # Nothing is made of what a shard may have lost.
        assert waiting()[0] > 0
        two.start()
        wait_for(lambda: ready(a)[0], "the shard")
        sharded.stored()
        wait_for(lambda: waiting()[0] == 0, "the hours")
    wait_for(lambda: waiting() == [0, 0], "the days", 120)
    for table in ("samples_1h", "samples_1d"):
        assert samples(one, table) == samples(two, table) == p.sequence * TOTAL
    check_rollups(one)
    assert total(a) == p.sequence * TOTAL
    assert a.stop() == 0
