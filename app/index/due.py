"""When time alone will change what a tier says: by places in the logs, and by ids of which something odd is said.

An id is read again at the first second at which an item that names it ends, or is told to the public; what was read then says when next.
A place takes 16 bytes, whatever it names: a million ids are no million strings here. Places that come a few at a time wait until they
are an eighth of those that stand in order, or until one of them is due.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import numpy as np

from app.index.vector import I64, U16

_INDEX_BITS = 48
_INDEX = (1 << _INDEX_BITS) - 1
_FEW = 4_096
_NEVER = 2**62


class Due:
    """What falls due, by second."""

    def __init__(self) -> None:
        self._seconds = np.empty(0, np.int64)
        self._places = np.empty(0, np.int64)
        self._at = 0
        self._late: list[tuple[I64, I64]] = []
        self._late_count = 0
        self._late_soonest = _NEVER
        self._ids: list[tuple[int, str]] = []
        self._soonest: dict[str, int] = {}

    def all_at(self, seconds: I64, logs: U16, indices: I64) -> None:
        """These and no others: by place in a log; second 0: never."""
        self._put_in_order(*_due(seconds, logs, indices))
        self._late, self._late_count, self._late_soonest = [], 0, _NEVER
        self._ids, self._soonest = [], {}

    def add_places(self, seconds: I64, logs: U16, indices: I64) -> None:
        """These beside what there is. A place may come again: it is looked at once for each second that was ever said of it."""
        seconds, places = _due(seconds, logs, indices)
        if not len(seconds):
            return
        self._late.append((seconds, places))
        self._late_count += len(seconds)
        self._late_soonest = min(self._late_soonest, int(seconds.min()))
        if self._late_count > max(_FEW, len(self._seconds) // 8):
            self._join()

    def _join(self) -> None:
        late, self._late, self._late_count, self._late_soonest = self._late, [], 0, _NEVER
        seconds, places = zip((self._seconds[self._at :], self._places[self._at :]), *late, strict=True)
        self._put_in_order(np.concatenate(seconds), np.concatenate(places))

    def _put_in_order(self, seconds: I64, places: I64) -> None:
        # One statement names many ids that end together.
        order = np.lexsort((places, seconds))
        seconds, places = seconds[order], places[order]
        is_new = np.ones(len(order), np.bool_)
        is_new[1:] = (seconds[1:] != seconds[:-1]) | (places[1:] != places[:-1])
        self._seconds, self._places, self._at = seconds[is_new], places[is_new], 0

    def add(self, ids: Iterable[tuple[int, str]]) -> None:
        """(second, id), beside what there is; of an id the soonest is enough, as it is read again then."""
        for second, one in ids:
            if second < self._soonest.get(one, second + 1):
                self._soonest[one] = second
                heapq.heappush(self._ids, (second, one))

    def count(self, second: int) -> int:
        """How many places are due at this second; and at least 1 if any id is."""
        if self._late_soonest <= second:
            self._join()
        return max(self._end(second) - self._at, 0) + (bool(self._ids) and self._ids[0][0] <= second)

    def take_ids(self, second: int) -> list[str]:
        """The ids that are due."""
        found: list[str] = []
        while self._ids and self._ids[0][0] <= second:
            soonest, one = heapq.heappop(self._ids)
            if self._soonest.get(one) == soonest:
                del self._soonest[one]
            found.append(one)
        return found

    def places(self, second: int, *, most: int) -> tuple[int, dict[int, Sequence[int]]]:
        """Up to `most` places that are due: how many, and by log the indices of statements. They stay until they are dropped, which is
        to be done before others are added.
        """
        if self._late_soonest <= second:
            self._join()
        places = self._places[self._at : min(self._at + most, self._end(second))]
        logs = places >> _INDEX_BITS
        return len(places), {int(log): (places[logs == log] & _INDEX).tolist() for log in np.unique(logs)}

    def drop(self, count: int) -> None:
        """So many of the first places have been looked at."""
        self._at += count

    def _end(self, second: int) -> int:
        return int(np.searchsorted(self._seconds, second, side="right"))


def _due(seconds: I64, logs: U16, indices: I64) -> tuple[I64, I64]:
    some = np.flatnonzero(seconds)
    return seconds[some], logs[some].astype(np.int64) << _INDEX_BITS | indices[some]
