"""How an aggregator refuses, as curl shows it: one transcript for each of 401, 403, 413, 422, 429 and 503.

    tests/venv/bin/python tests/system/transcripts.py

starts an aggregator of its own with tokens and TLS, prints the transcripts and stops it. test_transcripts.py holds them
against what they should say."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from secured import Secured

RULE = '{"name":"x","metric":"agent_silent","operator":"gt","threshold":1,"filter":"{host=\'a\'}"}'


def refusals(server, read):
    """(status, what it stands for, curl's arguments)"""
    as_admin = ["-H", f"Authorization: Bearer {server.admin}"]
    log_in = ["-X", "POST", "-d", '{"token":"apt_wrong"}', "/api/v1/session"]
    yield 401, "who asks?", ["/api/v1/agents"]
    yield 403, "a role that does not suffice", ["-H", f"Authorization: Bearer {read}", "-X", "POST", "-d", "{}",
                                                "/api/alerts/evaluate"]
    yield 413, "a body above its limit", [*as_admin, "-H", "Expect:", "-d", "x" * 70000, "/api/aggregate"]
    yield 422, "a question that cannot be answered", [*as_admin, "-d", RULE, "/api/alerts/dry-run"]
    for _ in range(5):
        yield 401, None, log_in
    yield 429, "too many failed log-ins", log_in
    yield 503, "as many sessions as there may be", ["--interface", "127.0.0.2", "-d", f'{{"token":"{server.admin}"}}',
                                                    "/api/v1/session"]


def curl(server, args):
    """The request as a person would type it, without secrets, and what came back."""
    *options, path = args
    r = subprocess.run(["curl", "-sS", "-i", "--cacert", server.ca, *options, server.url + path],
                       text=True, capture_output=True, timeout=60)
    assert r.returncode == 0, r.stderr
    typed = " ".join(f"'{o}'" if re.search(r"[^\w./:-]", o) else o for o in options)
    typed = re.sub(r"apt_[0-9a-f]{48}", "$TOKEN", re.sub(r"x{100,}", "xxx…", typed))
    return f"$ curl -i {typed} https://aggregator:9090{path}", r.stdout.replace("\r", "")


def transcripts(folder):
    """(status, request, answer) of an aggregator in that folder."""
    server = Secured(folder, "--max-sessions", "1")
    try:
        read = server.make_token("reader", "read")
        assert server.ask("/api/v1/session", "POST", {"token": server.admin}).status == 200
        for status, what, args in refusals(server, read):
            request, answer = curl(server, args)
            if what:
                yield status, f"# {status}: {what}\n{request}", answer
    finally:
        server.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for _, request, answer in transcripts(Path(folder)):
            print(f"{request}\n{answer}\n")
    sys.exit(0)
