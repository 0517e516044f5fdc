"""A start that waits for its database: one that starts beside it, or fails over just now, is no reason to give up.

Whoever starts calls `pause_s` with each failure and tries again after it; what waits says so, and stops waiting after START_PATIENCE_S.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from app.storage.faults import Unreachable

log = logging.getLogger("cordon.storage")

START_PATIENCE_S = 30.0
CONNECT_S = 5
"""How long one attempt may take, unless the URL says otherwise (`?connect_timeout=`)."""
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 4.0


class Arrival:
    """The patience of one start, from its first failure on."""

    def __init__(self, *, patience_s: float = START_PATIENCE_S, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._patience_s = patience_s
        self._clock_s = clock_s
        self._until_s: float | None = None
        self._pause_s = _FIRST_PAUSE_S

    def pause_s(self, failure: Unreachable) -> float:
        """How long to rest before another attempt, in seconds; raises `failure` once one has waited long enough."""
        now_s = self._clock_s()
        if self._until_s is None:
            self._until_s = now_s + self._patience_s
        if now_s >= self._until_s:
            raise failure
        log.warning("waiting for the database for another %.0f s: %s", self._until_s - now_s, failure.detail)
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return pause_s
