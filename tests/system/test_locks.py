"""Which locks threads wait for, and who blocks whom, as the aggregator tells of a program that is known."""

import subprocess
import urllib.parse

import pytest

from openapi import check_named
from test_offcpu import wait_ends, waits  # noqa: F401  (fixtures)
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

    def __init__(self, aggregator, program, start_agent):
        self.aggregator, self.program, self.start_agent = aggregator, program, start_agent
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
    def start():
        return start_agent(aggregator.grpc, "--mode", "lock", "--service", "waiting").running()

    agent = start()
    t = Told(aggregator, waits, start)
    assert agent.stop() == 0
    return t


@needs_bpf
def test_the_mutex_and_who_holds_it(told):
    answer, mutex = told.locks(), told.mutex()
    assert (mutex["kind"], mutex["service"], mutex["contended"]) == ("mutex", "waiting", True)
    assert mutex["place"] == f"lock in {told.program.name}"
    assert mutex["timeouts"] == mutex["signals"] == 0
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
    assert contended["not_contended"]["ns"] == left_out and everything["not_contended"]["ns"] == 0
    assert told.mutex(contended="true")["ns"] == told.mutex()["ns"]
    cut = check_named("Locks", told.ask("locks", limit=1))
    assert len(cut["locks"]) == 1 and cut["other_locks"]["locks"] == len(everything["locks"]) - 1
    assert cut["locks"][0]["ns"] + cut["other_locks"]["ns"] + cut["short"]["ns"] == everything["total"]["ns"]
    assert cut["coverage"]["truncated"] == {"what": "locks", "cut": len(everything["locks"]) - 1}


@needs_bpf
def test_time_outs_are_told_and_waits_for_work_are_not_contention(told, wait_ends):  # noqa: F811
    rows, at, process = {}, {}, None

    def timed_out():
        """Those of the held mutex have arrived."""
        nonlocal rows
        answer = told.locks(filter=f'{{pid="{process.pid}"}}', domain="user")["locks"]
        rows = {r["lock"]: r for r in answer} if len({r["lock"] for r in answer}) == len(answer) else {}
        return sum(r["timeouts"] for r in answer if r["lock"] == at["held"]) > 20

    def all_told():
        return rows.keys() >= set(at.values()) and rows[at["held"]]["kind"] == "mutex"

    agent = told.start_agent()
    try:
        # The first stacks after the agent's start may end early; and where the kernel hides the end of the
        # wait for work, it is among the short ones.
        for _ in range(5):
            with subprocess.Popen([wait_ends, "30"], stdout=subprocess.PIPE, text=True) as process:
                at = dict(line.split() for line in process.stdout)
            wait_for(timed_out, "the locks")
            if all_told():
                break
    finally:
        assert agent.stop() == 0
    assert timed_out() and all_told(), (rows, at)
    assert rows[at["interrupted"]]["signals"] > 20
    assert rows[at["pair"]]["timeouts"] == rows[at["pair"]]["signals"] == 0
    # Nobody posts these semaphores.
    assert {name for name, lock in at.items() if rows[lock]["contended"]} == {"held", "pair"}
    contended = told.locks(filter=f'{{pid="{process.pid}"}}', domain="user", contended="true")
    assert {r["lock"] for r in contended["locks"]} == {at["held"], at["pair"]}
    assert contended["not_contended"]["ns"] == sum(r["ns"] for r in rows.values() if not r["contended"])
