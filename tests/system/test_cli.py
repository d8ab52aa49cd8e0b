"""The command line without profiling: help, configuration, doctor, manual pages, completion."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("AP_BUILD", ROOT / "build/release"))
APERTURE = BUILD / "src/cli/aperture"
PROGRAMS = {
    "aperture-record.1": [APERTURE, "record"],
    "aperture-stat.1": [APERTURE, "stat"],
    "aperture-top.1": [APERTURE, "top"],
    "aperture-report.1": [APERTURE, "report"],
    "aperture-agents.1": [APERTURE, "agents"],
    "aperture-symbols.1": [APERTURE, "symbols"],
    "aperture-alerts.1": [APERTURE, "alerts"],
    "aperture-annotate.1": [APERTURE, "annotate"],
    "aperture-callers.1": [APERTURE, "callers"],
    "aperture-heatmap.1": [APERTURE, "heatmap"],
    "aperture-doctor.1": [APERTURE, "doctor"],
    "aperture-agent.8": [BUILD / "src/agent/aperture-agent"],
    "aperture-aggregator.8": [BUILD / "src/aggregator/aperture-aggregator"],
}
PAGES = sorted((ROOT / "docs/man").glob("*.[0-9]"))


def run(*args, **kwargs):
    return subprocess.run(args, capture_output=True, text=True, timeout=60, **kwargs)


def options(program):
    """(name, short name or None) of each option, from the program itself."""
    r = run(*program, "--print-options")
    assert r.returncode == 0, r.stderr
    rows = [line.split("\t") for line in r.stdout.splitlines()]
    assert all(len(row) == 6 for row in rows), rows
    return [(row[0], None if row[1] == "-" else row[1]) for row in rows]


def complete(words, program=APERTURE):
    """What bash offers for the last of `words`."""
    script = """
        source "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _aperture
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    r = run("bash", "-c", script, "bash", ROOT / "deploy/completions/aperture.bash", program, *words)
    assert r.stderr == ""
    return r.stdout.split()


@pytest.mark.parametrize("page", PROGRAMS)
def test_every_option_is_in_its_manual_page(page):
    text = (ROOT / "docs/man" / page).read_text().replace("\\-", "-")
    for name, short in options(PROGRAMS[page]):
        assert re.search(rf"^\.It .*Fl -{name}\b(?!-)", text, re.MULTILINE), f"--{name}"
        if short:
            assert re.search(rf"^\.It .*Fl {short}\b", text, re.MULTILINE), f"-{short}"


@pytest.mark.parametrize("page", PROGRAMS)
def test_manual_page_has_no_other_options(page):
    names = {name for name, _ in options(PROGRAMS[page])}
    text = (ROOT / "docs/man" / page).read_text().replace("\\-", "-")
    for line in re.findall(r"^\.It .*Fl .*$", text, re.MULTILINE):
        for name in re.findall(r"Fl -([a-z][a-z-]*)", line):
            assert name.removeprefix("no-") in names, f"--{name}"


@pytest.mark.parametrize("page", PROGRAMS)
def test_every_option_is_completed(page):
    program = PROGRAMS[page]
    words = [program[1], "-"] if len(program) > 1 else ["-"]
    offered = complete(words, program[0])
    for name, short in options(program):
        assert f"--{name}" in offered
        assert not short or f"-{short}" in offered


@pytest.mark.parametrize("page", PROGRAMS)
def test_every_option_is_completed_in_zsh(page):
    """The specifications that _arguments gets; the function itself needs an interactive shell."""
    script = """
        source <(grep -v '^_aperture "' "$1"); shift
        _aperture_specs "$@"
        print -l -- $specs
    """
    r = run("zsh", "-f", "-c", script, "zsh", ROOT / "deploy/completions/_aperture",
            *PROGRAMS[page])
    assert r.returncode == 0 and r.stderr == ""
    for name, short in options(PROGRAMS[page]):
        assert re.search(rf"^\*?--{name}=?\[", r.stdout, re.MULTILINE), f"--{name}"
        assert not short or re.search(rf"^\*?-{short}\+?\[", r.stdout, re.MULTILINE), f"-{short}"


def complete_in_fish(words, program=APERTURE):
    """What fish offers for the last of `words`; it finds completions by the command's name alone."""
    line = " ".join([program.name, *words])
    r = run("fish", "--no-config", "-c", f"source {ROOT}/deploy/completions/aperture.fish; complete -C '{line}'",
            env=dict(os.environ, PATH=f"{program.parent}:{os.environ['PATH']}"))
    assert r.returncode == 0 and r.stderr == ""
    return [line.split("\t")[0] for line in r.stdout.splitlines()]


