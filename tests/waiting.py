"""Waiting in tests for what nobody signals: for the thing itself, never for a time in which it should have come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PATIENCE_S = 120.0
"""What a machine that has other things to do may take. Nothing is asserted of it."""


async def until(condition: Callable[[], object], within_s: float = PATIENCE_S) -> float:
    """Wait until it holds; how long that took, in seconds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, "it did not come to that"
        await asyncio.sleep(0.01)
    return time.monotonic() - began
