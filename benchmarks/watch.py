"""From an admitted listing to the webhook that tells of it, on loopback, and how many watched changes a second are worked off."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import orjson

from app.domain.watching import keys_of_watched
from app.sdk.webhook import WebhookKey, verify
from app.services.enroll import new_api_key
from app.services.node import Node
from app.storage.clients import Client
from app.storage.watches import Watched, Watchlist
from app.storage.webhooks import Webhook
from benchmarks.material import address, found_bench, listing, open_node, submit_all

OWNER = "bench.vasp/green"
SINGLE = 100
BULK = 500
KEY = WebhookKey(b"b" * 32, b"s" * 32)


class Receiver:
    """Answers 204 to whatever verifies, and notes when it came."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.came: asyncio.Queue[str] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request after request."""
        while head := await _head(reader):
            headers = dict(line.split(": ", 1) for line in head.decode("ascii").split("\r\n")[1:] if line)
            body = await reader.readexactly(int({name.lower(): value for name, value in headers.items()}["content-length"]))
            came = time.perf_counter()
            verify(headers, body, KEY.secret)
            sid = orjson.loads(body)["data"]["sid"]
            self.at.setdefault(sid, came)
            self.came.put_nowait(sid)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
        writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def watch(node: Node, port: int) -> None:
    """A VASP that watches every wallet of the benchmark, and its webhook."""
    key = new_api_key()
    client = Client(key.id, key.secret_sha256, "live", "bench.vasp", "vasp", "", ("watch",), "green", node.clock())
    secret: dict[str, str | int | None] = {"hmac": b64encode(KEY.hmac).decode(), "seed": b64encode(KEY.seed).decode(), "until_ms": None}
    ids = [f"eip155:0:{address(number)}" for number in range(SINGLE + BULK)]
    async with node.database.transaction() as tx:
        await tx.clients.put(client)
        await tx.watches.put(Watchlist("wl", OWNER, "", 1))
        await tx.watches.add("wl", [Watched(one) for one in ids], [(k, one) for one in ids for k in keys_of_watched(one)])
        await tx.webhooks.put(Webhook("wh", OWNER, f"http://127.0.0.1:{port}/in", ("*",), (), (secret,), 1))


async def measure(folder: Path) -> None:
    """Print both figures."""
    founded = found_bench(folder)
    bench = replace(founded, settings=founded.settings.model_copy(update={"allow_loopback": True}))
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    node = await open_node(bench)
    try:
        await watch(node, server.sockets[0].getsockname()[1])
        took: list[float] = []
        for number in range(SINGLE):
            (admitted,) = await submit_all(node, [listing(bench, range(number, number + 1))])
            done = time.perf_counter()
            while await receiver.came.get() != admitted.sid:
                pass
            took.append(1000 * (receiver.at[admitted.sid] - done))
        took.sort()
        print(f"admitted -> webhook received: p50 {statistics.median(took):.1f} ms, p99 {took[int(0.99 * len(took))]:.1f} ms")
        start, before = time.perf_counter(), len(receiver.at)
        await submit_all(node, [listing(bench, range(n, n + 1)) for n in range(SINGLE, SINGLE + BULK)])
        while len(receiver.at) < before + BULK:
            await receiver.came.get()
        print(f"submitted, told and received in bulk: {BULK / (time.perf_counter() - start):.0f} listings/s")
    finally:
        await node.stop()
        server.close()


def run() -> None:
    """Both figures."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))
