"""Where statements wait for their batch: prepared in company on their way in, and let through when enough of them are there.

Preparing needs no database and is done while another batch commits. Step by step over several statements it takes a third less than
one after the other (ADR 0008), so what comes with single requests in one turn of the loop is prepared together. Who comes alone waits
for nobody: the window is kept open only as long as about as many may be on their way as came last time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.domain.errors import CordonError, Unavailable, UnknownKid
from app.services.admit.judge import Judge
from app.services.admit.outcome import Admitted
from app.services.admit.prepared import Prepared

PORTION, PORTION_CHARS = 16, 64 * 1024
SMALL, SMALL_CHARS = 64, 128 * 1024
MOST_EXPECTED = 64
"""A batch of so many is as good as a larger one: nobody waits for more."""

Result = Admitted | CordonError


@dataclass(slots=True)
class Waiting:
    """One statement and whom to tell."""

    wire: str
    prepared: Prepared | None
    answer: asyncio.Future[Result]
    fault: CordonError | None = None
    attempts: int = 0


def is_small(batch: Sequence[Waiting]) -> bool:
    """Whether a batch is written within the time that a lookup may wait. One that sets much in motion points at little itself."""
    return len(batch) <= SMALL and sum([len(one.wire) for one in batch]) <= SMALL_CHARS


def stopping() -> Unavailable:
    """What who waits is told at the end."""
    return Unavailable("the node is stopping: send the same bytes again in a moment")


class WaitingRoom:
    """The statements before one gate, in the order in which they came. `tell` answers those that are refused on their way in."""

    def __init__(self, judge: Judge, tell: Callable[[Waiting, Result], None], *, window_s: float, batch_max: int) -> None:
        self._judge = judge
        self._tell = tell
        self._window_s = window_s
        self._batch_max = batch_max
        self._arrived: deque[Waiting] = deque()
        self._ready: deque[Waiting] = deque()
        self._expected = 1
        self._some, self._enough = asyncio.Event(), asyncio.Event()

    def __len__(self) -> int:
        return len(self._arrived) + len(self._ready)

    # --- coming in -----------------------------------------------------------------------------------------------

    async def enter(self, wires: Sequence[str]) -> list[Waiting]:
        """Take statements in, in order; each is answered through its future. Those of one call stay together."""
        here = asyncio.get_running_loop()
        came = [Waiting(wire, None, here.create_future()) for wire in wires]
        if len(came) < PORTION:
            if not self._arrived:
                here.call_soon(self._prepare_arrived)
            self._arrived.extend(came)
            return came
        for portion in _portions(came):
            self._prepare(portion)
            await asyncio.sleep(0)  # a long batch must not keep lookups waiting
        self._admit(came)
        return came

    def _prepare_arrived(self) -> None:
        """What came in one turn of the loop, as much as may be done at once."""
        portion = next(_portions(self._arrived))
        for _ in portion:
            self._arrived.popleft()
        if self._arrived:
            asyncio.get_running_loop().call_soon(self._prepare_arrived)
        self._prepare(portion)
        self._admit(portion)

    def _prepare(self, portion: Sequence[Waiting]) -> None:
        for one, found in zip(portion, self._judge.prepare_all([one.wire for one in portion]), strict=True):
            if isinstance(found, Prepared):
                one.prepared = found
            elif not isinstance(found, UnknownKid):  # the member statement that brings its key may stand in front: judged in its turn
                self._tell(one, found)

    def _admit(self, came: Sequence[Waiting]) -> None:
        self._ready.extend(one for one in came if not one.answer.done())
        if self._ready:
            self._some.set()
        if len(self._ready) >= self._expected:
            self._enough.set()

    # --- going through -------------------------------------------------------------------------------------------

    async def gathered(self) -> None:
        """Wait until somebody is there, then until as many are as may be expected, at most for the window."""
        await self._some.wait()
        if len(self._ready) < self._expected:
            self._enough.clear()
            loop = asyncio.get_running_loop()
            late = loop.call_later(self._window_s, self._enough.set)
            try:
                await self._enough.wait()
            finally:
                late.cancel()
        self._some.clear()

    @property
    def is_open(self) -> bool:
        """Whether somebody may go through."""
        return bool(self._ready)

    def take(self) -> list[Waiting]:
        """The next batch. As many, or half as many as were expected, are expected next."""
        batch = [self._ready.popleft() for _ in range(min(len(self._ready), self._batch_max))]
        self._expected = min(max(len(batch), self._expected // 2), MOST_EXPECTED)
        return batch

    def put_back(self, batch: Sequence[Waiting]) -> None:
        """To the front, in order."""
        self._ready.extendleft(reversed(batch))

    def leave(self) -> Iterator[Waiting]:
        """Everybody, on the way out."""
        for room in (self._ready, self._arrived):
            while room:
                yield room.popleft()


def _portions(waiting: Sequence[Waiting]) -> Iterator[list[Waiting]]:
    """What is prepared between two moments for others: a few statements, and fewer large ones."""
    portion: list[Waiting] = []
    size = 0
    for one in waiting:
        if len(portion) == PORTION or (portion and size + len(one.wire) > PORTION_CHARS):
            yield portion
            portion, size = [], 0
        portion.append(one)
        size += len(one.wire)
    yield portion
