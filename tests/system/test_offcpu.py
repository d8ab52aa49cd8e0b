"""Time off the CPU: a program that waits on a schedule is reported as it measured itself."""

import collections
import json
import os
import subprocess
from pathlib import Path

import pytest

import workloads
from completeness import profile_stacks
from profiles import closed_ledger
from test_record import needs_bpf, record
from waiting import wait_for

OFFCPU = 2  # enum ap_event
FUNCTIONS = {"holder": "hold_lock", "wanter": "want_lock", "reader": "read_slowly", "napper": "nap_briefly"}
SHORT = "[short waits]"


@pytest.fixture(scope="module")
def waits(tmp_path_factory):
    program = tmp_path_factory.mktemp("waits") / "waits"
    subprocess.run(["gcc", "-O2", "-fomit-frame-pointer", "-pthread", "-o", program,
                    workloads.SOURCES / "waits.c"], check=True)
    return program


class Waits:
    """What a json file says of time off the CPU, by thread."""

    def __init__(self, path):
        data = json.loads(path.read_bytes())
        self.ns, self.cpu = collections.Counter(), collections.Counter()
        self.count = collections.Counter()
        self.stacks = profile_stacks(path)
        values, events = data["samples"]["value"], data["samples"]["event"]
        for stack, value, event in zip(self.stacks, values, events):
            thread = stack.labels["thread"]
            if event != OFFCPU:
                self.cpu[thread] += value
                continue
            names = {f.name for f in stack.frames}
            # Not what a thread waits before its function begins, and before main().
            if names & {thread, "main", SHORT}:
                self.ns[thread] += value
            for function in names & {*FUNCTIONS.values(), SHORT, "main", "take_first", "take_second"}:
                self.ns[thread, function] += value
                self.count[thread, function, stack.labels["state"]] += stack.count


@needs_bpf
def test_a_known_schedule(waits, tmp_path):
    turns = 60
    r = record("--mode", "wall", "-o", tmp_path / "p.json", "--ledger", tmp_path / "l.json", "--", waits, turns)
    assert r.returncode == 0, r.stderr
    ledger = closed_ledger((tmp_path / "l.json").read_text())
    w = Waits(tmp_path / "p.json")
    told = {line.split()[0]: tuple(map(int, line.split()[1:])) for line in r.stdout.decode().splitlines()}
    assert set(told) == {*FUNCTIONS, "main"}
    for thread, (lived, cpu, spent) in told.items():
        name = thread if thread in FUNCTIONS else waits.name
        # The kernel's CPU time of a thread begins before the switch to it does, by some microseconds.
        switches = sum(n for k, n in w.count.items() if k[0] == name)
        assert abs(w.ns[name] + cpu - lived) <= 0.01 * lived + 15e3 * switches + 3e6, (thread, w.ns[name], cpu, lived)
        if thread in ("holder", "reader"):
            # A kernel that runs no programs in some threads hides the end of a wait now and then.
            unseen = w.ns[name, SHORT]
            assert abs(w.ns[name, FUNCTIONS[thread]] - spent) <= 0.01 * spent + 2e6 + unseen, (thread, w.ns, spent)
            assert unseen < 0.1 * spent
    # Each turn the holder sleeps once with the lock, and the main thread once before it joins the others.
    assert w.count["holder", "hold_lock", "sleeping"] + w.count["holder", SHORT, "sleeping"] >= turns
    assert w.count["napper", SHORT, "sleeping"] + w.count["napper", "nap_briefly", "sleeping"] <= 20 * turns
    assert w.count["napper", SHORT, "sleeping"] > 15 * turns
    # The lock was wanted and not to be had, and the stack says by whom.
    assert w.ns["wanter", "want_lock"] > 0
    # What the ledger counts is in the profile, to the last wait.
    stage = next(s for s in ledger["stages"] if s["stage"] == "offcpu")
    events = json.loads((tmp_path / "p.json").read_bytes())["samples"]
    counted = sum(n for n, e in zip(events["count"], events["event"]) if e == OFFCPU)
    assert stage["out"]["count"] == counted > 0


@needs_bpf
def test_every_long_wait_is_complete(waits, tmp_path):
    """Without frame pointers, read from memory of a process that is not the current one."""
    r = record("--mode", "offcpu", "-o", tmp_path / "p.json", "--", waits, 40)
    assert r.returncode == 0, r.stderr
    w = Waits(tmp_path / "p.json")
    long = [s for s in w.stacks if s.count and s.frames and s.frames[0].name != SHORT and len(s.user) > 2]
    assert sum(s.count for s in long) > 100
    assert sum(s.count for s in long if s.complete()) >= 0.99 * sum(s.count for s in long)


