"""The log shelf: dense indices, one winner for every index, tiles that grow, and a walk over everything."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from app.domain.merkle import EMPTY_ROOT, leaf_hash
from app.storage.database import Database, Transaction
from app.storage.faults import LostRace
from app.storage.log import Head
from tests.storage.rows import FAR, NOW_MS, ORIGIN, entry_of, event, put, row, sid_at

ENTRIES = [entry_of(event(index)) for index in range(5)]
HEAD = Head(ORIGIN, 5, b"r" * 32, NOW_MS)


async def test_a_new_log_is_empty_and_creating_it_again_changes_nothing(database: Database) -> None:
    """`create` begins with size 0 and the root of the empty tree; a second time the log stays as it has become."""
    async with database.transaction() as tx:
        assert await tx.log.head(ORIGIN) is None
        await tx.log.create(ORIGIN, NOW_MS)
        assert await tx.log.head(ORIGIN) == Head(ORIGIN, 0, EMPTY_ROOT, 0)
        await tx.log.swap_head(0, HEAD)
        await tx.log.create(ORIGIN, NOW_MS + 1)
        await tx.log.create(FAR, NOW_MS)
        assert await tx.log.head(ORIGIN) == HEAD
        assert await tx.log.origins() == [ORIGIN, FAR]


async def test_the_head_moves_only_from_the_size_it_has(database: Database) -> None:
    """Whoever swaps from a size that is no longer true has lost, and the head stays the winner's."""
    async with database.transaction() as tx:
        await tx.log.create(ORIGIN, NOW_MS)
        await tx.log.swap_head(0, HEAD)
    with pytest.raises(LostRace):
        async with database.transaction() as tx:
            await tx.log.swap_head(0, replace(HEAD, size=7))
    async with database.reading() as tx:
        assert await tx.log.head(ORIGIN) == HEAD


async def test_a_checkpoint_is_kept_only_for_the_size_it_was_signed_at(database: Database) -> None:
    """A note for an older size is refused; a grown log keeps its older note and says for which size it stands."""
    async with database.transaction() as tx:
        await tx.log.create(ORIGIN, NOW_MS)
        await tx.log.swap_head(0, HEAD)
        assert not await tx.log.set_note(ORIGIN, 4, "late")
        assert await tx.log.set_note(ORIGIN, 5, "checkpoint — é")
        await tx.log.swap_head(5, replace(HEAD, size=6))
        assert await tx.log.head(ORIGIN) == replace(HEAD, size=6, note="checkpoint — é", note_size=5)


async def test_entries_come_back_byte_for_byte_in_order(database: Database) -> None:
    """Ranges are half-open, single indices work, absent ones are left out, other origins stay out."""
    async with database.transaction() as tx:
        await tx.log.append(ENTRIES[::-1])
        await tx.log.append([entry_of(event(2, origin=FAR))])
    async with database.reading() as tx:
        assert await tx.log.entries(ORIGIN, 1, 4) == ENTRIES[1:4]
        assert await tx.log.entries_at(ORIGIN, [4, 0, 99]) == [ENTRIES[0], ENTRIES[4]]
        assert await tx.log.entry(ORIGIN, 2) == ENTRIES[2]
        assert await tx.log.entry(ORIGIN, 5) is None
        assert await tx.log.entries_at(ORIGIN, []) == []


@pytest.mark.parametrize("count", [1, 20])
async def test_an_index_has_one_entry_for_ever(database: Database, count: int) -> None:
    """A second entry at a taken index is a lost race, and nothing of its transaction stays (few rows and bulk)."""
    async with database.transaction() as tx:
        await tx.log.append(ENTRIES)
    other = [replace(entry_of(event(index)), entry=b"other") for index in range(4, 4 + count)]
    with pytest.raises(LostRace):
        async with database.transaction() as tx:
            await tx.log.append(other)
    async with database.reading() as tx:
        assert await tx.log.entries(ORIGIN, 0, 99) == ENTRIES


async def test_of_two_writers_one_gets_the_index(database: Database) -> None:
    """Two units of work that append at the same size: both end well, as the loser decides again on what it reads then."""
    async with database.transaction() as tx:
        await tx.log.create(ORIGIN, NOW_MS)

    async def append_one(tx: Transaction) -> int:
        head = await tx.log.head(ORIGIN)
        assert head is not None
        await asyncio.sleep(0.01)
        await tx.log.append([entry_of(event(head.size))])
        await tx.log.swap_head(head.size, replace(head, size=head.size + 1))
        return head.size

    taken = await asyncio.gather(*(database.run(append_one) for _ in range(4)))
    assert sorted(taken) == [0, 1, 2, 3]
    async with database.reading() as tx:
        assert [entry.index for entry in await tx.log.entries(ORIGIN, 0, 9)] == [0, 1, 2, 3]


async def test_sids_are_found_at_their_lowest_index(database: Database) -> None:
    """A sid that a peer has logged twice counts at the lower index; unknown ones are left out."""
    again = event(3, sid=sid_at(ORIGIN, 1))
    async with database.transaction() as tx:
        await put(tx, [row(event(1)), row(event(2)), row(again)])
        assert await tx.log.find_sids(ORIGIN, [sid_at(ORIGIN, 1), sid_at(ORIGIN, 2), "unknown"]) == {
            sid_at(ORIGIN, 1): 1,
            sid_at(ORIGIN, 2): 2,
        }
        assert await tx.log.find_sids(FAR, [sid_at(ORIGIN, 1)]) == {}
        assert await tx.log.find_sids(ORIGIN, []) == {}


async def test_tiles_grow_in_place(database: Database) -> None:
    """A tile at the edge is replaced by its longer self; levels and numbers do not mix, also far out."""
    far = (7, 2**40)
    async with database.transaction() as tx:
        await tx.log.write_tiles(ORIGIN, {(0, 0): b"a" * 32, (1, 0): b"b" * 32, far: b"c" * 32})
        await tx.log.write_tiles(ORIGIN, {(0, 0): b"a" * 64})
        await tx.log.write_tiles(FAR, {(0, 0): b"z" * 32})
    async with database.reading() as tx:
        found = await tx.log.read_tiles(ORIGIN, [(0, 0), (1, 0), (0, 1), far])
        assert found == {(0, 0): b"a" * 64, (1, 0): b"b" * 32, far: b"c" * 32}
        assert await tx.log.read_tiles(ORIGIN, []) == {}


async def test_a_walk_gives_every_entry_with_its_leaf(database: Database) -> None:
    """Pages do not show: every entry comes once, in order, and re-hashes to its leaf."""
    async with database.transaction() as tx:
        await tx.log.append(ENTRIES)
    async with database.reading() as tx:
        walked = [found async for found in tx.log.walk(ORIGIN, page=2)]
        later = [found async for found in tx.log.walk(ORIGIN, first=4)]
    assert [(index, leaf) for index, _, leaf in walked] == [(entry.index, entry.leaf) for entry in ENTRIES]
    assert all(leaf_hash(entry) == leaf for _, entry, leaf in walked)
    assert [index for index, _, _ in later] == [4]
