"""The index of a running node: what is at its start in the folder, who else works at it, kin from either side, and what is hidden."""

from __future__ import annotations

import asyncio
import random
import shutil

import pytest

from app.domain.address import Wallet, ids_of_key, kin_keys, read_canonical_wallet, siblings
from app.domain.address.bip122 import BITCOIN, DOGECOIN, KEY, SCRIPT
from app.domain.answer import Match
from app.domain.checksums import hash160
from app.domain.identifiers import read_id
from app.domain.labels import EVERYTHING, PUBLIC, Reader, ReaderClass
from app.index.buckets import HEAD_BYTES
from app.index.known import NOTHING_KNOWN, read_known
from app.index.listed import NAME
from app.services.admit import filing
from app.services.node import Node
from app.services.screen import Caller, Query, find_in
from tests.factories import GUARD, Clock, Town, accept, link, sid_in, vasp_reader, wallet, wallet_id
from tests.filed import check_filed
from tests.waiting import within

VASP = Caller(vasp_reader())


async def match(node: Node, number: int) -> str:
    return (await node.screening.answer_one(Query(wallet_id(number).rpartition(":")[2]), VASP)).match


async def test_a_start_uses_the_file_that_is_there_or_none(town: Town, database_url: str) -> None:
    """Whole: as it is. Missing, cut, flipped, of before the last statements, of another database: never a wrong `not_listed`."""
    folder = town.data_dir / "index"
    async with town.open(database_url) as node:
        await accept(node, *town.settled(), town.signer("de.bka#1").listing(wallet(1)))
        generation = node.listed.generation
    old = (folder / NAME).read_bytes()
    async with town.open(database_url) as node:
        assert (node.listed.is_ready, node.listed.generation) == (True, generation)
        assert [await match(node, n) for n in (1, 2)] == ["listed", "not_listed"]
        await accept(node, town.signer("de.bka#1").listing(wallet(2)))
        assert not node.index.may_know(read_id(wallet_id(3)), PUBLIC)
    now = (folder / NAME).read_bytes()
    flipped = bytearray(now)
    flipped[HEAD_BYTES + 64 * 20 + 1] ^= 1
    for found in (old, now[:-64], bytes(flipped), b"", None):
        shutil.rmtree(folder)
        if found is not None:
            folder.mkdir()
            (folder / NAME).write_bytes(found)
        async with town.open(database_url) as node:
            assert [await match(node, n) for n in (1, 2, 3)] == ["listed", "listed", "not_listed"]
            await node.keeper.tick()
            await check_filed(node.database, node.index)
    async with town.open(database_url) as node, node.database.transaction() as tx:
        await tx.meta.set("database_id", b"another")
    async with town.open(database_url) as node:
        assert [await match(node, n) for n in (1, 2, 3)] == ["listed", "listed", "not_listed"]
        await check_filed(node.database, node.index)


@pytest.mark.parametrize("chars", [1, 400, filing.PAGE_CHARS])
async def test_a_file_is_built_from_all_pages_however_long_they_are(
    node: Node, town: Town, monkeypatch: pytest.MonkeyPatch, chars: int
) -> None:
    """Statements of one wallet and of many, read one by one or together: what is live is in it."""
    monkeypatch.setattr(filing, "STRETCH", 2)
    monkeypatch.setattr(filing, "LONGEST_STRETCH", 5)
    monkeypatch.setattr(filing, "PAGE_CHARS", chars)
    bka = town.signer("de.bka#1")
    sizes = [1, 1, 1, 1, 12, 1, 30, 1, 1, 2, 1, 1, 1]
    await accept(node, *(bka.listing(*(wallet(wallet_id(100 * at + n)) for n in range(size))) for at, size in enumerate(sizes)))
    generation = node.listed.generation
    await node.keeper.rebuild()
    assert node.listed.generation > generation
    await check_filed(node.database, node.index)


