"""`aperture top`: plain pages, and the view on a terminal that a test types into."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from test_offcpu import waits  # noqa: F401  (a fixture)
from test_record import APERTURE, needs_bpf, spinner  # noqa: F401

pytestmark = needs_bpf

ENTER, LEAVE = b"\033[?1049h", b"\033[?1049l"
TABS = {"1": "CPU", "2": "processes", "3": "threads", "4": "services", "5": "off-CPU", "6": "locks",
        "7": "syscalls"}
HOSTILE = b"\033]0;x\x07\033[2J\xff\xc2\x9b1m"  # 15 bytes: sets a title, clears the screen, and is no UTF-8


def batch(*args, **kwargs):
    r = subprocess.run([APERTURE, "top", "--batch", *map(str, args)], capture_output=True, timeout=60, **kwargs)
    assert r.returncode == 0, r.stderr
    return r.stdout.decode()


class Terminal:
    """`aperture top` on a terminal of its own, as the last picture that it drew."""

    def __init__(self, *args, rows=24, columns=80, program=APERTURE, environment=None):
        self.output = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # What the test types comes after the size has been set.
            os.read(0, 1)
            os.environ.update(environment or {"TERM": "xterm"})
            os.execv(program, [str(a) for a in (program, "top", *args)])
        self.resize(rows, columns)
        self.modes = termios.tcgetattr(self.fd)
        os.write(self.fd, b"\n")
        self.status = None

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def read(self):
        if select.select([self.fd], [], [], 0.1)[0]:
            try:
                self.output += os.read(self.fd, 65536)
            except OSError:
                pass

    def picture(self):
        """Lines of the last whole picture, without colours."""
        whole = self.output.rpartition(b"\033[J")[0].rpartition(b"\033[H")[2].decode()
        return re.sub(r"\033\[[0-9;]*[mK]|\r", "", whole).split("\n")

    def until(self, condition, what, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.read()
            if condition():
                return self.picture()
        raise AssertionError(f"waited in vain for {what}: {self.picture()}")

    def shows(self, text):
        return self.until(lambda: any(text in line for line in self.picture()), text)

    def end(self):
        """The exit status; the output is then whole."""
        def ended():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
            return pid
        if self.status is None:
            self.until(ended, "the end")
            self.read()
        return self.status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except ChildProcessError:
                pass
        os.close(self.fd)


@pytest.fixture
def burning(spinner):  # noqa: F811
    process = subprocess.Popen([spinner, "100"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def waiting(waits):  # noqa: F811
    process = subprocess.Popen([waits, "100000"], stdout=subprocess.DEVNULL)
    yield process
    process.kill()
    process.wait()


def test_pages_show_the_busy_function(burning):
    pages = batch("-p", burning.pid, "-i", 2, "-n", "500ms", "--rows", 3).strip().split("\n\n")
    assert len(pages) == 2
    for page in pages:
        status, head, first, *more = page.splitlines()
        assert f"process {burning.pid}" in status and head.split()[:2] == ["SELF", "TIME"]
        assert first.endswith("burn_cpu  spin") and len(more) <= 2 and "\033" not in page
        assert 0 < float(first.split()[4]) <= 1.2  # cores: "99.0 % 495 ms 0.99 …"
    row = batch("-p", burning.pid, "-i", 1, "-n", "500ms", "--view", "processes").splitlines()[2].split()
    assert row[-2:] == [str(burning.pid), "spin"] and float(row[0]) > 0


def test_pages_of_waits_locks_and_calls(waiting):
    def rows(view, *args):
        page = batch("-p", waiting.pid, "-i", 1, "-n", 1, "--view", view, *args)
        return page.strip().splitlines()[2:]

    assert any(row.endswith(" read_slowly") for row in rows("waits"))
    assert re.search(r" mutex +want_lock ← hold_lock  lock in waits  waits\[\d+\]$", rows("locks")[0])
    calls = [re.match(r" *[\d.]+ \S+ +([\d,]+) .* (\w+)$", row) for row in rows("syscalls", "--sort", "calls")]
    counts = [int(call[1].replace(",", "")) for call in calls]
    assert {"clock_nanosleep", "futex"} <= {call[2] for call in calls} and counts == sorted(counts, reverse=True)
    assert {row.split()[-2] for row in rows("threads", "--filter", "HOLD")} == {"holder"}
    assert rows("services", "--service", "nothing-has-this-name") == ["nothing yet"]


def test_options_that_are_wrong():
    for args in (["--sort", "COLOUR"], ["--view", "nothing"], ["--interval", "1ms"], []):
        r = subprocess.run([APERTURE, "top", *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert r.returncode == 2 and r.stdout == "", args
    assert "--batch" in r.stderr
    r = subprocess.run([APERTURE, "top", "-b", "--mode", "cpu", "--view", "locks", "-i", "1", "-n", "100ms"],
                       capture_output=True, text=True)
    assert r.returncode == 0 and "not recorded" in r.stdout


def test_keys_change_the_view(burning):
    with Terminal("-p", burning.pid, "-n", "300ms") as t:
        t.shows("burn_cpu")
        assert len(t.picture()) <= 24 and max(map(len, t.picture())) <= 80
        for key, tab in TABS.items():
            t.type(key)
            t.shows(f"[{key} {tab}]")
        t.type("\t")
        t.shows("[1 CPU]")
        t.type("\033[D")
        t.shows("[7 syscalls]")
        t.type("2")
        t.shows(str(burning.pid))
        t.type("/no such name\r")
        t.shows("no row has that text")
        t.type("\033")
        t.shows("spin")
        t.type("?")
        t.shows("hold the figures still")
        t.type("?1")
        t.shows("burn_cpu")
        t.type(" ")
        held = t.shows("PAUSED")[0]
        t.type("2")
        assert t.shows("[2 processes]")[0] == held
        t.type(" ")
        t.until(lambda: t.picture()[0] not in (held, held.replace("  PAUSED", "")), "figures that go on")
        t.type("q")
        assert t.end() == 0
        assert t.modes == termios.tcgetattr(t.fd)
        assert t.output.startswith(b"\r\n" + ENTER) and t.output.endswith(LEAVE)


def test_rows_are_sorted_as_asked(waiting):
    with Terminal("-p", waiting.pid, "-n", "500ms", "--view", "syscalls") as t:
        def counts():
            rows = [re.match(r" *[\d.,]+ \S+ +([\d,]+) ", line) for line in t.picture()[3:]]
            return [int(m[1].replace(",", "")) for m in rows if m]

        t.shows("clock_nanosleep")
        t.type("s")
        t.until(lambda: len(counts()) > 3 and counts() == sorted(counts(), reverse=True), "the most calls first")
        t.type("r")
        t.until(lambda: len(counts()) > 3 and counts() == sorted(counts()), "the fewest calls first")
        t.type("q")
        assert t.end() == 0


def test_another_size(waiting):
    with Terminal("-p", waiting.pid, "-n", "300ms", "--view", "threads") as t:
        t.shows("holder")
        for rows, columns in ((8, 40), (50, 200), (2, 10), (24, 80)):
            t.resize(rows, columns)
            lines = t.until(lambda: len(t.picture()) == rows, f"{rows} lines")
            # Figures are not cut: the terminal leaves out what is beyond its edge.
            assert len(lines[0]) <= columns and len(lines[-1]) <= max(columns, 60)
        t.type("q")
        assert t.end() == 0


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV, signal.SIGABRT])
def test_the_terminal_is_given_back(burning, sig):
    with Terminal("-p", burning.pid, "-n", "300ms") as t:
        t.shows("burn_cpu")
        assert t.modes != termios.tcgetattr(t.fd)
        os.kill(t.pid, sig)
        assert t.end() == (-sig if sig in (signal.SIGSEGV, signal.SIGABRT) else 0)
        assert t.modes == termios.tcgetattr(t.fd)
        assert LEAVE in t.output.rpartition(ENTER)[2]


def test_it_is_stopped_and_goes_on(burning):
    with Terminal("-p", burning.pid, "-n", "300ms") as t:
        t.shows("burn_cpu")
        os.kill(t.pid, signal.SIGTSTP)
        t.until(lambda: os.waitpid(t.pid, os.WNOHANG | os.WUNTRACED)[0], "the stop")
        assert t.modes == termios.tcgetattr(t.fd)
        t.output = b""
        os.kill(t.pid, signal.SIGCONT)
        t.shows("burn_cpu")
        assert t.modes != termios.tcgetattr(t.fd)
        t.type("q")
        assert t.end() == 0 and t.modes == termios.tcgetattr(t.fd)


def test_names_cannot_drive_the_terminal(spinner, tmp_path):  # noqa: F811
    program = os.fsencode(tmp_path) + b"/" + HOSTILE
    os.link(spinner, program) if os.stat(spinner).st_dev == os.stat(tmp_path).st_dev else None
    process = subprocess.Popen([program, "100"])
    try:
        page = subprocess.run([APERTURE, "top", "-b", "-p", str(process.pid), "-i", "1", "-n", "500ms", "--view",
                               "processes"], capture_output=True, timeout=60).stdout
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f\xff]|\xc2[\x80-\x9f]", page), page
        assert b"?]0;x??[2J" in page
        with Terminal("-p", process.pid, "-n", "300ms", "--view", "processes") as t:
            t.shows("?]0;x??[2J")
            assert b"\033]0" not in t.output and b"\033[2J" not in t.output and b"\xff" not in t.output
            t.type("q")
            assert t.end() == 0
    finally:
        process.kill()
        process.wait()
