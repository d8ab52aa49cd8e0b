"""The system call mode against what somebody else counted: strace, and the program itself."""

import collections
import json
import os
import re
import subprocess
import urllib.parse
from pathlib import Path

import pytest
from conftest import ROOT, Program, environment, wait_for
from openapi import check_named
from test_record import APERTURE, needs_bpf

pytestmark = needs_bpf

SOURCE = ROOT / "tests/system/programs/syscalls.c"
THREADS = 4
# By (call, ABI): how often all threads made it, and with which error.
KNOWN = {
    ("getppid", "x86-64"): (THREADS * 1000, {}),
    ("getppid", "i386"): (THREADS * 100, {}),
    ("syscall_9999", "x86-64"): (THREADS * 7, {"ENOSYS": THREADS * 7}),
}
KNOWN_ERRORS = {("close", "EBADF"): THREADS * 300, ("faccessat", "ENOENT"): THREADS * 200,
                ("read", "EAGAIN"): THREADS * 50}
# How often threads wait for one another depends on who is first.
BY_CHANCE = {"futex"}
# strace -c lists a call when it returns, and none without a name.
NOT_LISTED = {"exit", "exit_group", "rt_sigreturn", "syscall_9999"}
# What Aperture's child does between the byte that lets it go and its exec: it takes its signals back.
BEFORE_EXEC = {"rt_sigaction": 1, "rt_sigprocmask": 1}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    out = tmp_path_factory.mktemp("syscalls") / "syscalls"
    subprocess.run(["cc", "-O2", "-Wall", "-D_GNU_SOURCE", "-pthread", SOURCE, "-o", out], check=True)
    return out


def recorded(*args, **kwargs):
    """The table of a recording, and its ledger's stage."""
    ledger = Path(kwargs.pop("folder"), "ledger.json")
    r = subprocess.run([APERTURE, "record", "-q", "--mode", "syscall", "--format", "json", "--ledger", ledger, "--",
                        *map(str, args)], capture_output=True, timeout=120, env=environment(), **kwargs)
    assert r.returncode == 0, r.stderr
    # The command writes to the same stdout, before the table.
    before, _, table = r.stdout.decode().rpartition("\n{")
    stage = next(s for s in json.loads(ledger.read_text())["stages"] if s["stage"] == "syscall")
    return before, json.loads("{" + table if before or r.stdout[:1] != b"{" else r.stdout), stage


def calls_of(table):
    return {(r["syscall"], r["abi"]): r for r in table["syscalls"]}


def errors_of(row):
    return {e["name"]: e["count"] for e in row["errnos"]}


def name_of(call):
    """strace's syscall_0x270f as ours."""
    return f"syscall_{int(call[10:], 16)}" if call.startswith("syscall_0x") else call


def strace_summary(program, folder):
    """{(call, ABI): (calls, errors)} of strace -c -f."""
    out = folder / "summary"
    subprocess.run(["strace", "-c", "-f", "-o", out, program], check=True, capture_output=True, timeout=120)
    abi, found = "x86-64", {}
    for line in out.read_text().splitlines():
        mode = re.search(r"summary for (\d+) bit mode", line)
        if mode:
            abi = {"32": "i386", "64": "x86-64"}[mode[1]]
        row = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:(\d+)\s+)?(\w+)$", line)
        if row and row[3] != "total":
            found[name_of(row[3]), abi] = int(row[1]), int(row[2] or 0)
    return found


