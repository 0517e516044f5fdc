"""What must not be left half done by who is cancelled: a connection is given back, and lent to the next, only when it is at rest;
whoever ends tasks goes on when they have ended.

`asyncio.shield` alone does not do: it keeps the work alive, but lets go of who waits for it. A stop that cancels twice, as it does where
the machine is slow, would then close a connection on which a rollback is still under way; libpq answers that with a crash of the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

AGAIN_S = 1.0


async def to_its_end(work: Awaitable[T]) -> T:
    """Wait until `work` is done, however often the caller is cancelled meanwhile: he learns of that afterwards.

    So `work` must end by itself, and soon.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # nobody else asks for it
        raise cancelled
    return task.result()


async def end_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended, and ask for no result."""
    ending = waiting = set(tasks)
    while waiting:
        # More than once: on Python 3.11 a library's wait_for may swallow a cancellation that meets its result.
        for one in waiting:
            one.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=AGAIN_S)
    for one in ending:
        if not one.cancelled():
            one.exception()  # else it would be told as never asked for
