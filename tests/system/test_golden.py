"""What earlier versions left on disk is read, and what a later one left is refused and stays as it is. tests/golden
has a folder for each format; make.py in there says what is in it."""

import hashlib
import json
import shutil
import sqlite3
import struct
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from conftest import AGGREGATOR, ROOT
from crash import SpoolAgent, export, metrics, wait_until_stored
from test_faults import Faults, faults_library  # noqa: F401

GOLDEN = ROOT / "tests/golden"
FORMATS = sorted(f for f in GOLDEN.iterdir() if f.is_dir() and f.name.isdigit())


@pytest.fixture(params=FORMATS, ids=lambda f: f.name)
def golden(request, tmp_path, faults_library):  # noqa: F811
    """A format's folder as a data folder at the time when it was made."""
    return Golden(request.param, tmp_path, Faults(tmp_path, faults_library))


class Golden:
    def __init__(self, source, folder, faults):
        self.source, self.folder, self.faults = source, folder, faults
        self.expected = json.loads((source / "expected.json").read_text())
        faults.set_clock(self.expected["made_ns"] - time.time_ns())
        self.data = folder / "aggregator/data"
        self.data.mkdir(parents=True)
        with tarfile.open(source / "store.tar.xz") as tar:
            tar.extractall(self.data, filter="data")
        shutil.copytree(source / "wal", self.data / "wal")
        shutil.copy(source / "state.db", self.data)

    def export(self, aggregator, service):
        return export(aggregator, service, self.expected["made_ns"] / 1e9)

    def agent(self, name):
        agent = SpoolAgent(self.folder / f"agent-{name}", name)
        shutil.copytree(self.source / name, agent.folder / "state")
        return agent


def checksums(folder):
    """Of all files but locks, which say who runs."""
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(Path(folder).rglob("*")) if p.is_file() and p.name != "lock"}


def test_an_aggregators_folder_is_read(golden, start_aggregator):
    a = start_aggregator("aggregator", "--flush-interval", "50ms", env=golden.faults.env)
    wait_until_stored(a)
    assert golden.export(a, "golden") == golden.expected["stored"]
    assert golden.expected["rule"] in [r["name"] for r in a.get("/api/alerts")["rules"]]
    assert metrics(a)["aperture_wal_damaged_records"] == 0
    golden.agent("known").drain(a.grpc)  # what was acknowledged then is known by the saved agents
    assert metrics(a)['aperture_push_total{status="duplicate"}'] == 3
    assert golden.export(a, "golden") == golden.expected["stored"]
    assert a.stop() == 0
    a = a.again(env=golden.faults.env)
    assert golden.export(a, "golden") == golden.expected["stored"]
    assert a.stop() == 0


def test_an_agents_folder_is_read(golden, start_aggregator):
    a = start_aggregator("other", "--flush-interval", "50ms", env=golden.faults.env)
    agent = golden.agent("agent")
    agent.drain(a.grpc)
    assert golden.export(a, "spooled") == golden.expected["spooled"]
    before = golden.source / "agent/identity"
    assert (agent.folder / "state/identity").read_text().splitlines()[0] == before.read_text().splitlines()[0]


def test_tokens_are_read(golden, tmp_path):
    folder = tmp_path / "tokens"
    folder.mkdir()
    shutil.copy(golden.source / "guard.db", folder)
    out = subprocess.run([AGGREGATOR, "token", "list", "--data-dir", folder], check=True, capture_output=True, text=True)
    assert "golden" in out.stdout and "read" in out.stdout


def make_newer(folder):
    """The version in the head of a journal's newest file."""
    newest = max(folder.glob("*.journal"))
    data = bytearray(newest.read_bytes())
    struct.pack_into("<I", data, 8, struct.unpack_from("<I", data, 8)[0] + 1)
    newest.write_bytes(data)


def refusal(start, *args, **kwargs):
    with pytest.raises(AssertionError) as e:
        start(*args, **kwargs)
    return str(e.value)


def test_a_newer_log_is_refused(golden, start_aggregator):
    make_newer(golden.data / "wal")
    before = checksums(golden.data / "wal"), checksums(golden.data)["state.db"]
    text = refusal(start_aggregator, "aggregator", env=golden.faults.env)
    assert str(golden.data / "wal") in text and "newer version" in text and "upgrade" in text
    assert before == (checksums(golden.data / "wal"), checksums(golden.data)["state.db"])


def test_a_newer_state_is_refused(golden, start_aggregator):
    with sqlite3.connect(golden.data / "state.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    before = checksums(golden.data)["state.db"]
    text = refusal(start_aggregator, "aggregator", env=golden.faults.env)
    assert str(golden.data / "state.db") in text and "later version" in text
    assert checksums(golden.data)["state.db"] == before


def test_a_newer_spool_is_refused(golden):
    agent = golden.agent("agent")
    make_newer(agent.folder / "state/spool")
    before = checksums(agent.folder / "state/spool")
    agent.start("127.0.0.1:1", batches=0)
    assert agent.process.wait(60) == 1
    text = (agent.folder / "errors").read_text()
    assert str(agent.folder / "state/spool") in text and "newer version" in text
    assert checksums(agent.folder / "state/spool") == before


def test_a_newer_store_is_refused(start_aggregator, start_clickhouse):
    server = start_clickhouse()
    a = start_aggregator("a", store=server.flags)
    assert a.stop() == 0
    server.ask("INSERT INTO meta VALUES (1000, now())")
    tables = "SELECT name, metadata_modification_time FROM system.tables WHERE database = 'aperture' ORDER BY name"
    before = server.ask(tables)
    text = refusal(start_aggregator, "a", store=server.flags)
    assert "newer version" in text and "1000" in text
    assert server.ask(tables) == before
