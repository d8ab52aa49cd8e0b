"""The transcripts of transcripts.py: each refusal has its status, says in JSON what to do, and when to try again."""

import json

import pytest

from openapi import check_named
from transcripts import transcripts


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    return {status: answer for status, _, answer in transcripts(tmp_path_factory.mktemp("transcripts"))}


@pytest.mark.parametrize("status, code, header", [
    (401, "unauthenticated", "WWW-Authenticate: Bearer"), (403, "forbidden", None), (413, "too_large", None),
    (422, "not_supported", None), (429, "too_many_attempts", "Retry-After: "), (503, "too_many_sessions", "Retry-After: ")])
def test_refusals_say_what_to_do(said, status, code, header):
    head, body = said[status].split("\n\n", 1)
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert header is None or header in head
    error = check_named("Error", json.loads(body))["error"]
    assert error["code"] == code and len(error["message"]) > 15
