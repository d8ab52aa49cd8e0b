"""Disks that fail, are full or rot, clocks that are set, clients that read slowly: what was acknowledged stays, what
is lost is counted, and memory is bounded."""

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from conftest import ROOT, environment, wait_for
from crash import SpoolAgent, check, export, metric, metrics, missing, wait_until_stored
from daemons import metrics_of
from proxy import deafen
from test_agent import busy, free_port  # noqa: F401

HOUR = 3600 * 10**9
LIBC = ctypes.CDLL(None, use_errno=True)
PIDFD_GETFD = 438  # on every architecture
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_bpf = pytest.mark.skipif(os.geteuid() != 0 or not Path("/sys/kernel/btf/vmlinux").exists(),
                               reason="profiling needs root and a kernel with BTF")


class Faults:
    """What goes wrong for the programs that are started with `env`; see faults.c."""

    def __init__(self, folder, library):
        self.path = folder / "faults"
        self.path.write_bytes(bytes(32))
        self.env = {**environment(), "LD_PRELOAD": str(library), "AP_FAULTS": str(self.path),
                    "ASAN_OPTIONS": "verify_asan_link_order=0"}  # spool_agent may be built with it

    def put(self, at, form, value):
        with open(self.path, "r+b") as f:
            f.seek(at)
            f.write(struct.pack(form, value))

    def set_clock(self, ns):
        self.put(0, "<q", ns)

    def fail_syncs(self, n):
        self.put(8, "<i", n)

    def failed_syncs(self):
        return struct.unpack("<i", self.path.read_bytes()[12:16])[0]

    def hold_reads(self, yes):
        self.put(16, "<i", yes)

    def fail_parts(self, n):
        self.put(20, "<i", n)

    def failing_parts(self):
        return struct.unpack("<i", self.path.read_bytes()[20:24])[0]


@pytest.fixture(scope="session")
def faults_library(tmp_path_factory):
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", library,
                    ROOT / "tests/system/faults.c"], check=True)
    return library


@pytest.fixture
def faults(faults_library, tmp_path):
    return Faults(tmp_path, faults_library)


