"""docs/openapi.json as the tests use it: answers are held against its schemas."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator

DOC = json.loads((Path(__file__).resolve().parents[2] / "docs/openapi.json").read_text())


def check(schema, value):
    """Validates against a schema of the document, whose references lead into the document."""
    Draft202012Validator({**schema, "components": DOC["components"]}).validate(value)
    return value


def check_named(name, value):
    return check({"$ref": f"#/components/schemas/{name}"}, value)


def resolve(item):
    while "$ref" in item:
        target = DOC
        for part in item["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        item = target
    return item
