"""Reads what `aperture record` writes; for the tests of this machine and of other kernels."""

import json


def stacks(collapsed):
    """Frames and count of each collapsed line."""
    for line in collapsed.splitlines():
        frames, count = line.rsplit(" ", 1)
        yield frames.split(";"), int(count)


def closed_ledger(text):
    """The ledger, having checked that it is closed."""
    ledger = json.loads(text)
    for stage in ledger["stages"]:
        assert stage["balance"] == 0, stage
        accounted = stage["out"]["count"] + sum(loss["count"] for loss in stage["losses"])
        assert stage["in"]["count"] == accounted, stage
    return ledger
