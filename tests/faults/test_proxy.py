"""The proxy itself: each kind of weather does what it says, and no byte is lost, doubled or moved."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from tests.faults.proxy import BACK, BOTH, CALM, THERE, FaultProxy, Weather


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """A server that gives back what it gets; its port."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for writer in writers:
        writer.close()
    await asyncio.sleep(0.05)


@pytest.fixture
def proxy(echo: int) -> Iterator[FaultProxy]:
    """A proxy before it."""
    with FaultProxy(("127.0.0.1", echo), seed=5) as one:
        yield one


async def say(proxy: FaultProxy, data: bytes) -> bytes:
    """Send, end, and read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


async def test_bytes_come_through_as_they_were(proxy: FaultProxy) -> None:
    """Calm, late, in drips: the same bytes in the same order, and the time is the one that was asked for."""
    data = bytes(range(256)) * 4000
    assert await say(proxy, data) == data
    proxy.weather = Weather(latency_s=0.15, late_share=0.2, late_s=0.1)
    began = time.monotonic()
    assert await say(proxy, data) == data
    assert time.monotonic() - began >= 0.3
    proxy.weather = Weather(drip_s=0.01)
    began = time.monotonic()
    assert await say(proxy, b"slow") == b"slow"
    assert time.monotonic() - began >= 0.04


@pytest.mark.parametrize("ways", [BOTH, frozenset({THERE}), frozenset({BACK})], ids=["both", "there", "back"])
async def test_what_stands_still_goes_on_afterwards(proxy: FaultProxy, ways: frozenset[str]) -> None:
    """A direction that stands still gives nothing; lifted, nothing was lost, on old connections and new ones."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"one")
    assert await reader.readexactly(3) == b"one"
    proxy.weather = Weather(stalls=ways)
    writer.write(b"two")
    late = asyncio.create_task(say(proxy, b"three"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await reader.readexactly(3)
    assert not late.done()
    proxy.weather = CALM
    assert await reader.readexactly(3) == b"two"
    assert await late == b"three"
    writer.close()


async def test_a_reset_is_told_and_half_an_end_is_not(proxy: FaultProxy) -> None:
    """A reset breaks the connection at once; half open, the caller waits for ever."""
    proxy.weather = Weather(reset_share=1.0)
    with pytest.raises(OSError):
        await say(proxy, b"hello")
    assert proxy.resets == 1
    proxy.weather = Weather(half_open=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await say(proxy, b"hello")
    proxy.weather = CALM
    assert await say(proxy, b"hello") == b"hello"
