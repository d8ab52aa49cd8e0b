"""The command line without profiling: help, configuration, doctor, manual pages, completion."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("AP_BUILD", ROOT / "build/release"))
APERTURE = BUILD / "src/cli/aperture"
PROGRAMS = {
    "aperture-record.1": [APERTURE, "record"],
    "aperture-report.1": [APERTURE, "report"],
    "aperture-symbols.1": [APERTURE, "symbols"],
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


def test_subcommands_and_values_are_completed():
    assert {"record", "report", "symbols", "doctor"} <= set(complete([""]))
    assert complete(["record", "--format", "sp"]) == ["speedscope"]
    assert complete(["record", "--format", "=", "sv"]) == ["svg"]
    assert complete(["symbols", ""]) == ["push", "missing"]
    assert complete(["symbols", "mi"]) == ["missing"]
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