@needs_bpf
def test_a_deadlock_that_is_older_than_the_recording(waits, tmp_path):
    process = subprocess.Popen([waits, "deadlock"], stdout=subprocess.PIPE)
    try:
        assert process.stdout.read(1) == b"x"
        wait_for(lambda: all("futex" in Path(f"/proc/{process.pid}/task/{tid}/wchan").read_text()
                             for tid in os.listdir(f"/proc/{process.pid}/task")), "both threads to wait")
        r = record("--mode", "offcpu", "-p", process.pid, "-d", 2, "-o", tmp_path / "p.json", "--ledger",
                   tmp_path / "l.json")
    finally:
        process.kill()
        process.communicate()
    assert r.returncode == 0, r.stderr
    seconds = closed_ledger((tmp_path / "l.json").read_text())["duration_s"]
    w = Waits(tmp_path / "p.json")
    for thread, function in ((waits.name, "take_second"), ("crossed", "take_first")):
        assert abs(w.ns[thread, function] / 1e9 - seconds) < 0.02 * seconds, (thread, w.ns)
        assert not [n for k, n in w.count.items() if k[0] == thread and n]  # they have not ended
    assert all(s.complete() for s in w.stacks), w.stacks


@needs_bpf
def test_the_aggregator_shows_waits_and_wall_time(aggregator, start_agent, waits):
    agent = start_agent(aggregator.grpc, "--mode", "wall", "--service", "waiting").running()
    process = subprocess.Popen([waits, "100000"], stdout=subprocess.DEVNULL)
    try:
        def tree(kind):
            return aggregator.get(f"/api/v1/flamegraph?type={kind}&from=now-10m&to=now&filter="
                                  "%7Bthread%3D%22holder%22%7D")

        wait_for(lambda: tree("offcpu:nanoseconds")["total"] > 2e9, "waits in the aggregator")
    finally:
        process.kill()
        process.wait()
    assert agent.stop() == 0
    sums = {kind: tree(f"{kind}:nanoseconds")["total"] for kind in ("cpu", "offcpu", "wall")}
    assert sums["wall"] == sums["cpu"] + sums["offcpu"]
    available = {t["name"]: t["available"] for t in aggregator.get(
        "/api/v1/profile-types?from=now-10m&to=now")["types"]}
    assert available["offcpu:count"] and available["wall:nanoseconds"] and not available["lock:count"]
    states = aggregator.get("/api/v1/label-values?label=state&type=offcpu:count&from=now-10m&to=now")["values"]
    assert "sleeping" in json.dumps(states)
    me = next(a for a in aggregator.get("/api/v1/agents")["agents"] if a["id"] == agent.id)
    assert me["modes"] == ["cpu", "offcpu"]
    stages = {s["stage"]: s for s in aggregator.get(f"/api/v1/ledger?agent={agent.id}")["stages"]}
    assert stages["offcpu"]["balance"] == 0
    assert stages["reader"]["in"]["count"] == stages["sample"]["out"]["count"] + stages["offcpu"]["out"]["count"]


@needs_bpf
def test_an_unknown_mode_is_refused(tmp_path):
    r = record("--mode", "sleep", "-o", tmp_path / "p.json", "--", "true", text=True)
    assert r.returncode == 2 and "no mode 'sleep'" in r.stderr


LOCK, WAKER = 3, 5


def locks(path, event):
    """(thread, kind, the other thread, the lock, function names) → waits and ns, of one event."""
    data = json.loads(path.read_bytes())
    found = collections.Counter()
    for stack, value, e in zip(profile_stacks(path), data["samples"]["value"], data["samples"]["event"]):
        if e == event:
            labels = stack.labels
            key = (labels["thread"], labels.get("kind"), labels.get("waker", labels.get("waiter")), labels.get("lock"),
                   frozenset(f.name for f in stack.frames))
            found[key] += value
    return found


@needs_bpf
def test_locks_name_who_waits_and_who_lets_go(waits, tmp_path):
    r = record("--mode", "lock,offcpu", "-o", tmp_path / "p.json", "--ledger", tmp_path / "l.json", "--", waits, 60)
    assert r.returncode == 0, r.stderr
    closed_ledger((tmp_path / "l.json").read_text())
    held = next(int(line.split()[3]) for line in r.stdout.decode().splitlines() if line.startswith("wanter"))
    waiting = {k: v for k, v in locks(tmp_path / "p.json", LOCK).items() if "want_lock" in k[4]}
    assert {k[0] for k in waiting} == {"wanter"} and {k[1] for k in waiting} == {"mutex"}
    assert abs(sum(waiting.values()) - held) < 0.01 * held + 3e6
    # All that ended a wait is the holder, where it unlocks, and it is the same lock on both sides.
    ended = {k: v for k, v in locks(tmp_path / "p.json", WAKER).items() if k[2] == "wanter"}
    assert {k[2] for k in waiting} <= {"holder", None} and "holder" in {k[2] for k in waiting}
    assert {k[0] for k in ended} == {"holder"} and all("hold_lock" in k[4] for k in ended)
    assert {k[3] for k in ended} == {k[3] for k in waiting} and len({k[3] for k in ended}) == 1
    # The same waits are time off the CPU, in a state of their own.
    w = Waits(tmp_path / "p.json")
    assert w.ns["wanter", "want_lock"] == sum(waiting.values())
    assert w.count["wanter", "want_lock", "lock"] > 0


@needs_bpf
def test_locks_alone_tell_of_nothing_else(waits, tmp_path):
    r = record("--mode", "lock", "-o", tmp_path / "p.json", "--", waits, 20)
    assert r.returncode == 0, r.stderr
    assert set(json.loads((tmp_path / "p.json").read_bytes())["samples"]["event"]) == {LOCK, WAKER}