async def test_while_there_is_no_file_the_database_is_asked(node: Node, town: Town) -> None:
    """A file that was given up by some process: lookups, lists and records go on, and find what is admitted meanwhile."""
    await accept(node, town.signer("de.bka#1").listing(wallet(1)))
    node.listed._buckets.mark_moved()
    (town.data_dir / "index" / NAME).unlink()
    assert await match(node, 1) == "listed"
    assert not node.index.is_current
    await accept(node, town.signer("de.bka#1").listing(wallet(2)))
    assert [await match(node, n) for n in (1, 2, 3)] == ["listed", "listed", "not_listed"]
    await node.keeper.tick()
    await check_filed(node.database, node.index)
    assert [await match(node, n) for n in (1, 2, 3)] == ["listed", "listed", "not_listed"]


@pytest.mark.postgres
async def test_two_workers_share_the_file(town: Town, postgresql_migrated_url: str) -> None:
    """What one admits the other tells at once, before it has followed the log; also that it was taken back, or is told anew."""
    bka = town.signer("de.bka#1")
    async with town.open(postgresql_migrated_url, workers=2) as one:
        await accept(one, *town.settled())
        async with town.open(postgresql_migrated_url, workers=2) as two:
            for number in range(6):
                by, other = (one, two) if number % 2 else (two, one)
                wire = bka.listing(wallet(number))
                assert await match(other, number) == "not_listed"
                await accept(by, wire)
                assert await match(other, number) == "listed"
                await accept(by, bka.retract(sid_in(wire)))
                assert await match(other, number) == "not_listed"
            for node in (one, two):
                await node.gate.follow()
                await check_filed(node.database, node.index)
            await one.keeper.rebuild()
            await accept(two, bka.listing(wallet(7)))
            assert [await match(node, 7) for node in (one, two)] == ["listed"] * 2
            assert one.listed.generation == two.listed.generation
            # Given up by one that found no room: one of them builds it anew, the other opens that.
            generation = one.listed.generation
            one.listed._buckets.mark_moved()
            assert [await match(node, 7) for node in (one, two)] == ["listed"] * 2
            async with within(60):  # each looks by itself, too: whoever comes second finds the other at it
                while not one.listed.generation == two.listed.generation > generation:
                    await one.keeper.tick()
                    await two.keeper.tick()
                    await asyncio.sleep(0.01)
            assert [await match(node, 7) for node in (one, two)] == ["listed"] * 2


@pytest.mark.parametrize("seed", range(3))
async def test_no_listing_is_missed_while_others_come_and_go(node: Node, town: Town, seed: int) -> None:
    """Random listings, retractions and erasures, a file built anew in between: a lookup says what the rows say, at every moment."""
    rng, bka, live = random.Random(seed), town.signer("de.bka#1"), dict[str, set[int]]()
    listed: set[int] = set()
    done = asyncio.Event()

    async def write() -> None:
        for step in range(25):
            if live and rng.random() < 0.45:
                sid = rng.choice(sorted(live))
                gone = live.pop(sid)
                listed.difference_update(gone - {n for some in live.values() for n in some})
                await accept(node, bka.erase(sid) if step % 2 else bka.retract(sid))
            else:
                some = {rng.randrange(30) for _ in range(4)}
                wire = bka.listing(*(wallet(n) for n in sorted(some)), jti=f"step-{step}")
                await accept(node, wire)
                live[sid_in(wire)] = some
                listed.update(some)
            if step % 8 == 7:
                await node.keeper.rebuild()
        done.set()

    writing, looks = asyncio.create_task(write()), 0
    while not done.is_set():
        before = set(listed)
        told = {n for n in range(30) if await match(node, n) == "listed"}
        assert before & listed <= told
        looks += 1
        await asyncio.sleep(0)
    await writing
    assert looks > 3
    assert {n for n in range(30) if await match(node, n) == "listed"} == listed
    await check_filed(node.database, node.index)


