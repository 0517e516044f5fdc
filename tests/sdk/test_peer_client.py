"""What a peer may say beside entries, and how: heads, streams, files and refusals; what is not what was asked for is a fault that the follower can count."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from hashlib import sha256

import httpx
import pytest

from app.domain.canonical import write_json
from app.domain.errors import (
    BadRequest,
    Forbidden,
    Malformed,
    NotFound,
    Refused,
    SizeConflict,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from app.sdk.outbound import make_client
from app.sdk.peer import Heads, PeerClient, PeerHead
from tests.sdk.asking import OHASH, ORIGIN, asking
from tests.sdk.misbehaving import Peer, misbehaving, plain
from tests.waiting import within

# --- heads -----------------------------------------------------------------------------------------------------------


def head(origin: str = ORIGIN, **changed: object) -> dict[str, object]:
    return {"o": sha256(origin.encode()).hexdigest(), "origin": origin, "note": "note\n", **changed}


async def test_heads_and_no_heads():
    """Heads with the word to go on with; 204 is no news."""
    async with asking(plain(write_json({"heads": [head()], "next": "17"}))) as (client, peer):
        assert await client.heads("a.b", 25) == Heads((PeerHead(OHASH, ORIGIN, "note\n"),), "17")
        assert peer.path == "/fed/v1/heads?since=a.b&wait=25"
        await client.heads()
        assert peer.path == "/fed/v1/heads"
    async with asking(plain(raw=b"HTTP/1.1 204 No Content\r\n\r\n")) as (client, _):
        assert await client.heads("17", 1) is None


@pytest.mark.parametrize(
    "value",
    [
        {"heads": []},
        {"heads": [], "next": 17},
        {"heads": [], "next": 2**53 - 1},
        {"heads": [], "next": ""},
        {"heads": [], "next": "a b"},
        {"heads": [], "next": "\r\nx: y"},
        {"heads": [], "next": "9" * 65},
        {"heads": [], "next": "1", "more": 1},
        {"heads": {}, "next": "1"},
        {"heads": [1], "next": "1"},
        {"heads": [head(o="0" * 64)], "next": "1"},
        {"heads": [head(origin="de.example/log", o=OHASH)], "next": "1"},
        {"heads": [head(note=None)], "next": "1"},
        {"heads": [head(note="x" * 65_537)], "next": "1"},
        {"heads": [head("x" * 301)], "next": "1"},
        {"heads": [{"o": OHASH, "origin": ORIGIN}], "next": "1"},
        [],
    ],
)
async def test_heads_of_another_form_are_malformed(value: object):
    """A head names its log by origin and hash, and they fit; the cursor is a short word."""
    async with asking(plain(write_json(value))) as (client, _):
        with pytest.raises(Malformed):
            await client.heads()


async def test_a_cursor_beyond_every_integer_is_given_back_as_it_came():
    """The word is the peer's own: 2^63 in it harms nobody; as a number it is refused."""
    async with asking(plain(b'{"heads":[],"next":"9223372036854775808"}')) as (client, peer):
        heads = await client.heads()
        assert heads is not None
        await client.heads(heads.next)
        assert peer.path.endswith("?since=9223372036854775808")
    async with asking(plain(b'{"heads":[],"next":9223372036854775808}')) as (client, _):
        with pytest.raises(Malformed):
            await client.heads()


async def test_a_long_poll_takes_no_turn_of_others():
    """While polls wait, as many as there are turns, other questions are answered."""
    release = asyncio.Event()

    async def behave(peer: Peer) -> None:
        if peer.path.startswith("/fed/v1/heads"):
            await release.wait()
            await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            await peer.answer(200, b"note\n")

    async with asking(behave) as (client, _):
        polls = [asyncio.create_task(client.heads("1", 25)) for _ in range(8)]
        async with within(5):
            assert await client.checkpoint() == "note\n"
        release.set()
        assert await asyncio.gather(*polls) == [None] * 8


async def test_the_stream_tells_of_heads_as_they_come():
    """Events across pieces of any size, comments between; other events are passed over."""
    text = f': hi\r\n\r\nevent: head\ndata: {{"o":"{OHASH}","size":3}}\n\nevent: other\ndata: x\n\ndata: y\n\nevent:head\ndata:{{"o":"{OHASH}","size":4}}\n\n'

    async def behave(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for at in range(0, len(text), 7):
            await peer.send(text[at : at + 7].encode())
        raise ConnectionError

    async with asking(behave) as (client, _):
        assert [one async for one in client.stream()] == [(OHASH, 3), (OHASH, 4)]


@pytest.mark.parametrize(
    "data", ['{"o":"x","size":3}', f'{{"o":"{OHASH}","size":9223372036854775808}}', f'{{"o":"{OHASH}"}}', "x" * 5000, "NaN", "\udcff"]
)
async def test_a_stream_of_another_form_is_malformed(data: str):
    """A number beyond 2^53, a line without end, what is no text: the stream ends with a fault."""

    async def behave(peer: Peer) -> None:
        body = f"event: head\ndata: {data}\n\n".encode("utf-8", "surrogateescape")
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + body)

    async with asking(behave) as (client, _):
        with pytest.raises(Malformed):
            await anext(client.stream())


