"""The newest checkpoint of every log that this node holds, for those who wait for the next one (protocol §3.7, §3.8).

The gate and the follower put, pollers and streams take. Everything lives on one event loop and nothing is stored: what a worker of the
same database signed is put by the loop that reads it. A note of the same size (a fresh heartbeat, a further cosignature) moves pollers,
as it says something new; streams tell growth only. A smaller size never replaces a larger one.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.domain.errors import Quota
from app.domain.statement import ohash_of

PAGE_HEADS = 256
PAGE_CHARACTERS = 512 * 1024
"""Half of what a follower takes in one answer."""
_CURSOR = re.compile(r"([0-9a-f]{16})\.(0|[1-9][0-9]{0,15})\.([0-9a-f]{16})?")


@dataclass(frozen=True, slots=True)
class PostedHead:
    """A signed checkpoint with the cosignatures known so far; `number` counts what was put on the board."""

    origin: str
    ohash: str
    size: int
    note: str
    number: int


class Signal:
    """What moved since it was last asked: one size a log, however long nobody asked, so that a slow listener costs no memory."""

    def __init__(self) -> None:
        self._moved: dict[str, int] = {}
        self._event = asyncio.Event()

    def tell(self, ohash: str, size: int) -> None:
        """A log has grown."""
        self._moved[ohash] = size
        self._event.set()

    def wake(self) -> None:
        """Let the listener look up, though nothing has moved."""
        self._event.set()

    async def take(self, timeout_s: float) -> list[tuple[str, int]]:
        """(ohash, size) of what has moved, in order; nothing if nothing did within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return []
        self._event.clear()
        moved, self._moved = self._moved, {}
        return [*moved.items()]


class HeadBoard:
    """Heads by origin. `most_signals`: how many streams one listener may have open."""

    def __init__(self, *, most_signals: int = 4) -> None:
        self._most_signals = most_signals
        self.is_closed = False
        self._heads: dict[str, PostedHead] = {}
        self._number = 0
        # Another process of the same node counts otherwise: a cursor says who counted.
        self._epoch = secrets.token_hex(8)
        self._digest: tuple[int, str] = (-1, "")
        self._moved = asyncio.Event()
        self._signals: dict[Signal, str] = {}
        self._open: Counter[str] = Counter()

    # --- putting ------------------------------------------------------------------------------------------------------

    def put(self, origin: str, note: str, size: int) -> bool:
        """Keep the newest note of a log; False, and nothing moves, if it is the one that stands or of a smaller tree."""
        before = self._heads.get(origin)
        if before is not None and (size < before.size or note == before.note):
            return False
        self._number += 1
        ohash = before.ohash if before is not None else ohash_of(origin)
        self._heads.pop(origin, None)  # the order of the heads is the order of their numbers
        self._heads[origin] = PostedHead(origin, ohash, size, note, self._number)
        self._moved.set()
        self._moved = asyncio.Event()
        if before is None or size > before.size:
            for signal in self._signals:
                signal.tell(ohash, size)
        return True

    def close(self) -> None:
        """The node ends: whoever waits or listens is let go at once, or shutting down would wait for them."""
        self.is_closed = True
        self._moved.set()
        for signal in self._signals:
            signal.wake()

    def drop(self, origin: str) -> None:
        """Forget a log that is no longer held."""
        self._heads.pop(origin, None)

    # --- polling ------------------------------------------------------------------------------------------------------

    def get(self, origin: str) -> PostedHead | None:
        """The head of one log."""
        return self._heads.get(origin)

    def since(self, cursor: str = "") -> tuple[list[PostedHead], str]:
        """What was put after `cursor` (all heads for one that is empty or unknown), at most a page, and the cursor after it.

        A cursor of another process of this node is taken as caught up if that process knew the same heads.
        """
        known = self._number_of(cursor)
        found = [head for head in self._heads.values() if head.number > known]
        page: list[PostedHead] = []
        characters = 0
        for head in found:
            characters += len(head.note)
            if page and (len(page) == PAGE_HEADS or characters > PAGE_CHARACTERS):
                return page, f"{self._epoch}.{page[-1].number}."
            page.append(head)
        return page, f"{self._epoch}.{self._number}.{self._state()}"

    async def wait(self, cursor: str, timeout_s: float) -> tuple[list[PostedHead], str]:
        """The same, as soon as there is something; nothing if nothing was put within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    moved = self._moved
                    found, following = self.since(cursor)
                    if found or self.is_closed:
                        return found, following
                    await moved.wait()
        except TimeoutError:
            return [], cursor

    def _number_of(self, cursor: str) -> int:
        parsed = _CURSOR.fullmatch(cursor)
        if parsed is None:
            return 0
        epoch, number, state = parsed.groups()
        if epoch == self._epoch:
            return int(number)
        return self._number if state == self._state() else 0

    def _state(self) -> str:
        """A digest of all heads, the same in every process that has the same."""
        if self._digest[0] != self._number:
            notes = sorted(head.note for head in self._heads.values())
            self._digest = (self._number, hashlib.sha256("\0".join(notes).encode("utf-8")).hexdigest()[:16])
        return self._digest[1]

    # --- listening ----------------------------------------------------------------------------------------------------

    @contextmanager
    def subscribe(self, who: str) -> Iterator[Signal]:
        """A signal of every growth from now on, for as long as the block lasts. Quota beyond what one listener may have open."""
        if self._open[who] >= self._most_signals:
            raise Quota(f"{self._most_signals} streams are open already: close one, they all say the same", retry_after_s=30)
        signal = Signal()
        self._open[who] += 1
        self._signals[signal] = who
        try:
            yield signal
        finally:
            del self._signals[signal]
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]

    @property
    def listeners(self) -> int:
        """How many streams are open."""
        return len(self._signals)
