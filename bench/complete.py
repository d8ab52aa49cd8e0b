#!/usr/bin/env python3
"""How many stacks are complete, Aperture's beside perf's in the same seconds, for the programs of
tests/system/workloads.py:  bench/complete.py [PROGRAM…]   (`short` is the short-lived processes)

All three sample the software clock at 99 Hz: `aperture record`, `perf record --call-graph fp` and
`--call-graph dwarf`. All are judged by the outermost frames (tests/system/completeness.py). Prints
a JSON line per program and profiler on standard output, and the table on standard error. Needs
root, perf, and what deps/apt/test.txt lists. perf stops one frame early, in
__libc_start_call_main: that counts only where libc's debug symbols (libc6-dbg) name it."""

import collections
import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/system"))
import completeness  # noqa: E402
import workloads  # noqa: E402

PERF = {"perf fp": "fp", "perf dwarf": "dwarf"}


class Perf:
    """Both kinds of perf recording of a cgroup, while the context lasts."""

    def __init__(self, folder):
        self.files = {name: Path(folder) / f"{kind}.data" for name, kind in PERF.items()}
        self.stacks, self.lost, self.failed = {}, {}, {}

    @contextlib.contextmanager
    def __call__(self, cgroup):
        # perf 6.1 aborts over build ids that are longer than most.
        sampling = ["perf", "record", "-q", "-B", "-a", "-e", "cpu-clock", "-G", cgroup.path.name, "-F",
                    str(workloads.HZ)]
        running = [
            subprocess.Popen([*sampling, "--call-graph", PERF[name], "-o", path], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
            for name, path in self.files.items()]
        try:
            yield
        finally:
            for p in running:
                p.terminate()
            for p in running:
                p.wait(120)
        # Now, while the programs' files still exist.
        for name, path in self.files.items():
            try:
                self.stacks[name] = completeness.perf_stacks(path)
                self.lost[name] = completeness.perf_lost(path)
            except AssertionError as e:
                self.failed[name] = str(e).splitlines()[0]

    def row(self, name, program, is_own):
        if name in self.failed:
            return {"bench": "complete", "program": program, "profiler": name, "failed": self.failed[name]}
        stacks = self.stacks[name]
        return row(program, name, completeness.judge([s for s in stacks if is_own(s)]), self.lost[name],
                   bytes_per_sample=round(self.files[name].stat().st_size / max(len(stacks), 1)))


def row(program, profiler, result, lost, **more):
    return {
        "bench": "complete", "program": program, "profiler": profiler, "periods": result.user + lost,
        "samples": result.user, "lost": lost, "complete": result.complete,
        "complete_pct": round(100 * result.complete / max(result.user + lost, 1), 2),
        "wrongly_complete": result.claimed, "mean_depth": round(result.depth, 1),
        "reasons": dict(result.reasons.most_common()), **more,
    }


def rows_of(program, recorded, perf, **more):
    yield row(program, "aperture", recorded.result, round(recorded.missing), **more)
    for name in PERF:
        yield perf.row(name, program, recorded.is_own)


def measure(wanted):
    for group in workloads.TOGETHER:
        group = [name for name in group if name in wanted]
        if group:
            with tempfile.TemporaryDirectory() as folder:
                perf = Perf(folder)
                found = workloads.record(*(workloads.PROGRAMS[name] for name in group), beside=perf)
                for name, recorded in found.items():
                    yield from rows_of(name, recorded, perf)
    if "short" in wanted:
        with tempfile.TemporaryDirectory() as folder:
            perf = Perf(folder)
            recorded, told = workloads.record_short_lived(beside=perf)
            yield from rows_of("short", recorded, perf, processes=told["started"],
                               cpu_periods=round(told["cpu_s"] * workloads.HZ))


def table(rows):
    by_program = collections.defaultdict(dict)
    for r in rows:
        by_program[r["program"]][r["profiler"]] = r
    yield (f"{'program':12} {'profiler':11} {'periods':>7} {'samples':>7} {'complete':>9} {'depth':>6}  "
           "why the rest are not")
    for program, profilers in by_program.items():
        for name, r in profilers.items():
            if "failed" in r:
                yield f"{program:12} {name:11} {r['failed']}"
                continue
            why = ", ".join(f"{k} {v}" for k, v in r["reasons"].items())
            yield (f"{program:12} {name:11} {r['periods']:7} {r['samples']:7} {r['complete_pct']:7.2f} % "
                   f"{r['mean_depth']:6}  {why}")


def main():
    names = [*workloads.PROGRAMS, "short"]
    wanted = sys.argv[1:] or names
    unknown = set(wanted) - set(names)
    if unknown:
        sys.exit(f"no such program: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    rows = []
    for r in measure(wanted):
        print(json.dumps(r, separators=(",", ":")), flush=True)
        rows.append(r)
    print(*table(rows), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main()