async def test_file_and_rows_give_every_reader_the_same(node: Node, town: Town, clock: Clock) -> None:
    """Clear, green, for an audience, for one alone, guarded, linked: what the file leads to is all that the rows would tell."""
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    await accept(
        node,
        bka.listing(wallet(1), wallet(2), tlp="CLEAR"),
        bka.listing(wallet(2), wallet(3)),
        bka.listing(wallet(4), wallet(1), tlp="AMBER", aud=["de.example"]),
        lka.listing(wallet(5), tlp="RED", aud=["de.bka"]),
        lka.listing(link(wallet_id(6), wallet_id(5)), link(wallet_id(7), wallet_id(1))),
        bka.listing(wallet(8, **GUARD)),
    )
    clock.advance(days=4)
    subjects = [read_id(wallet_id(n)) for n in range(10)]
    async with node.database.reading() as tx:
        rows = NOTHING_KNOWN.and_also((await read_known(tx, subjects)).values())
    ids = ["de.bka", "de.lka", "de.zoll"]
    readers = [PUBLIC, EVERYTHING, vasp_reader(), *(Reader(ReaderClass.NODE, one) for one in ids)]
    readers += [Reader(ReaderClass.NODE, one, frozenset({"de.example"})) for one in ids]
    found = set()
    for reader in readers:
        known = await node.index.known(subjects, reader)
        for subject in subjects:
            assert isinstance(subject, Wallet)
            told = find_in(known, subject, reader, node.moment())
            assert told == find_in(rows, subject, reader, node.moment()), (reader, subject.id)
            found.add(told.match)
    assert found == {Match.LISTED, Match.RELATED, Match.PROTECTED, Match.NOT_LISTED}


async def test_what_is_hidden_is_not_even_sought(node: Node, town: Town) -> None:
    """A listing for others: for this reader the file says that nothing is known, as of an id that nobody has named."""
    await accept(node, town.signer("de.lka#1").listing(wallet(1), tlp="RED", aud=["de.lka"]))
    hidden, unknown = read_id(wallet_id(1)), read_id(wallet_id(2))
    for reader in (PUBLIC, vasp_reader(), Reader(ReaderClass.NODE, "de.bka", frozenset({"de.example"}))):
        assert (node.index.may_know(hidden, reader), node.index.may_know(unknown, reader)) == (False, False)
    assert node.index.may_know(hidden, Reader(ReaderClass.NODE, "de.lka"))
    assert node.index._kept == {}


# --- kin ---------------------------------------------------------------------------------------------------------------------


async def test_kin_are_found_from_either_side(node: Node, town: Town) -> None:
    """A key hash and the script that nests it, an account on two chains, a script hash on two: whichever of the two is listed."""
    digest = bytes(range(20))
    nested = hash160(b"\x00\x14" + digest)
    pairs = [
        (f"{BITCOIN.chain}:{BITCOIN.address(KEY, digest)}", f"{BITCOIN.chain}:{BITCOIN.address(SCRIPT, nested)}"),
        (wallet_id(1), siblings(read_canonical_wallet(wallet_id(1)))[0].id),
        (f"{BITCOIN.chain}:{BITCOIN.address(SCRIPT, b'x' * 20)}", f"{DOGECOIN.chain}:{DOGECOIN.address(SCRIPT, b'x' * 20)}"),
    ]
    bka = town.signer("de.bka#1")
    for number, (listed, asked) in enumerate(pairs + [(other, one) for one, other in pairs]):
        wire = bka.listing(wallet(listed), jti=f"pair-{number}")
        await accept(node, wire)
        words = (await node.screening.screen_one(Query(asked), VASP))["result"]
        assert isinstance(words, dict)
        assert (words["match"], words["related"]) == ("related", [{"id": listed, "relation": "same_key", "listed": True}])
        await accept(node, bka.erase(sid_in(wire)))
        words = (await node.screening.screen_one(Query(asked), VASP))["result"]
        assert isinstance(words, dict)
        assert words["match"] == "not_listed"
    async with node.database.reading() as tx:
        assert await tx.filed.kin([key.hex() for one, other in pairs for id_ in (one, other) for key in keys(id_)]) == []


def keys(id_: str) -> tuple[bytes, ...]:
    return kin_keys(read_canonical_wallet(id_))


def test_whoever_shares_a_key_can_be_written_from_it() -> None:
    """For each key of each sort: the ids that can be written have it, and are the siblings of one another."""
    samples = [wallet_id(3), f"{BITCOIN.chain}:{BITCOIN.address(KEY, b'y' * 20)}", f"{BITCOIN.chain}:{BITCOIN.address(SCRIPT, b'z' * 20)}"]
    for id_ in samples:
        one = read_canonical_wallet(id_)
        written = {other for key in keys(id_) for other in ids_of_key(key)}
        assert id_ in written
        assert all(set(keys(other)) & set(keys(id_)) for other in written)
        assert {sibling.id for sibling in siblings(one)} <= written
