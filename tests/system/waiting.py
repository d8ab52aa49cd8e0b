"""Waiting for a condition instead of for a while."""

import time


def wait_for(condition, what, seconds=60, every=0.02):
    """The first true value of condition(); fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"waited {seconds} s in vain for {what}")
