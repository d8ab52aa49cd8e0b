"""`make install`: what it puts in place works from there, and finds the rest from where it is."""

import os
import shutil
import stat
import subprocess
import urllib.request
from pathlib import Path

import pytest

from conftest import CHDB, ROOT, Aggregator, environment

PROGRAMS = ["aperture", "aperture-agent", "aperture-aggregator"]

pytestmark = pytest.mark.skipif(not (ROOT / "ui/dist/index.html").exists() or not CHDB.exists(),
                                reason="nothing to install: the release is not built")


def install(folder, prefix="/usr"):
    """Runs the installation; the folder that stands for the prefix."""
    r = subprocess.run([ROOT / "tools/install.sh"], env=dict(environment(), DESTDIR=str(folder), PREFIX=prefix),
                       capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stdout + r.stderr
    return Path(f"{folder}{prefix}")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    yield install(folder)
    shutil.rmtree(folder)  # libchdb is large


def test_everything_is_in_place(installed):
    for name in PROGRAMS:
        assert os.access(installed / "bin" / name, os.X_OK)
        assert (installed / "share/bash-completion/completions" / name).exists()
        assert (installed / "share/fish/vendor_completions.d" / f"{name}.fish").exists()
    pages = {p.name for p in (ROOT / "docs/man").glob("*.[0-9]")} | {"aperture-callees.1"}  # a link to callers
    assert {p.name for p in (installed / "share/man").glob("man*/*")} == pages
    assert all(p.parent.name == f"man{p.suffix[1:]}" for p in (installed / "share/man").glob("man*/*"))
    assert (installed / "share/zsh/site-functions/_aperture").exists()
    assert (installed / "share/aperture/openapi.json").exists()
    for path in installed.rglob("*"):
        mode = path.stat().st_mode
        assert mode & stat.S_IROTH, f"{path} is not for everybody"
        assert path.is_dir() == bool(mode & stat.S_IXOTH) or path.parent.name == "bin" or path.suffix == ".so"


def test_build_is_left_as_it_was(installed):
    r = subprocess.run(["ninja", "-C", ROOT / "build/release", "-n"], capture_output=True, text=True)
    assert "Regenerating" not in r.stdout, r.stdout


def test_another_prefix_and_what_is_there_already(tmp_path):
    """An upgrade: files of the old dashboard go, and a folder that was there keeps its mode."""
    old = tmp_path / "opt/aperture/share/aperture/ui/assets/index-old.js"
    old.parent.mkdir(parents=True)
    old.touch()
    (tmp_path / "opt/aperture/share").chmod(0o2775)
    prefix = install(tmp_path, "/opt/aperture")
    assert not old.exists()
    assert stat.S_IMODE((prefix / "share").stat().st_mode) == 0o2775
    assert (prefix / "bin/aperture").exists() and not (tmp_path / "usr").exists()
    shutil.rmtree(prefix)


def test_aggregator_finds_dashboard_and_engine(installed, tmp_path):
    class Installed(Aggregator):
        command = [installed / "bin/aperture-aggregator"]

    aggregator = Installed(tmp_path)
    try:
        with urllib.request.urlopen(aggregator.url + "/", timeout=10) as answer:
            assert answer.read() == (ROOT / "ui/dist/index.html").read_bytes()
        assert aggregator.get("/api/openapi.json")["paths"]
        assert aggregator.get("/api/health")["status"] == "ok"
        maps = Path(f"/proc/{aggregator.process.pid}/maps").read_text()
        assert str(installed / "lib/aperture/libchdb.so") in maps
    finally:
        aggregator.stop()


def test_doctor_finds_both(installed):
    r = subprocess.run([installed / "bin/aperture", "doctor"], env=environment(), capture_output=True,
                       text=True, timeout=60)
    assert str(installed / "share/aperture/ui/index.html") in r.stdout
    assert str(installed / "lib/aperture/libchdb.so") in r.stdout
