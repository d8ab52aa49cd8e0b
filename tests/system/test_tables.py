# SPDX-License-Identifier: Apache-2.0
"""Many files and many processes: their unwind tables cost no sample and little time."""
import contextlib
import json
import re
import subprocess
from pathlib import Path

import pytest

import completeness
from test_record import needs_bpf, record

# Maps COUNT copies of itself as code, says so, and computes for SECONDS of CPU time, in children of its own
# that live for a few milliseconds if there is a fourth argument.
PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile unsigned long sink;
static double used(int who)
{
	struct rusage r;
	getrusage(who, &r);
	return r.ru_utime.tv_sec + r.ru_stime.tv_sec +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}
int main(int argc, char **argv)
{
	static char self[1 << 20];
	int fd = open("/proc/self/exe", O_RDONLY), who = argc > 4 ? RUSAGE_CHILDREN : RUSAGE_SELF;
	long n = read(fd, self, sizeof(self));
	double end;
	for (int i = 0; i < atoi(argv[2]); i++) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/%d", argv[1], i);
		fd = open(path, O_RDWR | O_CREAT, 0755);
		if (write(fd, self, n) != n || mmap(0, n, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED)
			return 1;
		close(fd);
	}
	if (write(1, "x", 1) != 1)
		return 1;
	end = used(who) + atof(argv[3]);
	while (used(who) < end) {
		if (argc > 4 && fork() > 0) {
			wait(0);
			continue;
		}
		for (long i = 0; i < 2000000; i++)
			sink += i;
		if (argc > 4)
			_exit(0);
	}
	return 0;
}
"""

# Becomes up to COUNT processes that sleep, says how many there are, and ends them when its input does.
MANY = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	int n = 0, most = atoi(argv[1]);
	pid_t self = getpid(), child = 1;
	setpgid(0, 0);
	for (; n < most && (child = fork()) > 0; n++)
		;
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == self)
			pause();
		_exit(0);
	}
	printf("%d\n", n);
	fflush(stdout);
	while (getchar() != EOF)
		;
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	while (wait(0) > 0)
		;
	return 0;
}
"""


@pytest.fixture(scope="module")
def mapper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mapper")
    source, program = folder / "mapper.c", folder / "mapper"
    source.write_text(PROGRAM)
    subprocess.run(["cc", "-O2", "-fomit-frame-pointer", "-o", program, source], check=True)
    return program


def check(ledger):
    """All stacks are complete, but for one of a hundred or of few, and nothing was lost on the way."""
    reasons = {r["name"]: r["count"] for r in ledger["reasons"]}
    # While a process ends, the kernel frees its thousand mappings: by then it has no user stack.
    samples = sum(reasons.values()) - reasons.get("kernel_only", 0)
    assert samples > 30
    assert reasons["ok"] >= samples - max(0.01 * samples, 1), reasons
    assert ledger["process_events_lost"] == 0
    assert all(stage["balance"] == 0 for stage in ledger["stages"])


@needs_bpf
def test_a_thousand_mappings_of_a_running_process(mapper, tmp_path):
    process = subprocess.Popen([mapper, tmp_path, "1000", "1000"], stdout=subprocess.PIPE)
    try:
        assert process.stdout.read(1) == b"x"
        r = record("-p", process.pid, "-d", 2, "--ledger", tmp_path / "l.json", "-o",
                   tmp_path / "p.pb.gz")
    finally:
        process.kill()
        process.communicate()
    assert r.returncode == 0, r.stderr
    ledger = json.loads((tmp_path / "l.json").read_text())
    check(ledger)
    # The copies are one table.
    assert ledger["cost"]["tables"] < 100


@needs_bpf
def test_children_of_milliseconds_with_a_thousand_mappings(mapper, tmp_path):
    r = record("--ledger", tmp_path / "l.json", "-o", tmp_path / "p.pb.gz", "--", mapper, tmp_path,
               1000, 1, "fork")
    assert r.returncode == 0, r.stderr
    check(json.loads((tmp_path / "l.json").read_text()))


def number_of(path, name=""):
    """The number after `name` in a file of /proc."""
    return int(re.search(rf"^{name}\s*(\d+)", Path(path).read_text(), re.M)[1])


