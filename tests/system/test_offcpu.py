"""Time off the CPU: a program that waits on a schedule is reported as it measured itself."""

import collections
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import schedule
from completeness import profile_stacks
from profiles import closed_ledger
from schedule import FUNCTIONS, LOCK, OFFCPU, SHORT, WAKER, Waits, locks
from test_record import APERTURE, needs_bpf, record
from waiting import wait_for


@pytest.fixture(scope="module")
def waits(tmp_path_factory):
    return schedule.build(tmp_path_factory.mktemp("waits"))


@pytest.fixture(scope="module")
def wait_ends(tmp_path_factory):
    return schedule.build(tmp_path_factory.mktemp("wait_ends"), "wait_ends")


@needs_bpf
def test_a_known_schedule(waits, tmp_path):
    turns = 60
    r = record("--mode", "wall", "-o", tmp_path / "p.json", "--ledger", tmp_path / "l.json", "--", waits, turns)
    assert r.returncode == 0, r.stderr
    ledger = closed_ledger((tmp_path / "l.json").read_text())
    w = Waits(tmp_path / "p.json")
    told = schedule.told(r.stdout.decode())
    assert set(told) == {*FUNCTIONS, "main"}
    for thread, (lived, cpu, waited, _) in told.items():
        name = thread if thread in FUNCTIONS else waits.name
        # The kernel's CPU time of a thread begins before the switch to it does, by some microseconds.
        slack = schedule.SWITCH_NS * w.switches(name) + 3e6
        assert abs(w.ns[name] + cpu - lived) <= 0.01 * lived + slack, (thread, w.ns[name], cpu, lived)
        if thread in ("holder", "reader"):
            # A kernel that runs no programs in some threads hides the end of a wait now and then.
            unseen = w.ns[name, SHORT]
            assert abs(w.ns[name, FUNCTIONS[thread]] - waited) <= 0.01 * waited + 2e6 + unseen, (thread, w.ns, waited)
            assert unseen < 0.1 * waited
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
def test_all_modes_at_once_tell_what_is_known(waits, tmp_path):
    """Sleeps, locks, a deadlock to the end, a pipe, CPU time, calls and their errors, in one recording."""
    recording = schedule.Recording(waits, tmp_path, 60)
    closed_ledger(recording.ledger.read_text())
    wrong = [row for row in recording.rows() if not row.is_right()]
    assert not wrong
    # The two that never end were told of once each, as waits for locks.
    for thread in ("straight", "crossed"):
        states = {k[2]: n for k, n in recording.waits.count.items() if k[:2] == (thread, schedule.ALL_FUNCTIONS[thread])}
        assert states == {"lock": 1}, states


@needs_bpf
def test_a_report_of_wall_time_shows_all_of_it(tmp_path):
    turns = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; sleep 1"
    r = record("--mode", "wall", "-o", tmp_path / "p.pb.gz", "--", "sh", "-c", turns)
    assert r.returncode == 0, r.stderr
    report = [APERTURE, "report", "--by", "none"]
    out, of_cpu = (subprocess.run([*report, *more, tmp_path / "p.pb.gz"], capture_output=True, text=True,
                                  check=True).stdout for more in ((), ("--type", "cpu:nanoseconds")))
    assert out.startswith("Wall time: on and off the CPU: ") and " samples and waits over " in out
    # Two processes: one runs and then waits for the other, which sleeps.
    for wait in ("do_wait", "hrtimer_nanosleep"):
        assert wait in out and wait not in of_cpu, (out, of_cpu)
    assert of_cpu.startswith("CPU time: ")


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
def test_threads_whose_places_meet_lose_no_wait(tmp_path):
    """Of 700 threads about thirty find the place taken that their address leads to."""
    threads, turns = 700, 3
    crowd = schedule.build(tmp_path, "crowd")
    r = record("--mode", "offcpu", "-o", tmp_path / "p.json", "--ledger", tmp_path / "l.json", "--", crowd, threads, turns)
    assert r.returncode == 0, r.stderr
    closed_ledger((tmp_path / "l.json").read_text())
    data = json.loads((tmp_path / "p.json").read_bytes())["samples"]
    slept, ns, shown = collections.Counter(), collections.Counter(), 0
    for stack, value, event in zip(profile_stacks(tmp_path / "p.json"), data["value"], data["event"]):
        if event == OFFCPU and stack.labels["state"] == "sleeping" and stack.labels["thread"] != "crowd":
            slept[stack.labels["thread"]] += stack.count
            ns[stack.labels["thread"]] += value
            shown += stack.count * any(f.name == "rest" for f in stack.frames)
    assert slept == {f"t{i}": turns for i in range(threads)}
    assert min(ns.values()) >= turns * 5e6
    # A kernel may hide switches from some tasks of its own; the wait that ends in one is counted, without its stack.
    assert shown >= 0.99 * threads * turns


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
    # People are told the same, and by the program's functions.
    for function in ("take_first", "take_second"):
        assert re.search(rf"^ +[45]\d\.\d %  lock      {function}$", r.stderr.decode(), re.M), r.stderr
    report = subprocess.run([APERTURE, "report", "--type", "offcpu:nanoseconds", tmp_path / "p.json"], capture_output=True,
                            text=True, check=True, timeout=60).stdout
    assert re.search(r"in waits that went on at the end over .*; complete stacks: 100\.0 %", report.splitlines()[0]), report


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
    stages = aggregator.stages(agent)
    assert stages["offcpu"]["balance"] == 0
    assert stages["reader"]["in"]["count"] == stages["sample"]["out"]["count"] + stages["offcpu"]["out"]["count"]


