"""`make run`'s script as a user meets it: a dashboard's address, real profiles, a clean stop, and
the earlier data still there the next time."""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest
from waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def hear_ctrl_c():
    """Whoever tests in the background has shells ignore it, which cannot undo that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Run:
    """One run of tools/run.sh on free ports, profiling only process `pid`; of the tree at `root`, as
    `user` where that is not the one who tests."""

    def __init__(self, folder, pid, root=ROOT, user=None):
        self.port = free_port()
        env = dict(os.environ, HTTP=str(self.port), GRPC=str(free_port()), METRICS=str(free_port()),
                   RUN_DIR=os.path.relpath(folder, root),
                   AGENT_ARGS=f"--pid {pid}")
        self.log = open(folder / "run.log", "ab")
        prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        if user:
            env.update(HOME=str(folder), USER=user, LOGNAME=user, PATH="/usr/local/bin:/usr/bin:/bin")
        self.process = subprocess.Popen([*prefix, root / "tools/run.sh"], env=env, stdout=self.log,
                                        stderr=self.log, start_new_session=True,
                                        stdin=subprocess.DEVNULL, cwd="/", preexec_fn=hear_ctrl_c)

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as r:
                return json.load(r)
        except OSError:
            assert self.process.poll() is None, "run.sh ended by itself"
            return None

    def total(self):
        answer = self.get("/api/v1/flamegraph?from=now-1h&to=now")
        return answer["total"] if answer else 0

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()  # if it still runs; what it has started ends with it
            self.process.wait()


@pytest.fixture
def spinner():
    process = subprocess.Popen(["sh", "-c", "while :; do :; done"])
    yield process.pid
    process.kill()
    process.wait()


def children_of(folder):
    """Processes whose command line names the run's folder."""
    out = []
    for d in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (d / "cmdline").read_bytes():
                out.append(int(d.name))
        except OSError:
            pass
    return out


def lay_out(folder):
    """The parts of the built tree that a run needs, where any user can read them, and capabilities of
    a file hurt nobody."""
    for name in ("tools/run.sh", "tools/lib.sh", "build/release/src/agent/aperture-agent",
                 "build/release/src/aggregator/aperture-aggregator"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "ui/dist", folder / "ui/dist")
    library = "deps/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"
    (folder / library).parent.mkdir(parents=True)
    try:
        os.link(ROOT / library, folder / library)
    except OSError:
        shutil.copy(ROOT / library, folder / library)


@contextlib.contextmanager
def a_user(root, may_sudo):
    """A new user of this machine, for whom runs of the tree at `root` are kept, and the log of what sudo
    did for them."""
    name = f"aperture{os.getpid()}"
    rule = Path("/etc/sudoers.d", name)
    log = Path(tempfile.mkdtemp()) / "sudo.log"
    subprocess.run(["/usr/sbin/useradd", "--no-create-home", "--user-group", name], check=True)
    try:
        if may_sudo:
            rule.write_text(f"Defaults:{name} !requiretty, logfile={log}, loglinelen=0\n"
                            f"{name} ALL=(root) NOPASSWD: ALL\n")
            rule.chmod(0o440)
        shutil.chown(root / "run", name, name)
        yield name, log
    finally:
        rule.unlink(missing_ok=True)
        subprocess.run(["/usr/sbin/userdel", name], check=True)
        shutil.rmtree(log.parent)


@pytest.fixture
def users_tree():
    if os.geteuid() != 0:
        pytest.skip("making a user needs root")
    root = Path(tempfile.mkdtemp(prefix="aperture-run-", dir="/tmp"))
    root.chmod(0o755)
    lay_out(root)
    (root / "run").mkdir()
    yield root
    shutil.rmtree(root)


def agent_of(root):
    """The process that runs the tree's agent."""
    for d in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(d / "exe") == str(root / "build/release/src/agent/aperture-agent"):
                return d
    return None


