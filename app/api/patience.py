"""How long a connection may keep the node waiting: one protocol class for the server, with ends for heads, bodies and answers that drip.

uvicorn itself ends only connections that are idle between two requests; a client that sends a byte a second would be waited for without
end. Nothing here costs a request that comes in one piece: clocks are set only for what is left unfinished (trust-and-ops S-08).
"""

from __future__ import annotations

import asyncio
import resource
import sys
import weakref
from asyncio import TimerHandle
from collections.abc import Callable
from functools import cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.api.edge import BLOCK, WHOLE, Whole
from app.api.fields import block_of

HEAD_S = 10.0
"""From the first byte of a request (or from connecting) to the end of its header."""
HEAD_BYTES = 64 * 1024
"""What a head may hold before its end is seen; the edge takes a quarter of it. Nothing below counts."""
LOOK_S = 10.0
"""Between two looks at a body that is on its way."""
LEAST_RATE = 512
"""Bytes a second that a body has to bring between two looks."""
ANSWER_S = 60.0
"""For the caller to make room in a full buffer of ours, which holds some 64 KiB."""
RESERVED_FILES = 256
"""File descriptors that connections never take: databases, logs, peers."""
LEAST_CONNECTIONS = 64
MOST_TOGETHER = 16
"""Answers that wait for each other, at most a turn of the loop."""

AtOnce = Callable[[bytes, str, Whole], Any]
"""What an application may have beside its call: given a request as it came, the caller's address and a way out, it answers in this moment
(None), or says who has to be entered for the rest."""

_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncache-control: no-store\r\ncontent-length: 0\r\n\r\n"


@cache
def most_connections() -> int:
    """How many connections there may be: what the limit of open files leaves."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(soft - RESERVED_FILES, LEAST_CONNECTIONS)


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 with an end to patience."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_head_open = False
        self._is_body_open = False
        self._head_bytes = 0
        self._body_bytes = 0
        self._late: TimerHandle | None = None
        self._stuck: TimerHandle | None = None
        self._at_once: AtOnce | None = getattr(self.app, "at_once", None) if self.limit_concurrency is None else None
        self._is_at_once = False
        """Whether it is being asked, and has not answered yet."""
        self._rest: Any = None
        """Who has to be entered for the request that comes, if it was begun at once."""
        self._block = b""
        self._peer = ""
        self._answered_s = float("-inf")
        self._leaving = _leaving_of(self.server_state, self.loop)
        self._is_leaving = False
        """Whether an answer of this connection is among those that leave together."""

    # --- what comes in -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """One more, unless there are too many already."""
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""
        if len(self.connections) > most_connections():
            transport.abort()
            return
        self._late = self.loop.call_later(HEAD_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._forget_late()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; whatever is unfinished then has a clock."""
        if self._is_leaving:
            self._leaving.flush()
        if self._at_once is not None and data.startswith(b"GET /") and self._is_at_rest():
            self._is_at_once = True
            self._leaving.expect()
            self._rest = self._at_once(data, self._peer, self._write_whole)
            self._is_at_once = False
            if self._rest is None:
                return
            self._block = block_of(data) if self._rest is self.app else b""
        self._is_head_open = not self._is_body_open
        super().data_received(data)
        self._rest, self._block = None, b""
        self._head_bytes = self._head_bytes + len(data) if self._is_head_open else 0
        if self._head_bytes > HEAD_BYTES:
            self._give_up()
        if self._late is not None or self.transport.is_closing():
            return
        if self._is_body_open:
            self._body_bytes = 0
            self._late = self.loop.call_later(LOOK_S, self._look)
        elif self._is_head_open:
            self._late = self.loop.call_later(HEAD_S, self._give_up)

    def on_message_begin(self) -> None:
        """A request begins, perhaps behind another one in the same bytes."""
        self._is_head_open = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._is_head_open, self._is_body_open = False, True
        self._forget_late()
        # Not the cycle itself, which holds the scope: a circle a request is work for the garbage collector.
        self.scope[WHOLE] = self._write_whole  # type: ignore[literal-required]
        if self._block:
            self.scope[BLOCK] = self._block  # type: ignore[literal-required]
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """The application, or what it left to be done of a request that it began at once."""
        rest, self._rest = self._rest, None
        super()._start_asgi_task(cycle, rest or app)

    def _is_at_rest(self) -> bool:
        """Whether nothing has come of a request yet, and all before it are answered."""
        return (
            not (self._is_head_open or self._is_body_open)
            and (self.cycle is None or self.cycle.response_complete)
            and not (self.pipeline or self.flow.write_paused or self.transport.is_closing())
        )

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._body_bytes += len(body)
        cycle: Any = self.cycle
        if not cycle.body:
            cycle.body = b""  # what is added to it is handed on without a copy, if it comes alone
        elif isinstance(cycle.body, bytes):
            cycle.body = bytearray(cycle.body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is whole."""
        self._is_body_open = False
        self._forget_late()
        super().on_message_complete()

    def _forget_late(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _look(self) -> None:
        """Wait on for a body that comes on, or that we ourselves have stopped or not yet asked for."""
        is_ours = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if not is_ours and self._body_bytes < LEAST_RATE * LOOK_S:
            self._give_up()
            return
        self._body_bytes = 0
        self._late = self.loop.call_later(LOOK_S, self._look)

    def _give_up(self) -> None:
        self._late = None
        if self.transport.is_closing():
            return
        if self._is_head_open and (self.cycle is None or self.cycle.response_complete):
            self.transport.write(_TOO_LATE)
        self.transport.close()

    # --- what goes out -----------------------------------------------------------------------------------------------

    def _write_whole(self, lines: bytes, body: bytes) -> bool:
        """A whole answer with 200 in one piece; False, and nothing sent, where more than that has to be done for it.

        What `RequestResponseCycle.send` does for an answer in two pieces, without a look at each header: they are made by us. Whoever
        sends his requests behind each other without waiting has the answers the other way: the newest is not the one that is answered.
        """
        if self._is_at_once:
            self._write_at_once(lines, body)
            return True
        cycle = self.cycle
        if self.pipeline or cycle.response_started or cycle.disconnected or not cycle.keep_alive or self.flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        self.transport.write(b"".join((_opening(cycle.default_headers), lines, body)))
        cycle.message_event.set()
        cycle.on_response()
        return True

    def _write_at_once(self, lines: bytes, body: bytes) -> None:
        """The same for a request that was not read by the rules, of which there is no cycle."""
        self._is_at_once = False
        self._is_leaving = True
        self._forget_late()
        self._leaving.add(self, b"".join((_opening(self.server_state.default_headers), lines, body)))
        self.server_state.total_requests += 1
        self._answered_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def leave(self, answer: bytes) -> None:
        """Send an answer that was given at once, unless there is nobody any more."""
        self._is_leaving = False
        if not self.transport.is_closing():
            self.transport.write(answer)

    def shutdown(self) -> None:
        """The server ends: what is answered leaves before the connection is closed."""
        if self._is_leaving:
            self._leaving.flush()
        super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing has come for long: since the clock was set, and since the last answer for which it was not set anew."""
        left_s = self._answered_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self.timeout_keep_alive_handler)
            return
        super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """The caller does not take what he is sent."""
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(ANSWER_S, self.transport.abort)

    def resume_writing(self) -> None:
        """He does again."""
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        super().resume_writing()


