"""A TCP proxy on loopback with weather: late pieces, resets, drips, one direction or both standing still, ends that nobody was told of.

TCP hides loss behind delay, so a lost packet is a piece that comes later, and a partition is a direction that stands still until it is
lifted; no byte is ever left out. What is left to chance follows from `seed` and the order of the pieces.

    with FaultProxy(("127.0.0.1", 8101), seed=1) as proxy:      # listens on proxy.port, in a thread of its own
        proxy.weather = Weather(latency_s=0.3, reset_share=0.01)
        proxy.weather = Weather(stalls=BOTH)                     # a partition: also for those who connect now
        proxy.weather = CALM
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

THERE, BACK = "there", "back"
BOTH = frozenset({THERE, BACK})
PIECE = 64 * 1024
LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to pieces from now on. Shares are of pieces, 0 to 1; `stalls` holds THERE (to the node), BACK, or both."""

    latency_s: float = 0.0
    late_share: float = 0.0
    late_s: float = 0.2
    reset_share: float = 0.0
    drip_s: float = 0.0
    """Seconds from one byte of an answer to the next."""
    stalls: frozenset[str] = frozenset()
    half_open: bool = False
    """The next piece of a connection ends its far side, and the near side is not told."""


CALM = Weather()


class FaultProxy:
    """A port of its own before `target`; its loop runs in a thread, so that tests may wait for processes."""

    def __init__(self, target: tuple[str, int], *, seed: int = 0, host: str = "127.0.0.1", port: int = 0) -> None:
        self.weather = CALM
        self.port = port
        self.accepted = 0
        self.resets = 0
        self._target = target
        self._host = host
        self._dice = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._end: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._end is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        self._loop.close()

    async def _run(self) -> None:
        open_now: set[asyncio.Task[None]] = set()
        self._end = asyncio.Event()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.accepted += 1
            task = asyncio.create_task(self._carry(reader, writer))
            open_now.add(task)
            task.add_done_callback(open_now.discard)

        server = await asyncio.start_server(accept, self._host, self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        for task in [*open_now]:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)

    async def _carry(self, near: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        far_writer: asyncio.StreamWriter | None = None
        try:
            await self._lifted(THERE)
            far, far_writer = await asyncio.open_connection(*self._target)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pipe(near, far_writer, THERE))
                both.create_task(self._pipe(far, near_writer, BACK))
        except* _HalfOpen:
            assert far_writer is not None
            far_writer.transport.abort()
            await asyncio.Event().wait()  # the near side hears nothing more, and no end either
        except* OSError:
            _reset(near_writer)  # ours or theirs: it is told on
        finally:
            for writer in (near_writer, far_writer):
                if writer is not None:
                    writer.transport.abort()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        """Pieces in order, each at its time: a delay does not lessen what goes through."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1024)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._collect(reader, under_way))
            both.create_task(self._deliver(under_way, writer, way))

    async def _collect(self, reader: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]) -> None:
        data = b"x"
        while data:
            data = await reader.read(PIECE)
            await under_way.put((self._loop.time() + self._delay_s(), data))

    async def _deliver(self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, way: str) -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            await self._lifted(way)
            if not data:
                writer.write_eof()
                return
            await self._write(writer, data, way)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes, way: str) -> None:
        weather = self.weather
        if weather.half_open:
            raise _HalfOpen
        if self._dice.random() < weather.reset_share:
            self.resets += 1
            raise ConnectionResetError
        for piece in [data] if not weather.drip_s or way == THERE else [data[at : at + 1] for at in range(len(data))]:
            writer.write(piece)
            await writer.drain()
            if weather.drip_s and way == BACK:
                await asyncio.sleep(weather.drip_s)

    def _delay_s(self) -> float:
        weather = self.weather
        return weather.latency_s + (weather.late_s if self._dice.random() < weather.late_share else 0.0)

    async def _lifted(self, way: str) -> None:
        while way in self.weather.stalls:  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(LOOK_S)


class _HalfOpen(Exception):
    pass


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN."""
    found = writer.get_extra_info("socket")
    with suppress(OSError):  # it may be gone already
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
