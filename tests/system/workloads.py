"""Real programs under load, each in a cgroup of its own: Debian's packages as they are, and our own
programs in C, C++, Rust, D, Go, Python and JavaScript, compiled without frame pointers. What only makes
the load runs outside of the cgroup. Everything listens on a Unix socket or a free loopback port,
keeps its files in a temporary folder, and is ended by its pid."""

import collections
import contextlib
import dataclasses
import functools
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import completeness
from waiting import wait_for

ROOT = completeness.ROOT
BUILD = Path(os.environ.get("AP_BUILD", ROOT / "build/release"))
APERTURE = BUILD / "src/cli/aperture"
SOURCES = Path(__file__).resolve().parent / "programs"
HZ = 99
NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(family, address):
    with socket.socket(family) as s:
        return s.connect_ex(address) == 0


class Cgroup:
    def __init__(self, path):
        self.path = path
        path.mkdir()

    def pids(self):
        return {int(p) for p in (self.path / "cgroup.procs").read_text().split()}

    def entering(self, *args):
        """A command line that runs `args` in the cgroup."""
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self.path / "cgroup.procs"), *map(str, args)]

    def cpu_seconds(self):
        usage = dict(line.split() for line in (self.path / "cpu.stat").read_text().splitlines())
        return int(usage["usage_usec"]) / 1e6

    def remove(self):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.pids(), f"the end of what runs in {self.path}")
        self.path.rmdir()


def cgroup2_mount():
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return next((Path(m[1]) for m in mounts if m[2] == "cgroup2"), None)


class Load:
    """A program that runs, and what makes it work. `folder` is its own, and anybody's."""

    def __init__(self, name, folder, cgroup):
        self.name, self.folder, self.cgroup = name, folder, cgroup
        self.processes = []
        self.leaves = []  # files elsewhere that it makes
        self.log = folder / "log"

    def start(self, *args, measured=True, **kwargs):
        """Starts a program, in the load's cgroup if it is `measured`."""
        args = [str(a) for a in args]
        if measured:
            args = self.cgroup.entering(*args)
        with self.log.open("ab") as out:
            kwargs = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out, "cwd": self.folder} | kwargs
            self.processes.append(subprocess.Popen(args, **kwargs))
        return self.processes[-1]

    def run(self, *args, **kwargs):
        """Runs a program to its end, outside of the cgroup."""
        self.start(*args, measured=False, **kwargs)
        assert self.processes.pop().wait(120) == 0, self.text()

    def text(self):
        return f"{self.name}:\n{self.log.read_text(errors='replace')[-2000:]}"

    def wait_until_busy(self):
        before = self.cgroup.cpu_seconds()

        def busy():
            for p in self.processes:
                assert p.poll() in (None, 0), self.text()
            return self.cgroup.cpu_seconds() > before + 0.1

        wait_for(busy, f"work of {self.name}")

    def stop(self):
        for p in reversed(self.processes):
            if p.poll() is None:
                p.terminate()
        for p in reversed(self.processes):
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.cgroup.remove()
        for path in self.leaves:
            path.unlink(missing_ok=True)


def need(name):
    """The path of a program; Debian's own one where there are several."""
    found = shutil.which(name, path="/usr/bin:/usr/sbin:/bin:" + os.environ["PATH"])
    assert found, f"{name} is not installed: see deps/apt/test.txt"
    return found


# --- Debian's packages


def redis_server(load):
    """Its socket. redis-tools holds the server's own binary under another name, without a service."""
    server, at = load.folder / "redis-server", str(load.folder / "socket")
    server.symlink_to(shutil.which("redis-server") or need("redis-check-rdb"))
    load.start(server, "--port", "0", "--unixsocket", at, "--save", "", "--dir", load.folder)
    wait_for(lambda: answers(socket.AF_UNIX, at), "redis-server")
    return at


def redis(load):
    load.start(need("redis-benchmark"), "-s", redis_server(load), "-q", "-l", "-n", "100000", "-P", "8", measured=False)


