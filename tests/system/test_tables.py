# SPDX-License-Identifier: Apache-2.0
"""Many files and many processes: their unwind tables cost no sample and little time."""
import json
import subprocess

import pytest

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


@pytest.fixture(scope="module")
def mapper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mapper")
    source, program = folder / "mapper.c", folder / "mapper"
    source.write_text(PROGRAM)
    subprocess.run(["cc", "-O2", "-fomit-frame-pointer", "-o", program, source], check=True)
    return program


def check(ledger):
    """All stacks are complete, and nothing was lost on the way."""
    reasons = {r["name"]: r["count"] for r in ledger["reasons"]}
    # While a process ends, the kernel frees its thousand mappings: by then it has no user stack.
    samples = sum(reasons.values()) - reasons.get("kernel_only", 0)
    assert samples > 30
    assert reasons["ok"] >= 0.99 * samples, reasons
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