def test_run_as_a_user_with_sudo(users_tree, spinner):
    """sudo is asked for one thing, the capabilities of the agent's file, and only the first time."""
    with a_user(users_tree, may_sudo=True) as (user, sudo_log):
        for _ in range(2):
            run = Run(users_tree / "run", spinner, users_tree, user)
            try:
                agent = wait_for(lambda: agent_of(users_tree), "the agent", 30)
                wait_for(run.total, "a first profile", 30)
                status = (agent / "status").read_text()
                uid = subprocess.check_output(["id", "-u", user], text=True).strip()
                assert re.search(rf"^Uid:\s+{uid}\s+{uid}\s+{uid}\s+{uid}$", status, re.M)
                # CAP_DAC_READ_SEARCH, SYS_PTRACE, SYSLOG, PERFMON, BPF, CHECKPOINT_RESTORE.
                six = sum(1 << c for c in (2, 19, 34, 38, 39, 40))
                for kind in ("CapEff", "CapPrm"):
                    assert int(re.search(rf"^{kind}:\s+(\w+)$", status, re.M).group(1), 16) == six
            finally:
                assert run.stop() == 0
            assert agent_of(users_tree) is None
        asked = re.findall(r"COMMAND=(.*)", sudo_log.read_text())
    assert len(asked) == 1 and asked[0].split()[0].endswith("/setcap"), asked


def test_run_as_a_user_without_sudo(users_tree, spinner):
    """The aggregator and the dashboard are there, and one line says what to grant."""
    with a_user(users_tree, may_sudo=False) as (user, _):
        run = Run(users_tree / "run", spinner, users_tree, user)
        try:
            wait_for(lambda: run.get("/api/health"), "the aggregator", 30)
            with urllib.request.urlopen(f"http://127.0.0.1:{run.port}/", timeout=10) as page:
                assert b"<html" in page.read().lower()
            log = wait_for(lambda: (t := (users_tree / "run/run.log").read_text()) and "Dashboard:" in t and t,
                           "the dashboard's address", 30)
            warnings = [line for line in log.splitlines() if line.startswith("warning: ")]
            assert len(warnings) == 1, log
            assert "sudo setcap cap_bpf,cap_perfmon" in warnings[0] and "aperture-agent" in warnings[0]
            assert agent_of(users_tree) is None
        finally:
            assert run.stop() == 0


def test_run_shows_profiles_and_keeps_them(tmp_path, spinner):
    first = Run(tmp_path, spinner)
    wait_for(first.total, "a first profile", 30)
    services = first.get("/api/v1/services?from=now-1h&to=now")
    assert services["total_value"] > 0
    assert services["coverage"]["hosts_reporting"] == 1
    assert first.stop() == 0
    assert children_of(tmp_path) == []
    kept = (tmp_path / "run.log").read_text()
    assert f"Dashboard: http://127.0.0.1:{first.port}/?from=now-5m " in kept

    until_ms = int(time.time() * 1000)
    second = Run(tmp_path, spinner)
    earlier = wait_for(lambda: second.get(f"/api/v1/flamegraph?from=now-1h&to={until_ms}"),
                       "an answer after the restart", 10)
    assert earlier["total"] > 0
    assert second.stop() == 0


def test_ctrl_c_ends_make_run(users_tree, spinner):
    """In a terminal: make waits until everything has stopped, and is content."""
    shutil.copy(ROOT / "Makefile", users_tree)
    for name in ("setup.sh", "build.sh"):  # of what they do, the tree has the outcome
        script = users_tree / "tools" / name
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
    env = dict(os.environ, HTTP=str(free_port()), GRPC=str(free_port()), METRICS=str(free_port()),
               RUN_DIR="run", AGENT_ARGS=f"--pid {spinner}")
    pid, terminal = pty.fork()
    if pid == 0:
        hear_ctrl_c()
        os.chdir(users_tree)
        os.execvpe("make", ["make", "run"], env)
    said = b""
    try:
        while b"Dashboard: " not in said:
            said += os.read(terminal, 4096)
        wait_for(lambda: agent_of(users_tree), "the agent", 30)
        os.write(terminal, b"\x03")
        with contextlib.suppress(OSError):  # how the end of a terminal reads
            while more := os.read(terminal, 4096):
                said += more
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        status = os.waitpid(pid, 0)[1]
    assert os.waitstatus_to_exitcode(status) == 0, said.decode()
    assert agent_of(users_tree) is None and children_of(users_tree) == []
