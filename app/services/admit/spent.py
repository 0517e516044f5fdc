"""What each issuer has brought into the own log within the last hour: counted in the database once, then kept up batch by batch.

Counting anew for each batch would read every statement of the hour, which for an agency that brings a million is most of the work.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from app.storage.database import Transaction

HOUR_MS = 3_600_000


class Spent:
    """The counts of one log. They hold for the size of the log that they were kept up to; at another size they are read anew."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._size = 0
        self._counts: dict[str, deque[tuple[int, int]]] = {}
        """By issuer: (the last moment, how many) of each second in which there were any, in order."""

    async def of(self, tx: Transaction, issuer: str, *, now_ms: int, size: int) -> int:
        """How many statements of an issuer the log, at `size`, has accepted since an hour before `now_ms`.

        What was accepted in one second counts until the last of it is an hour old.
        """
        if size != self._size:
            self._counts.clear()
            self._size = size
        since_ms = now_ms - HOUR_MS
        counts = self._counts.get(issuer)
        if counts is None:
            found = await tx.statements.counts_since(self._origin, issuer, since_ms)
            counts = self._counts[issuer] = deque((second * 1000 + 999, count) for second, count in sorted(found.items()))
        while counts and counts[0][0] < since_ms:
            counts.popleft()
        return sum([count for _, count in counts])

    def add(self, issuers: Iterable[str], *, accepted_ms: int, size: int) -> None:
        """A batch was committed: statements of these issuers, all accepted at one moment; the log has `size` now."""
        for issuer, count in Counter(issuers).items():
            counts = self._counts.get(issuer)
            if counts is not None:  # else they are read when they are asked for
                is_same_second = counts and counts[-1][0] // 1000 == accepted_ms // 1000
                counts.append((accepted_ms, count + (counts.pop()[1] if is_same_second else 0)))
        self._size = size
