"""Later symbols: a stripped program is profiled, its debug file is pushed, and what was stored before
bears names, on every page and after a restart."""

import json
import os
import shutil
import subprocess
import time
import urllib.parse
from pathlib import Path

import pytest

from conftest import AGENT, BUILD, Program, environment, wait_for

APERTURE = BUILD / "src/cli/aperture"
NAME = "ap-stripped"

SOURCE = """
#include <stdint.h>
static volatile uint64_t sink;
static inline __attribute__((always_inline)) uint64_t mix_inlined(uint64_t x)
{
	for (int i = 0; i < 1000; i++)
		x = x * 6364136223846793005u + 1442695040888963407u;
	return x;
}
static __attribute__((noipa)) void keep(uint64_t x)
{
	sink += x;
}
static __attribute__((noipa)) void busy_outer(uint64_t seed)
{
	for (uint64_t i = 0; i < UINT64_MAX; i++)
		keep(mix_inlined(seed + i));
}
int main(int argc, char **argv)
{
	busy_outer((uint64_t)argc);
	return (int)sink;
}
"""


def sh(*args):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A program without any symbol, and its debug file in another folder."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "spin.c").write_text(SOURCE)
    whole, stripped, debug = folder / "whole", folder / NAME, folder / "debug" / "it.debug"
    debug.parent.mkdir()
    sh("gcc", "-g", "-O2", "-fno-omit-frame-pointer", "-Wl,--build-id", "-o", whole, folder / "spin.c")
    sh("objcopy", "--only-keep-debug", whole, debug)
    shutil.copy(whole, stripped)
    sh("strip", "--strip-all", stripped)
    whole.unlink()
    return stripped, debug


@pytest.fixture
def profiled(aggregator, program, tmp_path):
    """Its samples are in the aggregator, and it runs no more."""
    if os.geteuid() != 0 or not Path("/sys/kernel/btf/vmlinux").exists():
        pytest.skip("profiling needs root and a kernel with BTF")
    started = int(time.time() * 1000)
    spin = subprocess.Popen([program[0]])
    agent = Program([AGENT, "--server", aggregator.grpc, "--state-dir", tmp_path / "state",
                     "--metrics-listen", "off", "--flush-interval", "500ms"], tmp_path / "agent.log")
    try:
        aggregator.range = {"from": started - 10000, "to": started + 600000,
                            "filter": f'{{comm="{NAME}"}}'}
        wait_for(lambda: graph(aggregator)["coverage"]["samples"] > 50, "samples of the program")
    finally:
        agent.stop()
        spin.kill()
        spin.wait()
    return aggregator


def ask(aggregator, path):
    return aggregator.get(path + "?" + urllib.parse.urlencode(aggregator.range))


def graph(aggregator):
    return ask(aggregator, "/api/v1/flamegraph")


def functions(aggregator):
    """{name: (kind, self)} of the program's own frames."""
    answer = graph(aggregator)
    nodes, strings = answer["nodes"], answer["strings"]
    out = {}
    for i, name in enumerate(nodes["name"]):
        if strings[nodes["module"][i]] == NAME:
            kind, self = out.get(strings[name], (nodes["kind"][i], 0))
            out[strings[name]] = kind, self + nodes["self"][i]
    return out


def symbols(aggregator, *args):
    return subprocess.run([APERTURE, "symbols", "--server", aggregator.url, *map(str, args)],
                          capture_output=True, text=True, timeout=120, env=environment())


def build_id(path):
    return next(line.split()[-1] for line in sh("readelf", "-n", path).splitlines() if "Build ID" in line)


def assert_named(aggregator):
    names = functions(aggregator)
    assert not [n for n in names if "+0x" in n], names
    assert {"main", "busy_outer", "mix_inlined"} <= set(names), names
    assert names["main"][0] == names["busy_outer"][0] == 0
    assert names["mix_inlined"][0] == 3, "inlined"
    total = sum(own for _, own in names.values())
    assert names["mix_inlined"][1] > 0.8 * total, names


