"""Profile files in the eyes of programs that nobody here wrote."""

import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("AP_BUILD", ROOT / "build/release"))
HELPER = Path(os.environ.get("AP_TEST_BUILD", ROOT / "build/debug")) / "tests/system/format_helper"
APERTURE = BUILD / "src/cli/aperture"
GO = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
needs_go = pytest.mark.skipif(not GO, reason="go is not installed (apt install golang-go)")
SVG = "{http://www.w3.org/2000/svg}"


def run(*args, **kwargs):
    r = subprocess.run(args, capture_output=True, text=True, timeout=60, **kwargs)
    assert r.returncode == 0, r.stderr
    return r.stdout


def sample(tmp_path, name):
    run(HELPER, "sample", tmp_path / name)
    return tmp_path / name


def rows(path):
    """The rows of one of our JSON files in plain words, in any order."""
    p = json.loads(path.read_text())
    text = p["strings"]

    def split(table, size, *columns):
        at = 0
        for n in table[size]:
            yield tuple(tuple(table[c][at : at + n]) for c in columns)
            at += n

    mappings = [(text[a], text[b]) for a, b in zip(p["mappings"]["path"], p["mappings"]["build_id"])]
    f = p["functions"]
    functions = [
        (text[n], text[s], text[file], line)
        for n, s, file, line in zip(f["name"], f["system_name"], f["file"], f["start_line"])
    ]
    f = p["frames"]
    frames = [
        (offset, mappings[m], functions[fn], line, inline, kind)
        for offset, m, fn, line, inline, kind in zip(
            f["offset"], f["mapping"], f["function"], f["line"], f["inline_index"], f["kind"]
        )
    ]
    stacks = [tuple(frames[i] for i in ids) for (ids,) in split(p["stacks"], "depth", "frames")]
    labels = [
        tuple((text[k], text[v]) for k, v in zip(keys, values))
        for keys, values in split(p["label_sets"], "size", "key", "value")
    ]
    s = p["samples"]
    return p["period_ns"], sorted(
        (t, event, labels[l], stacks[stack], p["stacks"]["reason"][stack], count, value)
        for t, event, l, stack, count, value in zip(
            s["time_ns"], s["event"], s["label_set"], s["stack"], s["count"], s["value"]
        )
    )


def test_json_is_plain_json_with_exact_times(tmp_path):
    period, samples = rows(sample(tmp_path, "x.json"))
    assert period == 10101010
    assert len(samples) == 5
    assert samples[0][0] == 1764000000123456789
    assert dict(samples[0][2])["service"] == 'web "frontend"'


@needs_go
def test_go_reads_our_pprof(tmp_path):
    raw = run(GO, "tool", "pprof", "-raw", sample(tmp_path, "x.pb.gz"))
    assert "samples/count cpu/nanoseconds[dflt] contentions/count delay/nanoseconds" in raw
    # Leaf first. How Go numbers the locations depends on its version.
    ids = re.search(r"1\s+10101010\s+0\s+0: (\d+) (\d+) (\d+)", raw).groups()
    assert [re.search(rf"^ +{i}: (0x\w+)", raw, re.M)[1] for i in ids] == ["0x2010", "0x1000", "0x29d90"]
    assert "time_ns:[1764000000123456789 nanoseconds]" in raw
    assert "pid:[1234]" in raw and 'service:[web "frontend"]' in raw
    assert "/usr/bin/web 0123456789abcdef0123456789abcdef01234567 [FN][FL][LN][IN]" in raw
    # The innermost inlined function is the first line of its location.
    assert re.search(r"0x2010 M=1 innermost .*\n\s+inlined & <near> .*\n\s+work<int, char>", raw)
    top = run(GO, "tool", "pprof", "-top", tmp_path / "x.pb.gz")
    assert re.search(r"10\.10ms 14\.29%\s+\S+\s+40\.40ms 57\.14%\s+main", top), top


@needs_go
def test_we_read_what_go_writes(tmp_path):
    run(GO, "tool", "pprof", "-proto", "-output", tmp_path / "go.pb.gz", sample(tmp_path, "x.pb.gz"))
    run(HELPER, "convert", tmp_path / "go.pb.gz", tmp_path / "go.json")
    assert rows(tmp_path / "go.json") == rows(sample(tmp_path, "ours.json"))


