"""`aperture stat`: one page about a program whose waits, locks and system calls are known."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

import pytest

from profiles import closed_ledger
from test_offcpu import SHORT, Waits, waits  # noqa: F401  (waits: a fixture)
from test_record import APERTURE, OWN_CPU, needs_bpf, spinner  # noqa: F401
from test_syscalls import KNOWN, KNOWN_ERRORS, errors_of
from test_syscalls import program as syscalls  # noqa: F401

pytestmark = needs_bpf


def stat(*args, **kwargs):
    kwargs.setdefault("capture_output", True)
    return subprocess.run([APERTURE, "stat", *map(str, args)], timeout=120, text=True, **kwargs)


def page(tmp_path, *args):
    """The JSON form, and what the command said."""
    r = stat("--format", "json", "--report", tmp_path / "page.json", *args)
    assert r.returncode == 0, r.stderr
    data = json.loads((tmp_path / "page.json").read_text())
    closed_ledger(json.dumps(data["ledger"]))
    return data, r.stdout


def on_terminal(argv, columns=80, **environment):
    """What a program writes to a terminal of that width."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", **environment)
        os.execv(argv[0], [str(a) for a in argv])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    out = b""
    while True:
        try:
            chunk = os.read(fd, 65536)
        except OSError:
            break
        if not chunk:
            break
        out += chunk
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return out.decode()


def test_a_known_schedule(waits, tmp_path):  # noqa: F811
    turns = 60
    began = time.monotonic_ns()
    data, said = page(tmp_path, "-o", tmp_path / "p.json", "--", waits, turns)
    whole = time.monotonic_ns() - began
    told = {line.split()[0]: tuple(map(int, line.split()[1:])) for line in said.splitlines()}
    assert data["modes"] == ["cpu", "offcpu", "lock", "syscall"] and data["refused"] is None
    lived = told["main"][0]
    assert lived <= data["elapsed_ns"] <= whole - data["start_ns"] - data["finish_ns"]
    used = sum(t[1] for t in told.values())
    assert used <= data["cpu"]["user_ns"] + data["cpu"]["system_ns"] <= used + 50e6 and data["cpu"]["exact"]
    # Where the threads waited is told by their own functions, not by what those called in libc.
    # (On a busy machine the loader may be kept from the CPU for long enough to have a row, and has no names.)
    rows = {row["function"]["name"]: row for row in data["off_cpu"]["functions"] if row["function"]}
    profile = Waits(tmp_path / "p.json")
    for thread, function in (("holder", "hold_lock"), ("reader", "read_slowly"), ("wanter", "want_lock")):
        assert rows[function]["ns"] == profile.ns[thread, function]
        # A kernel that runs no programs in some threads hides the end of a wait now and then.
        unseen = profile.ns[thread, SHORT]
        assert abs(rows[function]["ns"] - told[thread][2]) <= 0.01 * told[thread][2] + 3e6 + unseen
        assert unseen < 0.1 * told[thread][2]
    assert rows["hold_lock"]["causes"]["sleeping"]["count"] >= 0.9 * turns
    # Nor does anything tell of the program's start by this one.
    assert "aperture" not in {row["function"]["module"] for row in rows.values()}
    # All of the threads' time is on the CPU or off it, for a cause.
    causes = data["off_cpu"]["causes"]
    assert sum(c["ns"] for c in causes.values()) == data["off_cpu"]["ns"]
    lived = sum(t[0] for t in told.values())
    # The kernel's CPU time of a thread begins before the switch to it does, by some microseconds.
    switching = 15e3 * data["off_cpu"]["count"]
    assert abs(data["off_cpu"]["ns"] + used - lived) <= 0.01 * lived + switching + 3e6 * len(told)
    # The one lock, who wants it and who has it.
    lock, = [row for row in data["locks"]["locks"] if row["contended"] and row["domain"] == "user"]
    assert (lock["kind"], lock["waiter"]["name"], lock["waker"]["name"]) == ("mutex", "want_lock", "hold_lock")
    assert lock["ns"] == rows["want_lock"]["causes"]["lock"]["ns"] and lock["count"] > 0
    assert lock["ns"] / lock["count"] <= lock["max_ns"] <= lock["ns"]
    assert lock["place"] == "lock in waits" and lock["timeouts"] == lock["signals"] == 0
    # Calls that the program makes in every turn.
    calls = {row["syscall"]: row for row in data["syscalls"]["syscalls"]}
    assert calls["write"]["count"] == turns + 1  # and what it prints, at its end
    assert calls["clock_nanosleep"]["count"] == turns * (1 + 2 + 1 + 20)
    assert calls["clone3"]["count"] == 4 and calls["exit_group"]["count"] == 1


