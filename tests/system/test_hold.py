"""A ClickHouse server that does not sync its inserts and loses power: what it had stored and lost comes again
from the write-ahead log."""

import shutil
import signal
import urllib.error
import urllib.request

import pytest
from crash import metrics
from summing import Summing
from test_clickhouse import TOTAL, Pusher, ready, stored, total
from test_cluster import samples
from test_crash import check_rollups
from waiting import wait_for

SUMMING = ("--flush-interval", "10ms", "--rollup-interval", "1s", "--retention", "30d")


@pytest.fixture
def pusher(generated, pb):
    return lambda aggregator: Pusher(pb, aggregator)


def lose_power(server, *tables):
    """Kills it, and with it what was not on disk yet: all parts of the tables."""
    server.kill()
    for table in tables:
        parts = list((server.folder / "data/data/aperture" / table).glob("2*_*_*_*"))
        assert parts, table
        for part in parts:
            shutil.rmtree(part)


def metric(aggregator, name):
    with urllib.request.urlopen(aggregator.url + "/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(name + " ")))


def held(aggregator):
    return metric(aggregator, "aperture_clickhouse_held_segments")


def names(aggregator):
    """The functions of the flame graph."""
    table = aggregator.get("/api/v1/top?type=cpu:samples&from=now-10m&to=now")
    return {row["function"] for row in table["functions"]}


def test_what_a_server_lost_comes_again(start_clickhouse, start_aggregator, pusher):
    server = start_clickhouse()
    a = start_aggregator("a", "--flush-interval", "10ms", store=(*server.flags, "--clickhouse-hold", "10m"))
    p = pusher(a)
    for i in range(5):
        p.push()
        wait_for(lambda: stored(server) == (i + 1) * TOTAL, "the rows")  # noqa: B023
    functions = names(a)
    wait_for(lambda: held(a) >= 5, "the hold")
    lose_power(server, "samples", "ledger", "stacks", "frames")
    server.start()
    p.push()
    wait_for(lambda: ready(a)[0] and stored(server) >= 6 * TOTAL, "what was lost")
    assert stored(server) == 6 * TOTAL
    wait_for(lambda: metric(a, "aperture_clickhouse_refilled_segments_total") >= 5, "the count of what was lost")
    wait_for(lambda: server.ask("SELECT uniqExact(sequence), countIf(kind = 2) FROM ledger") == "6\t6", "the ledger")
    assert int(server.ask("SELECT count() FROM frames")) and int(server.ask("SELECT count() FROM stacks"))
    assert total(a) == 6 * TOTAL
    assert a.stop() == 0
    # Another one has all names from the store alone.
    a = start_aggregator("b", store=server.flags)
    assert total(a) == 6 * TOTAL and names(a) == functions
    assert a.stop() == 0


def test_no_answer_lacks_what_a_server_lost(start_clickhouse, start_aggregator, pusher):
    """From the moment on at which the server is back, whatever of it is there again."""
    server = start_clickhouse()
    a = start_aggregator("a", "--flush-interval", "10ms", store=(*server.flags, "--clickhouse-hold", "10m"))
    p = pusher(a)
    for i in range(8):
        p.push()
        wait_for(lambda: stored(server) == (i + 1) * TOTAL, "the rows")  # noqa: B023
    wait_for(lambda: held(a) >= 8, "the hold")

    def answered():
        try:
            assert total(a) == 8 * TOTAL
        except urllib.error.HTTPError as e:
            assert e.code == 503
            return False
        return True

    for _ in range(3):
        assert answered()
        lose_power(server, "samples", "ledger")
        wait_for(lambda: not answered(), "the aggregator to notice")
        server.start()
        wait_for(answered, "an answer")
        wait_for(lambda: ready(a)[0], "the store")
        assert stored(server) == 8 * TOTAL
    assert a.stop() == 0


def test_both_lose_power(start_clickhouse, start_aggregator, pusher):
    server = start_clickhouse()
    flags = (*server.flags, "--clickhouse-hold", "10m")
    a = start_aggregator("a", "--flush-interval", "10ms", store=flags)
    p = pusher(a)
    for i in range(5):
        p.push()
        wait_for(lambda: stored(server) == (i + 1) * TOTAL, "the rows")  # noqa: B023
    wait_for(lambda: held(a) >= 5, "the hold")
    a.process.kill()
    a.process.wait()
    lose_power(server, "samples")
    server.start()
    a = start_aggregator("a", "--flush-interval", "10ms", store=flags)
    wait_for(lambda: stored(server) >= 5 * TOTAL, "what was lost")
    assert stored(server) == 5 * TOTAL
    assert server.ask("SELECT uniqExact(sequence), countIf(kind = 2) FROM ledger") == "5\t5"
    assert total(a) == 5 * TOTAL
    assert a.stop() == 0


def test_the_log_lets_go_of_what_is_on_disk(start_clickhouse, start_aggregator, pusher):
    server = start_clickhouse()
    a = start_aggregator("a", "--flush-interval", "10ms", store=(*server.flags, "--clickhouse-hold", "200ms"))
    p = pusher(a)
    p.push()
    wait_for(lambda: stored(server) == TOTAL, "the rows")
    wait_for(lambda: held(a) == 0, "the end of the hold")
    assert total(a) == TOTAL
    assert metric(a, "aperture_clickhouse_refilled_segments_total") == 0
    assert a.stop() == 0


def test_a_shard_loses_power(start_cluster, start_aggregator, pusher):
    """Its keeper remembers the blocks that its disk has not."""
    cluster = start_cluster()
    (one,), (two,) = cluster.servers
    a = start_aggregator("a", "--flush-interval", "10ms", store=(*cluster.flags, "--clickhouse-hold", "10m"))
    p = pusher(a)
    for i in range(6):
        p.push()
        wait_for(lambda: stored(one) == (i + 1) * TOTAL, "the rows")  # noqa: B023
    wait_for(lambda: held(a) >= 6, "the hold")
    lose_power(two, "samples_local", "ledger_local")
    two.start()
    wait_for(lambda: ready(a)[0] and stored(one) >= 6 * TOTAL, "what was lost")
    batches = "SELECT uniqExact(sequence), countIf(kind = 2) FROM ledger"
    wait_for(lambda: one.ask(batches) == "6\t6", "the ledger")
    assert stored(one) == 6 * TOTAL and total(a) == 6 * TOTAL
    assert a.stop() == 0


class SummingUnsynced(Summing):
    """What it sums up a server, or a cluster of them, does not sync."""

    def __init__(self, aggregator, pusher, server, suffix):
        super().__init__(aggregator, pusher)
        self.server, self.suffix = server, suffix

    def parts(self):
        names = self.server.ask("SELECT concat(table, ' ', name) FROM system.parts WHERE active AND database = 'aperture' "
                                f"AND table IN ('samples_1h{self.suffix}', 'ledger_1h{self.suffix}', 'rollups')")
        return set(names.splitlines())

    def lose_sums(self, both):
        """Has the server lose sums that it has just taken, and what was written down of them. Whether there were any, and
        they were not confirmed yet."""
        def ranges():
            return metrics(self.aggregator)['aperture_rollup_ranges_total{level="hourly"}']

        before, made = self.parts(), ranges()
        self.push()
        wait_for(lambda: ranges() > made, "sums by hour", 120)
        new = [part.split() for part in self.parts() - before]
        self.server.kill()
        if both:
            assert self.aggregator.stop(signal.SIGKILL) == -signal.SIGKILL
        lost = [(table, part) for table, part in new if part.endswith("_0")]  # not merged with what came before
        if any(table == "rollups" for table, _ in new) or not both and self.waiting()[0] == 0:
            lost = []  # too late: on a disk that was there for the time of the hold they would be
        for table, part in lost:
            shutil.rmtree(self.server.folder / "data/data/aperture" / table / part)
        self.server.start()
        if both:
            self.aggregator = self.aggregator.again(*SUMMING)
            self.pusher.use(self.aggregator)
        wait_for(lambda: ready(self.aggregator)[0], "the store", 120)
        assert self.total() == self.pusher.sequence * TOTAL
        return bool(lost)

    def check_sums(self, one):
        wait_for(lambda: self.stored() and self.waiting() == [0, 0], "the sums", 200)
        for table in ("samples_1h", "samples_1d"):
            assert samples(one, table) == self.pusher.sequence * TOTAL, table
        check_rollups(one)
        hours, entries = (one.ask(f"SELECT kind, id, sum(count) FROM {table} GROUP BY kind, id ORDER BY kind, id")
                          for table in ("ledger_1h", "ledger"))
        assert hours == entries
        assert self.total() == self.pusher.sequence * TOTAL


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("place", ["server", "cluster"])
def test_sums_that_a_server_lost_are_made_again(place, both, request, start_aggregator, pusher):
    if place == "cluster":
        cluster = request.getfixturevalue("start_cluster")()
        (one,), (victim,) = cluster.servers
        flags = cluster.flags
    else:
        one = victim = request.getfixturevalue("start_clickhouse")()
        flags = one.flags
    a = start_aggregator("a", *SUMMING, store=(*flags, "--clickhouse-hold", "4s"))
    s = SummingUnsynced(a, pusher(a), victim, "_local" if place == "cluster" else "")
    s.push()
    s.check_sums(one)
    wait_for(lambda: s.lose_sums(both), "sums to lose", 600)
    s.check_sums(one)
    if not both:
        assert metric(s.aggregator, "aperture_rollup_lost_ranges_total") >= 1
    assert s.aggregator.stop() == 0
