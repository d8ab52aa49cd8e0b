"""Boots each kernel of kernels.txt once, for all the tests of it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from guest import Guest, HERE, write_initramfs

ROOT = HERE.parents[1]
BUILD = Path(os.environ.get("AP_BUILD", ROOT / "build/release"))
TEST_BUILD = Path(os.environ.get("AP_TEST_BUILD", ROOT / "build/debug"))
KERNELS = Path(os.environ.get("AP_VM", ROOT / "build/vm"))
APERTURE = BUILD / "src/cli/aperture"
AGENT = BUILD / "src/agent/aperture-agent"
SPIN = TEST_BUILD / "tests/unit/agent/spin"
PROGRAMS = [APERTURE, AGENT, SPIN, "/usr/sbin/bpftool", "/usr/bin/setpriv"]


def series():
    """The kernels to boot: all, or those that AP_VM_KERNELS names."""
    lines = [line.split() for line in (HERE / "kernels.txt").read_text().splitlines()]
    known = [words[0] for words in lines if words[0] != "#"]
    return os.environ.get("AP_VM_KERNELS", " ".join(known)).split()


def kernel_tests():
    """The unit tests that meson.build puts into the suite "kernel": name → command, environment."""
    r = subprocess.run(["meson", "introspect", "--tests", TEST_BUILD], capture_output=True, check=True)
    return {t["name"]: (t["cmd"], t["env"]) for t in json.loads(r.stdout) if "aperture:kernel" in t["suite"]}


@pytest.fixture(scope="session")
def bare_spin(tmp_path_factory):
    """SPIN without frame pointers: only tables lead through its stacks."""
    program = tmp_path_factory.mktemp("bare") / "spin"
    subprocess.run(["cc", "-O2", "-fomit-frame-pointer", "-o", program, ROOT / "tests/unit/agent/spin.c"], check=True)
    return program


def build_threads(tmp_path_factory, name):
    program = tmp_path_factory.mktemp(name) / name
    subprocess.run(["cc", "-O2", "-fomit-frame-pointer", "-pthread", "-o", program,
                    ROOT / f"tests/system/programs/{name}.c"], check=True)
    return program


@pytest.fixture(scope="session")
def waits(tmp_path_factory):
    """A program whose threads wait for a lock, a pipe and time (tests/system/programs)."""
    return build_threads(tmp_path_factory, "waits")


@pytest.fixture(scope="session")
def contend(tmp_path_factory):
    """A program whose threads want the same locks of the kernel."""
    program = tmp_path_factory.mktemp("contend") / "contend"
    subprocess.run(["cc", "-O2", "-fomit-frame-pointer", "-pthread", "-o", program,
                    ROOT / "tests/system/programs/contend.c"], check=True)
    return program


@pytest.fixture(scope="session")
def wait_ends(tmp_path_factory):
    """One whose waits for locks end in every way."""
    return build_threads(tmp_path_factory, "wait_ends")


@pytest.fixture(scope="session")
def initramfs(tmp_path_factory, bare_spin, waits, wait_ends, contend):
    path = tmp_path_factory.mktemp("vm") / "initramfs"
    programs = [*PROGRAMS, bare_spin, waits, wait_ends, contend]
    for command, env in kernel_tests().values():
        programs += [command[0], *(v for v in env.values() if Path(v).is_file())]
    write_initramfs(path, programs)
    yield path
    path.unlink()


@pytest.fixture(scope="session", params=series())
def guest(request, initramfs):
    kernel = KERNELS / f"vmlinuz-{request.param}"
    if not kernel.exists():
        pytest.skip(f"no {kernel}: tools/setup.sh test fetches it from Debian's archive")
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("qemu-system-x86_64 is not installed")
    guest = Guest(request.param, kernel, initramfs, initramfs.parent)
    yield guest
    guest.stop()