@pytest.fixture
def spool_agent(tmp_path):
    started = []

    def make(name="spool", **kwargs):
        started.append(SpoolAgent(tmp_path / name, name, **kwargs))
        return started[-1]

    yield make
    for a in started:
        a.kill()


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of so many bytes at a folder."""
    mounted = []

    def mount(name, size):
        folder = tmp_path / name
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    """Takes all that is left of the file system; the file that does."""
    path = folder / "filler"
    with open(path, "wb", buffering=0) as f:
        for size in (1 << 20, 4096):
            try:
                while True:
                    f.write(bytes(size))
            except OSError:
                pass
    return path


def test_a_log_that_cannot_be_synced_is_begun_anew(start_aggregator, spool_agent, faults):
    """What a failed sync leaves unwritten is not acknowledged, whatever later syncs say."""
    a = start_aggregator("a", "--flush-interval", "1m", env=faults.env)
    agent = spool_agent(pause_ms=2).start(a.grpc)
    for _ in range(3):
        failed, acknowledged = faults.failed_syncs(), metric(a, "aperture_push_events_total")
        faults.fail_syncs(1)
        wait_for(lambda: faults.failed_syncs() == failed + 1, "the sync to fail")
        wait_for(lambda: metric(a, "aperture_push_events_total") > acknowledged, "pushes to be taken in again")
    assert metric(a, "aperture_wal_commit_failures_total") == 3
    assert metrics(a)['aperture_push_total{status="backpressure"}'] > 0
    agent.finish()
    a.stop(signal.SIGKILL)
    a = start_aggregator("a")
    assert check(a, agent) > 0
    assert metric(a, "aperture_wal_damaged_records") == 0


def test_parts_for_which_there_was_no_room_are_stored_the_next_time(start_aggregator, spool_agent, faults):
    """The engine remembers a block before it has its part in place, and would leave the block out when it comes again."""
    a = start_aggregator("a", "--flush-interval", "10ms", env=faults.env)
    agent = spool_agent(pause_ms=2).start(a.grpc)
    wait_for(lambda: metric(a, "aperture_clickhouse_flush_rows_total") > 0, "rows")
    faults.fail_parts(12)
    wait_for(lambda: faults.failing_parts() == 0, "the parts to fail", 120)
    assert metrics(a)['aperture_clickhouse_flush_total{status="error"}'] > 0
    agent.finish()
    wait_until_stored(a)
    assert check(a, agent) > 0


def test_a_spool_that_cannot_be_synced_holds_batches_in_memory(start_aggregator, spool_agent, faults):
    a = start_aggregator()
    faults.fail_syncs(5)
    agent = spool_agent().start(a.grpc, batches=20, env=faults.env)
    assert agent.process.wait(60) == 0
    assert faults.failed_syncs() == 5
    assert len(agent.batches()[0]) == 20
    assert check(a, agent) > 0


@needs_root
def test_a_full_disk_refuses_and_loses_nothing(start_aggregator, spool_agent, small_disk):
    disk = small_disk("a", "200m")
    a = start_aggregator("a", "--flush-interval", "50ms")
    agent = spool_agent().start(a.grpc)
    wait_for(lambda: metric(a, "aperture_push_events_total") > 100, "pushes")
    filler = fill(disk)
    wait_for(lambda: metrics(a)['aperture_push_total{status="backpressure"}'] > 0, "pushes to be refused")
    assert metric(a, "aperture_wal_commit_failures_total") > 0
    a.stop(signal.SIGKILL)
    filler.unlink()
    agent.kill()
    a = start_aggregator("a", "--flush-interval", "50ms")
    agent.drain(a.grpc)
    wait_until_stored(a)
    check(a, agent)
    filler = fill(disk)  # and while it runs on
    agent.start(a.grpc)
    wait_for(lambda: metrics(a)['aperture_push_total{status="backpressure"}'] > 0, "pushes to be refused")
    filler.unlink()
    taken = metric(a, "aperture_push_events_total")
    wait_for(lambda: metric(a, "aperture_push_events_total") > taken, "pushes to be taken in again")
    agent.kill()
    agent.drain(a.grpc)
    wait_until_stored(a)
    check(a, agent)


@needs_root
def test_a_full_spool_disk_holds_batches_in_memory(start_aggregator, spool_agent, small_disk):
    a = start_aggregator()
    disk = small_disk("spool", "2m")
    agent = spool_agent("inner")
    (agent.folder / "state").symlink_to(disk)
    a.stop()
    address = a.grpc
    (disk / "room").write_bytes(bytes(16384))
    filler = fill(disk)
    (disk / "room").unlink()
    agent.start(address, batches=300)
    wait_for(lambda: len(agent.batches()[0]) == 300, "the batches")
    a = a.again("--grpc-listen", address)
    try:
        assert agent.process.wait(90) == 0
        assert check(a, agent) > 0
        filler.unlink()
    finally:
        a.stop()


def test_clocks_that_are_set_lose_nothing_uncounted(start_aggregator, spool_agent, faults):
    """Forward by an hour, all is taken in; back by an hour, what is ahead of the clock then is refused, and counted."""
    a = start_aggregator("a", "--flush-interval", "50ms", env=faults.env)
    agent = spool_agent().start(a.grpc)
    for offset in (HOUR, 0, -HOUR, 0, HOUR):
        faults.set_clock(offset)
        taken = metric(a, "aperture_push_events_total")
        wait_for(lambda: metric(a, "aperture_push_events_total") > taken + 50, "pushes")
    faults.set_clock(0)
    agent.kill()
    agent.drain(a.grpc)
    wait_until_stored(a)
    refused = metrics(a)['aperture_lost_total{stage="ingest",reason="too_new"}']
    assert refused > 0
    assert missing(a, agent) == refused
    assert a.stop() == 0


@needs_bpf
def test_an_agent_whose_clock_is_set_loses_no_batch(aggregator, start_agent, busy, faults):  # noqa: F811
    port = free_port()
    agent = start_agent(aggregator.grpc, "--metrics-listen", f"127.0.0.1:{port}", env=faults.env).running()

    def pushed():
        return float(metrics_of(port)['aperture_push_total{status="ok"}'])

    wait_for(lambda: pushed() > 1, "batches")
    for offset in (-HOUR, 0, -2 * HOUR):
        faults.set_clock(offset)
        before = pushed()
        wait_for(lambda: pushed() > before + 2, "batches after the clock was set", 30)
    assert metrics_of(port)['aperture_push_total{status="refused"}'] == "0", agent.text()
    assert agent.stop() == 0


def records(folder):
    """The (path, offset of the payload) of each of a log's records."""
    for path in sorted(folder.glob("*.journal")):
        data, at = path.read_bytes(), 48
        while at + 24 <= len(data):
            size = struct.unpack_from("<I", data, at + 16)[0]
            if size == 0:
                break
            yield path, at + 24
            at += 24 + (size + 7) // 8 * 8


