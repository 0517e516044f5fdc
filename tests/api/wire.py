"""The server's own protocol without a socket: what comes at one time is what it is given, what it answers is all that it wrote."""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from app.api.patience import PatientProtocol
from tests.waiting import until

DATE = [(b"date", b"Mon, 30 Nov 2026 12:00:00 GMT")]
KEPT_S = 3_600
"""How long a connection is kept between two requests: these tests are not about that, and the machine may stand still."""


class Wire:
    """What a server's protocol writes to."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.is_closed = False
        self.watched: Wire | None = None
        self.seen = -1
        """How many answers the other wire had heard when something was written to this one."""

    def write(self, data: bytes) -> None:
        if self.watched is not None:
            self.seen = self.watched.heard.count(b"HTTP/1.1 200 OK")
        self.heard += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 4711), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Line:
    """A connection to an application: what comes in at one time is what `say` is given."""

    def __init__(self, app: Any, state: ServerState | None = None) -> None:
        config = uvicorn.Config(
            app, ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False, timeout_keep_alive=KEPT_S
        )
        config.load()
        self.state = state or ServerState()
        self.state.default_headers = DATE
        self.wire = Wire()
        self.protocol = PatientProtocol(config, self.state, {}, asyncio.get_running_loop())
        self.protocol.connection_made(self.wire)  # type: ignore[arg-type]

    async def say(self, *pieces: bytes) -> bytes:
        """What is answered to these pieces, one after the other, once nothing is under way any more."""
        del self.wire.heard[:]
        for piece in pieces:
            if not self.wire.is_closed:
                self.protocol.data_received(piece)
                await self.rest()
        return bytes(self.wire.heard)

    async def rest(self) -> None:
        """Until everything that came is answered."""
        await until(lambda: not self.state.tasks and not self.protocol.pipeline and not self.protocol._is_leaving)

    async def taken_apart(self, *pieces: bytes) -> bool:
        """Whether something of it was read by the rules."""
        before = self.protocol.cycle
        await self.say(*pieces)
        return self.protocol.cycle is not before

    def end(self) -> None:
        """The caller hangs up."""
        self.protocol.connection_lost(None)
