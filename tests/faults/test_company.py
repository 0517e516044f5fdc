"""F-10, F-25, F-26: several nodes or workers on one database, and a database that is crowded or quarrels."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import psycopg
import pytest

from app.domain.errors import Unavailable
from app.services.admit import Admitted
from app.services.node import Node
from app.settings import load
from app.storage.log import LogEntry, LogShelf
from app.storage.urls import read_url
from tests.checks import check_index, check_log, check_states
from tests.conftest import libpq
from tests.factories import Town, accept, sid_in, submit, wallet, wallet_id, words
from tests.waiting import until, within


async def test_a_second_node_on_the_same_directory_refuses(town: Town, database_url: str) -> None:
    """F-10: the lock of the data directory says who has it, and is free again afterwards."""
    from app.main import create_app

    settings = load({"data_dir": town.data_dir, "database_url": database_url}, environment={})
    first, second = create_app(settings, clock=town.clock), create_app(settings, clock=town.clock)
    async with first.router.lifespan_context(first):
        with pytest.raises(Unavailable, match="another process holds"):
            async with second.router.lifespan_context(second):
                raise AssertionError("two nodes on one directory")
    third = create_app(settings, clock=town.clock)
    async with third.router.lifespan_context(third):
        pass


@pytest.mark.postgres
async def test_two_workers_on_one_database_make_one_dense_log(town: Town, postgresql_migrated_url: str) -> None:
    """Both submit at once, statements of their own and the same ones: one log without holes, every receipt good, both indexes alike."""
    async with (
        town.open(postgresql_migrated_url, workers=2) as one,
        town.open(postgresql_migrated_url, workers=2) as two,
    ):
        await accept(one, *town.settled())
        bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
        shared = [bka.listing(wallet(n)) for n in range(20)]
        of_one, of_two = [bka.listing(wallet(100 + n)) for n in range(60)], [lka.listing(wallet(200 + n)) for n in range(60)]
        await asyncio.gather(
            _write(town, one, [*of_one, *shared, *(bka.retract(sid_in(wire)) for wire in of_one[:9])]),
            _write(town, two, [*of_two, *shared, *(lka.erase(sid_in(wire)) for wire in of_two[:9])]),
        )
        await _converged(one, two)
        for node in (one, two):
            async with node.database.reading() as tx:
                folded = await check_states(tx, node, town)
                await check_log(tx, town, [])
            await check_index(node, town, folded)
        assert one.own_log.size == 6 + 20 + 2 * 69


async def _write(town: Town, node: Node, wires: list[str]) -> None:
    for start in range(0, len(wires), 4):
        some = wires[start : start + 4]
        for wire, result in zip(some, await node.gate.submit(some), strict=True):
            assert isinstance(result, Admitted), result
            assert town.check_receipt(wire, result).index == result.index


async def _converged(*nodes: Node) -> None:
    size = max(node.own_log.size for node in nodes)
    await until(lambda: all(node.index.positions.get(node.identity.origin, 0) >= size for node in nodes), 10)


@pytest.mark.postgres
async def test_what_one_worker_learns_the_other_knows(town: Town, postgresql_migrated_url: str) -> None:
    """A member enrolled, a listing made and known, a key revoked, a name changed: through either worker it is the same."""
    async with (
        town.open(postgresql_migrated_url, workers=2) as one,
        town.open(postgresql_migrated_url, workers=2) as two,
    ):
        await accept(one, *town.settled(), town.member("de.new"))
        new = town.signer("de.new#1")
        wire = new.listing(wallet(1))
        await accept(two, wire)
        (known,) = await submit(one, wire)
        assert isinstance(known, Admitted)
        assert words([known]) == ["known"]
        town.check_receipt(wire, known)
        await accept(one, town.member("de.new", name="Another Name"))
        await _converged(one, two)
        assert [x.issuer_name for node in (one, two) for x in (await node.index.find(wallet_id(1)))] == ["Another Name"] * 2
        await accept(two, town.registrar().revoke("de.new#1", reason="compromised", from_index=0))
        await _converged(one, two)
        assert [(await node.index.find(wallet_id(1))) for node in (one, two)] == [(), ()]
        assert words(await submit(one, new.listing(wallet(2)))) == ["key_not_valid"]


@pytest.mark.postgres
async def test_a_worker_with_nothing_to_log_does_not_keep_the_lease(town: Town, postgresql_migrated_url: str) -> None:
    """Refused and known statements take the lease and give it back: the other worker does not wait for it to run out, which here it never
    does, as the clock stands still.
    """
    async with (
        town.open(postgresql_migrated_url, workers=2) as one,
        town.open(postgresql_migrated_url, workers=2) as two,
    ):
        await accept(one, *town.settled())
        bka = town.signer("de.bka#1")
        assert words(await submit(two, bka.listing(wallet(1, severity=9)))) == ["schema"]
        assert words(await submit(two, bka.retract(sid_in(bka.listing(wallet(1)))))) == ["target_not_earlier"]
        async with within(2):
            await accept(one, bka.listing(wallet(1)))


@pytest.mark.postgres
async def test_when_the_pool_is_exhausted_submissions_fail_fast_and_recover(town: Town, postgresql_migrated_url: str) -> None:
    """F-25: all connections sleep in slow queries: Unavailable in about a second, nothing lost, then all is well."""
    async with town.open(postgresql_migrated_url) as node:
        await accept(node, *town.settled())
        bka = town.signer("de.bka#1")
        held, released = set[int](), asyncio.Event()

        async def hold(number: int) -> None:
            while number not in held:  # the node uses them, too
                with suppress(Unavailable):
                    async with node.database.reading():
                        held.add(number)
                        await released.wait()

        holders = [asyncio.create_task(hold(number)) for number in range(5)]
        await until(lambda: len(held) == 5)
        wires = [bka.listing(wallet(n)) for n in range(3)]
        async with within(2):
            assert words(await submit(node, *wires)) == ["unavailable"] * 3
        released.set()
        await asyncio.gather(*holders)
        await accept(node, *wires)


@pytest.mark.postgres
async def test_a_batch_whose_connection_breaks_is_tried_again(
    town: Town, postgresql_migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-26: the server ends the sequencer's connection in the middle of a batch: it is done again, and the caller gets a receipt."""
    async with town.open(postgresql_migrated_url) as node:
        await accept(node, *town.settled())
        bka = town.signer("de.bka#1")
        ended = turn = 0
        with psycopg.connect(libpq(read_url(postgresql_migrated_url)), autocommit=True) as other:
            append = LogShelf.append

            async def over_a_broken_line(shelf: LogShelf, entries: Sequence[LogEntry]) -> None:
                nonlocal ended
                if ended <= turn:
                    ended += other.execute(
                        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE '%transaction%'"
                    ).fetchone()[0]
                await append(shelf, entries)

            monkeypatch.setattr(LogShelf, "append", over_a_broken_line)
            for turn in range(5):
                ended = turn
                assert words(await submit(node, bka.listing(wallet(turn))))[0] == "accepted"
                assert ended > turn
        async with node.database.reading() as tx:
            await check_log(tx, town, [])
