"""Bulk screening: the same answers as row by row, for every list, however it is written and cut into pieces."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.address import siblings
from app.domain.address.bip122 import BITCOIN, KEY
from app.domain.errors import CordonError, Schema, TooLarge
from app.domain.identifiers import read_subject
from app.domain.labels import PUBLIC
from app.services import bulk
from app.services.bulk import Form, Tally, Wanted, compact_items, lots_of
from app.services.node import Node
from app.services.screen import Caller as Asking
from app.services.screen import Query
from tests.factories import Town, accept, link, sid_in, vasp_reader, wallet, wallet_id
from tests.index.addresses import evm, mixed, spoilt, tron

CALLER = Asking(vasp_reader(), "de.exchange")


async def chunks_of(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def asking(node: Node) -> bulk.Ask:
    return partial(node.screening.lines, caller=CALLER)


async def run(
    node: Node, form: Form, data: bytes, *, hits_only: bool = False, checksums: bool = True, size: int = 1 << 16
) -> tuple[list[dict[str, Any]], Tally]:
    tally = Tally()
    lots = lots_of(form, chunks_of(data, size), spend=lambda _rows: None)
    found = node.bulk.screen(lots, asking(node), tally, Wanted(CALLER.reader, hits_only, checksums))
    return [json.loads(line.at(number)) async for some in found for number, line in some], tally


async def one_by_one(node: Node, texts: Sequence[str]) -> list[dict[str, Any]]:
    words = await node.screening.screen_many([Query(text) for text in texts], CALLER, hits_only=False)
    return cast("list[dict[str, Any]]", words["results"])


async def test_every_row_is_answered_as_if_it_were_asked_alone(node: Node, town: Town) -> None:
    """Listed, kin of listed, ends of links, guarded, spoilt, strange: the same words in the same order, with checksums verified."""
    dice = random.Random(7)
    ids = [read_subject(mixed(number)).id for number in range(0, 400, 7)]
    bka = town.signer("de.bka#1")
    await accept(node, *(bka.listing(*(wallet(one) for one in ids[at : at + 20])) for at in range(0, len(ids), 20)))
    await accept(node, bka.listing(link(read_subject(evm(1)).id, ids[0])), bka.listing(wallet(wallet_id(3)), wallet(wallet_id(4))))
    texts = [mixed(number) for number in range(600)]
    texts += [one.id.rpartition(":")[2] for id_ in ids for one in siblings(read_subject(id_))]
    texts += [spoilt(dice.choice(texts[:600]), dice) for _ in range(400)]
    texts += ["", " ", "x" * 300, "domain:evil.example", evm(1), tron(0), wallet_id(3)]
    texts = [text for text in texts if not set("\r\n") & set(text)]
    dice.shuffle(texts)
    want = await one_by_one(node, texts)
    assert {words["match"] for words in want} == {"listed", "related", "not_listed", "invalid"}
    data = "\n".join(texts).encode()
    for size in (1 << 20, 777):
        got, tally = await run(node, Form.LINES, data, size=size)
        assert got == want
    hits, tally = await run(node, Form.LINES, data, hits_only=True)
    assert hits == [words for words in want if words["match"] != "not_listed"]
    assert (tally.rows, tally.matches["listed"]) == (len(texts), sum(words["match"] == "listed" for words in want))


async def test_the_members_of_a_row_stand_in_one_order_however_it_was_answered(node: Node) -> None:
    """What the index alone answered cannot be told from what was looked at, byte for byte."""
    texts = [mixed(number) for number in range(300)]
    got, _ = await run(node, Form.LINES, "\n".join(texts).encode())
    assert [json.dumps(words) for words in got] == [json.dumps(words) for words in await one_by_one(node, texts)]


async def test_without_checksums_only_a_wrong_checksum_goes_unseen(node: Node) -> None:
    """The documented difference: such a row is `not_listed` in place of `invalid`; every other fault is told."""
    dice = random.Random(8)
    texts = [spoilt(mixed(number), dice) for number in range(2_000)]
    texts = [text for text in texts if not set("\r\n") & set(text)]
    got, _ = await run(node, Form.LINES, "\n".join(texts).encode(), checksums=False)
    differing = [(g, w) for g, w in zip(got, await one_by_one(node, texts), strict=True) if g != w]
    assert differing
    assert {(g["match"], w["match"], w["error"]["code"]) for g, w in differing} == {("not_listed", "invalid", "checksum")}


async def test_a_removed_listing_is_no_hit_and_a_new_one_is_at_once(node: Node, town: Town) -> None:
    """The list is asked between two commits: added, retracted, added again by another."""
    bka = town.signer("de.bka#1")
    text = wallet_id(9).rpartition(":")[2].encode()
    wire = bka.listing(wallet(9))
    seen = []
    for step in (None, wire, bka.retract(sid_in(wire)), town.signer("de.lka#1").listing(wallet(9))):
        if step is not None:
            await accept(node, step)
        (words,), _ = await run(node, Form.LINES, text)
        seen.append(words["match"])
    assert seen == ["not_listed", "listed", "not_listed", "listed"]
    assert not node.listed.may_hold(read_subject(evm(12_345)), PUBLIC)  # it was answered by the index, not by looking at everything


async def test_the_three_forms_say_the_same(node: Node, town: Town) -> None:
    """Addresses alone, and rows with chain, tag and reference; a bad row has its own error with the code of its kind."""
    await accept(node, town.signer("de.bka#1").listing(wallet(1, scope={"chains": ["eip155:56"]})))
    address = wallet_id(1).rpartition(":")[2]
    plain, _ = await run(node, Form.LINES, f"{address}\n{evm(2)}\nx".encode())
    table, _ = await run(node, Form.CSV, f"address,chain,tag,direction,reference\n{address},,,,\n{evm(2)},,,,\nx,,,,\n".encode())
    short, _ = await run(node, Form.CSV, f"address\r\n{address}\r\n{evm(2)}\r\nx\r\n".encode())
    objects, _ = await run(node, Form.NDJSON, f'{{"address":"{address}"}}\n{{"address":"{evm(2)}"}}\n{{"address":"x"}}\n'.encode())
    assert plain == table == short == objects
    assert [words["match"] for words in plain] == ["listed", "not_listed", "invalid"]
    lines = [
        f'{address},eip155:1,,deposit,"mine, all mine"',
        f"{address},bsc,,,",
        f"{address},,",
        '"open',
        f"{address},nowhere,,,",
    ]
    rows, tally = await run(node, Form.CSV, b"address,chain,tag,direction,reference\n" + "\n".join(lines).encode())
    assert [(words["match"], words["reference"], (words["error"] or {}).get("code")) for words in rows] == [
        ("related", "mine, all mine", None),
        ("listed", None, None),
        ("invalid", None, "schema"),
        ("invalid", None, "schema"),
        ("invalid", None, "unknown_chain"),
    ]
    assert [words["row"] for words in rows] == list(range(5))
    assert tally.words() == {"summary": {"rows": 5, "listed": 1, "invalid": 3}}


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (b'{"address":1}', "schema"),
        (b'{"address":"x","address":"y"}', "bad_json"),
        (b'{"adress":"x"}', "schema"),
        (b"[]", "schema"),
        (b"{", "bad_json"),
        (b"", "bad_json"),
        (b'{"address":"' + b"x" * 5_000 + b'"}', "too_large"),
        (b'{"address":"\xff"}', "schema"),
        (b'{"address":"\x01"}', "bad_json"),
        (b'{"address":"x","reference":"' + b"y" * 300 + b'"}', "schema"),
        (b"{}", "length"),
    ],
)
async def test_a_bad_row_of_ndjson_is_told_alone(node: Node, row: bytes, code: str) -> None:
    """Between two good rows."""
    good = b'{"address":"%s"}' % evm(1).encode()
    rows, _ = await run(node, Form.NDJSON, b"\n".join((good, row, good)))
    assert [words["match"] for words in rows] == ["not_listed", "invalid", "not_listed"]
    assert rows[1]["error"]["code"] == code


async def test_a_row_without_an_end_takes_no_memory(node: Node) -> None:
    """Five megabytes without a line end are one bad row; what follows is read."""
    data = b"x" * 5_000_000 + b"\n" + evm(1).encode() + b"\n\n"
    rows, _ = await run(node, Form.LINES, data, size=100_000)
    assert [(words["match"], words["query"]) for words in rows] == [("invalid", ""), ("not_listed", evm(1)), ("invalid", "")]


async def test_a_million_rows_are_the_most(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is `too_large` before it is looked at; the quota is told of each lot before that, too."""
    monkeypatch.setattr(bulk, "MOST_ROWS", 5)
    with pytest.raises(TooLarge):
        await run(node, Form.LINES, b"\n".join([b"x"] * 6))
    spent: list[int] = []
    async for _ in lots_of(Form.LINES, chunks_of(b"\n".join([b"x"] * 5), 3), spend=spent.append):
        assert sum(spent) == 5