def test_pushed_symbols_rename_what_is_stored(profiled, program):
    stripped, debug = program
    before = functions(profiled)
    samples = graph(profiled)["coverage"]["samples"]
    assert before and all(n.startswith(f"{NAME}+0x") for n in before), before

    listed = symbols(profiled, "missing", "--format", "json", "--filter", f'{{comm="{NAME}"}}')
    assert listed.returncode == 0, listed.stderr
    module = next(m for m in json.loads(listed.stdout)["modules"] if m["build_id"] == build_id(stripped))
    assert module["module"] == str(stripped) and module["share"] > 0.9
    assert module["frames"] == len(before)
    table = symbols(profiled, "missing").stdout
    assert table.startswith("  TOTAL") and build_id(stripped) in table

    hopeless = symbols(profiled, "push", stripped)
    assert hopeless.returncode == 0 and "has a symbol for none" in hopeless.stdout, hopeless.stderr
    assert functions(profiled) == before

    pushed = symbols(profiled, "push", "--format", "json", debug)
    assert pushed.returncode == 0, pushed.stderr
    (row,) = json.loads(pushed.stdout)
    assert row["file"] == str(debug) and row["build_id"] == build_id(debug)
    assert row["named"] == row["stored"] == row["missing"] >= len(before)

    assert_named(profiled)
    assert graph(profiled)["coverage"]["samples"] == samples
    top = ask(profiled, "/api/v1/top")["functions"][0]
    assert (top["function"], Path(top["file"]).name) == ("mix_inlined", "spin.c")
    assert not [m for m in ask(profiled, "/api/v1/modules")["modules"] if m["build_id"] == build_id(debug)]
    # What has no source line, such as _start, is offered again, and stored once.
    again = symbols(profiled, "push", "--format", "json", debug)
    assert again.returncode == 0 and all(row["stored"] == 0 for row in json.loads(again.stdout)), again.stdout

    assert profiled.stop() == 0
    again = profiled.again()
    again.range = profiled.range
    try:
        assert_named(again)
    finally:
        again.stop()


def test_a_folder_is_searched(profiled, program):
    """What is no ELF file, or of no sample, is passed over there."""
    folder = program[1].parent
    (folder / "notes.txt").write_text("nothing")
    shutil.copy("/bin/false", folder / "false")
    pushed = symbols(profiled, "push", folder)
    assert pushed.returncode == 0, pushed.stderr
    lines = pushed.stdout.splitlines()
    assert lines[0].startswith(f"{program[1]}: named ")
    assert lines[1] == "1 more files in those folders: no sample has code of them"
    assert_named(profiled)


def test_what_cannot_be_pushed_is_told(aggregator, program, tmp_path):
    (tmp_path / "text").write_text("nothing")
    (tmp_path / "empty.c").write_text("int x;")
    sh("gcc", "-shared", "-Wl,--build-id=none", "-o", tmp_path / "without.so", tmp_path / "empty.c")
    for path, text in ((tmp_path / "text", "no ELF file"), (tmp_path / "without.so", "no build-id"),
                       (tmp_path / "none", "cannot be read"), (program[1], "no sample")):
        r = symbols(aggregator, "push", path)
        assert r.returncode == 1 and r.stdout == "", r
        assert len(r.stderr.splitlines()) == 1 and str(path) in r.stderr and text in r.stderr, r.stderr


@pytest.mark.parametrize("args, text", [
    (["push"], "needs the FILE"), (["missing", "x"], "takes no operand"),
    (["pusch", "x"], "did you mean push?"), (["missing", "--server", "ftp://x"], "not an address"),
    (["missing", "--limit", "0"], "limit")])
def test_wrong_usage_is_told(args, text):
    r = subprocess.run([APERTURE, "symbols", *args], capture_output=True, text=True, timeout=60,
                       env=environment())
    assert r.returncode == 2 and text in r.stderr


def test_no_aggregator_is_told(program):
    for args in (["missing"], ["push", program[1]]):
        r = subprocess.run([APERTURE, "symbols", "--server", "http://127.0.0.1:1", *args],
                           capture_output=True, text=True, timeout=60, env=environment())
        assert r.returncode == 1 and "is the aggregator running there" in r.stderr
