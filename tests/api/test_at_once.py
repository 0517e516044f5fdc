"""Lookups that are answered as they come over the wire: whatever is sent, the answer is the one of a server that reads by the rules."""

from __future__ import annotations

import asyncio
import gc
import random
import re
import time
from collections.abc import Sequence
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.api.fields import block_of
from app.api.patience import MOST_TOGETHER
from app.services import recognise
from tests.api.front import Front
from tests.api.wire import Line
from tests.factories import accept, wallet, wallet_id
from tests.waiting import until

LISTED, UNLISTED = (wallet_id(number).rpartition(":")[2] for number in (1, 2))
_CHANGES = re.compile(rb'(x-request-id: |ratelimit: )[^\r]*|("request_id":"|"as_of":")[^"]*')


def by_the_rules(front: Front) -> Any:
    """The same application for a server that knows no short way."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await front.app(scope, receive, send)

    return app


def request(path: str, key: str | None, *, more: str = "", method: str = "GET", version: str = "1.1") -> bytes:
    """A lookup as a client sends it."""
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    return f"{method} {path} HTTP/{version}\r\nHost: x\r\n{authorization}{more}\r\n".encode()


def steady(heard: bytes) -> bytes:
    """An answer without what is drawn or counted anew."""
    return _CHANGES.sub(rb"\1", heard)


async def both(front: Front, plain: bytes, pieces: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The answers to pieces that come behind two plain requests: of the short way, and by the rules."""
    heard = []
    for app in (front.app, by_the_rules(front)):
        line = Line(app)
        await line.say(plain, plain)
        heard.append(steady(await line.say(*pieces)) + (b"closed" if line.wire.is_closed else b"open"))
        line.end()
    return heard[0], heard[1]


