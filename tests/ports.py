"""Ports for servers that are told theirs before they listen.

Never one of those that the system hands out by itself: between the choice and the start of the server any caller, and any server of
another test, might be given it. Workers of one run choose among ports of their own.
"""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from os import environ
from pathlib import Path

FIRST = 10_000
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
ROW = 8
"""So many neighbouring ports belong to one worker, and are given away once."""

_CHANCE = random.SystemRandom()
_given: set[int] = set()


def free_port(*, in_a_row: int = 1) -> int:
    """A port of loopback on which nobody listens; the first of several in a row."""
    assert 1 <= in_a_row <= ROW
    ours = [first for first in _rows() if first not in _given]
    for first in _CHANCE.sample(ours, len(ours)):
        if _are_free(range(first, first + in_a_row)):
            _given.add(first)
            return first
    raise AssertionError("no free port below those that the system hands out")


def _rows() -> list[int]:
    """Where the rows of this worker begin."""
    end = int(RANGE.read_text("ascii").split()[0]) if RANGE.exists() else 32_768
    worker, workers = int(environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")), int(environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if end < FIRST + 200 * ROW * workers:  # a system that hands out nearly all of them
        end = 65_536
    return list(range(FIRST, end - ROW, ROW))[worker % workers :: workers]


def _are_free(ports: range) -> bool:
    with ExitStack() as stack:
        for port in ports:
            probe = stack.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
