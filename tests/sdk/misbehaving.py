"""A peer on loopback that does what a test tells it to, byte by byte: a real socket, no HTTP library that would keep it honest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

_WRITER: ContextVar[asyncio.StreamWriter] = ContextVar("the connection whose request is being answered")


@dataclass
class Peer:
    """What the server saw and sent; `path` and `body` are those of the newest request."""

    url: str = ""
    connections: int = 0
    heard: list[bytes] = field(default_factory=list)
    sent: int = 0
    path: str = ""
    body: bytes = b""

    async def send(self, data: bytes) -> None:
        """Bytes to the caller, waiting until they are taken."""
        writer = _WRITER.get()
        writer.write(data)
        await writer.drain()
        self.sent += len(data)

    async def answer(self, status: int, body: bytes = b"", headers: str = "") -> None:
        """A well-formed answer."""
        await self.send(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)


Behaviour = Callable[[Peer], Awaitable[None]]


def plain(body: bytes = b"", *, headers: str = "", raw: bytes | None = None, close: bool = False, length: bool = True) -> Behaviour:
    """The same answer to every request; `raw` is sent as it is. Without `length` the body ends with the connection."""

    async def behave(peer: Peer) -> None:
        if raw is not None:
            await peer.send(raw)
        elif length:
            await peer.answer(200, body, headers)
        else:
            await peer.send(f"HTTP/1.1 200 OK\r\n{headers}\r\n".encode() + body)
        if close or not length:
            raise ConnectionError

    return behave


@contextlib.asynccontextmanager
async def misbehaving(behave: Behaviour) -> AsyncIterator[Peer]:
    """Serve on loopback: `behave` is called for each request; a ConnectionError in it closes the connection."""
    peer = Peer()
    open_now: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.connections += 1
        _WRITER.set(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
                peer.heard.append(head)
                peer.path, peer.body = head.split(b" ", 2)[1].decode(), await reader.readexactly(length)
                await behave(peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        open_now.add(task)
        task.add_done_callback(open_now.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        server.close()
        for task in list(open_now):
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)
