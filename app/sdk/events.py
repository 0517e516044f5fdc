"""Server-sent events of a watcher, followed for as long as anybody listens: what breaks off goes on behind the last one that was seen.

The stream begins with the cursor that it goes on from (an `id` without data), so that nothing is missed that happens between a first
connection that was lost and the next. A node that cannot be reached is asked again, later each time; one that refuses is not.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from ..domain.canonical import JsonValue
from ..domain.errors import CordonError, Malformed, Quota, Unavailable
from .client import Client
from .wire import Call, as_object, json_of

QUIET_S = 45.0
"""The node says something every 15 s, if only a comment."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
MOST_BYTES = 64 * 1024

Event = dict[str, JsonValue]
Placed = Callable[[str], None]
"""Told where a stream goes on from, as soon as the node has said so."""
Broken = Callable[[CordonError, float], None]
"""Told of each break: why, and after how many seconds it is tried again."""


class EventStream:
    """Iterate over it; `cursor` is always that of the last event given out, or of the place where it began."""

    def __init__(
        self,
        client: Client,
        cursor: str | None = None,
        *,
        on_place: Placed = lambda _cursor: None,
        on_break: Broken = lambda _error, _pause_s: None,
    ) -> None:
        self.cursor = cursor
        self._client = client
        self._on_place = on_place
        self._on_break = on_break
        self._was_heard = False
        self._failures = 0

    def __iter__(self) -> Iterator[Event]:
        """Without end. Raises what the node refuses, and Unavailable only if it was never reached."""
        while True:
            began = time.monotonic()
            try:
                yield from self._once()
            except (Quota, Unavailable) as error:
                if isinstance(error, Unavailable) and not self._was_heard:
                    raise
                self._rest(error, error.retry_after_s or 0)
            else:
                if time.monotonic() - began < FIRST_PAUSE_S:  # a server that ends every stream at once is not asked without pause
                    self._rest(Unavailable("the node ends the stream as soon as it begins"), 0)

    def _rest(self, error: CordonError, least_s: float) -> None:
        grown = min(FIRST_PAUSE_S * 2.0**self._failures, LONGEST_PAUSE_S)
        pause_s = max(grown * (0.5 + random.random() / 2), least_s)  # noqa: S311 — spreads load, no secret
        self._failures += 1
        self._on_break(error, pause_s)
        time.sleep(pause_s)

    def _once(self) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": self.cursor} if self.cursor else {})}
        with self._client.listen(Call("GET", "/v1/events/stream", headers=headers), quiet_s=QUIET_S) as chunks:
            self._was_heard = True
            for name, data in read_events(chunks):
                self._failures = 0
                self.cursor = name or self.cursor
                if data:
                    yield as_object(json_of(data))
                elif self.cursor:
                    self._on_place(self.cursor)


def read_events(chunks: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    """(id, data) of each event, as the node writes them: lines ended by LF, one `data` each; Malformed for a line without end."""
    name, data, rest = "", b"", b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MOST_BYTES:
            raise Malformed("the node's stream has a line without end: is this URL a cordon node?")
        for line in lines:
            field, _, value = line.partition(b": ")
            if field == b"id":
                name = value.decode("ascii", "replace")
            elif field == b"data":
                data = value
            elif not line and (name or data):
                yield name, data
                name, data = "", b""
