"""`aperture record` as a user meets it: real programs, real samples, compared with what the kernel
says that they used."""

import contextlib
import gzip
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from profiles import closed_ledger, stacks
from waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("AP_BUILD", ROOT / "build/release"))
APERTURE = BUILD / "src/cli/aperture"
HZ = 99
# Runs a program before all ordinary ones: on a busy machine too it has a CPU of its own, but for the
# 5 % that the kernel keeps for the others (sched(7)), and is there at every tick of the profiler.
OWN_CPU = "chrt -f 1"
CAPABILITIES = ["bpf", "perfmon", "sys_ptrace", "syslog", "dac_read_search", "checkpoint_restore"]

SPINNER = r"""
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#define KEEP __attribute__((noinline, noclone))
static volatile unsigned long sink;
static double used(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return r.ru_utime.tv_sec + r.ru_stime.tv_sec +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}
KEEP static void burn_cpu(void) { for (long i = 0; i < 20000000; i++) sink += i; }
KEEP static void do_work(double seconds) { while (used() < seconds) { burn_cpu(); sink++; } sink++; }
int main(int argc, char **argv) { do_work(atof(argv[1])); return argc > 2 ? atoi(argv[2]) : 0; }
"""


def can_profile():
    return subprocess.run([APERTURE, "doctor", "--json"], capture_output=True).returncode == 0


needs_bpf = pytest.mark.skipif(not APERTURE.exists() or not can_profile(),
                               reason="profiling is not permitted here: see aperture doctor")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change user")


def record(*args, **kwargs):
    kwargs.setdefault("capture_output", True)
    return subprocess.run([APERTURE, "record", *map(str, args)], timeout=120, **kwargs)


