"""Waits for the kernel's own locks: against what the program measured itself, and what perf counted."""

import collections
import contextlib
import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

import workloads
from completeness import profile_stacks
from openapi import check_named
from profiles import closed_ledger
from test_offcpu import waits  # noqa: F401  (a fixture)
from test_record import APERTURE, needs_bpf, record
from waiting import wait_for

LOCK = 3  # enum ap_event
HAS_TRACEPOINTS = b"btf_trace_contention_begin" in Path("/sys/kernel/btf/vmlinux").read_bytes() \
    if Path("/sys/kernel/btf/vmlinux").exists() else False
pytestmark = [needs_bpf, pytest.mark.skipif(not HAS_TRACEPOINTS, reason="this kernel does not tell of its locks")]


@pytest.fixture(scope="module")
def contend(tmp_path_factory):
    program = tmp_path_factory.mktemp("contend") / "contend"
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-fomit-frame-pointer", "-pthread", "-o", program,
                    workloads.SOURCES / "contend.c"], check=True)
    return program


class Wait:
    def __init__(self, stack, ns):
        self.stack, self.labels, self.count, self.ns = stack, stack.labels, stack.count, ns
        self.names = {f.name for f in stack.frames}


def kernel_waits(path):
    data = json.loads(path.read_bytes())
    rows = zip(profile_stacks(path), data["samples"]["value"], data["samples"]["event"])
    return [Wait(s, ns) for s, ns, event in rows if event == LOCK and s.labels.get("domain") == "kernel"]


def stage_of(ledger, name):
    return next(s for s in ledger["stages"] if s["stage"] == name)


def recorded(tmp_path, *args, **kwargs):
    r = record("--mode", "lock", "-o", tmp_path / "p.json", "--ledger", tmp_path / "l.json", *args, **kwargs)
    assert r.returncode == 0, r.stderr
    return r, kernel_waits(tmp_path / "p.json"), closed_ledger((tmp_path / "l.json").read_text())


def test_waits_of_a_known_length(contend, tmp_path):
    turns = 40
    r, waits, ledger = recorded(tmp_path, "--", contend, "hold", 10, turns, tmp_path / "file")
    spent, n = map(int, r.stdout.split())
    mine = [w for w in waits if w.labels.get("thread") == "waiter" and w.labels["kind"] == "rwsem write"]
    assert sum(w.count for w in mine) == n == turns
    # Its own measure begins before the write and ends after it.
    assert spent - 0.02 * spent - 2e6 < sum(w.ns for w in mine) <= spent
    assert all({"want_file", w.labels["caller"]} <= w.names and "write" in w.labels["caller"] for w in mine)
    assert all(w.stack.complete() for w in mine)
    assert {w.labels["lock"] for w in mine} == {"[kernel heap]"}
    # Every wait that the programs saw whole is in the profile.
    assert stage_of(ledger, "kernel_lock")["out"]["count"] == sum(w.count for w in waits) >= turns
    # For people, too.
    assert any(line.split()[2:5] == [str(turns), "rwsem", "write"] for line in r.stderr.decode().splitlines()), r.stderr


def perf_counts(path):
    return [int(line.split(",")[0]) for line in path.read_text().splitlines() if ",lock:" in line]


def test_counts_are_those_of_perf(contend, tmp_path):
    """perf's counters of the tracepoints, in one process, from its exec to its end. A mutex may begin twice."""
    mount = "mount -t tracefs nodev /sys/kernel/tracing"
    if subprocess.run(["unshare", "-m", "sh", "-c", f"{mount} && exec perf stat -e lock:contention_begin true"],
                      capture_output=True).returncode != 0:
        pytest.skip("perf cannot count the kernel's tracepoints here")
    counted = tmp_path / "perf.csv"
    perf = f"""{mount} && exec perf stat -x, -o {counted} -e lock:contention_begin --filter 'flags == 2 || flags == 4' \
        -e lock:contention_begin --filter 'flags == 1' -- "$@\""""
    _, waits, ledger = recorded(tmp_path, "--", "unshare", "-m", "sh", "-c", perf, "sh", contend, "storm", 6, 3000,
                                input=b"\n\n")
    ours = collections.Counter()
    for w in waits:
        if w.labels["comm"] == contend.name:
            ours[w.labels["kind"].split()[0]] += w.count
    rwsem, spin = perf_counts(counted)
    # perf leaves out a few, about one in a thousand.
    assert 0 < rwsem <= ours["rwsem"] <= rwsem + 2 + 0.005 * rwsem
    # perf ends with the thread; the kernel spins a little longer for it. Interrupts may wait within our programs.
    losses = {loss["name"]: loss["count"] for loss in stage_of(ledger, "kernel_lock")["losses"]}
    unseen = losses.pop("nested") + losses.pop("no_begin")
    assert spin - unseen <= ours["spinlock"] <= spin + 20 and unseen < 10
    assert not any(losses.values()), losses
    assert {"mmap_lock"} == {w.labels["lock"] for w in waits if w.labels["kind"].startswith("rwsem") and
                             w.labels["caller"] in ("__vm_munmap", "vm_mmap_pgoff")}


def waits_to_write(process):
    """wchan is the function that asked for the lock."""
    tasks = list(Path(f"/proc/{process.pid}/task").iterdir())
    return any((t / "comm").read_text() == "waiter\n" and "write" in (t / "wchan").read_text() for t in tasks)


