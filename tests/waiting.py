"""Waiting for what other threads do."""

import time


def wait_until(condition):
    """Return whether a condition comes true within some ten seconds."""
    for _ in range(2000):
        if condition():
            return True
        time.sleep(0.005)
    return False
