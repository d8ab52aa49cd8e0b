"""Stacks of slow and failing system calls, and the choice of calls, against a program that makes known ones."""

import collections
import json
import subprocess
import urllib.parse
from pathlib import Path

import pytest
from completeness import profile_stacks
from conftest import ROOT, Program, environment, wait_for
from test_record import APERTURE, needs_bpf

pytestmark = needs_bpf

SOURCE = ROOT / "tests/system/programs/call_stacks.c"
# Who makes the calls, which, with which error, and how often.
SLOW = ("sleep_long", "clock_nanosleep", "", 5)
MISSING = ("open_missing", "faccessat", "ENOENT", 12)
BAD = ("close_twice", "close", "EBADF", 9)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    out = tmp_path_factory.mktemp("call_stacks") / "call_stacks"
    subprocess.run(["cc", "-O2", "-fno-omit-frame-pointer", "-Wall", "-D_GNU_SOURCE", SOURCE, "-o", out], check=True)
    return out


def record(*args, status=0):
    r = subprocess.run([APERTURE, "record", "--mode", "syscall", *map(str, args)], capture_output=True, text=True,
                       timeout=120, env=environment())
    assert r.returncode == status, r.stderr
    return r


def recorded(folder, program, *args):
    """{(function, call, error): count} of the program's own stacks, and the stages of the ledger."""
    out, ledger = folder / "out.json", folder / "ledger.json"
    record("-q", "-o", out, "--ledger", ledger, *args, "--", *map(str, program))
    return own(profile_stacks(out)), {s["stage"]: s for s in json.loads(ledger.read_text())["stages"]}


def own(stacks):
    """Those below main(), which end in the program's function and the C library's."""
    found = collections.Counter()
    for s in stacks:
        names = [f.name for f in s.frames]
        if "main" in names:
            assert s.reason == "ok" and names[0] == "_start", names
            caller = names[names.index("main") + 1]
            found[caller, s.labels["syscall"], s.labels.get("errno", "")] += s.count
    return found


def expected(*calls):
    return {c[:3]: c[3] for c in calls}


def test_slow_and_failing_calls_have_their_stacks(program, tmp_path):
    found, stages = recorded(tmp_path, [program], "--syscall-slow", "40ms", "--syscall-errors")
    assert found == expected(SLOW, MISSING, BAD)
    stage = stages["syscall_stack"]
    assert stage["in"]["count"] == stage["out"]["count"] >= sum(found.values())
    assert {e["name"]: e["count"] for e in stage["losses"]} == {"limited": 0, "ringbuf_full": 0}
    assert stages["reader"]["out"]["count"] == stage["out"]["count"]
    # The calls are counted all the same, and the file holds the table as well.
    r = subprocess.run([APERTURE, "report", tmp_path / "out.json"], capture_output=True, text=True, timeout=60,
                       env=environment())
    assert r.returncode == 0 and "sleep_long" in r.stdout
    assert any(line.split()[-3:] == ["close", "EBADF", "9"] for line in r.stdout.splitlines()), r.stdout


@pytest.mark.parametrize("args, calls", [
    (["--syscall-errors=ENOENT"], [MISSING]),
    (["--syscall-errors=ENOENT,EBADF"], [MISSING, BAD]),
    (["--syscall-slow", "40ms"], [SLOW]),
    (["--syscall-errors", "--syscalls", "close"], [BAD]),
    (["--syscall-errors", "--syscalls", "!close"], [MISSING]),
])
def test_only_what_was_asked_for(program, tmp_path, args, calls):
    found, _ = recorded(tmp_path, [program], *args)
    assert found == expected(*calls)


def test_a_storm_of_failures_is_held_to_the_rate(program, tmp_path):
    """Each stack is either taken or counted as over the rate, and all calls are counted."""
    storm = 200000
    found, stages = recorded(tmp_path, [program, "storm", storm], "--syscall-errors=EBADF", "--syscall-stack-rate", 5)
    stage = stages["syscall_stack"]
    losses = {e["name"]: e["count"] for e in stage["losses"]}
    assert stage["in"]["count"] == storm and losses["ringbuf_full"] == 0
    taken = found["close_twice", "close", "EBADF"]
    assert taken == stage["out"]["count"] == storm - losses["limited"]
    # The storm takes well under a minute, on whichever CPUs.
    assert 5 <= taken < 1000
    r = record("--syscall-errors=EBADF", "--syscall-stack-rate", 5, "-o", tmp_path / "again.json", "--", program,
               "storm", storm)
    assert "slow or failing system calls over --syscall-stack-rate" in r.stderr
    assert "lost: none" in r.stderr


