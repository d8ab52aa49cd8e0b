# SPDX-License-Identifier: Apache-2.0
"""Programs on overlay file systems and in namespaces, as in containers: there the kernel's file is one
of a layer, while /proc and fstat() tell of another one."""
import contextlib
import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import completeness
from test_record import APERTURE, SPINNER, needs_bpf, needs_root
from waiting import wait_for

pytestmark = [needs_bpf, needs_root]

# Run in a mount and a pid namespace of their own. $1: a folder that is empty, $2: the program.
LOWER = """
cd "$1" && mkdir lower upper work merged && cp "$2" lower/spin &&
mount -t overlay none -o lowerdir=lower,upperdir=upper,workdir=work merged && mount -t proc none /proc"""
COPIED_UP = LOWER + ' && : >>merged/spin && [ "$(stat -c %i lower/spin)" != "$(stat -c %i upper/spin)" ]'
# A container: the whole system is the lower layer, in which the upper one may not lie.
ROOT = """
mount -t tmpfs none "$1" && cd "$1" && mkdir upper work merged &&
mount -t overlay none -o lowerdir=/,upperdir=upper,workdir=work merged &&
cp "$2" merged/spin && cd merged && pivot_root . mnt && cd / &&
mount -t proc none /proc && umount -l /mnt"""
LAYERS = {"lower": LOWER, "copied-up": COPIED_UP, "root": ROOT}
READY = " && echo ready && exec sleep infinity"


@pytest.fixture(scope="module")
def spin(tmp_path_factory):
    """Like that of the other tests, but without frame pointers."""
    folder = tmp_path_factory.mktemp("spin")
    source, program = folder / "spin.c", folder / "spin"
    source.write_text(SPINNER)
    subprocess.run(["cc", "-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls", "-o", program, source],
                   check=True)
    return program


def child_of(pid):
    return wait_for(lambda: Path(f"/proc/{pid}/task/{pid}/children").read_text().split(), f"a child of {pid}")[0]


@pytest.fixture(scope="module", autouse=True)
def overlay_support():
    script = """mount -t tmpfs none /mnt && cd /mnt && mkdir l u w m &&
    mount -t overlay none -o lowerdir=l,upperdir=u,workdir=w m"""
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no overlay can be mounted here: {done.stderr.strip()}")


@contextlib.contextmanager
def overlay(layer, folder, spin):
    """(how to enter the namespaces, the program's path there); what runs there ends with them."""
    process = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
                                LAYERS[layer] + READY, "sh", folder, spin],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        enter = ["nsenter", "--mount", "--pid", "--target", child_of(process.pid)]
        yield enter, "/spin" if layer == "root" else f"{folder}/merged/spin"
    finally:
        process.kill()
        process.communicate()


def start(enter, path, seconds):
    """Starts the program, which runs for so much CPU time: its parent, and its pid, as we and as its namespace
    have it."""
    process = subprocess.Popen([*enter, path, str(seconds)])
    pid = child_of(process.pid)
    wait_for(lambda: Path(f"/proc/{pid}/comm").read_text() == "spin\n", "the program")
    status = Path(f"/proc/{pid}/status").read_text()
    return process, *re.search(r"^NSpid:\t(\d+)\t(\d+)$", status, re.M).groups()


@contextlib.contextmanager
def recording(out, *args, enter=()):
    process = subprocess.Popen([*enter, APERTURE, "record", "--quiet", "-o", out, "--ledger", f"{out}.ledger",
                                *map(str, args)], stderr=subprocess.PIPE, text=True)
    try:
        yield process
        assert process.wait(60) == 0, process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def check(out, path, pid=None):
    """All of the program's stacks are complete and named. Not so in its first moments: of an overlay's file only
    a sample tells which inode of the layers it is."""
    ledger = json.loads(Path(f"{out}.ledger").read_text())
    assert ledger["process_events_lost"] == 0
    assert all(stage["balance"] == 0 for stage in ledger["stages"])
    stacks = [s for s in completeness.profile_stacks(out) if s.labels["comm"] == "spin"]
    assert {s.labels["pid"] for s in stacks} == {pid or stacks[0].labels["pid"]}
    result = completeness.judge(completeness.settled(stacks, 1))
    assert result.user > 50
    assert result.named >= 0.99 * result.user, result.problems()
    names = [[f.name for f in s.user] for s in stacks for _ in range(s.count)]
    assert sum(n[-3:] == ["main", "do_work", "burn_cpu"] for n in names) > 0.8 * len(names)
    assert {f.path for s in stacks for f in s.user if f.name == "burn_cpu"} == {path}


@pytest.mark.parametrize("layer", LAYERS)
def test_overlay(layer, tmp_path, spin):
    (tmp_path / "overlay").mkdir()
    one, everything, own = (tmp_path / name for name in ("one.json", "all.json", "own.json"))
    with overlay(layer, tmp_path / "overlay", spin) as (enter, path):
        process, pid, _ = start(enter, path, 3)
        with recording(one, "-p", pid), recording(everything, "-a") as profiler:
            assert process.wait(60) == 0
            profiler.send_signal(signal.SIGINT)
        with recording(own, "--", *enter, path, 3):
            pass
    check(one, path, pid)
    check(everything, path, pid)
    check(own, path)


def test_from_within_a_pid_namespace(tmp_path, spin):
    """The profiler in a container sees the container's processes alone, by the numbers that they have there."""
    (tmp_path / "overlay").mkdir()
    out = tmp_path / "all.json"
    with overlay("lower", tmp_path / "overlay", spin) as (enter, path):
        process, _, pid = start(enter, path, 3600)
        with recording(out, "-d", 3, "-a", enter=enter):
            pass
    process.wait()
    check(out, path, pid)
    assert {s.labels["comm"] for s in completeness.profile_stacks(out)} <= {"spin", "aperture", "sleep"}