@pytest.fixture(scope="session")
def spinner(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spinner")
    source, program = folder / "spin.c", folder / "spin"
    source.write_text(SPINNER)
    subprocess.run(["cc", "-O2", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-o",
                    program, source], check=True)
    return program


@contextlib.contextmanager
def endless(spinner, prefix=""):
    process = subprocess.Popen([*prefix.split(), spinner, "3600"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def cgroup():
    """A new cgroup v2; from a mount of our own where the machine has none."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    found = [m[1] for m in mounts if m[2] == "cgroup2"]
    own = None
    if not found:
        own = tempfile.mkdtemp()
        if subprocess.run(["mount", "-t", "cgroup2", "none", own],
                          capture_output=True).returncode != 0:
            os.rmdir(own)
            pytest.skip("no cgroup v2, and none can be mounted")
    folder = Path(found[0] if found else own) / f"aperture-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as e:
        pytest.skip(f"no cgroup can be made: {e}")
    yield folder
    wait_for(lambda: not (folder / "cgroup.procs").read_text(), "an empty cgroup", 10)
    folder.rmdir()
    if own:
        subprocess.run(["umount", own], check=True)
        os.rmdir(own)


def fields(data):
    """(number, value) of a protobuf message's fields; a value is an int or bytes."""
    def varint(i):
        value = shift = 0
        while True:
            value |= (data[i] & 0x7F) << shift
            shift += 7
            i += 1
            if not data[i - 1] & 0x80:
                return value, i
    i = 0
    while i < len(data):
        key, i = varint(i)
        if key & 7 == 0:
            value, i = varint(i)
        elif key & 7 == 2:
            n, i = varint(i)
            value, i = data[i:i + n], i + n
        else:
            n = {1: 8, 5: 4}[key & 7]
            value, i = data[i:i + n], i + n
        yield key >> 3, value


def pprof_values(data):
    """The values of all samples of a pprof file (profile.proto: Profile.sample = 2,
    Sample.value = 2, packed)."""
    for number, sample in fields(gzip.decompress(data)):
        if number == 2:
            packed = next(v for n, v in fields(sample) if n == 2)
            values, value, shift = [], 0, 0
            for byte in packed:
                value |= (byte & 0x7F) << shift
                shift += 7
                if not byte & 0x80:
                    values.append(value)
                    value = shift = 0
            yield values


def stolen():
    """Seconds in which this machine's host ran something else, on all CPUs."""
    return int(Path("/proc/stat").read_text().split()[8]) / os.sysconf("SC_CLK_TCK")


class Account:
    """What a recording of `seconds` of CPU time counted, and what the kernel says of it."""

    def __init__(self, command, cgroup, folder):
        out, ledger = folder / "p.pb.gz", folder / "ledger.json"
        before = stolen()
        r = record("-F", HZ, "-o", out, "--ledger", ledger, "--",
                   "sh", "-c", f"echo $$ > {cgroup}/cgroup.procs; exec {command}")
        assert r.returncode == 0, r.stderr
        usage = dict(line.split() for line in (cgroup / "cpu.stat").read_text().splitlines())
        samples = list(pprof_values(out.read_bytes()))
        self.ledger = closed_ledger(ledger.read_text())
        self.seconds = int(usage["usage_usec"]) / 1e6
        self.duration = self.ledger["duration_s"]
        self.count, self.value = (sum(s[i] for s in samples) for i in (0, 1))
        self.losses = {loss["name"]: loss["count"] for loss in self.ledger["stages"][0]["losses"]}
        # A timer that fires late for the host's sake skips periods, and each lost stretch is no CPU
        # time by the kernel's account although a sample may stand for it.
        self.stolen = (stolen() - before) * HZ

    def check(self, slack):
        """Samples, nanoseconds and CPU time agree but for `slack` periods."""
        expected, skipped = self.seconds * HZ, self.losses["not_run"]
        assert expected - slack <= self.count + skipped, vars(self)
        assert self.count <= expected + slack + self.stolen, vars(self)
        assert skipped <= self.duration * HZ * 0.02 + self.stolen, vars(self)
        assert self.seconds - (slack + skipped) / HZ <= self.value / 1e9, vars(self)
        assert self.value / 1e9 <= self.seconds + (slack + self.stolen) / HZ, vars(self)


@needs_bpf
@needs_root
def test_counts_and_stacks(spinner, cgroup, tmp_path):
    """Samples and nanoseconds agree within 2 % with the kernel's own account, and no stack broke."""
    a = Account(f"{OWN_CPU} {spinner} 5", cgroup, tmp_path)
    a.check(a.seconds * HZ * 0.02)
    assert a.ledger["stages"][0]["out"]["count"] == a.count
    assert a.ledger["cost"]["bpf_ns"] > 0 and a.ledger["cost"]["peak_rss_bytes"] > 0
    # Until the new program's tables are made, its frame pointers are followed, which pass the leaf's
    # caller by: that is no whole stack, and is not said to be.
    assert set(x["name"] for x in a.ledger["reasons"]) <= {"ok", "kernel_only", "no_table"}, a.ledger["reasons"]


@needs_bpf
def test_counts_on_a_shared_cpu(spinner, cgroup, tmp_path):
    """Each tick of a CPU meets a program with the probability of its share of that CPU: its count is
    right on average and scatters like that of so many throws."""
    with contextlib.ExitStack() as others:
        for _ in range(os.cpu_count()):
            others.enter_context(endless(spinner))
        a = Account(f"{spinner} 2", cgroup, tmp_path)
    share = min(a.seconds / a.duration, 1)
    a.check(a.seconds * HZ * 0.02 + 4 * (a.duration * HZ * share * (1 - share)) ** 0.5)


@pytest.fixture
def loose_cpu():
    """The number of a CPU that can be taken offline, and the file that does it; afterwards it is
    online whatever happened."""
    switches = sorted(Path("/sys/devices/system/cpu").glob("cpu[0-9]*/online"))
    if len(switches) < 2 and os.cpu_count() < 2:
        pytest.skip("there is only one CPU")
    if not switches:
        pytest.skip("no CPU of this machine can be taken offline")
    yield int(switches[-1].parent.name[3:]), switches[-1]
    switches[-1].write_text("1")


@needs_bpf
@needs_root
@pytest.mark.parametrize("seconds", [0.3, 1.3])
def test_a_cpu_that_went_and_came_back(spinner, loose_cpu, tmp_path, seconds):
    """It is sampled again, whether or not a look at the list of CPUs fell into its absence, and the
    ledger is closed."""
    cpu, switch = loose_cpu
    ledger = tmp_path / "ledger.json"
    script = (f"trap 'echo 1 >{switch}' EXIT; echo 0 >{switch} && sleep {seconds} && echo 1 >{switch} && "
              f"taskset -c {cpu} {spinner} 4")
    r = record("-a", "-F", HZ, "--format", "collapsed", "-o", "-", "--ledger", ledger, "--", "sh", "-c", script)
    assert r.returncode == 0, r.stderr
    # The profiler looks for it once a second.
    hot = sum(n for f, n in stacks(r.stdout.decode()) if f[-1] == "burn_cpu")
    assert hot > HZ, r.stderr
    closed_ledger(ledger.read_text())


@needs_bpf
def test_every_stack_reaches_main(spinner):
    r = record("-F", HZ, "--format", "collapsed", "-o", "-", "--", spinner, "3")
    assert r.returncode == 0, r.stderr
    whole = broken = 0
    for frames, count in stacks(r.stdout.decode()):
        if frames[0] != "spin" or all(f.endswith("_[k]") for f in frames[1:]):
            continue
        if any(f in ("main", "_start") for f in frames):
            whole += count
        elif not any(f.startswith(("_dl_", "dl_", "_start", "ld-")) for f in frames):
            broken += count
    assert whole > 2 * HZ
    assert broken == 0
    # burn_cpu is a leaf for which the compiler makes no frame, so its caller is not to be seen by
    # frame pointers; all the outer ones are.
    hot = [f for f, n in stacks(r.stdout.decode()) if f[-1] == "burn_cpu"]
    assert hot and "main" in hot[0]


@needs_bpf
@pytest.mark.parametrize("name", ["p.pb.gz", "p.collapsed", "p.svg", "p.html", "p.json",
                                  "p.speedscope.json"])
def test_formats(spinner, tmp_path, name):
    out = tmp_path / name
    if name.endswith(".html") and not (ROOT / "ui/dist/standalone.html").exists():
        pytest.skip("the dashboard is not built")
    r = record("-o", out, "--", spinner, "0.7")
    assert r.returncode == 0, r.stderr
    data = out.read_bytes()
    assert name.encode() in r.stderr
    if name.endswith(".gz"):
        assert sum(v[0] for v in pprof_values(data)) > 30
    elif name.endswith(".collapsed"):
        assert sum(n for _, n in stacks(data.decode())) > 30
    elif name.endswith(".json"):
        assert json.loads(data)
        assert b"burn_cpu" in data
    else:
        assert b"burn_cpu" in data
        assert data.lstrip()[:1] == b"<"
    assert not [p for p in tmp_path.iterdir() if p != out], "left something behind"


@needs_bpf
def test_summary(spinner, tmp_path):
    r = record("-o", tmp_path / "p.pb.gz", "--", spinner, "1")
    text = r.stderr.decode()
    hottest = re.search(r"([\d.]+) %  burn_cpu  \(spin\)", text)
    assert hottest and float(hottest[1]) > 80, text
    assert "complete stacks: " in text
    assert f"next: aperture report {tmp_path}/p.pb.gz" in text
    assert "\033" not in text and "\r" not in text
    assert r.stdout == b""


@needs_bpf
def test_default_name_is_never_overwritten(spinner, tmp_path):
    for name in ("profile.pb.gz", "profile-2.pb.gz"):
        r = record("--", spinner, "0.3", cwd=tmp_path)
        assert f"wrote {name}".encode() in r.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["profile-2.pb.gz", "profile.pb.gz"]


@needs_bpf
def test_exit_status_is_the_commands(spinner, tmp_path):
    out = tmp_path / "p.pb.gz"
    assert record("-o", out, "--", spinner, "0.3", "7").returncode == 7
    assert record("-o", out, "--", "sh", "-c", "kill -TERM $$").returncode == 128 + 15
    r = record("-o", out, "--", "/nonexistent/program")
    assert r.returncode == 127 and b"/nonexistent/program" in r.stderr
    assert record("-o", out, "--", "/etc/passwd").returncode == 126


@needs_bpf
def test_duration_ends_the_command(spinner, tmp_path):
    before = time.monotonic()
    r = record("-d", "1", "-o", tmp_path / "p.pb.gz", "--", spinner, "60")
    assert r.returncode == 0, r.stderr
    assert time.monotonic() - before < 20


@needs_bpf
def test_memory_limit_ends_the_recording_only(spinner, tmp_path):
    out = tmp_path / "p.pb.gz"
    r = record("-F", "10000", "--memory", "1MiB", "-o", out, "--", spinner, "4", "3")
    assert r.returncode == 3, r.stderr
    assert b"ended early: the profile reached 1 MiB" in r.stderr
    assert 1000 < sum(v[0] for v in pprof_values(out.read_bytes())) < 39000


@needs_bpf
def test_only_the_process_asked_for(spinner):
    with endless(spinner) as wanted, endless(spinner):
        r = record("-d", "1", "-p", wanted.pid, "--format", "json", "-o", "-", "--quiet")
    assert r.returncode == 0, r.stderr
    assert r.stderr == b""
    assert json.loads(r.stdout)
    assert str(wanted.pid) in r.stdout.decode()


@needs_bpf
def test_no_samples(tmp_path):
    sleeper = subprocess.Popen(["sleep", "3600"])
    try:
        r = record("-d", "0.5", "-p", sleeper.pid, "-o", tmp_path / "p.pb.gz")
    finally:
        sleeper.kill()
        sleeper.wait()
    assert r.returncode == 5
    assert b"no samples" in r.stderr


@needs_bpf
def test_interrupt_finishes(spinner, tmp_path):
    """Progress on a terminal, and a whole file after Ctrl-C."""
    out = tmp_path / "p.pb.gz"
    controller, terminal = pty.openpty()
    with endless(spinner) as target:
        process = subprocess.Popen([APERTURE, "record", "-p", str(target.pid), "-o", out],
                                   stdout=subprocess.PIPE, stderr=terminal)
        os.close(terminal)
        shown = b""
        while not re.search(rb"[1-9]\d* samples", shown):
            shown += os.read(controller, 4096)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # EIO: the terminal's other end is closed
            while True:
                shown += os.read(controller, 4096)
        assert process.wait(30) == 0, shown
        assert process.stdout.read() == b""
    os.close(controller)
    assert b"burn_cpu" in shown
    assert sum(v[0] for v in pprof_values(out.read_bytes())) > 0


@pytest.mark.skipif(not APERTURE.exists(), reason="aperture is not built")
@pytest.mark.parametrize("args, says", [
    (["--freqency", "99"], "did you mean --frequency?"),
    (["-F", "0"], "out of range"),
    (["-a", "-p", "1"], "only one of"),
    (["-p", "x"], "not a process id"),
    (["--label", "nonsense"], "--label"),
    (["--format", "gif"], "none of"),
    (["-o", "-", "--ledger", "-"], "both"),
])
def test_usage_errors(args, says):
    r = record(*args)
    assert r.returncode == 2
    assert says in r.stderr.decode()
    assert r.stdout == b""
    assert len(r.stderr.decode().splitlines()) == 1


@needs_bpf
def test_unwritable_output_fails_before_recording(tmp_path):
    r = record("-d", "60", "-o", tmp_path / "no/such/folder/p.svg")
    assert r.returncode == 1
    assert b"no/such/folder/p.svg" in r.stderr


@pytest.fixture
def public_aperture():
    """The program where everybody can run it."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o777)
    shutil.copy(APERTURE, folder / "aperture")
    (folder / "aperture").chmod(0o755)
    yield folder / "aperture"
    shutil.rmtree(folder)


def as_nobody(capabilities):
    """Runs what follows as nobody with exactly these capabilities."""
    grant = ",".join(["-all"] + [f"+{c}" for c in capabilities])
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
            f"--inh-caps={grant}", f"--ambient-caps={grant}", f"--bounding-set={grant}"]


@needs_bpf
@needs_root
def test_without_permission(public_aperture):
    r = subprocess.run(as_nobody([]) + [public_aperture, "record", "-d", "1", "-o", "-"],
                       capture_output=True, cwd=public_aperture.parent, timeout=60)
    assert r.returncode == 4
    assert r.stdout == b""
    lines = r.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert re.search("sudo|setcap|cap_bpf", lines[0], re.IGNORECASE), lines


@needs_bpf
@needs_root
def test_exactly_six_capabilities(public_aperture, spinner):
    with endless(spinner, OWN_CPU) as target:
        r = subprocess.run(as_nobody(CAPABILITIES) +
                           [public_aperture, "record", "-d", "1", "-p", str(target.pid),
                            "--format", "collapsed", "-o", "-"],
                           capture_output=True, cwd=public_aperture.parent, timeout=60)
    assert r.returncode == 0, r.stderr
    hot = sum(n for f, n in stacks(r.stdout.decode()) if f[-1] == "burn_cpu")
    assert hot > HZ / 2, r.stdout


def loaded():
    out = subprocess.run(["bpftool", "-j", "prog", "list"], capture_output=True, check=True,
                         env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin")).stdout
    return {program["id"] for program in json.loads(out)}


def held(pid):
    """Ids of the BPF programs that a process holds."""
    found = set()
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            found |= {int(n) for n in re.findall(r"^prog_id:\s*(\d+)", info.read_text(), re.M)}
    return found


@needs_bpf
@needs_root
def test_kill_leaves_nothing(tmp_path):
    settings = [Path("/proc/sys/kernel") / n for n in ("perf_event_paranoid", "kptr_restrict")]
    old = [p.read_text() for p in settings]
    process = subprocess.Popen([APERTURE, "record", "-a", "-o", tmp_path / "p.pb.gz"],
                               stderr=subprocess.DEVNULL)
    try:
        programs = wait_for(lambda: held(process.pid), "a loaded BPF program", 20)
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not programs & loaded(), "the BPF programs to be gone", 20)
    assert [p.read_text() for p in settings] == old


@needs_root
def test_a_kernel_without_btf_is_named_as_such(tmp_path):
    """In a mount namespace of its own, where the kernel's type information is hidden."""
    hide = 'mount -t tmpfs none /sys/kernel/btf && exec "$@"'
    r = subprocess.run(["unshare", "-m", "sh", "-c", hide, "sh", APERTURE, "record",
                        "-o", tmp_path / "p.pb.gz", "--", "true"],
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == 1
    assert len(r.stderr.splitlines()) == 1 and "CONFIG_DEBUG_INFO_BTF" in r.stderr
    assert not (tmp_path / "p.pb.gz").exists()
