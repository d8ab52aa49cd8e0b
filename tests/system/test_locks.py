"""Which locks threads wait for, and who blocks whom, as the aggregator tells of a program that is known."""

import subprocess
import urllib.parse

import pytest

from openapi import check_named
from test_offcpu import waits  # noqa: F401  (a fixture)
from test_record import needs_bpf
from waiting import wait_for

RANGE = {"from": "now-10m", "to": "now"}


def ask(aggregator, path, **parameters):
    return aggregator.get(f"/api/v1/{path}?" + urllib.parse.urlencode({**RANGE, **parameters}))


def flame(aggregator, event, unit, **labels):
    selector = "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"
    return ask(aggregator, "flamegraph", type=f"{event}:{unit}", filter=selector)


class Told:
    """The aggregator, once a program whose threads share a lock has come and gone."""

    def __init__(self, aggregator, program):
        self.aggregator, self.program = aggregator, program
        # The first stacks after the agent's start may end early: it is still reading the host's files.
        wait_for(lambda: self.run(15) and self.mutex(), "a stack that reaches the program", 120)
        self.run(60)

    def run(self, turns):
        with subprocess.Popen([self.program, str(turns)], stdout=subprocess.DEVNULL) as process:
            self.pid = str(process.pid)
        assert process.returncode == 0
        wait_for(lambda: self.locks(filter=f'{{thread="wanter",pid="{self.pid}"}}')["locks"], "the lock")
        return True

    def ask(self, path, **parameters):
        return self.aggregator.get(f"/api/v1/{path}?" + urllib.parse.urlencode({**RANGE, **parameters}))

    def locks(self, **parameters):
        return check_named("Locks", self.ask("locks", limit=10000, **parameters))

    def mutex(self, **parameters):
        rows = [r for r in self.locks(**parameters)["locks"] if (r["pid"], r["function"]) == (self.pid, "want_lock")]
        return rows[0] if len(rows) == 1 else None

    def flame(self, event, unit, **labels):
        selector = "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"
        return self.ask("flamegraph", type=f"{event}:{unit}", filter=selector)


@pytest.fixture
def told(aggregator, start_agent, waits):  # noqa: F811
    agent = start_agent(aggregator.grpc, "--mode", "lock", "--service", "waiting").running()
    t = Told(aggregator, waits)
    assert agent.stop() == 0
    return t


@needs_bpf
def test_the_mutex_and_who_holds_it(told):
    answer, mutex = told.locks(), told.mutex()
    assert (mutex["kind"], mutex["service"], mutex["contended"]) == ("mutex", "waiting", True)
    assert mutex["count"] > 20 and mutex["ns"] > 20 * 5e6
    lock = {k: mutex[k] for k in ("host", "pid", "lock")}
    assert told.flame("lock", "nanoseconds", **lock)["total"] == mutex["ns"]
    assert told.flame("lock", "count", **lock)["total"] == mutex["count"]
    assert "hold_lock" in told.flame("waker", "nanoseconds", **lock)["strings"]
    # All waits are somewhere, once.
    sums = [*answer["locks"], answer["other_locks"], answer["short"]]
    pairs = [*answer["pairs"], answer["other_pairs"], answer["short"]]
    for column in ("count", "ns"):
        assert sum(s[column] for s in sums) == sum(p[column] for p in pairs) == answer["total"][column]
    assert answer["total"]["ns"] == told.ask("flamegraph", type="lock:nanoseconds")["total"]
    assert mutex["share"] == pytest.approx(mutex["ns"] / answer["total"]["ns"], rel=1e-6)
    # The wanter is blocked by the holder.
    only = told.locks(filter=f'{{pid="{mutex["pid"]}",lock="{mutex["lock"]}"}}')
    assert only["total"]["ns"] == mutex["ns"] and len(only["locks"]) == 1
    pairs = {(p["service"], p["waiter"], p["waker"]): p for p in only["pairs"]}
    assert set(pairs) <= {("waiting", "wanter", "holder"), ("waiting", "wanter", "")}
    assert pairs["waiting", "wanter", "holder"]["count"] > 0.9 * mutex["count"]


@needs_bpf
def test_what_is_no_contention_is_left_out(told):
    everything, contended = told.locks(), told.locks(contended="true")
    # The main thread waits for the others' end.
    joins = [r for r in everything["locks"] if (r["pid"], r["kind"]) == (told.pid, "join")]
    assert joins and not joins[0]["contended"]
    assert contended["locks"] and all(r["contended"] for r in contended["locks"])
    left_out = sum(r["ns"] for r in everything["locks"] if not r["contended"])
    assert contended["total"]["ns"] == everything["total"]["ns"] - left_out
    assert told.mutex(contended="true")["ns"] == told.mutex()["ns"]
    cut = check_named("Locks", told.ask("locks", limit=1))
    assert len(cut["locks"]) == 1 and cut["other_locks"]["locks"] == len(everything["locks"]) - 1
    assert cut["locks"][0]["ns"] + cut["other_locks"]["ns"] + cut["short"]["ns"] == everything["total"]["ns"]
    assert cut["coverage"]["truncated"] == {"what": "locks", "cut": len(everything["locks"]) - 1}