@pytest.fixture(autouse=True)
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has asked once is known until the end: a machine that stands still for a second would send the next one the long way."""
    monkeypatch.setattr(recognise, "REMEMBERED_S", 600.0)


@pytest.fixture
async def key(front: Front) -> str:
    await accept(front.node, front.town.signer("de.bka#1").listing(wallet(1)))
    return await front.key()


def cases(key: str) -> dict[str, tuple[bytes, ...]]:
    """Pieces by what is odd about them."""
    path = f"/v1/screen/{UNLISTED}"
    miss, hit = request(path, key), request(f"/v1/screen/{LISTED}", key)
    post = b"POST /v1/screen HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    return {
        "a miss": (miss,),
        "a hit": (hit,),
        "each in turn": (miss, hit, miss, miss, hit, hit),
        "no address": (request("/v1/screen/nonsense", key),),
        "nobody's key": (request(path, "cordon_live_nobody"),),
        "no key": (request(path, None), request(path, None)),
        "two in one piece": (miss + miss,),
        "a hit and others in one piece": (hit + miss + hit, miss),
        "half and half": (miss[:30], miss[30:], miss),
        "head and end": (miss[:-2], miss[-2:], miss),
        "one and a half": (miss + miss[:20], miss[20:], miss),
        "an empty line before": (b"\r\n" + miss, miss),
        "an empty line by itself": (b"\r\n", miss, miss),
        "a query": (request(f"{path}?chain=eip155:1", key), miss),
        "an escape": (request("/v1/screen/eip155%3A0%3A" + UNLISTED, key), miss),
        "a colon": (request(f"/v1/screen/eip155:0:{UNLISTED}", key), miss),
        "nothing behind the last slash": (request("/v1/screen/", key), miss),
        "one more segment": (request(f"{path}/x", key), miss),
        "two slashes": (request(f"/v1/screen//{UNLISTED}", key), miss),
        "a fragment": (request(f"{path}#x", key), miss),
        "a space": (request(f"{path} x", key),),
        "an absolute address": (request(f"http://x{path}", key), miss),
        "another method": (request(path, key, method="HEAD"), miss),
        "a small method": (request(path, key, method="get"),),
        "HTTP/1.0": (request(path, key, version="1.0"),),
        "HTTP/1.2": (request(path, key, version="1.2"),),
        "the last": (request(path, key, more="Connection: close\r\n"), miss),
        "the last, after all": (request(path, key, more="Connection: close\r\nConnection: keep-alive\r\n"), miss),
        "to be kept": (request(path, key, more="Connection: keep-alive\r\n"),) * 3,
        "to be upgraded": (request(path, key, more="Connection: upgrade\r\nUpgrade: h2c\r\n"), miss),
        "expecting": (request(path, key, more="Expect: 100-continue\r\n"),) * 3,
        "a body": (request(path, key, more="Content-Length: 2\r\n") + b"xy", miss),
        "a body that is the next request": (request(path, key, more=f"Content-Length: {len(miss)}\r\n") + miss, miss),
        "chunks": (request(path, key, more="Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n", miss),
        "a folded field": (request(path, key, more="X-A: b\r\n c\r\n"),) * 3,
        "a field that stands twice": (request(path, key, more="Accept: */*\r\nAccept: text/html\r\n"),) * 3,
        "a key that stands twice": (request(path, key, more=f"Authorization: Bearer {key}\r\n"),) * 3,
        "another type": (request(path, key, more="Accept: text/html\r\n"),) * 3,
        "a purpose": (request(path, key, more="Cordon-Purpose: fraud_prevention\r\nCordon-Case: c\r\n"),) * 3,
        "no such purpose": (request(path, key, more="Cordon-Purpose: fun\r\n"),) * 3,
        "bare line feeds": (miss.replace(b"\r\n", b"\n"), miss),
        "an end of bare line feeds": (miss[:-4] + b"\n\n" + miss, miss),
        "bare returns": (miss.replace(b"\r\n", b"\r"), miss),
        "a version in a field": (request(path, key, more="X-A: b HTTP/1.1\r\n"),) * 3,
        "a list between": (post, miss, post + miss, miss),
        "another route": (request("/v1/vocabulary", key), miss),
    }


async def test_every_request_is_answered_as_by_the_rules(front: Front, key: str) -> None:
    """Status, fields and body, what follows on the connection, and whether it stays open."""
    plain = request(f"/v1/screen/{UNLISTED}", key)
    for name, pieces in cases(key).items():
        short, ruled = await both(front, plain, pieces)
        assert short == ruled, name
        assert b"HTTP/1.1 " in short or name == "bare returns", name


async def test_what_only_looks_like_a_plain_lookup_is_answered_as_by_the_rules(front: Front, key: str) -> None:
    """Requests with a byte changed, put in, left out or sent in another piece."""
    dice = random.Random(20261130)
    plain = request(f"/v1/screen/{UNLISTED}", key, more="Accept: */*\r\n")
    for number in range(150):
        bad = bytearray(plain)
        for _ in range(dice.choice((1, 1, 2))):
            at = dice.randrange(len(bad))
            sign = dice.choice((b"\r", b"\n", b" ", b"\0", b"/", b":", b"%", b"a", b"\xff", b"\r\n", b"\r\n\r\n"))
            bad[at : at + dice.choice((0, 1, 1, 2))] = dice.choice((sign, b""))
        cut = dice.randrange(1, len(bad))
        pieces = (bytes(bad), plain) if number % 3 else (bytes(bad[:cut]), bytes(bad[cut:]), plain)
        short, ruled = await both(front, plain, pieces)
        assert short == ruled, pieces


async def test_the_short_way_is_taken_by_what_came_before_to_the_byte(front: Front, key: str) -> None:
    """A miss behind a request with the same fields is not taken apart; with other fields, in other pieces, or beside others it is."""
    line, miss = Line(front.app), request(f"/v1/screen/{UNLISTED}", key)
    assert await line.taken_apart(miss)
    assert not await line.taken_apart(miss, request(f"/v1/screen/{wallet_id(3).rpartition(':')[2]}", key))
    assert await line.taken_apart(request(f"/v1/screen/{LISTED}", key)), "a hit has to wait for the disk"
    assert not await line.taken_apart(miss)
    other = request(f"/v1/screen/{UNLISTED}", key, more="Accept: */*\r\n")
    assert await line.taken_apart(other)
    assert not await line.taken_apart(miss, other)
    assert await line.taken_apart(miss[:9], miss[9:])
    assert await line.taken_apart(miss + miss)
    assert not await line.taken_apart(miss)
    again = Line(front.app)
    assert not await again.taken_apart(miss), "what one connection has taught holds for all"
    assert not await again.taken_apart(miss, miss)
    assert again.protocol._late is None
    again.protocol.pause_writing()
    before = again.protocol.cycle
    again.protocol.data_received(miss)
    assert again.protocol.cycle is not before, "who does not read waits in the ordinary way"
    again.protocol.resume_writing()
    await again.rest()
    assert again.wire.heard.endswith(b"}")
    line.end()
    again.end()


async def test_a_hit_is_told_when_its_entry_is_durable_also_while_the_server_ends(front: Front, key: str) -> None:
    """Nothing of it leaves in the moment in which it comes; a server that is told to stop in the next answers it, then hangs up."""
    line, hit = Line(front.app), request(f"/v1/screen/{LISTED}", key)
    await line.say(hit, hit)
    del line.wire.heard[:]
    line.protocol.data_received(hit)
    assert line.wire.heard == b""
    line.protocol.shutdown()
    assert not line.wire.is_closed
    await line.rest()
    assert line.wire.heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in line.wire.heard
    assert b'"match":"listed"' in line.wire.heard
    assert line.wire.is_closed
    line.end()
    await front.node.access_log.settle()
    async with front.node.database.reading() as tx:
        rows = [row.entry for row in await tx.audit.page(limit=1_000) if row.entry.action == "screen"]
    assert len(rows) == 3


async def test_the_answers_of_a_turn_leave_together(front: Front, key: str) -> None:
    """Not one by one; but whoever makes sixteen does not wait, and no answer is overtaken by the next of its connection."""
    miss = request(f"/v1/screen/{UNLISTED}", key)
    lines = [Line(front.app)]
    await lines[0].say(miss, miss)
    lines += [Line(front.app, lines[0].state) for _ in range(MOST_TOGETHER - 1)]
    del lines[0].wire.heard[:]
    for line in lines[:-1]:
        line.protocol.data_received(miss)
    assert not any(line.wire.heard for line in lines)
    lines[-1].protocol.data_received(miss)
    assert all(line.wire.heard.count(b"HTTP/1.1 200 OK") == 1 for line in lines)
    lines[0].protocol.data_received(miss)
    lines[0].protocol.data_received(b"nonsense\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 ([0-9]+) ", lines[0].wire.heard) == [b"200", b"200", b"400"]
    for line in lines:
        line.end()


async def test_nobody_waits_for_the_entry_of_another(front: Front, key: str) -> None:
    """A hit comes first, a miss in the same turn: the miss is told before the disk is waited for."""
    miss, hit = request(f"/v1/screen/{UNLISTED}", key), request(f"/v1/screen/{LISTED}", key)
    first = Line(front.app)
    await first.say(miss, hit, hit)
    second = Line(front.app, first.state)
    first.wire.watched = second.wire
    first.protocol.data_received(hit)
    second.protocol.data_received(miss)
    assert not second.wire.heard
    await first.rest()
    assert first.wire.seen == 1
    first.end()
    second.end()


async def test_what_is_answered_leaves_before_its_connection_is_closed(front: Front, key: str) -> None:
    """A server that is told to stop in the same turn."""
    line, miss = Line(front.app), request(f"/v1/screen/{UNLISTED}", key)
    await line.say(miss, miss)
    del line.wire.heard[:]
    line.protocol.data_received(miss)
    line.protocol.shutdown()
    assert line.wire.heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert line.wire.is_closed
    line.end()


async def test_quota_and_counters_are_the_same_on_both_ways(front: Front, key: str) -> None:
    """The same requests leave the same behind; what is beyond the quota is refused in the same words."""
    found = []
    measures = front.app.state.api.measures
    for app in (front.app, by_the_rules(front)):
        limited = await front.key(quota={"requests_per_minute": 5, "addresses_per_day": 4})
        lookups, total = dict(measures.lookups), sum(sum(counts[:-1]) for counts in measures.requests._found.values())
        line, miss, hit = Line(app), request(f"/v1/screen/{UNLISTED}", limited), request(f"/v1/screen/{LISTED}", limited)
        heard = await line.say(miss, hit, miss, miss, miss, miss, hit)
        line.end()
        after = {name: count - lookups.get(name, 0) for name, count in measures.lookups.items()}
        served = sum(sum(counts[:-1]) for counts in measures.requests._found.values()) - total
        found.append((steady(heard), re.findall(rb"ratelimit: (.*?);t=", heard), after, served))
    assert found[0] == found[1]
    assert found[0][0].count(b"HTTP/1.1 200 OK") == 4
    assert found[0][0].count(b"HTTP/1.1 429 ") == 3
    assert measures.requests.active == 0


async def test_an_ended_key_opens_nothing_on_the_short_way(front: Front, key: str) -> None:
    """What is known of the fields says nothing of who may ask."""
    line, miss = Line(front.app), request(f"/v1/screen/{UNLISTED}", key)
    assert (await line.say(miss, miss)).count(b"HTTP/1.1 200 OK") == 2
    async with front.node.database.transaction() as tx:
        for one in await tx.clients.list("de.exchange"):
            await tx.clients.end(one.id, front.node.clock())
    front.node.recognition.forget()
    assert (await line.say(miss)).startswith(b"HTTP/1.1 401 ")
    line.end()


async def test_an_idle_connection_is_kept_as_long_as_ever(front: Front, key: str) -> None:
    """From the last answer on, whichever way it was given; the clock is not set anew for each."""
    line, miss = Line(front.app), request(f"/v1/screen/{UNLISTED}", key)
    line.protocol.timeout_keep_alive = 4  # type: ignore[assignment]
    await line.say(miss, miss)
    clock = line.protocol.timeout_keep_alive_task
    await asyncio.sleep(0.5)
    await line.say(miss)
    assert line.protocol.timeout_keep_alive_task is clock
    answered = time.monotonic()
    await until(lambda: line.wire.is_closed)
    assert time.monotonic() - answered > 3.6
    line.end()


async def test_an_answer_at_once_leaves_nothing_for_the_collector(front: Front, key: str) -> None:
    """Neither hits nor misses leave a circle behind."""
    line, miss, hit = Line(front.app), request(f"/v1/screen/{UNLISTED}", key), request(f"/v1/screen/{LISTED}", key)
    await line.say(miss, hit, miss, hit)
    gc.collect()
    gc.disable()
    try:
        before = len([one for one in gc.get_objects() if isinstance(one, RequestResponseCycle)])
        await line.say(*[miss, hit] * 20)
        after = len([one for one in gc.get_objects() if isinstance(one, RequestResponseCycle)])
    finally:
        gc.enable()
    assert after <= before + 1
    line.end()


@pytest.mark.parametrize(
    ("data", "block"),
    [
        (b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", b"Host: x\r\n\r\n"),
        (b"GET /a HTTP/1.1\r\nHost: x HTTP/1.1\r\n\r\n", b"Host: x HTTP/1.1\r\n\r\n"),
        (b"GET /a HTTP/1.1\r\n\r\n", b""),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nx", b""),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n\r\n", b""),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n", b""),
        (b"GET /a HTTP/1.1\r\nHost: x\n\nGET /b: y\r\n\r\n", b""),
        (b"GET /a HTTP/1.1\r\nHost: x\ry: z\r\n\r\n", b""),
        (b"GET /a HTTP/1.0\r\nX: y HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (b"POST /a HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (b"GET a HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (b"\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (b"", b""),
    ],
)
def test_only_one_whole_request_has_a_block(data: bytes, block: bytes) -> None:
    """One request line, lines that end as the rules say, one empty line, and nothing behind it."""
    assert block_of(data) == block