def test_a_wait_that_goes_on(contend, tmp_path):
    _, waits, ledger = recorded(tmp_path, "-d", 2, "--", contend, "hold", 4000, 1, tmp_path / "file")
    mine = [w for w in waits if w.labels.get("thread") == "waiter" and "want_file" in w.names]
    assert mine and sum(w.count for w in mine) == 0
    assert 0.5 * ledger["duration_s"] < sum(w.ns for w in mine) / 1e9 <= ledger["duration_s"]
    assert all("write" in w.labels["caller"] for w in mine)


def until_it_is_seen(process, tmp_path, then):
    """Records a process; calls `then` when the recording has begun, as a terminal is told. Its text for people."""
    controller, terminal = pty.openpty()
    recording = subprocess.Popen([APERTURE, "record", "--mode", "lock", "-p", str(process.pid), "-o", tmp_path / "p.json",
                                  "--ledger", tmp_path / "l.json"], stderr=terminal)
    os.close(terminal)
    shown = b""
    while not re.search(rb"\d+ s  \d+ samples", shown):
        shown += os.read(controller, 4096)
    then()
    with contextlib.suppress(OSError):  # EIO: the terminal's other end is closed
        while True:
            shown += os.read(controller, 4096)
    os.close(controller)
    assert recording.wait(60) in (0, 5), shown  # 5: no samples
    return shown


def test_a_wait_that_is_older_than_the_recording_is_none(contend, tmp_path):
    """No time is known of it: it is counted as such, and as no loss."""
    process = subprocess.Popen([contend, "hold", "3600000", "1", tmp_path / "file"], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: waits_to_write(process), "the waiter to wait")
        shown = until_it_is_seen(process, tmp_path, process.kill)
    finally:
        process.kill()
        process.wait()
    losses = {loss["name"]: loss["count"] for loss in
              stage_of(closed_ledger((tmp_path / "l.json").read_text()), "kernel_lock")["losses"]}
    assert losses.pop("no_begin") == 1 and not any(losses.values())
    assert b"lost: none" in shown
    if (tmp_path / "p.json").exists():
        assert not [w for w in kernel_waits(tmp_path / "p.json") if "want_file" in w.names]


def test_only_the_processes_asked_for(contend, tmp_path):
    file = tmp_path / "file"
    asked = subprocess.Popen([contend, "hold", "5", "100000", file], stdout=subprocess.DEVNULL)
    other = subprocess.Popen([contend, "hold", "5", "100000", tmp_path / "other"], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: waits_to_write(other), "the other to wait")
        _, waits, _ = recorded(tmp_path, "-p", asked.pid, "-d", 1)
        _, all_waits, _ = recorded(tmp_path, "-a", "-d", 1)
    finally:
        for p in (asked, other):
            p.kill()
            p.wait()
    assert {w.labels["pid"] for w in waits} == {str(asked.pid)}
    assert {w.labels["pid"] for w in all_waits} >= {str(asked.pid), str(other.pid)}


def test_no_address_of_the_kernel_leaves_it(contend, tmp_path):
    _, waits, _ = recorded(tmp_path, "--", contend, "storm", 6, 2000, input=b"\n\n")
    assert waits
    text = (tmp_path / "p.json").read_text()
    assert "0xffff" not in text
    data = json.loads(text)
    named = [o for o, f, k in zip(*(data["frames"][c] for c in ("offset", "function", "kind"))) if f and k == 1]
    assert named and not any(named)


class Told:
    def __init__(self, aggregator):
        self.aggregator = aggregator

    def ask(self, path, **params):
        return self.aggregator.get(f"/api/v1/{path}?" + "&".join(
            f"{k}={v}" for k, v in {"from": "now-10m", "to": "now", **params}.items()))


def test_the_aggregator_tells_kernel_locks_from_those_of_programs(aggregator, start_agent, contend, waits,  # noqa: F811
                                                                  tmp_path):
    agent = start_agent(aggregator.grpc, "--mode", "lock", "--service", "contending").running()
    programs = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in
                ([contend, "hold", "20", "100000", tmp_path / "file"], [waits, "100000"])]
    told = Told(aggregator)

    def mine(**params):
        return [r for r in told.ask("locks", **{"limit": 10000, **params})["locks"]
                if r["pid"] == str(programs[0].pid) and r["kind"] == "rwsem write" and "write" in r["caller"]]

    try:
        wait_for(lambda: sum(r["count"] for r in mine(domain="kernel")) > 20, "waits in the aggregator")
        wait_for(lambda: told.ask("locks", domain="user")["locks"], "waits for a mutex")
    finally:
        for process in programs:
            process.kill()
            process.wait()
    assert agent.stop() == 0
    both, user, kernel = (check_named("Locks", told.ask("locks", domain=d)) for d in ("all", "user", "kernel"))
    assert both["total"]["ns"] == user["total"]["ns"] + kernel["total"]["ns"]
    assert {r["domain"] for r in kernel["locks"]} == {"kernel"} and {r["domain"] for r in user["locks"]} == {"user"}
    assert all(r["caller"] == r["function"] != "" and r["contended"] for r in kernel["locks"])
    assert not any(r["lock"].startswith("0x") for r in kernel["locks"])
    row = mine()[0]
    assert row["waiters"] == 1 and row["wakers"] == 0
    chosen = "{" + ",".join(f'{k}="{row[k]}"' for k in ("host", "pid", "lock", "kind", "caller")) + "}"
    only = told.ask("locks", filter=chosen.replace(" ", "%20"))
    assert [r["ns"] for r in only["locks"]] == [row["ns"]]
    assert told.ask("flamegraph", type="lock:nanoseconds", filter=chosen.replace(" ", "%20"))["total"] == row["ns"]
    stages = aggregator.stages(agent)
    assert stages["kernel_lock"]["balance"] == 0 and stages["kernel_lock"]["out"]["count"] > 20
