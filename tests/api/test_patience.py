"""How long a connection may keep the node waiting, with the waits cut short: real sockets, the server's own protocol, a small application."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.api import patience
from app.api.edge import WHOLE
from app.api.patience import LEAST_RATE, PatientProtocol, most_connections
from tests.api.front import Front
from tests.api.wire import KEPT_S
from tests.factories import accept, wallet, wallet_id
from tests.waiting import lived_s, within

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
MUCH = 32 * 1024 * 1024


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Says how long the body was; `/deaf` answers without reading it, `/much` with more than a socket holds."""
    size, more = 0, scope["path"] != "/deaf"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
    text = bytes(MUCH) if scope["path"] == "/much" else str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(text)).encode())]})
    for start in range(0, len(text), 65_536):
        await send({"type": "http.response.body", "body": text[start : start + 65_536], "more_body": start + 65_536 < len(text)})


@asynccontextmanager
async def serving(app: Any = application, protocol: Any = PatientProtocol) -> AsyncIterator[int]:
    """The port of a server in this process."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=KEPT_S,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    server.server_state.default_headers = config.encoded_headers
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.force_exit = True
        await server.shutdown()


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(patience, "HEAD_S", 0.5)
    monkeypatch.setattr(patience, "LOOK_S", 0.5)
    monkeypatch.setattr(patience, "ANSWER_S", 0.5)
    async with serving() as port:
        yield port


async def dripping(port: int, first: bytes, drop: bytes, *, pause_s: float = 0.05) -> tuple[bytes, float]:
    """Send `first` and then drops until the server hangs up: what it said, and after how many seconds that were lived."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = lived_s()
    writer.write(first)
    heard = bytearray()
    hearing = asyncio.create_task(_hear(reader, heard))
    while not hearing.done() and lived_s() - began < 10:
        if drop:
            writer.write(drop)
        await asyncio.sleep(pause_s)
    taken = lived_s() - began
    hearing.cancel()
    writer.transport.abort()
    return bytes(heard), taken


async def _hear(reader: asyncio.StreamReader, heard: bytearray) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65_536):
            heard += piece


@pytest.mark.parametrize(
    ("first", "drop", "said"),
    [
        (b"", b"", b""),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", b"a", b"HTTP/1.1 408 "),
        (b"G", b"", b"HTTP/1.1 408 "),
        (b"", b"\r\n", b"HTTP/1.1 408 "),
        (GET, b"\r\n", b"HTTP/1.1 200 "),
        (GET + b"GET / HT", b"", b"HTTP/1.1 200 "),
        (POST % (b"", 9), b"", b""),
        (POST % (b"", 1000), b"a", b""),
        (POST % (b"deaf", 1000), b"a", b"HTTP/1.1 200 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", b""),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ", b"a", b""),
    ],
    ids=["nothing", "half a head", "a letter", "empty lines", "empty lines behind", "half a head behind", "no body", "a body in drops",
         "a body that nobody reads", "chunks in drops", "a trailer in drops"],
)  # fmt: skip
async def test_what_drips_is_left(port: int, first: bytes, drop: bytes, said: bytes):
    """Each byte comes in time, the whole does not: the connection is closed soon after the deadline, with 408 where it can be told in time."""
    began = time.monotonic()
    heard, lived = await dripping(port, first, drop)
    assert heard.startswith(said)
    assert bool(heard) == bool(said)
    assert time.monotonic() - began > 0.4
    assert lived < 5


async def test_a_head_without_end_is_left_at_its_size(port: int, monkeypatch: pytest.MonkeyPatch):
    """64 KiB and what stood in the last piece: nothing is collected for the whole deadline, here of a minute."""
    monkeypatch.setattr(patience, "HEAD_S", 60.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 70_000)
    async with within(30):
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    writer.close()


class Watched(PatientProtocol):
    """Says when a body begins, when it is looked at, and when its caller makes room again."""

    looks: asyncio.Queue[None]
    rooms = 0

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.looks.put_nowait(None)

    def _look(self) -> None:
        super()._look()
        self.looks.put_nowait(None)

    def resume_writing(self) -> None:
        type(self).rooms += self._stuck is not None
        super().resume_writing()


@pytest.mark.slow
async def test_a_slow_but_steady_body_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    """Five looks at it, with a little more between two than has to come."""
    monkeypatch.setattr(patience, "LOOK_S", 0.5)
    monkeypatch.setattr(Watched, "looks", asyncio.Queue(), raising=False)
    piece = b"a" * (LEAST_RATE // 2 + 10)
    async with serving(protocol=Watched) as port, within(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST % (b"", 6 * len(piece)))
        for _ in range(6):
            await Watched.looks.get()
            writer.write(piece)
        assert (await reader.readuntil(b"%d" % (6 * len(piece)))).startswith(b"HTTP/1.1 200 ")
        writer.close()


@pytest.mark.slow
async def test_an_idle_connection_is_kept(port: int):
    """Between two whole requests it is the time for idle connections that counts, not the one for heads; pipelined ones are answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(3):
        writer.write(GET + GET)
        async with within(5):
            for _ in range(2):
                assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(0.7)
    writer.close()


@pytest.mark.slow
async def test_who_does_not_read_is_left(port: int, monkeypatch: pytest.MonkeyPatch):
    """An answer that stays in our buffer for the whole deadline is given up; one that is read piece by piece arrives, each with a deadline
    of its own.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=65_536)
    writer.write(GET.replace(b"/ ", b"/much ", 1))
    await asyncio.sleep(2.5)
    async with within(10):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(MUCH)
    writer.close()
    monkeypatch.setattr(patience, "ANSWER_S", 60.0)
    monkeypatch.setattr(Watched, "looks", asyncio.Queue(), raising=False)
    monkeypatch.setattr(Watched, "rooms", 0)
    async with serving(protocol=Watched) as other:
        reader, writer = await asyncio.open_connection("127.0.0.1", other, limit=65_536)
        writer.write(GET.replace(b"/ ", b"/much ", 1))
        size = 0
        while size < MUCH:
            async with within(5):
                piece = await reader.read(4 * 1024 * 1024)
            assert piece
            size += len(piece)
            await asyncio.sleep(0.002)
        writer.close()
    assert Watched.rooms > 3