async def test_a_stream_that_is_refused_says_so():
    """The status counts for streams too."""
    async with asking(plain(raw=b"HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")) as (client, _):
        with pytest.raises(Unavailable) as refused:
            await anext(client.stream())
    assert refused.value.retry_after_s == 7


# --- logs ------------------------------------------------------------------------------------------------------------


async def test_own_and_mirrored_logs_have_their_places():
    """The own log below /log, a mirrored one below /mirror."""
    async with asking(plain(b"note\n")) as (client, peer):
        assert await client.checkpoint() == "note\n"
        assert peer.path == "/log/checkpoint"
        await client.checkpoint(OHASH)
        assert peer.path == f"/mirror/{OHASH}/checkpoint"
        assert await client.root_document(3) == b"note\n"
        assert peer.path == "/fed/v1/root/3"


async def test_a_hash_tile_has_the_width_of_its_path():
    """Neither more nor less; an entry bundle is as long as it is."""
    async with asking(plain(bytes(3 * 32))) as (client, peer):
        assert await client.tile("tile/0/x001/234.p/3", OHASH) == bytes(96)
        assert peer.path == f"/mirror/{OHASH}/tile/0/x001/234.p/3"
        assert await client.tile("tile/entries/000") == bytes(96)
        for path in ("tile/0/000", "tile/0/000.p/2", "tile/0/000.p/4", "tile/0/0", "../secret"):
            with pytest.raises(Malformed):
                await client.tile(path)


@pytest.mark.parametrize("body", [b"\xff\xfe", b"[]", b'{"a":NaN}', b"{", b'{"a":1,"a":2}', b"[" * 100_000])
async def test_a_well_known_of_another_form_is_malformed(body: bytes):
    """Strict JSON, an object."""
    async with asking(plain(body)) as (client, _):
        with pytest.raises((Malformed, TooLarge)):
            await client.well_known()


# --- what is sent ----------------------------------------------------------------------------------------------------


async def test_each_request_carries_a_token_for_just_this_request():
    """Method, the whole URL with its query as it goes out, and the body."""
    signed: list[tuple[str, str, bytes]] = []

    def sign(method: str, url: str, body: bytes) -> str:
        signed.append((method, url, body))
        return f"token-{len(signed)}"

    async with asking(plain(b""), sign) as (client, peer):
        await client.parts(OHASH, [1, 2])
        await client.nudge(OHASH, 5)
        assert peer.body == b'{"o":"%s","size":5}' % OHASH.encode()
        await client.acknowledge(OHASH, 9, ["s" * 43])
        await client.evidence("cordon-fork/v1\n\u00e4\n")
        assert peer.body == "cordon-fork/v1\n\u00e4\n".encode()
        assert signed[0] == ("GET", f"{peer.url}/fed/v1/parts?o={OHASH}&ids=1,2", b"")
        assert signed[3] == ("POST", f"{peer.url}/fed/v1/evidence", peer.body)
        assert [sent.split(b"\r\n")[0].split()[1].decode() for sent in peer.heard] == [url.removeprefix(peer.url) for _, url, _ in signed]
    assert all(f"authorization: bearer token-{n + 1}".encode() in sent.lower() for n, sent in enumerate(peer.heard))