@needs_bpf
def test_an_unknown_mode_is_refused(tmp_path):
    r = record("--mode", "sleep", "-o", tmp_path / "p.json", "--", "true", text=True)
    assert r.returncode == 2 and "no mode 'sleep'" in r.stderr


@needs_bpf
def test_locks_name_who_waits_and_who_lets_go(waits, tmp_path):
    r = record("--mode", "lock,offcpu", "-o", tmp_path / "p.json", "--ledger", tmp_path / "l.json", "--", waits, 60)
    assert r.returncode == 0, r.stderr
    closed_ledger((tmp_path / "l.json").read_text())
    held = schedule.told(r.stdout.decode())["wanter"][2]
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


def ends(path):
    """(thread, where it waited, how that ended, the lock's address and its place) → waits, of locks told of."""
    data = json.loads(path.read_bytes())
    found = collections.Counter()
    for stack, e in zip(profile_stacks(path), data["samples"]["event"]):
        if e == LOCK and "lock" in stack.labels and "domain" not in stack.labels:
            labels = stack.labels
            found[labels["thread"], labels.get("ended"), labels["lock"], labels.get("place")] += stack.count
    return found


@needs_bpf
def test_how_waits_ended_and_where_the_locks_lie(wait_ends, tmp_path):
    r = record("--mode", "lock", "-o", tmp_path / "p.json", "--ledger", tmp_path / "l.json", "--", wait_ends, 40)
    assert r.returncode == 0, r.stderr
    closed_ledger((tmp_path / "l.json").read_text())
    at = dict(line.split() for line in r.stdout.decode().splitlines())
    found = ends(tmp_path / "p.json")
    expected = {
        "timed": ("timeout", at["held"], f"held+0x40 in {wait_ends.name}"),
        "signalled": ("signal", at["interrupted"], "[heap]+0x2a0"),
        "several": ("woken", at["pair"], f"pair+0x4 in {wait_ends.name}"),
    }
    for thread, (ended, lock, place) in expected.items():
        of = {k[1:]: n for k, n in found.items() if k[0] == thread and n}
        # A time-out may come just when something else does; hardly ever does it.
        assert of.get((ended, lock, place), 0) >= 36 and sum(of.values()) <= 41, (thread, found)
        assert {k[1:] for k in of} == {(lock, place)}, (thread, found)
    # The table at the end tells the same, and not of waits for work.
    table = r.stderr.decode().partition("locks of programs")[2]
    rows = {line.partition(" in ")[0].split()[-1]: line.split() for line in table.splitlines() if f" in {wait_ends.name} " in line}
    assert int(rows["held+0x40"][3]) >= 36 and rows["held+0x40"][5:7] == ["mutex", "time_out"], table
    assert int(rows["pair+0x4"][2]) >= 36 and rows["pair+0x4"][3] == "0", table
    assert set(rows) == {"held+0x40", "pair+0x4"} and at["interrupted"] not in table
    # Of the woken one it is known by whom, and that one alone let go of anything.
    assert {k[:1] + k[2:4] for k in locks(tmp_path / "p.json", WAKER)} == {(wait_ends.name, "several", at["pair"])}
    # The wait for work ends with the process.
    assert {k[1:] for k in found if k[0] == "idle"} <= {(e, at["work"], f"work in {wait_ends.name}") for e in (None, "signal")}
    assert [k for k in found if k[0] == "idle"]


