"""Complete stacks of real programs that have no frame pointers. Completeness is judged by the
outermost frame (completeness.py), and its base is every period on user code, losses included."""

import collections
import functools
import math
import os
import re
import shutil
import subprocess

import pytest

import completeness
import workloads
from workloads import HZ

pytestmark = [
    pytest.mark.skipif(not workloads.APERTURE.exists(), reason="aperture is not built"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make cgroups and change user"),
]


ENOUGH = 400  # samples, to judge half a percent by


WHOLE = 0.995


def left_out(r):
    """Whether the share is short by the periods alone that the kernel did not run."""
    return r.result.complete >= WHOLE * r.result.user and r.share < WHOLE


@functools.cache
def recording(group):
    """A virtual CPU that its host halts loses its periods, though the programs' CPU time goes on: what
    such a moment spoils is recorded again, three times in all."""
    for _ in range(3):
        found = workloads.record(*(workloads.PROGRAMS[name] for name in group), enough=ENOUGH)
        if not any(left_out(r) for name, r in found.items() if name != "throwing"):
            break
    return found


def recorded(name):
    return recording(next(group for group in workloads.TOGETHER if name in group))[name]


def explain(name, r):
    return "\n".join([
        f"{name}: {r.result.complete} of {r.base:.1f} user periods complete: {100 * r.share:.2f} %; "
        f"lost {dict(r.lost)}; {r.result.claimed} wrongly called complete; where the others end:",
        *r.result.problems()])


@pytest.mark.parametrize("name", [name for name in workloads.PROGRAMS if name != "throwing"])
def test_complete(name):
    r = recorded(name)
    print(explain(name, r))
    # What the kernel itself left out is not_run; what of it was the program's is in the base.
    assert not set(r.lost) - {"not_run"}, r.lost
    assert r.result.samples >= ENOUGH
    assert r.share >= WHOLE, explain(name, r)


def test_functions_have_names():
    """Of programs that have symbols, and of JavaScript by node's perf map."""
    wanted = {
        "exceptions": {"main", "Inner::visit(int)", "Leaf::visit(int)"},
        "signals": {"on_timer", "by_hash", "sort_numbers", "main"},
        "deep": {"descend", "small", "large", "variable", "aligned", "main"},
        "loader": {"plugin_run", "inner", "called_back", "use", "main"},
        "d": {"work.weigh(uint)", "work.Cart!(uint).Cart.total(ulong(uint) delegate)", "work.work()"},
        "go": {"main.fibonacci", "main.encode", "runtime.goexit"},
    }
    for name, functions in wanted.items():
        seen = {f.name.removesuffix(".abi0") for s in recorded(name).stacks for f in s.user}
        assert functions <= seen, name
    assert any("fibonacci" in f.name for s in recorded("node").stacks for f in s.user)


def test_signals_interrupt_what_goes_on():
    """10,000 a second, on both stacks; below each handler is the code that it interrupted."""
    r = recorded("signals")
    assert r.rate > 8000, f"{r.rate:.0f} signals per CPU second"
    handlers = below = 0
    for s in r.stacks:
        names = [f.name for f in s.user]
        if "on_timer" in names:
            handlers += s.count
            below += s.count * ("main" in names[:names.index("on_timer")])
    assert handlers > 0.05 * r.result.user
    assert below >= 0.99 * handlers


def test_throwing():
    """A program that does nothing but throw: a twentieth of its time cannot be unwound (see there)."""
    r = recorded("throwing")
    assert r.result.samples >= ENOUGH
    assert r.share >= 0.93, explain("throwing", r)


def test_deep_recursion_is_whole():
    """Two frames for each of 200 turns."""
    depths = sorted(len(s.user) for s in recorded("deep").stacks for _ in range(s.count))
    assert depths[-1] >= 400
    assert depths[len(depths) // 2] > 300


def test_short_lived_processes():
    """200 processes a second, most of which live for a few milliseconds."""
    r, told = workloads.record_short_lived()
    periods = told["cpu_s"] * HZ
    # Processes that share a CPU with others are met by chance: the count scatters by at most this.
    chance = 3 * math.sqrt(periods) / 2
    text = (f"{told['started']} processes, {periods:.0f} periods, {r.result.samples} samples "
            f"({100 * r.result.samples / periods:.1f} %)\n" + explain("short-lived", r))
    print(text)
    assert told["started"] >= 199 * 20
    assert not set(r.lost) - {"not_run"}, r.lost
    assert r.result.samples + chance >= 0.97 * periods, text
    assert all(s.labels.get("comm") for s in r.stacks)
    assert r.result.named >= 0.95 * r.result.user, text


def calls(stacks):
    """Function names from main on → samples."""
    found = collections.Counter()
    for s in stacks:
        # Symbol tables tell the parts apart into which compilers split a function.
        names = [re.sub(r"\.(part|isra|constprop|cold)\b.*", "", f.name) for f in s.user if not f.inlined]
        if "main" in names:
            found[tuple(names[names.index("main"):])] += s.count
    return found


@pytest.mark.skipif(not shutil.which("perf"), reason="perf (linux-perf) is not installed")
def test_stacks_agree_with_perf(tmp_path):
    """Aperture and perf, which unwinds copies of the stack by DWARF, watch one program at once."""
    data, hz, seconds = tmp_path / "perf.data", 997, 6
    with workloads.running(workloads.branches) as (parent, loads):
        pid = loads[0].processes[0].pid
        perf = subprocess.Popen(["perf", "record", "-q", "-B", "-e", "cpu-clock:u", "-F", str(hz), "--call-graph", "dwarf",
                                 "-p", str(pid), "-o", data, "--", "sleep", str(seconds)])
        ours = workloads.record_of(pid, parent.folder, seconds=seconds, hz=hz)
        assert perf.wait(60) == 0
        theirs = completeness.perf_stacks(data)
    ours, theirs = calls(ours), calls(theirs)
    paths = {c for c in theirs if c[-1] == "burn" and theirs[c] > theirs.total() / 200}
    assert len({c for c in paths if len(c) == 5}) == 3 ** 3, sorted(paths)
    assert {c for c in paths if "by_value" in c}, "none through libc's sort"
    assert paths <= set(ours), sorted(paths - set(ours))
    for one, other in ((ours, theirs), (theirs, ours)):
        alike = sum(n for c, n in one.items() if c in other)
        assert one.total() > hz and alike >= 0.995 * one.total(), sorted(set(one) - set(other))
    # The same stacks are equally hot, too; so much is between two samples of one thing by chance.
    chance = 0.6 * math.sqrt(len(paths) * (1 / ours.total() + 1 / theirs.total()) / 2)
    apart = sum(abs(ours[c] / ours.total() - theirs[c] / theirs.total()) for c in set(ours) | set(theirs)) / 2
    assert apart < 0.05 + chance, (apart, chance)