async def test_a_witness_is_asked_in_the_words_of_the_standard():
    """`old`, the proof, an empty line, the checkpoint; its lines come back, and 409 tells its size."""
    body = b"\xe2\x80\x94 w.example AAAA\n"
    async with asking(plain(body)) as (client, peer):
        assert await client.add_checkpoint(3, [bytes(32), b"\x01" * 32], "fr.example/log\n5\nroot\n\nsig\n") == body.decode()
        assert peer.path == "/witness/add-checkpoint"
        first, second = "A" * 43 + "=", "AQEB" * 10 + "AQE="
        assert peer.body.decode() == f"old 3\n{first}\n{second}\n\nfr.example/log\n5\nroot\n\nsig\n"
    conflict = "HTTP/1.1 409 X\r\nContent-Type: text/x.tlog.size\r\nContent-Length: {}\r\n\r\n{}"
    async with asking(plain(raw=conflict.format(3, "42\n").encode())) as (client, _):
        with pytest.raises(SizeConflict) as ahead:
            await client.add_checkpoint(0, [], "note\n")
    assert ahead.value.size == 42
    for text in ("-1\n", "042\n", "9223372036854775808\n", "x", ""):
        async with asking(plain(raw=conflict.format(len(text), text).encode())) as (client, _):
            with pytest.raises(Malformed):
                await client.add_checkpoint(0, [], "note\n")


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Refused),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (409, Refused),
        (422, Refused),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (201, Refused),
        (206, Refused),
    ],
)
async def test_a_refusal_is_our_error_and_not_the_peers_words(status: int, error: type[Exception]):
    """By status; of the body only a plain code is repeated, so no peer writes into our log."""
    body = b'{"code":"log_frozen","detail":"\\u001b[2J pay here"}'
    async with asking(plain(raw=b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)) as (client, _):
        with pytest.raises(error) as refused:
            await client.checkpoint()
    assert type(refused.value) is error
    assert str(refused.value).startswith(f"the peer answered {status} (log_frozen)")
    assert "pay" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), ("0", 0), ("999999", 3600), ("-1", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("\u0667", None)]
)
async def test_the_peer_says_when_to_come_back_within_bounds(text: str, seconds: int | None):
    """Seconds, an hour at most; anything else is not read."""
    raw = b"HTTP/1.1 429 X\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n" % text.encode()
    async with asking(plain(raw=raw)) as (client, _):
        with pytest.raises(Unavailable) as refused:
            await client.checkpoint()
    assert refused.value.retry_after_s == seconds


async def test_a_redirect_is_refused():
    """Wherever it leads."""
    async with asking(plain(raw=b"HTTP/1.1 302 X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")) as (client, _):
        with pytest.raises(Refused):
            await client.checkpoint()


async def test_a_peer_that_is_not_there_or_breaks_off_is_unavailable():
    """Nobody listens, or half an answer comes: later."""
    async with asking(plain(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", close=True)) as (client, _):
        with pytest.raises(Unavailable):
            await client.checkpoint()
    async with misbehaving(plain()) as gone:
        pass
    async with make_client(True) as http:
        with pytest.raises(Unavailable):
            await PeerClient(gone.url, http).checkpoint()


async def test_a_peer_that_drips_is_left_after_ten_seconds(monkeypatch: pytest.MonkeyPatch):
    """A byte now and then keeps nobody (here with the deadline of a second)."""
    monkeypatch.setattr("app.sdk.peer._DEADLINE_S", 0.4)

    async def drip(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await peer.send(b"x")
            await asyncio.sleep(0.02)

    async with asking(drip) as (client, _), within(4):
        with pytest.raises(Unavailable):
            await client.checkpoint()


async def test_a_peer_cannot_take_the_connections_of_others():
    """Of many requests to one slow peer eight are under way; another peer is asked at once."""
    release = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await release.wait()
        await peer.answer(200, b"late\n")

    async with misbehaving(slow) as one, misbehaving(plain(b"quick\n")) as other, make_client(True) as http:
        client = PeerClient(one.url, http)
        asked = [asyncio.create_task(client.checkpoint()) for _ in range(20)]
        async with within(5):
            assert await PeerClient(other.url, http).checkpoint() == "quick\n"
        assert one.connections <= 8
        release.set()
        assert await asyncio.gather(*asked) == ["late\n"] * 20
        assert one.connections <= 8


async def test_the_peers_clock_is_compared_with_ours():
    """From the Date of the newest answer; what is no date changes nothing."""
    date = "Thu, 01 Jan 1970 00:18:20 GMT"
    async with asking(plain(b"note\n", headers=f"Date: {date}\r\n")) as (client, _):
        assert client.clock_offset_s is None
        await client.checkpoint()
        assert client.clock_offset_s == 100.0
    async with asking(plain(b"note\n", headers="Date: yesterday\r\n")) as (client, _):
        await client.checkpoint()
        assert client.clock_offset_s is None


async def test_a_peer_has_a_public_address():
    """The address itself is checked when the client is made, and loopback when it is called."""
    async with make_client() as http:
        for url in ("http://de.example", "https://10.0.0.1", "https://a@de.example", "de.example"):
            with pytest.raises(BadRequest):
                PeerClient(url, http)
        with pytest.raises(BadRequest):
            await PeerClient("http://127.0.0.1:9", http).checkpoint()


async def test_what_we_ask_is_sound():
    """A caller's own mistakes are told as such, before anything is sent."""
    async with httpx.AsyncClient() as http:
        client = PeerClient("https://de.example", http)
        wrong: list[Awaitable[object]] = [
            client.entries(OHASH, 5, 5),
            client.entries(OHASH, -1, 5),
            client.entries("x", 1, 5),
            client.parts(OHASH, []),
            client.parts(OHASH, list(range(257))),
            client.checkpoint(OHASH.upper()),
        ]
        for question in wrong:
            with pytest.raises(ValueError, match=r"\w"):
                await question