@needs_bpf
def test_locks_that_lend_their_waiters_priority(tmp_path):
    """LOCK_PI, and WAIT_REQUEUE_PI, which waits for one word and comes back with another."""
    program = schedule.build(tmp_path, "wait_pi")
    r = record("--mode", "lock", "-o", tmp_path / "p.json", "--ledger", tmp_path / "l.json", "--", program, 20)
    assert r.returncode == 0, r.stderr
    closed_ledger((tmp_path / "l.json").read_text())
    at = dict(line.split() for line in r.stdout.decode().splitlines())
    # A wait that was under way at a collection is told of in parts, of which its end counts.
    found = {k: n for k, n in ends(tmp_path / "p.json").items() if k[0] in ("inherits", "requeued") and n}
    assert set(found) == {("inherits", "woken", at["owned"], "owned in wait_pi"),
                          ("requeued", "woken", at["event"], "event in wait_pi")}
    # Who comes late to a wait may wait for less than is told of.
    assert all(17 <= n <= 20 for n in found.values()), found
    waiting = {k for k in locks(tmp_path / "p.json", LOCK) if k[0] in ("inherits", "requeued")}
    assert all({"inherits": "lock_pi", "requeued": "wait_requeue_pi"}[k[0]] in k[4] for k in waiting), waiting
    # Whoever lets go of the lock is known; it has the name of its program.
    ended = {(k[0], k[2], k[3]) for k in locks(tmp_path / "p.json", WAKER)}
    assert ("wait_pi", "inherits", at["owned"]) in ended, ended


@needs_bpf
def test_places_without_symbols(wait_ends, tmp_path):
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-o", stripped, wait_ends], check=True)
    r = record("--mode", "lock", "-o", tmp_path / "p.json", "--", stripped, 20)
    assert r.returncode == 0, r.stderr
    symbols = {line.split()[2]: int(line.split()[0], 16)
               for line in subprocess.run(["nm", wait_ends], check=True, capture_output=True, text=True).stdout.splitlines()
               if len(line.split()) == 3}
    places = {k[0]: k[3] for k in ends(tmp_path / "p.json")}
    assert places["timed"] == f"stripped+{symbols['held'] + 0x40:#x}"
    assert places["several"] == f"stripped+{symbols['pair'] + 4:#x}"


@needs_bpf
def test_wakers_of_other_waits_are_told_when_asked_for(waits, tmp_path):
    r = record("--mode", "offcpu", "--wakers", "-o", tmp_path / "p.json", "--ledger", tmp_path / "l.json", "--", waits, 40)
    assert r.returncode == 0, r.stderr
    closed_ledger((tmp_path / "l.json").read_text())
    data = json.loads((tmp_path / "p.json").read_bytes())
    by, ended = collections.Counter(), collections.Counter()
    for stack, event in zip(profile_stacks(tmp_path / "p.json"), data["samples"]["event"]):
        names = {f.name for f in stack.frames}
        labels = stack.labels
        if event == OFFCPU and stack.count and SHORT not in names:
            for function in names & {"read_slowly", "hold_lock", "want_lock"}:
                if labels["state"] != "runnable":
                    by[function, labels.get("waker")] += stack.count
        elif event == WAKER:
            ended[labels["thread"], labels["waiter"], labels["state"], "take_turns" in names] += stack.count
    # Who writes to the pipe, a timer, and who unlocks.
    for function, waker in (("read_slowly", "holder"), ("hold_lock", "[interrupt]"), ("want_lock", "holder")):
        all_waits = sum(n for k, n in by.items() if k[0] == function)
        assert by[function, waker] >= 0.9 * all_waits > 10, by
    assert ended["holder", "reader", "sleeping", True] > 10
    assert ended["holder", "wanter", "lock", True] > 10
    # Before its exec the child is Aperture's, which may let it wait.
    assert {k[0] for k in ended if k[1] != "aperture"} <= {"holder", waits.name}, ended
    # Unless it is asked for nothing of it is there.
    r = record("--mode", "offcpu", "-o", tmp_path / "p.json", "--", waits, 10)
    assert r.returncode == 0, r.stderr
    assert set(json.loads((tmp_path / "p.json").read_bytes())["samples"]["event"]) == {OFFCPU}
    assert not any("waker" in s.labels for s in profile_stacks(tmp_path / "p.json"))