def rot(folder, every):
    """Changes a bit in some of a log's records; how many."""
    n = 0
    for i, (path, at) in enumerate(records(folder)):
        if i % every == 1:
            with open(path, "r+b") as f:
                f.seek(at + 60)
                byte = f.read(1)[0]
                f.seek(at + 60)
                f.write(bytes([byte ^ 8]))
            n += 1
    return n


def test_a_log_that_rots_is_read_around_and_counted(start_aggregator, spool_agent):
    a = start_aggregator("a", "--flush-interval", "1m")
    agent = spool_agent(pause_ms=0).start(a.grpc, batches=60)
    assert agent.process.wait(60) == 0
    a.stop(signal.SIGKILL)
    wal = a.folder / "data/wal"
    rotten = rot(wal, 7)
    a = start_aggregator("a", "--flush-interval", "50ms")
    wait_until_stored(a)
    assert metric(a, "aperture_wal_damaged_records") == rotten > 3
    assert len(list(wal.glob("*.damaged"))) == rotten
    wait_for(lambda: f"{rotten} or more batches" in a.text() and str(wal) in a.text(), "the log line")
    stored = export(a, agent.service)
    whole = [leaves for leaves in agent.batches()[0].values() if leaves.items() <= stored.items()]
    assert len(whole) == 60 - rotten
    assert sum(map(len, whole)) == len(stored)


def test_a_log_that_rots_under_a_waiting_store_holds_nothing_up(start_aggregator, start_clickhouse, spool_agent):
    """Batches that only the log has room for are read back when the store is there, and some cannot be."""
    server = start_clickhouse()
    server.kill()
    a = start_aggregator("a", "--flush-interval", "50ms", "--buffer-bytes", "1MiB", store=server.flags)
    agent = spool_agent(pause_ms=0).start(a.grpc, batches=600)
    assert agent.process.wait(90) == 0
    assert metric(a, "aperture_clickhouse_hidden_rows") > 0
    rotten = rot(a.folder / "data/wal-server", 50)
    server.start()
    wait_until_stored(a)
    damaged = metric(a, "aperture_wal_damaged_records")
    assert 0 < damaged <= rotten  # the others were in memory as well
    lost = metrics(a)['aperture_lost_total{stage="store",reason="damaged"}']
    assert missing(a, agent) == lost > 0
    stage = next(s for s in a.get("/api/v1/ledger")["stages"] if s["stage"] == "store")
    assert stage["in"]["count"] == stage["out"]["count"] + sum(x["count"] for x in stage["losses"])
    assert a.stop() == 0


def sockets(pid, port):
    """Descriptors of a process's connections of which either end has that port."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            ends = [int(fields[i].rsplit(":", 1)[1], 16) for i in (1, 2)]
            if port in ends and fields[3] != "0A":
                found.add(f"socket:[{fields[9]}]")
    links = {}
    for p in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links[int(p.name)] = os.readlink(p)
    return {fd: link for fd, link in links.items() if link in found}


def deafen_other(pid, fd):
    """As deafen(), of another process's socket."""
    pidfd = os.pidfd_open(pid)
    own = LIBC.syscall(PIDFD_GETFD, pidfd, fd, 0)
    assert own >= 0
    os.close(pidfd)
    with socket.socket(fileno=own) as s:
        deafen(s)


