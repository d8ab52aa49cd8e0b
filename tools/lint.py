#!/usr/bin/env python3
"""House rules that a compiler does not check: layers, file and function length, licence lines,
formatting, left-over words. Prints `file:line: what`, exits 1 if there is anything."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_FILE, MAX_FUNCTION = 600, 60

# A folder may include itself and what is named here, transitively nothing else.
BOTTOM = {"base", "abi"}
MODEL = BOTTOM | {"unwind", "symbol", "filter", "profile", "tls", "wire", "http"}
LAYERS = {
    "base": {"base"},
    "abi": {"base"},
    "bpf": {"abi"},
    "unwind": BOTTOM | {"bpf"},
    "profile": BOTTOM,
    "symbol": BOTTOM | {"profile", "unwind"},
    "filter": BOTTOM | {"profile"},
    "tls": BOTTOM,
    "wire": BOTTOM | {"profile", "tls"},
    "http": BOTTOM | {"tls"},
    "agent": MODEL | {"bpf"},
    "gpu": MODEL,
    "aggregator/state": BOTTOM,
    "aggregator/ingest": MODEL | {"aggregator/state"},
    "aggregator/guard": MODEL | {"aggregator/state"},
    "aggregator/store": MODEL | {"aggregator/ingest"},
    "aggregator/query": MODEL | {"aggregator/ingest", "aggregator/store"},
    "aggregator/annotate": MODEL | {"aggregator/state", "aggregator/query"},
    "aggregator/alert": MODEL
    | {f"aggregator/{d}" for d in ("state", "ingest", "store", "query")},
    "aggregator/api": MODEL
    | {f"aggregator/{d}" for d in ("state", "guard", "ingest", "store", "query", "annotate", "alert")},
    "aggregator": MODEL
    | {f"aggregator/{d}" for d in ("state", "guard", "ingest", "store", "query", "annotate", "alert", "api")},
    "cli": MODEL | {"agent"},
}
# Third-party headers that one folder alone may include.
OWNED = {"grpc/": "wire", "microhttpd.h": "http", "blazesym.h": "symbol", "gnutls/": "tls"}
WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

problems = []


def report(path, line, what):
    problems.append(f"{path.relative_to(ROOT)}:{line}: {what}")


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "--", *patterns], cwd=ROOT, text=True,
                         capture_output=True, check=True).stdout
    return [ROOT / p for p in out.splitlines() if (ROOT / p).is_file()]


def folder_of(path):
    parts = path.relative_to(ROOT / "src").parts[:-1]
    name = "/".join(parts[:2])
    return name if name in LAYERS else (parts[0] if parts else "")


def check_includes(path, lines):
    here = folder_of(path)
    if here not in LAYERS:
        report(path, 1, f"folder src/{here} has no layer in tools/lint.py")
        return
    for number, line in enumerate(lines, 1):
        found = re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line)
        if not found:
            continue
        name = found.group(1)
        for prefix, owner in OWNED.items():
            if name.startswith(prefix) and here != owner:
                report(path, number, f"only src/{owner} may include <{name}>")
        target = ROOT / "src" / name
        if not target.is_file():
            continue
        there = folder_of(target)
        if there != here and there not in LAYERS[here]:
            report(path, number, f"src/{here} may not include src/{there}")


def check_functions(path, lines):
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            length = number - start - 1
            if line == "}" and length > MAX_FUNCTION:
                report(path, start, f"function of {length} lines (at most {MAX_FUNCTION})")
            start = None


def check_format(paths):
    run = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *map(str, paths)], cwd=ROOT,
                         text=True, capture_output=True)
    for line in run.stderr.splitlines():
        found = re.match(r"(.+?):(\d+):\d+: error: (.*)", line)
        if found:
            report(Path(found.group(1)), int(found.group(2)), found.group(3))


def main():
    c_files = tracked("*.c", "*.h")
    for path in c_files:
        lines = path.read_text().splitlines()
        if "SPDX-License-Identifier:" not in (lines[0] if lines else ""):
            report(path, 1, "the first line must name the licence (SPDX-License-Identifier)")
        check_functions(path, lines)
        if path.is_relative_to(ROOT / "src"):
            check_includes(path, lines)
    for path in c_files + tracked("*.ts", "*.tsx", "*.mjs", "*.css", "*.py", "*.sh", "*.rs"):
        lines = path.read_text().splitlines()
        if len(lines) > MAX_FILE:
            report(path, len(lines), f"{len(lines)} lines (at most {MAX_FILE})")
        if path != Path(__file__).resolve():
            for number, line in enumerate(lines, 1):
                if WORDS.search(line):
                    report(path, number, "left-over word")
    check_format(c_files)
    print("\n".join(problems) if problems else f"lint: {len(c_files)} C files, nothing to say")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
