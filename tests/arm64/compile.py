#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether everything still compiles for arm64, on a machine that is none:
  compile.py CLANG BUILD_FOLDER BPF_FLAGS…
Both variants of each BPF program become objects; of what runs in user space, and of the walker on the
host, the compiler reads all and makes nothing. Needs the headers of Debian's libc6-dev-arm64-cross."""
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEADERS = Path("/usr/aarch64-linux-gnu/include")
SKIPPED = 77  # meson's
WALKER = ROOT / "tests/unit/bpf/unwind_test.c"
# `char` has no sign there: what compares one with less than 0 is wrong.
HOST = ["--target=aarch64-linux-gnu", "-fsyntax-only", "-Werror", "-Wtype-limits", "-Wtautological-compare",
        "-nostdlibinc", "-isystem", str(HEADERS), "-idirafter", "/usr/include", "-idirafter",
        "/usr/include/x86_64-linux-gnu"]


def bpf_commands(clang, flags):
    arm64 = ["-D__TARGET_ARCH_arm64", "-isystem", str(HEADERS), "-o", os.devnull, "-c"]
    return [(ROOT, [clang, *flags, *variant, *arm64, str(program)])
            for program in sorted((ROOT / "src/bpf").glob("*.bpf.c")) for variant in (["-DAP_KFUNCS"], [])]


def kept(arguments):
    """Of a compiler's arguments those that say what the source means."""
    arguments = iter(arguments)
    for a in arguments:
        if a == "-isystem":
            yield from (a, next(arguments))
        elif a.startswith(("-I", "-isystem", "-std=", "-D")) and not a.startswith("-D_FORTIFY_SOURCE"):
            yield a


def host_commands(clang, build):
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = (build / entry["file"]).resolve()
        if source.is_relative_to(ROOT / "src") or source == WALKER:
            yield build, [clang, *HOST, *kept(shlex.split(entry["command"])), str(source)]


def compile_one(job):
    folder, command = job
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def main():
    clang, build, flags = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    if not HEADERS.is_dir():
        print(f"{HEADERS} is missing: see libc6-dev-arm64-cross in deps/apt/test.txt")
        return SKIPPED
    jobs = [*bpf_commands(clang, flags), *host_commands(clang, build)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(compile_one, jobs))
    failed = [d for d in done if d.returncode]
    for d in failed:
        print(d.stderr)
    print(f"{len(done)} compiled, {len(failed)} failed")
    return 1 if failed or len(done) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