class Leaving:
    """Answers of one turn of the loop that leave together, before anybody waits for a disk.

    Each that left by itself would wake a caller who has gone to sleep since the one before: measured, a fifth of a lookup.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[PatientProtocol, bytes]] = []
        self._is_called = False

    def expect(self) -> None:
        """There may be some: they leave before whatever is called from now on."""
        if not self._is_called:
            self._is_called = True
            self._loop.call_soon(self._end)

    def add(self, protocol: PatientProtocol, answer: bytes) -> None:
        """One more; so many do not wait for others."""
        self._waiting.append((protocol, answer))
        if len(self._waiting) >= MOST_TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Let all of them go."""
        waiting, self._waiting = self._waiting, []
        for protocol, answer in waiting:
            protocol.leave(answer)

    def _end(self) -> None:
        self._is_called = False
        self.flush()


_leaving: weakref.WeakKeyDictionary[ServerState, Leaving] = weakref.WeakKeyDictionary()


def _leaving_of(server: ServerState, loop: asyncio.AbstractEventLoop) -> Leaving:
    found = _leaving.get(server)
    if found is None:
        found = _leaving[server] = Leaving(loop)
    return found


_Headers = list[tuple[bytes, bytes]]
_opened: tuple[_Headers, bytes] = ([], b"")


def _opening(headers: _Headers) -> bytes:
    """The beginning of an answer with the header lines of the server, which makes them anew each second."""
    global _opened  # noqa: PLW0603
    if _opened[0] is not headers or not headers:
        _opened = headers, b"".join([b"HTTP/1.1 200 OK\r\n", *[b"%b: %b\r\n" % header for header in headers]])
    return _opened[1]