@contextlib.contextmanager
def many_processes(folder, most):
    """How many there are; no more than a third of what the machine can have."""
    most = min(most, number_of("/proc/sys/kernel/pid_max") // 3, number_of("/proc/sys/kernel/threads-max") // 3,
               number_of("/proc/meminfo", "MemAvailable:") // 3 // 100)
    (folder / "many.c").write_text(MANY)
    subprocess.run(["cc", "-O2", "-static", "-o", folder / "many", folder / "many.c"], check=True)
    process = subprocess.Popen([folder / "many", str(most)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield int(process.stdout.readline())
    finally:
        process.communicate()
    assert process.returncode == 0


@needs_bpf
def test_ten_thousand_processes(mapper, tmp_path):
    with many_processes(tmp_path, 10000) as count:
        if count < 1000:
            pytest.skip(f"this machine has room for {count} processes")
        process = subprocess.Popen([mapper, tmp_path, "0", "1000"], stdout=subprocess.PIPE)
        try:
            assert process.stdout.read(1) == b"x"
            r = record("-a", "-d", 2, "--ledger", tmp_path / "l.json", "-o", tmp_path / "p.json")
        finally:
            process.kill()
            process.communicate()
    assert r.returncode == 0, r.stderr
    ledger = json.loads((tmp_path / "l.json").read_text())
    print(f"{count} processes: {ledger['cost']}")
    assert ledger["process_events_lost"] == ledger["processes_evicted"] == 0
    assert all(stage["balance"] == 0 for stage in ledger["stages"])
    stacks = [s for s in completeness.profile_stacks(tmp_path / "p.json") if s.labels["pid"] == str(process.pid)]
    # The first sample tells that the program is there.
    result = completeness.judge(completeness.settled(stacks, 0.5))
    assert result.user > 30
    assert result.named >= 0.99 * result.user, result.problems()


# Runs a copy of its own code: maps its file, computes there for SECONDS of CPU time, moves the mapping by
# mremap(), computes there as long, then again in a child that it forks, and says where the code was.
MOVER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
extern const char __ehdr_start[];
__attribute__((noinline, noclone)) long moved_code(long n)
{
	volatile long sum = 0;
	for (long i = 0; i < n; i++)
		sum += i;
	return sum;
}
__attribute__((noinline, noclone)) static long compute(char *base, double seconds)
{
	long (*code)(long) = (long (*)(long))(base + ((uintptr_t)moved_code - (uintptr_t)__ehdr_start));
	clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);
	long sum = 0;
	while (clock() < end)
		sum += code(2000000);
	return sum;
}
int main(int argc, char **argv)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	struct stat st;
	fstat(fd, &st);
	size_t n = ((size_t)st.st_size + 4095) & ~4095ul;
	double seconds = atof(argv[1]);
	char *a = mmap(0, n, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	char *b = mmap(0, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	compute(a, seconds);
	if (mremap(a, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, b) != b)
		return 1;
	compute(b, seconds);
	if (fork() == 0) {
		compute(b, seconds);
		_exit(0);
	}
	wait(0);
	printf("%d\n", getpid());
	return 0;
}
"""


@needs_bpf
@pytest.mark.parametrize("link", [("-no-pie", "-fno-pie"), ("-static", "-fno-pie"), ("-static-pie", "-fpie"),
                                  ("-pie", "-fpie")], ids=lambda link: link[0])
def test_code_that_moves(link, tmp_path):
    """However a program is linked, in a copy of its file, after mremap() and in a child without exec."""
    (tmp_path / "mover.c").write_text(MOVER)
    subprocess.run(["gcc", "-O2", "-fomit-frame-pointer", *link, "-o", tmp_path / "mover", tmp_path / "mover.c"],
                   check=True)
    r = record("-F", 299, "-o", tmp_path / "p.json", "--", tmp_path / "mover", 0.7)
    assert r.returncode == 0, r.stderr
    parent = r.stdout.decode().strip()
    found = {True: [], False: []}
    for s in completeness.profile_stacks(tmp_path / "p.json"):
        if "moved_code" in [f.name for f in s.user]:
            found[s.labels["pid"] == parent].append(s)
    for is_parent, least in ((True, 200), (False, 100)):
        result = completeness.judge(found[is_parent])
        assert result.user >= least, (is_parent, result)
        assert result.named >= 0.99 * result.user, result.problems()
        assert all("compute" in [f.name for f in s.user] for s in found[is_parent])