async def test_there_is_an_end_to_connections(port: int, monkeypatch: pytest.MonkeyPatch):
    """One too many is closed at once, so that files are left for the database; when one has gone, the next is welcome."""
    assert most_connections() > 0
    monkeypatch.setattr(patience, "HEAD_S", 30)
    monkeypatch.setattr(patience, "most_connections", lambda: 3)
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    assert (await dripping(port, GET, b""))[0] == b""
    held.pop()[1].close()
    async with within(10):
        while not (heard := await greeted(port)):  # noqa: ASYNC110 — it may not have noticed yet
            await asyncio.sleep(0.01)
    assert heard == b"HTTP/1.1 200 OK\r\n"
    for _, open_one in held:
        open_one.close()


async def greeted(port: int) -> bytes:
    """The first line of an answer; nothing if the connection is closed at once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(GET)
        return await reader.readline()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Gives back what it is sent, whatever the pieces."""
    parts, more = list[bytes](), True
    while more:
        message = await receive()
        parts.append(message["body"])
        more = message["more_body"]
    body = b"".join(parts)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(
    "pieces", [[], [b"a"], [b"a", b"bc"], [b"%d," % number for number in range(3_000)], [b"x" * 70_000, b"y", b"z" * 300_000]]
)
async def test_a_body_arrives_as_it_was_sent(pieces: list[bytes]) -> None:
    """Alone or many in the same bytes, in chunks or with its length ahead, small or more than is held at a time; twice on one connection."""
    body = b"".join(pieces)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    async with serving(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for head, rest in ((b"Transfer-Encoding: chunked", chunks), (b"Content-Length: %d" % len(body), body)):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n%b" % (head, rest))
            lines = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            assert b"content-length: %d\r\n" % len(body) in lines
            assert await asyncio.wait_for(reader.readexactly(len(body)), 10) == body
        writer.close()


async def whole(scope: Any, receive: Any, send: Any) -> None:
    """Answers in one piece where the server can, else in two; `/slowly` when told to, and says how it went."""
    body, lines = scope["path"].encode(), b"content-length: %d\r\nx-way: whole\r\n\r\n" % len(scope["path"])
    if scope[WHOLE](lines, body):
        assert not scope[WHOLE](lines, body), "an answer is given once"
        return
    headers = [(b"content-length", b"%d" % len(body)), (b"x-way", b"pieces")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def test_a_whole_answer_leaves_in_one_piece_and_in_its_turn() -> None:
    """One by one in one piece; requests behind each other in the same bytes are answered in their order, the last way out is the server's."""
    request = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(whole) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(2):
            writer.write(request % number)
            async with within(10):
                answer = await reader.readuntil(b"\r\n\r\n/%d" % number)
            assert b"x-way: whole" in answer
            assert b"server: uvicorn" in answer
        writer.write(b"".join(request % number for number in range(2, 5)))
        writer.write(
            b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nxyGET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        async with within(10):
            answers = (await reader.read()).decode("ascii").split("HTTP/1.1 200 OK\r\n")[1:]
        writer.close()
    assert [answer.rpartition("\r\n\r\n")[2] for answer in answers] == ["/2", "/3", "/4", "/p", "/last"]
    assert "x-way: pieces" in answers[0]
    assert "connection: close" in answers[-1]
    assert all("server: uvicorn" in answer for answer in answers)


async def test_an_answered_request_leaves_nothing_for_the_collector(front: Front) -> None:
    """What belongs to a lookup goes with its answer: no circle is left behind, however many are asked on a connection."""
    key, path = await front.key(), f"/v1/screen/{wallet_id(1).rpartition(':')[2]}"
    async with serving(front.app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def ask(times: int) -> None:
            for _ in range(times):
                writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
                async with within(10):
                    head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))

        await ask(5)
        gc.collect()
        gc.disable()
        try:
            before = len([one for one in gc.get_objects() if isinstance(one, RequestResponseCycle)])
            await ask(30)
            after = len([one for one in gc.get_objects() if isinstance(one, RequestResponseCycle)])
        finally:
            gc.enable()
        writer.close()
    assert after <= before + 1


async def test_the_hot_path_sends_the_same_through_every_server(front: Front) -> None:
    """In one piece and in two: status, header and body of a miss and a hit are alike, but for what is drawn or counted anew."""
    await accept(front.node, front.town.signer("de.bka#1").listing(wallet(1)))
    key = await front.key()
    got = []
    for protocol in (PatientProtocol, HttpToolsProtocol):
        async with serving(front.app, protocol) as port, httpx.AsyncClient() as client:
            for number in (1, 2):
                url = f"http://127.0.0.1:{port}/v1/screen/{wallet_id(number).rpartition(':')[2]}"
                answer = await client.get(url, headers={"Authorization": f"Bearer {key}"})
                names = [name for name, _ in answer.headers.raw]
                told = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "ratelimit", "date")}
                got.append((answer.status_code, names, told, {**answer.json(), "as_of": None}))
    assert got[:2] == got[2:]
    assert [one[3]["result"]["match"] for one in got[:2]] == ["listed", "not_listed"]