@pytest.mark.parametrize("header", [b"", b"adress", b"address,chain", b"address;chain;tag;direction;reference", b"\xef\xbb\xbfaddress"])
async def test_a_csv_says_what_its_columns_are(header: bytes) -> None:
    """The first line is one of two, in one spelling."""
    with pytest.raises(Schema):
        _ = [lot async for lot in lots_of(Form.CSV, chunks_of(header + b"\n0x1\n", 9), spend=lambda _rows: None)]


def test_the_compact_form_of_json_is_taken_for_what_the_json_reader_reads() -> None:
    """Only if every byte around the addresses is as it must be; anything else is None and goes to the reader."""
    assert rows_of(b'{"items":[{"address":"a"},{"address":"b"}],"include":"hits"}') == ([b"a", b"b"], True)
    assert rows_of(b'{"items":[{"address":"a"}]}') == ([b"a"], False)
    assert rows_of(b'{"items":[{"address":""},{"address":"{,:"}],"include":"all"}') == ([b"", b"{,:"], False)
    for body in (
        b'{"items":[]}',
        b'{"items":[{"address":"a"},{"address": "b"}]}',
        b'{"items":[{"address":"a","tag":"b"}]}',
        b'{"items":[{"address":"a\\n"}]}',
        b'{"items":[{"address":"a\nb"}]}',
        b'{"items":[{"address":"a\x01"}]}',
        b'{"items":[{"address":"\xc3\xa9"}]}',
        b'{"items":[{"address":"a"}],"include":"some"}',
        b'{"items":[{"address":"a"}],"receipt":true,"include":"hits"}',
        b'{"items":[{"address":"a"},"address":"b"}]}',
        b'{"items":[{"address":"},{"address":"b"}]}',
        b'{"items":[{"address":"a"},{"address":"b}"}]}',
        b'{"items":[{"address":"}]}',
    ):
        assert compact_items(body) is None, body


