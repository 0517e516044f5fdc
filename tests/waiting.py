"""Waiting in tests for what nobody signals: for the thing itself, never for a time in which it should have come.

Where something must not take long, that is measured by a clock of our own (`lived_s`): it stands still while the machine does, and is slow
where the machine has other things to do. So a bound that is kept on a quiet machine is kept everywhere, and means the same.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache

PATIENCE_S = 120.0
"""What a machine that has other things to do may take. Nothing is asserted of it."""
_TICK_S = 0.01


class _Pulse(threading.Thread):
    """Counts its own short pauses: each takes at least as long as it should, and longer when this process does not get its turn."""

    def __init__(self) -> None:
        super().__init__(name="lived", daemon=True)
        self.ticks = 0

    def run(self) -> None:
        while True:
            time.sleep(_TICK_S)
            self.ticks += 1


@cache
def _pulse() -> _Pulse:
    pulse = _Pulse()
    pulse.start()
    return pulse


def lived_s() -> float:
    """Seconds in which this process could have done something, from no particular moment on."""
    return _pulse().ticks * _TICK_S


async def until(condition: Callable[[], object], within_s: float = PATIENCE_S) -> float:
    """Wait until it holds; how long that took, in seconds that were lived."""
    began = lived_s()
    while not condition():
        assert lived_s() - began < within_s, "it did not come to that"
        await asyncio.sleep(_TICK_S)
    return lived_s() - began


def wait_until(condition: Callable[[], object], within_s: float = PATIENCE_S, *, what: Callable[[], object] | None = None) -> float:
    """The same without a loop; `what` is told of the failure."""
    began = lived_s()
    while not condition():
        assert lived_s() - began < within_s, what() if what is not None else "it did not come to that"
        time.sleep(_TICK_S)
    return lived_s() - began


@asynccontextmanager
async def within(most_s: float) -> AsyncIterator[None]:
    """A block that takes no longer, in seconds that were lived; TimeoutError where it would."""

    async def watch(limit: asyncio.Timeout) -> None:
        ends = lived_s() + most_s
        while lived_s() < ends:  # noqa: ASYNC110 — nobody signals that time goes by
            await asyncio.sleep(_TICK_S)
        limit.reschedule(asyncio.get_running_loop().time())

    async with asyncio.timeout(None) as limit:
        watcher = asyncio.create_task(watch(limit))
        try:
            yield
        finally:
            watcher.cancel()
