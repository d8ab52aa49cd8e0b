#!/usr/bin/env python3
"""Adds up the results of tools/test.sh: prints what failed and what was skipped, then one line
`N passed, N failed, N skipped`. Exit status 1 if anything failed, or, under CI, was skipped."""

import os
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

WHY_MAX = 2000  # characters: a log may be cut to its end, where these lines are


def read_junit(path):
    for case in ET.parse(path).getroot().iter("testcase"):
        name = f'{case.get("classname", "")} {case.get("name", "")}'.strip()
        skip, failure = case.find("skipped"), next((e for e in case if e.tag in ("failure", "error")), None)
        if failure is not None:
            yield name, "failed", failure.get("message", "")
        elif skip is not None:
            yield name, "skipped", skip.get("message", "") or (skip.text or "").strip()
        else:
            yield name, "passed", ""


def main():
    results = Path(sys.argv[1])
    cases = [c for f in sorted(results.glob("*.junit.xml")) for c in read_junit(f)]
    # Suites without a report of their own count as one test each.
    reported = {"unit", "unit-chdb", "ui", "system", "vm"}
    for line in (results / "suites.tsv").read_text().splitlines():
        name, status = line.split("\t")
        if name not in reported:
            cases.append((name, "passed" if status == "0" else "failed", ""))
        elif status != "0" and not any(r == "failed" for _, r, _ in cases):
            cases.append((f"{name} (ended with status {status})", "failed", ""))
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name, result, why in cases:
        counts[result] += 1
        if result != "passed":
            why = re.sub(r"\s+", " ", why)[:WHY_MAX]
            print(f"{result}: {name}{': ' + why if why else ''}")
    if os.environ.get("CI") == "true" and counts["skipped"]:
        print("under CI a skipped test is a failure: set-up installs what tests need")
        counts["failed"] += counts["skipped"]
        counts["skipped"] = 0
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