@needs_go
def test_we_read_a_real_go_profile(tmp_path):
    (tmp_path / "main.go").write_text(
        """package main
import ("os"; "runtime/pprof"; "time")
func spin(until time.Time) (n int) { for time.Now().Before(until) { n++ }; return }
func main() {
	f, _ := os.Create(os.Args[1])
	pprof.StartCPUProfile(f)
	spin(time.Now().Add(600 * time.Millisecond))
	pprof.StopCPUProfile()
	f.Close()
}
"""
    )
    env = dict(os.environ, GOCACHE=str(tmp_path / "cache"), GO111MODULE="off", HOME=str(tmp_path))
    run(GO, "run", tmp_path / "main.go", tmp_path / "cpu.pb.gz", env=env)
    out = run(APERTURE, "report", "--by", "none", tmp_path / "cpu.pb.gz")
    assert re.search(r"9\d\.\d %.* main\.spin|100\.0 %.* main\.spin", out), out


def test_svg_is_well_formed_and_whole(tmp_path):
    root = ElementTree.parse(sample(tmp_path, "x.svg")).getroot()
    assert root.tag == SVG + "svg" and root.get("width") == "1200"
    assert root.find(".//" + SVG + "script") is None
    frames = root.findall(SVG + "g")
    tips = [g.find(SVG + "title").text for g in frames]
    assert "inlined & <near> (web): 10.1 ms, 14.3 %; self 0 ns" in tips
    assert tips[0].startswith("all: 70.7 ms, 100.0 %")
    for g in frames:
        rect = g.find(SVG + "rect")
        assert 0 <= float(rect.get("x")) and float(rect.get("x")) + float(rect.get("width")) <= 1191


def test_speedscope_follows_its_schema(tmp_path):
    f = json.loads(sample(tmp_path, "x.speedscope.json").read_text())
    assert f["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = f["shared"]["frames"]
    assert all(isinstance(x["name"], str) for x in frames)
    assert [p["name"] for p in f["profiles"]] == ["all processes", "web (1234)", "worker;1 (77)"]
    for p in f["profiles"]:
        assert p["type"] == "sampled" and p["unit"] == "nanoseconds" and p["startValue"] == 0
        assert len(p["samples"]) == len(p["weights"])
        assert p["endValue"] == sum(p["weights"])
        assert all(0 <= i < len(frames) for stack in p["samples"] for i in stack)
    everything, web, worker = f["profiles"]
    assert everything["endValue"] == web["endValue"] + worker["endValue"] == 70707070


def test_report_shows_tree_and_functions(tmp_path):
    out = run(APERTURE, "report", sample(tmp_path, "x.json"))
    assert "CPU time: 70.7 ms in 7 samples over 2.00 s" in out
    assert re.search(r"28\.6 % +20\.2 ms +0\.0 % +└─ worker;1\n", out), out
    assert re.search(r"42\.9 % +30\.3 ms +57\.1 % +work<int, char>\(a;b\)  web", out), out
    assert "\x1b" not in out
    only = run(APERTURE, "report", "--where", "comm=web", "--no-tree", "--top", "1", tmp_path / "x.json")
    assert "50.5 ms in 5 samples" in only and "4 more functions" in only and "all" not in only


def test_report_refuses_other_files(tmp_path):
    svg = sample(tmp_path, "x.svg")
    r = subprocess.run([APERTURE, "report", svg], capture_output=True, text=True, timeout=60)
    assert r.returncode == 1 and "neither Aperture's JSON nor pprof" in r.stderr
    json_file = sample(tmp_path, "x.json")
    r = subprocess.run(
        [APERTURE, "report", "--type", "offcpu:count", json_file], capture_output=True, text=True, timeout=60
    )
    assert r.returncode == 5 and "no samples of offcpu:count" in r.stderr


def test_report_never_passes_on_control_characters(tmp_path):
    path = sample(tmp_path, "x.json")
    path.write_text(path.read_text().replace("do_syscall_64", "evil\\u001b[2Jname\\u009b"))
    out = run(APERTURE, "report", path)
    assert "evil?[2Jname?" in out and "\x1b" not in out and "\x9b" not in out