def rows_of(body: bytes) -> tuple[list[bytes], bool] | None:
    """The rows of a request in compact form, and whether only hits are asked for."""
    found = compact_items(body)
    if found is None:
        return None
    lot, hits_only = found
    assert lot.lines is not None
    assert lot.rows == len(lot.lines)
    return [lot.lines.line(number) for number in range(lot.rows)], hits_only


_SCRAPS = st.lists(
    st.sampled_from(['"', "}", "{", ",", ":", "\\", '"},{"address":"', '{"address":"', '"}', "]}", "0x1", "\x1f", "é"]), max_size=4
).map("".join)


@settings(max_examples=300)
@given(st.lists(_SCRAPS, min_size=1, max_size=4))
def test_what_is_taken_for_compact_reads_the_same_as_json(scraps: list[str]) -> None:
    """Whatever stands between the fixed parts: rows are taken only if a JSON reader finds the very same texts;"""
    body = ('{"items":[{"address":"' + '"},{"address":"'.join(scraps) + '"}],"include":"hits"}').encode()
    found = rows_of(body)
    if found is not None:
        assert found[0] == [one["address"].encode() for one in json.loads(body)["items"]]
    elif set("".join(scraps)).isdisjoint('"}\\\x1fé'):
        pytest.fail(f"left to the JSON reader for no reason: {body!r}")


async def test_hits_are_recorded_and_misses_leave_no_trace(node: Node, town: Town) -> None:
    """One entry a hit, by id; nothing of what was not found."""
    await accept(node, town.signer("de.bka#1").listing(wallet(1)))
    address = wallet_id(1).rpartition(":")[2]
    await run(node, Form.LINES, "\n".join([evm(5), address, tron(9), "x"]).encode(), hits_only=True)
    await node.access_log.settle()
    async with node.database.reading() as tx:
        assert [row.entry.subject for row in await tx.audit.page()] == [wallet_id(1)]


async def test_a_refusal_of_the_quota_stops_the_list(node: Node) -> None:
    """What `spend` raises reaches the caller."""

    def refuse(_rows: int) -> None:
        raise CordonError("enough")

    with pytest.raises(CordonError, match="enough"):
        _ = [lot async for lot in lots_of(Form.LINES, chunks_of(b"x", 1), spend=refuse)]


async def test_ids_with_two_keys_have_room_and_guarded_ones_are_looked_at(node: Node) -> None:
    """A list of nothing but Bitcoin key hashes, twice as many keys as ids: the table is built for them, none is missed."""
    texts = [BITCOIN.address(KEY, sha256(b"%d" % number).digest()[:20]) for number in range(30_000)]
    node.guards._ids = frozenset(f"{BITCOIN.chain}:{text}" for text in texts)
    assert not node.listed.may_hold(read_subject(texts[0]), PUBLIC)
    await node.keeper.rebuild()
    assert node.listed.is_ready
    assert node.listed.load < 0.75
    assert all(node.listed.may_hold(read_subject(text), PUBLIC) for text in texts[:500])
    rows, _ = await run(node, Form.LINES, "\n".join(texts[-300:]).encode())
    assert {words["match"] for words in rows} == {"protected"}