def test_chosen_calls_alone_are_counted(program):
    """What is left out is not seen at all, so nothing but them is in the ledger."""
    def rows(*args):
        r = record("-q", "--format", "json", *args, "--", program)
        return {c["syscall"]: c["count"] for c in json.loads(r.stdout)["syscalls"]}

    assert rows("--syscalls", "faccessat,close") == {"faccessat": MISSING[3], "close": rows()["close"]}
    everything, rest = rows(), rows("--syscalls", "!close,!faccessat")
    assert set(everything) - set(rest) == {"close", "faccessat"}


@pytest.mark.parametrize("args, said", [
    (["--syscalls", "openta"], "there is no system call 'openta'; did you mean openat?"),
    (["--syscall-errors=ENOENTS"], "there is no error 'ENOENTS'; did you mean ENOENT?"),
])
def test_a_wrong_name_is_told(args, said):
    r = record(*args, "--", "true", status=2)
    assert said in r.stderr and len(r.stderr.strip().splitlines()) == 1


def test_options_of_the_mode_need_the_mode():
    r = subprocess.run([APERTURE, "record", "--syscall-slow", "1ms", "--", "true"], capture_output=True, text=True,
                       timeout=60, env=environment())
    assert r.returncode == 2 and "--syscall-slow is of --mode syscall" in r.stderr


def test_one_page_and_the_live_view_choose_calls_too(program, tmp_path):
    def run(*args, status=0):
        r = subprocess.run([APERTURE, *map(str, args)], capture_output=True, text=True, timeout=120, env=environment())
        assert r.returncode == status, r.stderr
        return r

    out = tmp_path / "out.json"
    run("stat", "--format", "json", "--report", tmp_path / "page.json", "--syscalls", "faccessat,close",
        "--syscall-errors=EBADF", "-o", out, "--", program)
    calls = {c["syscall"] for c in json.loads((tmp_path / "page.json").read_text())["syscalls"]["syscalls"]}
    assert calls == {"faccessat", "close"}
    kept = [s for s in profile_stacks(out) if "syscall" in s.labels]
    assert own(kept) == expected(BAD)
    assert "give it a file with -o" in run("stat", "--syscall-errors", "--", program, status=2).stderr
    storm = subprocess.Popen([program, "storm", "1000000000"])
    try:
        top = ["top", "-b", "-i", 1, "-n", "500ms", "--view", "syscalls", "-p", storm.pid, "--syscalls"]
        shown = [" close " in run(*top, names).stdout for names in ("close,openat", "openat")]
    finally:
        storm.kill()
        storm.wait()
    assert shown == [True, False]


def test_an_agent_tells_an_aggregator(program, aggregator, start_agent, tmp_path):
    """The stacks come out of the store by call and error, in both measures."""
    waiting = Program.__new__(Program)
    waiting.log = Path(tmp_path, "program.log")
    waiting.process = subprocess.Popen([program, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        agent = start_agent(aggregator.grpc, "--mode", "syscall", "--syscall-slow", "40ms", "--syscall-errors",
                            "--pid", str(waiting.process.pid)).running()
        waiting.process.stdin.write(b"x")
        waiting.process.stdin.flush()
        assert waiting.process.stdout.readline() == b"done\n"

        def graph(type_, **labels):
            labels = {"pid": str(waiting.process.pid), **labels}
            return aggregator.get("/api/v1/flamegraph?" + urllib.parse.urlencode({
                "from": "now-10m", "to": "now", "type": type_,
                "filter": "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"}))

        wait_for(lambda: graph("syscall:count", syscall="close")["total"] == BAD[3], "the stacks")
        for function, call, error, count in (SLOW, MISSING, BAD):
            answer = graph("syscall:count", syscall=call, **({"errno": error} if error else {}))
            assert answer["total"] == count
            assert function in answer["strings"], answer["strings"]
        assert graph("syscall:nanoseconds", syscall="clock_nanosleep")["total"] >= SLOW[3] * 60_000_000
        types = {t["name"]: t for t in aggregator.get("/api/v1/profile-types")["types"]}
        assert types["syscall:count"]["unit"] == "count"
    finally:
        waiting.process.kill()
        waiting.process.wait()
    assert agent.stop() == 0
    stages = aggregator.stages(agent)
    assert stages["syscall_stack"]["balance"] == 0 and stages["syscall_stack"]["out"]["count"] > 0