def nginx(load):
    port, site = free_port(), load.folder / "site"
    site.mkdir()
    (site / "index.html").write_text("<p>one of many lines of text</p>\n" * 300)
    temporary = "".join(f"{kind}_temp_path {load.folder}/{kind};\n"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf = load.folder / "nginx.conf"
    conf.write_text(f"""
daemon off; worker_processes 1; user nobody nogroup; pid {load.folder}/pid;
events {{}}
http {{
{temporary}
access_log {load.folder}/access.log; gzip on;
server {{ listen 127.0.0.1:{port}; root {site}; }}
}}
""")
    load.start(need("nginx"), "-c", conf, "-e", "stderr")
    wait_for(lambda: answers(socket.AF_INET, ("127.0.0.1", port)), "nginx")
    load.start(need("wrk"), "-t", "1", "-c", "8", "-d", "600", "-H", "Accept-Encoding: gzip",
               f"http://127.0.0.1:{port}/", measured=False)


def postgresql_server(load, scale):
    """pgbench, and what connects it to the server and its tables. Runs as nobody: the server refuses root."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    assert versions, "PostgreSQL is not installed: see deps/apt/test.txt"
    tools, data = versions[-1], load.folder / "data"
    shutil.chown(load.folder, "nobody", "nogroup")
    load.run(*NOBODY, tools / "initdb", "-D", data, "-U", "nobody", "-A", "trust", "--no-sync")
    load.start(*NOBODY, tools / "postgres", "-D", data, "-k", load.folder, "-h", "", "-c", "fsync=off")
    wait_for(lambda: answers(socket.AF_UNIX, str(load.folder / ".s.PGSQL.5432")), "PostgreSQL")
    connect = ["-h", load.folder, "-U", "nobody", "postgres"]
    wait_for(lambda: subprocess.run([tools / "pg_isready", *connect[:4]], capture_output=True).returncode == 0,
          "PostgreSQL to be ready")
    load.run(tools / "pgbench", "-i", "-q", "-s", scale, *connect)
    return tools / "pgbench", connect


def postgresql(load):
    pgbench, connect = postgresql_server(load, 2)
    load.start(pgbench, "-b", "tpcb-like", "-b", "select-only", "-c", "4", "-T", "600", *connect, measured=False)


def sqlite3(load):
    script = load.folder / "script.sql"
    script.write_text("""
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, n REAL);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 50000)
INSERT INTO t SELECT i, printf('name-%d', i * 7919 % 10007), i * 1.5 FROM c;
""" + """
CREATE INDEX by_name ON t(name);
SELECT count(*), sum(n) FROM (SELECT name, sum(n) AS n FROM t GROUP BY name ORDER BY 2 DESC);
SELECT max(a.n + b.n) FROM t a JOIN t b USING (name) WHERE a.name LIKE '%9%';
DROP INDEX by_name;
""" * 5000)
    load.start(need("sqlite3"), ":memory:", f".read {script}", stdout=subprocess.DEVNULL)


def xz(load):
    """Compresses other programs, over and over."""
    feed = 'while :; do cat /usr/bin/*; done 2>/dev/null'
    source = load.start("sh", "-c", feed, measured=False, stdout=subprocess.PIPE)
    load.start(need("xz"), "-6", "-c", stdin=source.stdout, stdout=subprocess.DEVNULL)
    source.stdout.close()


def python3(load):
    load.start(need("python3"), SOURCES / "work.py")


def node(load):
    """--perf-basic-prof writes where the compiled JavaScript is."""
    program = shutil.which("node")
    assert program, "node is not installed: see tools/setup.sh"
    process = load.start(program, "--perf-basic-prof", SOURCES / "work.js")
    load.leaves.append(Path(f"/tmp/perf-{process.pid}.map"))


# --- our own programs


def compiled(load, source, *options, to=None):
    """A program of tests/system/programs, without frame pointers."""
    out = load.folder / (to or source.rsplit(".", 1)[0])
    compiler = need("g++" if source.endswith(".cc") else "gcc")
    load.run(compiler, "-O2", "-fomit-frame-pointer", "-o", out, SOURCES / source, *options)
    return out


def exceptions(load):
    load.start(compiled(load, "exceptions.cc"), 2000)


def throwing(load):
    """Nothing but throws."""
    load.start(compiled(load, "exceptions.cc"), 0)


def signals(load):
    load.answer = load.folder / "handled"
    load.main = load.start(compiled(load, "signals.c"), stdout=load.answer.open("wb"))


def deep(load):
    load.start(compiled(load, "deep.c"))


def loader(load):
    plugins = [compiled(load, "plugin.c", "-shared", "-fPIC", f"-DPAD={pad}", to=f"plugin{pad}.so")
               for pad in (0, 24, 56)]
    load.start(compiled(load, "loader.c"), *plugins)


def branches(load):
    load.start(compiled(load, "branches.c"))


def rust(load):
    out = load.folder / "work"
    load.run(shutil.which("rustc") or need("rustc"), "-C", "opt-level=3", "-C", "force-frame-pointers=no", "-o", out,
             SOURCES / "work.rs")
    load.start(out)


def d(load):
    out = load.folder / "work"
    load.run(need("gdc"), "-g", "-O2", "-fomit-frame-pointer", "-o", out, SOURCES / "work.d")
    load.start(out)


def go(load):
    out = load.folder / "work"
    load.run(shutil.which("go") or need("go"), "build", "-o", out, SOURCES / "work.go",
             env=dict(os.environ, CGO_ENABLED="0", GO111MODULE="off", GOTOOLCHAIN="local"))
    load.start(out)


PROGRAMS = {f.__name__: f for f in (redis, nginx, postgresql, sqlite3, xz, python3, node, exceptions, throwing,
                                    rust, d, go, signals, deep, loader)}
# What is recorded at once: as much as keeps two CPUs busy.
TOGETHER = [("redis",), ("nginx",), ("postgresql",), ("sqlite3", "xz"), ("python3", "node"),
            ("exceptions", "signals"), ("rust", "d"), ("go",), ("deep", "loader", "throwing")]


# --- recording


@dataclasses.dataclass
class Recorded:
    """What one recording says of one load."""
    stacks: list
    is_own: Callable  # whether a stack, of whatever profiler, is the load's
    lost: collections.Counter  # of the whole recording
    missing: float = 0.0  # periods of the load that were not sampled; see missing()
    rate: float = 0.0  # what the program counted, per second of its CPU time

    @functools.cached_property
    def result(self):
        return completeness.judge(self.stacks)

    @property
    def base(self):
        """Periods on user code: those sampled and those missing."""
        return self.result.user + self.missing

    @property
    def share(self):
        return self.result.complete / self.base if self.base else 0.0


def missing(cpu_seconds, seconds, samples, lost, elapsed):
    """Of the periods lost, of which nobody knows whose they were, those of a load that used the CPU
    for so long, by the kernel's account. A part of what the ledger calls not_run was idle: on CPUs
    that rest and wake thousands of times a second /proc/stat misses some of it. So a period counts
    as the load's if its CPU time too says that it is missing, beyond what is chance (three standard
    deviations)."""
    expected = cpu_seconds * elapsed / (seconds * os.cpu_count())
    chance = 3 * math.sqrt(max(expected * (1 - expected / elapsed), 0))
    return max(0.0, min(expected - samples - chance, sum(lost.values())))


@contextlib.contextmanager
def started(*starters):
    """What holds the loads (itself one without a program), and the loads."""
    mount = cgroup2_mount()
    assert mount, "no cgroup v2 is mounted"
    with contextlib.ExitStack() as undo:
        base = Path(tempfile.mkdtemp(prefix="aperture-loads-", dir="/tmp"))
        undo.callback(shutil.rmtree, base)
        base.chmod(0o755)
        parent = Load("loads", base, Cgroup(mount / f"aperture-loads-{os.getpid()}"))
        undo.callback(parent.stop)
        loads = []
        for starter in starters:
            folder = base / starter.__name__
            folder.mkdir()
            loads.append(Load(starter.__name__, folder, Cgroup(parent.cgroup.path / starter.__name__)))
            undo.callback(loads[-1].stop)
            starter(loads[-1])
        yield parent, loads


@contextlib.contextmanager
def running(*starters):
    """As started(), with all of them at work."""
    with started(*starters) as (parent, loads):
        for load in loads:
            load.wait_until_busy()
        yield parent, loads


class Signals:
    """Counts the signals that the program handles, per second of its CPU time."""

    def __init__(self, load):
        self.load = load
        self.seconds, self.handled = load.cgroup.cpu_seconds(), self.ask()

    def ask(self):
        before = len(self.load.answer.read_text().split())
        self.load.main.send_signal(signal.SIGUSR1)
        return int(wait_for(lambda: self.load.answer.read_text().split()[before:], "the number of signals")[0])

    def rate(self):
        return (self.ask() - self.handled) / (self.load.cgroup.cpu_seconds() - self.seconds)


def aperture(*args):
    done = subprocess.run([APERTURE, "record", "--quiet", *map(str, args)], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def record(*starters, seconds=10, hz=HZ, beside=contextlib.nullcontext, enough=0):
    """Records the loads at once; name → Recorded. `beside`, given the cgroup, makes a context in which
    that is done. On a machine that is busy otherwise it is done again, five times at most, and added
    up, until each load has `enough` samples."""
    with running(*starters) as (parent, loads):
        out, ledger = parent.folder / "profile.json", parent.folder / "ledger.json"
        pids = {load.name: load.cgroup.pids() for load in loads}
        counters = {load.name: Signals(load) for load in loads if load.name == "signals"}
        if len(loads) == 1:
            owners = {loads[0].name: lambda stack: True}
        else:
            owners = {name: lambda stack, own=own: int(stack.labels["pid"]) in own for name, own in pids.items()}
        found = {name: Recorded([], is_own, collections.Counter()) for name, is_own in owners.items()}
        for _ in range(6):
            began, cpu = time.monotonic(), {load.name: load.cgroup.cpu_seconds() for load in loads}
            with beside(parent.cgroup):
                aperture("-F", hz, "-d", seconds, "--cgroup", parent.cgroup.path, "-o", out, "--ledger", ledger)
            share = {load.name: (load.cgroup.cpu_seconds() - cpu[load.name]) / (time.monotonic() - began)
                     for load in loads}
            lost, elapsed, recorded_s = completeness.read_ledger(ledger)
            stacks = completeness.profile_stacks(out)
            strangers = [s for s in stacks if not any(is_own(s) for is_own in owners.values())]
            assert not strangers, strangers[0].labels
            for name, r in found.items():
                own = [s for s in stacks if r.is_own(s)]
                r.stacks += own
                r.lost += lost
                r.missing += missing(share[name] * recorded_s, recorded_s, sum(s.count for s in own), lost, elapsed)
            if all(sum(s.count for s in r.stacks) >= enough for r in found.values()):
                break
        for name, counter in counters.items():
            found[name].rate = counter.rate()
    return found


def record_of(pid, folder, seconds, hz):
    """The stacks of one process, by its id."""
    out = folder / "profile.json"
    aperture("-F", hz, "-d", seconds, "-p", pid, "-o", out)
    return completeness.profile_stacks(out)


def record_short_lived(seconds=20, hz=HZ, rate=200, beside=contextlib.nullcontext):
    """Records `rate` processes a second, from the first instruction of the first to the last of the
    last: Recorded without the program that starts them, and what that one counted."""
    with running() as (parent, _):
        out, ledger = parent.folder / "profile.json", parent.folder / "ledger.json"
        spawner = compiled(parent, "spawner.c")
        with beside(parent.cgroup):
            told = json.loads(aperture("-F", hz, "-o", out, "--ledger", ledger, "--",
                                       *parent.cgroup.entering(spawner, rate, seconds)))
        stacks = completeness.profile_stacks(out)
        lost, _, _ = completeness.read_ledger(ledger)

    def is_own(stack):
        return int(stack.labels["pid"]) != told["pid"]

    return Recorded([s for s in stacks if is_own(s)], is_own, lost), told
