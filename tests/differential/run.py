#!/usr/bin/env python3
"""Compares unwind tables with `readelf -wF` for ELF files of this machine:

    run.py READELF_CHECK [--all] [FOLDER…]

A sample with a fixed seed, or all of them. Prints each file that differs and one JSON line of sums;
exits 1 where anything differs."""

import argparse
import collections
import concurrent.futures
import json
import os
import platform
import random
import subprocess
import sys
from pathlib import Path

SAMPLE, SAMPLE_MAX_BYTES = 60, 16 << 20
MACHINES = {"x86_64": 62, "aarch64": 183}
# They run with the first functions ever called and have all odd cases: always in the sample.
ALWAYS = ("libc.so.6", "ld-linux-x86-64.so.2", "libcrypto.so.3")


def is_program(path):
    """Whether it is an ELF program or shared library of this machine's kind."""
    try:
        with open(path, "rb") as f:
            head = f.read(20)
    except OSError:
        return False
    return (len(head) == 20 and head[:6] == b"\x7fELF\x02\x01" and head[16] in (2, 3)
            and int.from_bytes(head[18:20], "little") == MACHINES.get(platform.machine()))


def find(folders):
    seen = set()
    for folder in folders:
        for root, dirs, names in os.walk(folder):
            dirs.sort()
            for name in sorted(names):
                path = Path(root, name)
                if path.is_symlink() or not path.is_file():
                    continue
                stat = path.stat()
                if (stat.st_dev, stat.st_ino) not in seen and is_program(path):
                    seen.add((stat.st_dev, stat.st_ino))
                    yield path, stat.st_size


def check(tool, path):
    """(sums, complaint or "")."""
    readelf = subprocess.Popen(["readelf", "-wF", "--", path], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    run = subprocess.run([tool, path], stdin=readelf.stdout, capture_output=True, text=True)
    readelf.stdout.close()
    readelf.wait()
    if run.returncode > 1 or run.returncode < 0:
        return {}, run.stderr.strip() or f"ended with {run.returncode}"
    return json.loads(run.stdout), run.stderr if run.returncode else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("folders", nargs="*", default=["/usr/lib", "/usr/bin"])
    options = parser.parse_args()
    found = list(find(options.folders))
    files = [path for path, _ in found]
    if not options.all:
        small = [path for path, size in found if size <= SAMPLE_MAX_BYTES]
        files = random.Random(1).sample(small, min(SAMPLE, len(small)))
        files += [path for path in small if path.name in ALWAYS and path not in files]
    sums, bad = collections.Counter(files=len(files), files_of=len(found)), 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (result, complaint) in zip(files, pool.map(lambda p: check(options.tool, p), files)):
            sums.update({key: int(value) for key, value in result.items()})
            if complaint:
                bad += 1
                print(f"{path}:\n{complaint}", file=sys.stderr)
    print(json.dumps({"bench": "unwind_readelf", "files_different": bad, **sums}))
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())
