"""A real `cordon serve` beside people who drip: its other callers are answered, and the dripping ones are shown the door."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import httpx
import pytest

from app.api.patience import HEAD_S, LOOK_S
from tests.cli.program import running
from tests.waiting import PATIENCE_S, lived_s

CROWD = 100
HALF_HEAD = b"GET /v1/members HTTP/1.1\r\nHost: x\r\nX-Half: "
HALF_BODY = b"POST /v1/screen HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
ADDRESS = "0x" + "c0de" * 10


async def drip(port: int, first: bytes) -> tuple[float, float]:
    """Begin a request and send a byte a second; how long it took until the connection was closed, by the wall and as it was lived."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began, began_s = time.monotonic(), lived_s()
    writer.write(first)
    closed = asyncio.create_task(_until_closed(reader))
    while not closed.done() and lived_s() - began_s < 60:
        writer.write(b"a")
        await asyncio.wait([closed], timeout=1)
    writer.transport.abort()
    return time.monotonic() - began, lived_s() - began_s


async def _until_closed(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(4096):
            pass


async def look_up(url: str, crowd: asyncio.Future[list[tuple[float, float]]]) -> list[float]:
    """Lookups, one after another on connections of their own, as long as the crowd is there; the seconds of each, as they were lived."""
    taken: list[float] = []
    async with httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_keepalive_connections=0), timeout=PATIENCE_S) as client:
        while not crowd.done():
            began = lived_s()
            answer = await client.get(f"/v1/screen/{ADDRESS}")
            assert answer.status_code == 200, answer.text
            taken.append(lived_s() - began)
            await asyncio.sleep(0.05)
    return sorted(taken)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "deadline_s"), [(HALF_HEAD, HEAD_S), (HALF_BODY, LOOK_S)], ids=["heads", "bodies"])
async def test_a_hundred_who_drip_keep_nobody_waiting(node_dir: Path, first: bytes, deadline_s: float) -> None:
    """All of them are closed at the deadline, and while they are there lookups take what they always take."""
    with running(node_dir, CORDON_RATE_PUBLIC_PER_MINUTE="100000") as node:
        port = int(node.url.rpartition(":")[2])
        crowd = asyncio.gather(*(drip(port, first) for _ in range(CROWD)))
        taken = await look_up(node.url, crowd)
        stayed = await crowd
        assert node.child.poll() is None
    assert min(stayed)[0] > deadline_s / 2
    assert max(lived for _, lived in stayed) < 2 * deadline_s + 5
    assert len(taken) > 20
    assert taken[len(taken) // 2] < 0.5
    assert taken[-1] < 8