@needs_root
def test_connections_without_a_peer_are_given_up(start_aggregator, spool_agent):
    a = start_aggregator()
    agent = spool_agent().start(a.grpc)
    wait_for(lambda: metric(a, "aperture_push_events_total") > 0, "pushes")
    dead = sockets(a.process.pid, a.ports["grpc"])
    for pid in (a.process.pid, agent.process.pid):
        for fd in sockets(pid, a.ports["grpc"]):
            deafen_other(pid, fd)
    taken = metric(a, "aperture_push_events_total")
    wait_for(lambda: metric(a, "aperture_push_events_total") > taken + 10, "pushes over another connection", 90)
    wait_for(lambda: not set(dead.values()) & set(sockets(a.process.pid, a.ports["grpc"]).values()),
             "the aggregator to give up the dead connection", 90)
    agent.finish()
    assert check(a, agent) > 0


def store_check(aggregator):
    """What /readyz says of the store."""
    with urllib.request.urlopen(aggregator.url + "/readyz", timeout=30) as answer:
        return json.load(answer)["checks"]["store"]


@pytest.mark.parametrize("when", ["sent", "stored"])
def test_a_store_that_vanishes_within_an_insert_is_asked_anew(when, start_aggregator, start_clickhouse, start_proxy,
                                                              spool_agent):
    """It is given up by the connection: long before the insert would have been, for taking too long."""
    server = start_clickhouse()
    proxy = start_proxy(server)
    a = start_aggregator("a", "--flush-interval", "50ms", store=proxy.flags)
    agent = spool_agent().start(a.grpc)
    wait_for(lambda: metric(a, "aperture_clickhouse_flush_rows_total") > 0, "rows")
    proxy.cut_at(b"INSERT%20INTO%20samples%20", when)
    assert proxy.was_cut.wait(60)
    state = wait_for(lambda: next((s for s in (store_check(a),) if s != "ok"), None), "the insert to be given up")
    assert "is not reached (--clickhouse-url)" in state
    assert metrics(a)['aperture_clickhouse_flush_total{status="error"}'] > 0
    proxy.mend()
    rows = metric(a, "aperture_clickhouse_flush_rows_total")
    wait_for(lambda: metric(a, "aperture_clickhouse_flush_rows_total") > rows, "rows to flow again")
    agent.finish()
    wait_until_stored(a)
    assert check(a, agent) == int(server.ask("SELECT sum(count) FROM samples"))


def test_idle_connections_to_a_store_that_vanished_are_given_up(start_aggregator, start_clickhouse, start_proxy):
    """The next question does not meet one of them."""
    proxy = start_proxy(start_clickhouse())
    a = start_aggregator("a", "--flush-interval", "1m", store=proxy.flags)
    a.get("/api/v1/labels?from=now-1h&to=now")
    dead = set(wait_for(lambda: sockets(a.process.pid, proxy.port), "connections").values())
    proxy.cut_all()
    wait_for(lambda: not dead & set(sockets(a.process.pid, proxy.port).values()), "the connections to be given up", 50)
    a.get("/api/v1/labels?from=now-1h&to=now")


def rss_kib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def test_clients_that_do_not_read_take_no_memory(start_aggregator, spool_agent):
    """Each has asked for an answer that no socket holds, and reads nothing of it."""
    a = start_aggregator("a", "--flush-interval", "50ms")
    agent = spool_agent(pause_ms=0).start(a.grpc, batches=4000)
    assert agent.process.wait(300) == 0
    wait_until_stored(a)
    path = "/api/export/json?type=cpu:samples&from=now-7d&to=now"
    with urllib.request.urlopen(a.url + path, timeout=60) as answer:
        size = len(answer.read())
    assert size > 1 << 20
    before, sockets = rss_kib(a.process.pid), []
    try:
        for _ in range(40):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", a.ports["http"]))
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            sockets.append(s)
        agent.start(a.grpc, batches=20)
        assert agent.process.wait(300) == 0  # pushes go on meanwhile
        # What merging takes comes back; what is kept for clients would stay as long as they do.
        wait_for(lambda: (rss_kib(a.process.pid) - before) << 10 < 40 * size / 2,
                 f"40 answers of {size >> 10} KiB to take no memory")
    finally:
        for s in sockets:
            s.close()
