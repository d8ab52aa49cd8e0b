"""The dashboard in a real browser, before a real aggregator that a real agent feeds."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import AGENT, BUILD, ROOT, Program, environment, wait_for
from test_demo import services
from test_symbols import NAME, program  # noqa: F401

UI = Path(os.environ.get("AP_UI_DIR", ROOT / "ui/dist"))
BROWSER = os.environ.get("CHROMIUM", "/usr/bin/chromium")

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0 or not Path("/sys/kernel/btf/vmlinux").exists(),
                       reason="profiling needs root and a kernel with BTF"),
    pytest.mark.skipif(not (UI / "index.html").exists(), reason="the dashboard is not built"),
    pytest.mark.skipif(not Path(BROWSER).exists() or not shutil.which("node"),
                       reason="needs Chromium and Node"),
]


@pytest.fixture
def demo(tmp_path):
    """The demo's services: their process ids by name."""
    program = Program([BUILD / "demo/aperture-demo"], tmp_path / "demo.log")
    try:
        yield wait_for(lambda: services(program.process.pid), "the demo's services")
    finally:
        program.stop()


@pytest.fixture
def stripped(program):
    """A running program without symbols."""
    p = subprocess.Popen([program[0]])
    yield p
    p.kill()
    p.wait()


@pytest.fixture
def dashboard(start_aggregator, tmp_path, demo, stripped):
    """An aggregator that knows all of the demo's services, and a program without symbols."""
    aggregator = start_aggregator("aggregator", "--ui-dir", UI)
    agent = Program([AGENT, "--server", aggregator.grpc, "--state-dir", tmp_path / "agent",
                     "--metrics-listen", "off", "--live", "--mode", "cpu,syscall", "--syscall-slow", "1ms",
                     "--pid", ",".join(map(str, [*demo.values(), stripped.pid]))],
                    tmp_path / "agent.log")

    def all_services():
        assert agent.alive(), agent.text()
        rows = aggregator.get("/api/v1/services?from=now-1h&to=now")["services"]
        modules = aggregator.get("/api/v1/modules?from=now-1h&to=now")["modules"]
        return set(demo) <= {row["service"] for row in rows} and \
            any(m["module"].endswith(f"/{NAME}") for m in modules)

    try:
        wait_for(all_services, "the demo's services on the dashboard")
        yield aggregator
    finally:
        agent.stop()


def walk(script, *args):
    """How many checks of a script in ui/e2e passed; all of them must."""
    r = subprocess.run(["node", ROOT / "ui/e2e" / script, *map(str, args)], cwd=ROOT / "ui",
                       env=dict(environment(), CHROMIUM=BROWSER), capture_output=True, text=True,
                       timeout=600)
    assert r.returncode == 0, r.stdout + r.stderr
    end = re.fullmatch(r"(\d+) passed, 0 failed", r.stdout.splitlines()[-1])
    assert end, r.stdout
    return int(end[1])


def test_every_page_shows_what_the_agent_sent(dashboard):
    assert walk("walk.mjs", dashboard.url) > 30
    assert walk("queries.mjs", dashboard.url) == 2


def test_a_saved_page_is_a_whole_dashboard(demo, tmp_path):
    saved = tmp_path / "profile.html"
    r = subprocess.run([BUILD / "src/cli/aperture", "record", "-d", "1", "-o", saved, "--ui-dir", UI,
                        "--pid", str(demo["checkout"])], env=environment(), capture_output=True,
                       text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    assert walk("saved.mjs", saved) == 1
