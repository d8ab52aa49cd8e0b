"""Sums by hour and day on a ClickHouse cluster, whose inserts end half-way: a server dies within one, or the
aggregator does not hear what has become of it. What had come about stays, what had not is made, and until then
questions are answered from samples."""

import contextlib
import shutil
import signal

import pytest
from crash import metrics
from summing import DAY, Summing
from test_clickhouse import TOTAL, Pusher, ready
from test_cluster import samples
from test_crash import check_rollups
from test_rollup import BUILDING
from waiting import wait_for

SUMS = ("samples_1h", "samples_1d")
WHILE_BUILDING = (*BUILDING, "--retention", "30d")


class SummingCluster(Summing):
    """What is summed up is a cluster's."""

    def __init__(self, cluster, aggregator, pb):
        super().__init__(aggregator, Pusher(pb, aggregator))
        self.cluster = cluster
        (self.one,), (self.two,) = cluster.servers  # which the aggregator knows, and the other shard

    def check_answer(self):
        """The keeper has to notice that a server was away, and the aggregator that nobody will answer it."""
        wait_for(lambda: ready(self.aggregator)[0], "the store", 200)
        assert self.total() == self.pusher.sequence * TOTAL

    def check_sums(self):
        """All is summed up, each sample and each entry of the ledger once, on whichever shard."""
        wait_for(lambda: self.stored() and self.waiting() == [0, 0], "the sums", 200)
        for table in SUMS:
            assert samples(self.one, table) == samples(self.two, table) == self.pusher.sequence * TOTAL, table
        check_rollups(self.one)
        hours, entries = (self.one.ask(f"SELECT kind, id, sum(count) FROM {table} GROUP BY kind, id ORDER BY kind, id")
                          for table in ("ledger_1h", "ledger"))
        assert hours == entries
        self.check_answer()


@pytest.fixture
def summing(start_cluster, start_aggregator, start_proxy, pb):
    def start(through_proxy=False):
        cluster = start_cluster()
        proxy = start_proxy(cluster.servers[0][0]) if through_proxy else None
        store = (*(proxy or cluster.servers[0][0]).flags, "--clickhouse-cluster", cluster.name)
        s = SummingCluster(cluster, start_aggregator("a", *WHILE_BUILDING, store=store), pb)
        s.proxy = proxy
        return s

    return start


@pytest.mark.parametrize(("table", "when"), [("samples_1h", "stored"), ("ledger_1h", "sent"), ("samples_1d", "stored")])
def test_nobody_hears_what_became_of_a_range(table, when, summing):
    """The connection is cut within one of its inserts, and the other shard dies before it is asked for."""
    s = summing(through_proxy=True)
    s.push()
    s.check_sums()
    s.proxy.cut_at(b"INSERT INTO " + table.encode() + b" ", when)
    s.push()
    assert s.proxy.was_cut.wait(120)
    s.two.kill()
    s.proxy.mend()
    s.push()
    s.two.start()
    s.check_answer()
    s.check_sums()
    assert s.aggregator.stop() == 0


def lose_hours(s):
    """Has the other shard lose sums that it has just taken, and the aggregator die before it has written down that they
    are complete; the keeper remembers them. Whether there were any."""
    def hours():
        return set(s.two.ask("SELECT name FROM system.parts WHERE active AND table = 'samples_1h_local'").split())

    before = hours()
    s.proxy.was_cut.clear()
    s.proxy.cut_at(b"INSERT INTO rollups ", "sent")
    s.push()
    assert s.proxy.was_cut.wait(120)
    parts = [part for part in hours() - before if part.endswith("_0")]  # not merged with what came before
    s.aggregator.stop(signal.SIGKILL)
    if parts:
        s.two.kill()
        for part in parts:
            shutil.rmtree(s.two.folder / "data/data/aperture/samples_1h_local" / part)
        s.two.start()
    s.proxy.mend()
    s.aggregator = s.aggregator.again(*WHILE_BUILDING)
    s.pusher.use(s.aggregator)
    return bool(parts)


def test_a_shard_loses_sums_with_its_disk(summing):
    s = summing(through_proxy=True)
    s.push()
    s.check_sums()
    wait_for(lambda: lose_hours(s) or s.check_sums(), "a range on the other shard", 1200)
    s.check_answer()
    s.check_sums()
    assert s.aggregator.stop() == 0


def inserting(server, table):
    return server.ask(f"SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO {table} %'") != "0"


def hold_an_insert(s):
    """Has the keeper stand still within an insert of hours: at which shard, if it came to that."""
    wait_for(lambda: s.waiting() == [0, 0], "the sums", 200)
    s.push()
    wait_for(s.stored, "the rows")
    s.cluster.zookeeper.pause()
    if s.waiting()[0] > 0:
        with contextlib.suppress(AssertionError):
            wait_for(lambda: inserting(s.two, "aperture.samples_1h_local"), "the other shard", 3)
        if inserting(s.one, "samples_1h"):
            return s.two if inserting(s.two, "aperture.samples_1h_local") else s.one
    return None  # the job was quicker, or waits for the keeper elsewhere


@pytest.mark.parametrize(("holder", "victim"), [("two", "two"), ("two", "one"), ("one", "one")])
def test_a_server_dies_within_a_range(holder, victim, summing):
    """Its part waits for the keeper, which hears of it or not, at the shard that dies or at one that lives on."""
    s = summing()
    victim = getattr(s, victim)
    for _ in range(2):
        # Which shard it is at is chance: some cases take ten tries.
        wait_for(lambda: hold_an_insert(s) is getattr(s, holder) or s.cluster.zookeeper.resume(), "an insert there", 1200)
        victim.kill()
        s.cluster.zookeeper.resume()
        s.push()
        victim.start()
        s.check_answer()
    s.check_sums()
    assert s.aggregator.stop() == 0
