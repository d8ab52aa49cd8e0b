"""The demo's launcher: its services run while it does, however it ends."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
DEMO = Path(os.environ.get("AP_BUILD", ROOT / "build/release")) / "demo/aperture-demo"
SERVICES = {"checkout", "search", "thumbnailer"}


def services(launcher):
    """The launcher's children by name, once all of them run their program."""
    pids = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    names = {Path(f"/proc/{pid}/comm").read_text().strip(): int(pid) for pid in pids}
    return names if set(names) == SERVICES else None


def gone(pid):
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_services_end_with_the_launcher(how):
    launcher = subprocess.Popen([DEMO])
    try:
        pids = wait_for(lambda: services(launcher.pid), "three services", 10)
        # Each leads a process group, which is what names its service.
        assert all(os.getpgid(pid) == pid for pid in pids.values())
    finally:
        launcher.send_signal(how)
        status = launcher.wait(20)
    assert status == (-signal.SIGKILL if how == signal.SIGKILL else 0)
    wait_for(lambda: all(gone(pid) for pid in pids.values()), "the services' end", 20)


def test_a_service_that_ends_is_an_error():
    launcher = subprocess.Popen([DEMO], stderr=subprocess.PIPE)
    pids = wait_for(lambda: services(launcher.pid), "three services", 10)
    os.kill(pids["search"], signal.SIGKILL)
    assert launcher.wait(20) == 1
    assert b"search ended" in launcher.stderr.read()
    wait_for(lambda: all(gone(pid) for pid in pids.values()), "the services' end", 20)
