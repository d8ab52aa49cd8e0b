#!/usr/bin/env python3
"""What is known of a program, beside what one recording in all modes reports of it:  bench/schedule.py [TURNS]

The program is tests/system/programs/waits.c: threads that sleep, wait for locks held for known times by
known functions, deadlock, read a pipe, use the CPU and fail to open files; what is true is what they
measured by their own clocks. Its CPU time is sampled at 997 Hz. Prints a JSON line per row on standard
output, and the table on standard error. Needs root."""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/system"))
import schedule  # noqa: E402


def shown(value, unit):
    return f"{value / 1e6:,.3f} ms" if unit == "ns" else f"{value:,}" if isinstance(value, int) else value


def table(rows):
    yield f"{'what':43} {'true':>22} {'reported':>22} {'error':>8}"
    for r in rows:
        error = f"{100 * r.off:.2f} %" if not isinstance(r.true, str) else "none" if r.is_right() else "wrong"
        yield f"{r.what:43} {shown(r.true, r.unit):>22} {shown(r.reported, r.unit):>22} {error:>8}"


def main():
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        rows = list(schedule.Recording(schedule.build(Path(folder)), Path(folder), turns).rows())
    for r in rows:
        print(json.dumps({"bench": "schedule", "what": r.what, "unit": r.unit, "true": r.true, "reported": r.reported},
                         separators=(",", ":")))
    print(*table(rows), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main()
