"""Pages of entries as a peer may send them: what was not asked for is a betrayal, what has another form a fault, and both end in bounded space."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.canonical import write_json
from app.domain.errors import (
    Betrayed,
    Malformed,
    TooLarge,
)
from app.sdk.peer import PAGE, OfferedLine, read_lines
from tests.sdk.asking import OHASH, asking
from tests.sdk.misbehaving import Peer, plain


def line(index: object, **members: object) -> bytes:
    return write_json({"i": index, **members}) + b"\n"


def full(first: int, end: int) -> bytes:
    return b"".join(line(index, e=f"{index} a.b.c", d=["ZA"]) for index in range(first, end))


async def test_a_page_is_read_with_what_is_withheld_and_what_is_erased():
    """The three kinds of line, in order; the question names log and range."""
    body = (
        line(7, e="1 a.b.c", d=["ZA", "ZB"]) + line(8, w="stub") + line(9, e="2 a.b.d", x=["pii"]) + line(10, e="3 a.b.e", d=[], x=["pii"])
    )
    async with asking(plain(body)) as (client, peer):
        lines = await client.entries(OHASH, 7, 5000)
    assert lines == [
        OfferedLine(7, b"1 a.b.c", ("ZA", "ZB")),
        OfferedLine(8, None, withheld="stub"),
        OfferedLine(9, b"2 a.b.d", (), frozenset({"pii"})),
        OfferedLine(10, b"3 a.b.e", (), frozenset({"pii"})),
    ]
    assert peer.path == f"/fed/v1/entries?o={OHASH}&from=7&to={7 + PAGE}"


async def test_a_peer_without_entries_gives_an_empty_page():
    """Nothing there is no fault."""
    async with asking(plain(b"")) as (client, _):
        assert await client.entries(OHASH, 7, 8) == []


@pytest.mark.parametrize(
    "body",
    [
        full(8, 10),
        full(6, 9),
        full(7, 9) + full(10, 12),
        full(7, 9) + full(8, 10),
        full(7, 9)[::1] + line(7, w="stub"),
        b"".join(reversed(full(7, 10).splitlines(keepends=True))),
        full(7, 18),
        line(2**53 - 1, w="stub"),
    ],
    ids=["later", "earlier", "hole", "twice", "again", "downwards", "too many", "far"],
)
async def test_entries_that_were_not_asked_for_are_a_betrayal(body: bytes):
    """Asked for 7 to 16: each index once, upwards, from 7, without holes."""
    async with asking(plain(body)) as (client, _):
        with pytest.raises(Betrayed):
            await client.entries(OHASH, 7, 17)


@pytest.mark.parametrize(
    "text",
    [
        '{"i":7}',
        '{"e":"1 a.b.c"}',
        '{"i":7,"e":"1 a.b.c","w":"stub"}',
        '{"i":7,"w":"stub","d":[]}',
        '{"i":7,"w":"parts"}',
        '{"i":7,"w":true}',
        '{"i":7,"e":null}',
        '{"i":7,"e":""}',
        '{"i":7,"e":1}',
        '{"i":7,"e":"1 \u00e4.b.c"}',
        '{"i":7,"e":"1 a.b.c","d":"ZA"}',
        '{"i":7,"e":"1 a.b.c","d":[""]}',
        '{"i":7,"e":"1 a.b.c","d":[1]}',
        '{"i":7,"e":"1 a.b.c","d":[["ZA"]]}',
        '{"i":7,"e":"1 a.b.c","x":["pii","pii"]}',
        '{"i":7,"e":"1 a.b.c","x":["PII"]}',
        '{"i":7,"e":"1 a.b.c","x":[7]}',
        '{"i":7,"e":"1 a.b.c","y":1}',
        '{"i":7,"i":7,"e":"1 a.b.c"}',
        '{"i":"7","w":"stub"}',
        '{"i":7.0,"w":"stub"}',
        '{"i":7e0,"w":"stub"}',
        '{"i":true,"w":"stub"}',
        '{"i":-1,"w":"stub"}',
        '{"i":9007199254740992,"w":"stub"}',
        '{"i":9223372036854775808,"w":"stub"}',
        '{"i":' + "9" * 5000 + ',"w":"stub"}',
        '{"i":NaN,"w":"stub"}',
        '{"i":Infinity,"w":"stub"}',
        '{"i":7,"w":"stub"',
        '{"i":7,"w":"stub"} ,',
        "[7]",
        "7",
        "null",
        "",
        "[" * 5000,
        '{"i":7,"e":"1 a.b.c","d":[' + '"ZA",' * 256 + '"ZA"]}',
    ],
)
async def test_a_line_of_another_form_is_malformed(text: str):
    """One spelling of each member, no other member, whole numbers below 2^53, ASCII."""
    async with asking(plain(text.encode() + b"\n\n")) as (client, _):
        with pytest.raises(Malformed):
            await client.entries(OHASH, 7, 8)


async def test_an_entry_is_read_whatever_it_is_as_long_as_it_is_text():
    """What a log has signed must be carried: too long, empty, beyond ASCII. Bytes that are no text no line can give."""
    for text in ("x" * 65_536, "", "1 ä.b.c"):
        assert (await read_lines(line(7, e=text)))[0].entry == text.encode()
    for body in (b'{"i":7,"e":"\xff"}\n', b'{"i":7,"e":"\\ud800"}\n', line(7, e=8)):
        with pytest.raises(Malformed):
            await read_lines(body)


async def test_a_line_has_all_the_disclosures_that_a_statement_can_have():
    """256 of them, and every erased part beside."""
    (read,) = await read_lines(line(7, e="1 a.b.c", d=["ZA"] * 256, x=["ctx", "pii"]))
    assert (len(read.disclosures), len(read.erased)) == (256, 2)


async def test_a_page_keeps_nobody_waiting():
    """While a full page is read, others on the loop have their turns; its one line in another spelling is read all the same."""
    body = b"".join(line(n, e="1 a.b.c", d=["Z" * 1000]) for n in range(PAGE - 1)) + b'{ "i": %d, "w": "stub" }\n' % (PAGE - 1)
    reading = asyncio.create_task(read_lines(body))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
    assert [one.index for one in reading.result()] == list(range(PAGE))


async def test_a_page_has_a_number_of_lines_that_it_cannot_pass():
    """1,024 lines, however small."""
    assert len(await read_lines(b"".join(line(n, w="stub") for n in range(PAGE)))) == PAGE
    with pytest.raises(TooLarge):
        await read_lines(b"".join(line(n, w="stub") for n in range(PAGE + 1)))


async def test_a_page_has_a_size_that_it_cannot_pass():
    """Six mebibytes, whatever the length says; the peer that sends more is left."""

    async def endless(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.send(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")

    async with asking(endless) as (client, peer):
        with pytest.raises(TooLarge):
            await client.entries(OHASH, 7, 8)
    assert peer.sent < 16 * 1024 * 1024


async def test_parts_are_of_the_entries_that_were_asked_for():
    """Fewer than asked is an answer; another one, one twice or downwards is none."""
    async with asking(plain(full(3, 4) + full(9, 10))) as (client, peer):
        assert [one.index for one in await client.parts(OHASH, [3, 5, 9])] == [3, 9]
        assert peer.path == f"/fed/v1/parts?o={OHASH}&ids=3,5,9"
        for asked in ([3, 5], [4]):
            with pytest.raises(Betrayed):
                await client.parts(OHASH, asked)
    for body in (full(3, 4) * 2, full(9, 10) + full(3, 4)):
        async with asking(plain(body)) as (client, _):
            with pytest.raises(Betrayed):
                await client.parts(OHASH, [3, 9])