def test_counts_of_system_calls_are_exact(syscalls, tmp_path):  # noqa: F811
    data, _ = page(tmp_path, "--", syscalls)
    rows = {(row["syscall"], row["abi"]): row for row in data["syscalls"]["syscalls"]}
    for key, (count, errors) in KNOWN.items():
        assert (rows[key]["count"], errors_of(rows[key])) == (count, errors), key
    for key in ("count", "sum_ns"):
        assert data["syscalls"][key] == sum(row[key] for row in data["syscalls"]["syscalls"])
    for (call, errno), count in KNOWN_ERRORS.items():
        assert errors_of(rows[call, "x86-64"])[errno] == count
    r = stat("--rows", 100, "--", syscalls)
    assert re.search(r"\s1,2\d\d +1,200 .* close  EBADF$", r.stderr, re.MULTILINE), r.stderr


def test_the_exit_status_is_the_commands():
    for command, status in (("exit 7", 7), ("kill -TERM $$", 128 + signal.SIGTERM), ("true", 0)):
        assert stat("--mode", "cpu", "--", "sh", "-c", command).returncode == status
    assert stat("--", "/nonexistent/program").returncode == 127
    assert stat("--", "/etc/passwd").returncode == 126
    assert stat("--format", "xml", "--", "true").returncode == 2
    assert stat("-p", 1, "-a").returncode == 2
    assert stat("--mode", "sleep", "--", "true").returncode == 2


def test_stdout_is_the_commands(tmp_path):
    r = stat("--", "echo", "its own words")
    assert r.stdout == "its own words\n"
    assert "elapsed" in r.stderr and "System calls" in r.stderr and "\033" not in r.stderr
    r = stat("--report", "-", "--", "echo", "its own words")
    assert r.stderr == "" and "its own words" in r.stdout and "elapsed" in r.stdout
    r = stat("--report", tmp_path / "page", "--", "true")
    assert (r.stdout, r.stderr) == ("", "") and "elapsed" in (tmp_path / "page").read_text()
    assert stat("--report", "/nonexistent/page", "--", "true").returncode == 1


def test_a_page_for_a_terminal(waits):  # noqa: F811
    coloured = on_terminal([APERTURE, "stat", "--", waits, "20"])
    assert "\033[1m" in coloured
    plain = on_terminal([APERTURE, "stat", "--", waits, "20"], NO_COLOR="1")
    assert "\033" not in plain
    lines = plain[plain.index("elapsed"):].replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 80 and len(lines) < 60
    for text in ("hold_lock", "want_lock ← hold_lock", "clock_nanosleep", "cost"):
        assert any(text in line for line in lines), plain


def test_calls_that_have_not_returned(tmp_path):
    data, _ = page(tmp_path, "-d", 1, "--", "sleep", "100")
    row = next(r for r in data["syscalls"]["syscalls"] if r["syscall"] == "clock_nanosleep")
    assert (row["in_flight"], row["count"]) in ((1, 0), (0, 1)) and data["exit_status"] == 128 + signal.SIGTERM
    r = stat("-d", 1, "--mode", "syscall", "--", "sleep", "100")
    assert "in flight at the end: 1 clock_nanosleep for" in r.stderr


def test_only_what_was_asked_for(tmp_path):
    data, _ = page(tmp_path, "--mode", "offcpu", "--", "sleep", "0.2")
    assert data["modes"] == ["offcpu"]
    assert data["functions"] is data["locks"] is data["syscalls"] is None
    assert 0.2e9 <= data["off_cpu"]["causes"]["sleeping"]["ns"] <= data["elapsed_ns"] < 10e9
    r = stat("--mode", "cpu", "--", "true")
    assert "off CPU" not in r.stderr and "System calls" not in r.stderr


def test_processes_that_run_already(spinner, tmp_path):  # noqa: F811
    process = subprocess.Popen([*OWN_CPU.split(), spinner, "30"])
    try:
        r = stat("-p", process.pid, "-d", 2, "--format", "json", "-o", tmp_path / "p.pb.gz")
    finally:
        process.kill()
        process.wait()
    assert r.returncode == 0, r.stderr
    data = json.loads(r.stdout)
    assert data["command"] is None and data["exit_status"] is None and not data["cpu"]["exact"]
    assert data["functions"][0]["name"] == "burn_cpu"
    assert data["functions"][0]["self_ns"] == pytest.approx(data["cpu"]["user_ns"], rel=0.05)
    told = subprocess.run([APERTURE, "report", tmp_path / "p.pb.gz", "--type", "cpu:nanoseconds"],
                          capture_output=True, text=True)
    assert "burn_cpu" in told.stdout