needs_fish = pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")


@needs_fish
@pytest.mark.parametrize("page", PROGRAMS)
def test_every_option_is_completed_in_fish(page):
    program = PROGRAMS[page]
    offered = complete_in_fish([*program[1:], "-"], program[0])
    for name, short in options(program):
        assert f"--{name}" in offered
        assert not short or f"-{short}" in offered


@needs_fish
def test_subcommands_and_values_are_completed_in_fish():
    assert {"record", "stat", "top", "report", "symbols", "doctor"} <= set(complete_in_fish(["''"]))
    assert complete_in_fish(["record", "--format", "sp"]) == ["speedscope"]
    assert complete_in_fish(["symbols", "mi"]) == ["missing"]
    assert complete_in_fish(["agents", "re"]) == ["reset"]
    assert str(os.getpid()) in complete_in_fish(["stat", "-p", str(os.getpid())])
    assert "true" in complete_in_fish(["stat", "--", "tru"])


def test_subcommands_and_values_are_completed():
    assert {"record", "stat", "top", "report", "agents", "symbols", "doctor"} <= set(complete([""]))
    assert complete(["stat", "--format", "js"]) == ["json"]
    assert complete(["top", "--view", "lo"]) == ["locks"]
    assert "true" in complete(["stat", "--", "tru"])
    assert complete(["record", "--format", "sp"]) == ["speedscope"]
    assert complete(["record", "--format", "=", "sv"]) == ["svg"]
    assert complete(["symbols", ""]) == ["push", "missing"]
    assert complete(["symbols", "mi"]) == ["missing"]
    assert complete(["agents", ""]) == ["list", "set", "reset"]
    assert complete(["alerts", "d"]) == ["dry-run"]
    assert str(BUILD) in complete(["symbols", "push", str(BUILD)])
    assert str(os.getpid()) in complete(["record", "-p", str(os.getpid())])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_manual_pages_are_well_formed(page):
    r = run("mandoc", "-Tlint", "-W", "warning", page)
    assert r.returncode == 0, r.stdout + r.stderr
    for name, section in re.findall(r"^\.Xr (aperture[\w.-]*) (\d)", page.read_text(), re.MULTILINE):
        assert (page.parent / f"{name}.{section}").exists(), f"{name}({section})"


def test_help_fits_and_names_every_option():
    for page, program in PROGRAMS.items():
        r = run(*program, "--help")
        assert r.returncode == 0
        assert max(len(line) for line in r.stdout.splitlines()) <= 80
        for name, _ in options(program):
            assert f"--{name}" in r.stdout, page


def test_unknown_subcommand():
    r = run(APERTURE, "rceord")
    assert r.returncode == 2
    assert "did you mean record?" in r.stderr


def test_print_config_shows_where_values_come_from(tmp_path):
    file = tmp_path / "aperture.yaml"
    file.write_text("cli:\n  record:\n    frequency: 50\n    service: web\n")
    r = run(APERTURE, "record", "--config", file, "--service", "db", "--print-config",
            env=dict(os.environ, APERTURE_FORMAT="svg"))
    assert r.returncode == 0, r.stderr
    assert "frequency: 50  # file line 3" in r.stdout
    assert 'service: "db"  # flag' in r.stdout
    assert "format: svg  # environment APERTURE_FORMAT" in r.stdout
    assert "max-frames: 512  # default" in r.stdout


def test_configuration_error_names_the_line(tmp_path):
    file = tmp_path / "aperture.yaml"
    file.write_text("cli:\n  record:\n    freqency: 50\n")
    r = run(APERTURE, "record", "--config", file)
    assert r.returncode == 2
    assert f"{file}:3: unknown key 'freqency'; did you mean frequency?" in r.stderr


def test_doctor_agrees_with_itself():
    text, data = run(APERTURE, "doctor"), run(APERTURE, "doctor", "--json")
    answer = json.loads(data.stdout)
    assert text.returncode == data.returncode == (0 if answer["ok"] else 1)
    assert "\033" not in text.stdout
    names = [check["name"] for check in answer["checks"]]
    assert {"kernel", "kernel BTF", "capabilities", "perf_event_paranoid", "kptr_restrict",
            "cgroups", "libchdb"} <= set(names)
    for check in answer["checks"]:
        assert check["name"] in text.stdout
        assert check["status"] in ("ok", "warn", "fail")