def strace_errors(program, folder):
    """{(call, errno): count} of the whole trace."""
    out = folder / "trace"
    subprocess.run(["strace", "-f", "-o", out, program], check=True, capture_output=True, timeout=120)
    return collections.Counter(
        (name_of(m[1]), m[2]) for m in re.finditer(
            r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed).*= -1 (E\w+)", out.read_text(), re.M))


@pytest.mark.skipif(subprocess.run(["which", "strace"], capture_output=True).returncode != 0,
                    reason="strace is not installed")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the 32-bit entry is x86's")
def test_counts_and_errors_are_those_of_strace(program, tmp_path):
    """By call and ABI the numbers are equal for every call that does not depend on timing. Left out of it:
    futex; those that strace -c does not list; and the two by which the child of
    `aperture record` takes back its signals before its exec."""
    _, table, stage = recorded(program, folder=tmp_path)
    ours = calls_of(table)
    theirs = strace_summary(program, tmp_path)
    for key, (calls, errors) in KNOWN.items():
        assert (ours[key]["count"], errors_of(ours[key])) == (calls, errors), key
    expected = {k: v for k, v in theirs.items() if k[0] not in BY_CHANCE}
    got = {k: (r["count"] - (BEFORE_EXEC.get(k[0], 0) if k[1] == "x86-64" else 0), r["errors"])
           for k, r in ours.items() if k[0] not in BY_CHANCE | NOT_LISTED}
    assert got == expected
    by_errno = {(r["syscall"], name): n for r in ours.values() for name, n in errors_of(r).items()
                if r["syscall"] not in BY_CHANCE}
    trace = {k: n for k, n in strace_errors(program, tmp_path).items() if k[0] not in BY_CHANCE}
    assert by_errno == trace
    for key, count in KNOWN_ERRORS.items():
        assert by_errno[key] == count, key
    assert ours["exit", "x86-64"]["count"] == THREADS and ours["exit", "x86-64"]["returned"] == 0
    assert ours["exit_group", "x86-64"]["count"] == 1
    assert_closed(stage, table["count"])


def assert_closed(stage, reported):
    """What was seen is what was reported; one call, the read that held the child back, began before."""
    losses = {e["name"]: e["count"] for e in stage["losses"]}
    assert stage["in"]["count"] == reported + losses["no_start"], stage
    assert stage["out"]["count"] == reported and stage["balance"] == 0
    assert losses == {"table_full": 0, "no_start": 1, "no_memory": 0}


def test_latencies_are_those_that_the_program_measured(program, tmp_path):
    text, table, _ = recorded(program, "block", folder=tmp_path)
    total, longest = map(int, text.split())
    row = calls_of(table)["readv", "x86-64"]
    assert row["count"] == row["returned"] == 10
    assert row["sum_ns"] == pytest.approx(total, rel=0.01)
    assert row["max_ns"] == pytest.approx(longest, rel=0.01)
    histogram = list(zip(*(row["histogram"][k] for k in ("from_ns", "to_ns", "count"))))
    assert sum(n for _, _, n in histogram) == 10
    for low, high, _ in histogram:
        assert (high - low) / 2 <= 0.0625 * low + 1
    assert histogram[-1][0] <= row["max_ns"] < histogram[-1][1]
    middle = sum((low + high) / 2 * n for low, high, n in histogram)
    assert middle == pytest.approx(total, rel=0.0625)
    assert 25e6 < row["p50_ns"] < 40e6 or row["p50_ns"] == pytest.approx(total / 10, rel=0.0625)


def test_a_table_for_people(program):
    r = subprocess.run([APERTURE, "record", "--mode", "syscall", "--", program], capture_output=True, text=True,
                       timeout=120, env=environment())
    assert r.returncode == 0
    head, *rows = r.stdout.splitlines()
    assert head.split() == ["time", "total", "calls", "errors", "mean", "p50", "p99", "max", "system", "call"]
    assert any(re.search(r"\s4,000\s+0\s.*\sgetppid$", row) for row in rows)
    assert any(re.search(r"getppid \(i386\)$", row) for row in rows)
    assert any(re.search(r"\sfaccessat  ENOENT 800$", row) for row in rows)
    assert "system calls" in r.stderr and "lost" not in r.stderr


@pytest.mark.parametrize("args", [["--format", "svg"], ["-o", "x.html"], ["--ledger", "-"]])
def test_what_a_table_cannot_be_is_said(args):
    r = subprocess.run([APERTURE, "record", "--mode", "syscall", *args, "--", "true"], capture_output=True, text=True,
                       timeout=60, env=environment())
    assert r.returncode == 2
    assert len(r.stderr.strip().splitlines()) == 1


class Waiting(Program):
    """The program, which begins when it is told to."""

    def __init__(self, program, log):
        self.log = log
        self.process = subprocess.Popen([program, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def go(self):
        self.process.stdin.write(b"x")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"done\n"

    def end(self):
        self.process.stdin.close()
        return self.process.wait(60)


def ask(aggregator, **parameters):
    return check_named("Syscalls", aggregator.get("/api/v1/syscalls?" + urllib.parse.urlencode(
        {"from": "now-10m", "to": "now", **parameters})))


def test_an_agent_tells_an_aggregator(program, aggregator, start_agent, tmp_path):
    waiting = Waiting(program, tmp_path / "log")
    try:
        agent = start_agent(aggregator.grpc, "--mode", "syscall", "--pid", str(waiting.process.pid)).running()
        waiting.go()
        pid = f'{{pid="{waiting.process.pid}"}}'

        def rows(**more):
            return calls_of(ask(aggregator, filter=pid, **more))

        wait_for(lambda: rows().get(("getppid", "x86-64"), {}).get("count") == THREADS * 1000, "all calls")
        found = rows()
        for key, (calls, errors) in KNOWN.items():
            assert (found[key]["count"], errors_of(found[key])) == (calls, errors), key
        # It waits for the end now: the read has not returned, and gets older.
        wait_for(lambda: rows()["read", "x86-64"]["in_flight"] == 1, "a read in flight")
        age = rows()["read", "x86-64"]["oldest_ns"]
        wait_for(lambda: rows()["read", "x86-64"]["oldest_ns"] > age, "it to get older")
        answer = ask(aggregator, filter=pid, by="comm", syscall="close", step="1s")
        assert [(r["value"], r["errors"]) for r in answer["syscalls"]] == [("syscalls", THREADS * 300)]
        assert sum(n or 0 for n in answer["series"]["errors"]) == THREADS * 300
        assert answer["coverage"]["lost"] == 0
        assert waiting.end() == 0
        wait_for(lambda: rows()["read", "x86-64"]["in_flight"] == 0, "the read to have ended")
    finally:
        waiting.process.kill()
        waiting.process.wait()
    assert agent.stop() == 0
    modes = {a["id"]: a["modes"] for a in aggregator.get("/api/v1/agents")["agents"]}
    assert modes[agent.id] == ["syscall"]
    stages = aggregator.stages(agent)
    assert stages["syscall"]["balance"] == 0
    assert stages["syscall"]["out"]["count"] == ask(aggregator)["count"]
    cut = ask(aggregator, limit=1, sort="count")
    assert len(cut["syscalls"]) == 1 and cut["coverage"]["truncated"]["what"] == "rows"


def test_the_whole_machine_keeps_its_ledger_closed(aggregator, start_agent):
    agent = start_agent(aggregator.grpc, "--mode", "syscall").running()
    wait_for(lambda: ask(aggregator)["count"] > 10000, "system calls")
    assert agent.stop() == 0
    stages = aggregator.stages(agent)
    seen = stages["syscall"]
    assert seen["balance"] == 0
    assert seen["in"]["count"] == ask(aggregator)["count"] + sum(e["count"] for e in seen["losses"])
