# ruff: noqa: ASYNC240 — a test may wait for its own small files
"""F-07, F-08, F-09: bytes that changed, files that were cut, backups that came back. Nothing is signed over them; lookups go on."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import URL

from app.domain.errors import Betrayed, CordonError, DamagedEntry, DiskRefused, LogFrozen, RolledBack
from app.services.admit import OwnLog
from app.services.node import Node
from app.services.screen import Caller as Asking
from app.services.screen import Query
from app.storage.urls import is_sqlite, read_url
from tests.conftest import libpq, new_postgres_database
from tests.factories import Clock, Town, accept, submit, vasp_reader, wallet, wallet_id, words
from tests.faults.conftest import Driver, Ordeal

ENTRIES = 40


def by_hand(url: str, statement: str, *values: Any) -> list[Any]:
    """Change the rows past the node, as a failing disk would; `?` for each value."""
    read = read_url(url)
    if is_sqlite(read):
        connection = sqlite3.connect(str(read.database))
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()
    with psycopg.connect(libpq(read)) as session:
        session.execute("SET session_replication_role = replica")  # a failing disk knows no foreign keys
        cursor = session.execute(statement.replace("?", "%s").encode(), values)
        return cursor.fetchall() if cursor.description else []


def flip(url: str, table: str, column: str, where: str, *values: Any, at: int) -> None:
    """Flip one bit of a column of bytes."""
    ((data,),) = by_hand(url, f"SELECT {column} FROM {table} WHERE {where}", *values)
    changed = bytearray(data)
    changed[at] ^= 1
    by_hand(url, f"UPDATE {table} SET {column} = ? WHERE {where}", bytes(changed), *values)


async def fill(town: Town, url: str) -> None:
    """A log of some forty entries, signed."""
    async with town.open(url) as node:
        await accept(node, *town.settled())
        bka = town.signer("de.bka#1")
        await accept(node, *(bka.listing(wallet(n)) for n in range(ENTRIES)))


async def assert_frozen(node: Node, town: Town, kind: type[CordonError], *texts: str) -> CordonError:
    """It signs no more and says why; whoever looks up is answered as before."""
    assert isinstance(node.gate.frozen, kind), node.gate.frozen
    assert all(text in node.gate.frozen.detail for text in texts), node.gate.frozen.detail
    note = (await node.publisher.checkpoint()).note
    results = await submit(node, town.signer("de.bka#1").listing(wallet(99)))
    assert words(results) == ["log_frozen"]
    await node.gate.heartbeat()
    assert (await node.publisher.checkpoint()).note == note, "nothing was signed"
    answer = await node.screening.screen_one(Query(wallet_id(1)), Asking(vasp_reader()))
    assert isinstance(answer["result"], dict)
    assert answer["result"]["match"] == "listed"
    assert node.keyring.member("de.bka") is not None
    return node.gate.frozen


# --- F-06 ----------------------------------------------------------------------------------------------------------

READ_ONLY = DiskRefused("the disk of the database takes no writes")


async def test_a_log_signs_again_when_the_disk_takes_writes_and_has_everything(town: Town, clock: Clock, database_url: str) -> None:
    """By itself: first what it has, then what is sent again."""
    await fill(town, database_url)
    async with town.open(database_url) as node:
        note, size = (await node.publisher.checkpoint()).note, node.own_log.size
        clock.advance(s=1)
        node.gate.freeze(READ_ONLY)
        await node.gate.thaw()
        assert node.gate.frozen is None
        assert (await node.publisher.checkpoint()).note != note
        (admitted,) = await accept(node, town.signer("de.bka#1").listing(wallet(99)))
        assert admitted.index == size


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE log_head SET size = size - 1, note_size = 0", RolledBack),
        ("UPDATE log_entry SET entry = leaf WHERE idx = 44", DamagedEntry),
        ("UPDATE log_tile SET hashes = leaf FROM log_entry WHERE slot = 0 AND log_entry.idx = 44", DamagedEntry),
        ("DELETE FROM log_entry WHERE idx = 44", DamagedEntry),
    ],
)
async def test_a_disk_that_came_back_otherwise_freezes_for_good(
    town: Town, database_url: str, statement: str, kind: type[CordonError]
) -> None:
    """Less, or other bytes, than this log had come to: nothing is signed, and no later look at the disk changes that."""
    await fill(town, database_url)
    async with town.open(database_url) as node:
        by_hand(database_url, statement)
        node.gate.freeze(READ_ONLY)
        for _ in range(2):
            await node.gate.thaw()
            assert isinstance(node.gate.frozen, kind), node.gate.frozen
        assert words(await submit(node, town.signer("de.bka#1").listing(wallet(99)))) == ["log_frozen"]


async def test_a_disk_that_came_back_is_no_cure_for_anything_else(town: Town, database_url: str) -> None:
    """Whoever froze the log for another reason, before or after, has the last word."""
    await fill(town, database_url)
    async with town.open(database_url) as node:
        for reason in (RolledBack("less than was signed"), LogFrozen("stopped by the operator")):
            node.gate.freeze(reason)
            node.gate.freeze(READ_ONLY)
            await node.gate.thaw()
            assert node.gate.frozen is reason


async def test_a_reason_to_sign_nothing_that_comes_while_it_thaws_stays(
    town: Town, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proof of a fork arrives just when the disk has come back and the newest tree is being signed."""
    reason, sign = RolledBack("a peer holds proof"), OwnLog.sign

    async def sign_late(own_log: OwnLog, **given: Any) -> None:
        await sign(own_log, **given)
        node.gate.freeze(reason)

    await fill(town, database_url)
    async with town.open(database_url) as node:
        node.gate.freeze(READ_ONLY)
        monkeypatch.setattr(OwnLog, "sign", sign_late)
        await node.gate.thaw()
        assert node.gate.frozen is reason
        for again in (node.gate.thaw, node.gate.resume):
            await again()
            assert node.gate.frozen is reason, "what is for a human is lifted by nothing else"


async def test_what_was_begun_before_the_log_froze_is_not_signed_after_it(
    town: Town, clock: Clock, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch between commit and signature, and a heartbeat that waits for the database: the reason to sign nothing was faster."""
    reason, bka = RolledBack("a peer holds proof"), town.signer("de.bka#1")
    read_back, catch_up = OwnLog.read_back, OwnLog.load

    async def then_freeze(own_log: OwnLog, *given: Any) -> None:
        await inner(own_log, *given)
        node.gate.freeze(reason)

    await fill(town, database_url)
    async with town.open(database_url) as node:
        note, size = (await node.publisher.checkpoint()).note, node.own_log.size
        clock.advance(s=1)
        inner = catch_up
        with monkeypatch.context() as patched:
            patched.setattr(OwnLog, "load", then_freeze)
            await node.gate.heartbeat()
        assert node.gate.frozen is reason
        assert node.own_log.note == note
        node.gate._frozen = None
        inner = read_back
        with monkeypatch.context() as patched:
            patched.setattr(OwnLog, "read_back", then_freeze)
            assert words(await submit(node, bka.listing(wallet(90)))) == ["log_frozen"]
        assert (node.own_log.size, node.own_log.note) == (size + 1, note)
    async with town.open(database_url) as node:
        assert node.own_log.signed_size == size + 1, "logged it is, and the next start signs it"


async def test_another_file_at_the_place_of_the_database_thaws_nothing(town: Town, sqlite_migrated_url: str, tmp_path: Path) -> None:
    """The node still holds the file that it opened; what lies at the path now never heard of what is written there."""
    await fill(town, sqlite_migrated_url)
    path = Path(str(read_url(sqlite_migrated_url).database))
    async with town.open(sqlite_migrated_url) as node:
        await node.database.forget()  # all of it stands in the file itself
        shutil.copyfile(path, tmp_path / "copy")
        (tmp_path / "copy").replace(path)
        node.gate.freeze(READ_ONLY)
        await node.gate.thaw()
        assert node.gate.frozen is READ_ONLY


# --- F-07 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("index", "at"), [(0, 40), (3, 0), (20, -10), (45, 90)])
async def test_a_flipped_bit_in_an_entry_is_named(town: Town, database_url: str, index: int, at: int) -> None:
    """Wherever it stands, the time, the claims or the signature, of a control statement too: the start names the entry."""
    await fill(town, database_url)
    flip(database_url, "log_entry", "entry", "idx = ?", index, at=at)
    async with town.open(database_url) as node:
        error = await assert_frozen(node, town, DamagedEntry, f"entry {index} ")
        assert isinstance(error, DamagedEntry)
        assert error.index == index


async def test_a_flipped_bit_far_from_the_edge_is_found_by_the_rehash(
    town: Town, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start looks at the newest entries; the re-hash that begins then finds the others and freezes the running node."""
    monkeypatch.setattr("app.services.admit.ownlog.CHECKED_AT_START", 8)
    await fill(town, database_url)
    flip(database_url, "log_entry", "entry", "idx = ?", 20, at=-10)
    async with town.open(database_url) as node:
        await node._rehash()
        await assert_frozen(node, town, DamagedEntry, "entry 20 ")


async def test_a_batch_that_reads_back_otherwise_is_not_signed(town: Town, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk gives back other bytes than were written: caught between commit and signature, no receipt leaves the node."""
    inner = OwnLog.read_back

    async def over_a_bad_disk(self: OwnLog, entries: Any, grown: Any) -> None:
        flip(database_url, "log_entry", "entry", "idx = ?", entries[1].index, at=30)
        await inner(self, entries, grown)

    await fill(town, database_url)
    async with town.open(database_url) as node:
        monkeypatch.setattr(OwnLog, "read_back", over_a_bad_disk)
        bka = town.signer("de.bka#1")
        size = node.own_log.size
        assert words(await submit(node, *(bka.listing(wallet(n)) for n in (50, 51, 52)))) == ["log_frozen"] * 3
        monkeypatch.setattr(OwnLog, "read_back", inner)
        await assert_frozen(node, town, DamagedEntry, f"entry {size + 1} ")


async def test_a_flipped_bit_in_a_tile(town: Town, database_url: str) -> None:
    """The hash of entry 20 has changed: the edge no longer gives the stored root."""
    await fill(town, database_url)
    flip(database_url, "log_tile", "hashes", "slot = ?", 0, at=32 * 20 + 3)
    async with town.open(database_url) as node:
        await assert_frozen(node, town, DamagedEntry, "do not give the stored root")


async def test_a_flipped_bit_in_the_head(town: Town, database_url: str) -> None:
    """Root, size or time of the head row: each contradicts tiles, entries or the anchor."""
    await fill(town, database_url)
    flip(database_url, "log_head", "root", "size > ?", 0, at=5)
    async with town.open(database_url) as node:
        await assert_frozen(node, town, DamagedEntry, "do not give the stored root")
    flip(database_url, "log_head", "root", "size > ?", 0, at=5)
    by_hand(database_url, "UPDATE log_head SET accepted_ms = accepted_ms + ?", 2**40)
    async with town.open(database_url) as node:
        await assert_frozen(node, town, DamagedEntry, "the time of its last entry")
    by_hand(database_url, "UPDATE log_head SET accepted_ms = accepted_ms - ?, size = size + ?", 2**40, 1)
    async with town.open(database_url) as node:
        await assert_frozen(node, town, DamagedEntry)
    by_hand(database_url, "UPDATE log_head SET size = size - ?", 1)
    async with town.open(database_url) as node:
        assert node.gate.frozen is None, "restored to what it was, it goes on"


async def test_a_missing_entry_is_named(town: Town, database_url: str) -> None:
    """A row that is gone altogether."""
    await fill(town, database_url)
    by_hand(database_url, "DELETE FROM log_entry WHERE idx = ?", 30)
    async with town.open(database_url) as node:
        error = await assert_frozen(node, town, DamagedEntry)
        assert isinstance(error, DamagedEntry)
        assert error.index == 30


# --- F-09 ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def backup_of(database_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes a copy of the database as it is now; its URL."""

    def copy() -> str:
        read = read_url(database_url)
        if is_sqlite(read):
            target = tmp_path / "backup.sqlite3"
            shutil.copyfile(str(read.database), target)
            return f"sqlite+aiosqlite:///{target}"
        server: URL = request.getfixturevalue("postgres_server")
        made = new_postgres_database(server)
        url = made.__enter__()
        request.addfinalizer(lambda: made.__exit__(None, None, None))
        name, source = str(read_url(url).database), str(read.database)
        with psycopg.connect(libpq(server), autocommit=True) as session:
            session.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
            # A session of a node that has stopped may take its time to leave; a copy is not made beside one.
            session.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s", [source])
            session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source)))
        return url

    return copy


async def test_an_older_backup_is_not_signed_over(town: Town, database_url: str, backup_of: Callable[[], str]) -> None:
    """The anchor says that a larger tree was signed: the node refuses to sign, says why, and answers lookups."""
    await fill(town, database_url)
    older = backup_of()
    async with town.open(database_url) as node:
        await accept(node, *(town.signer("de.bka#1").listing(wallet(n)) for n in range(50, 150)))
    async with town.open(older) as node:
        await assert_frozen(node, town, RolledBack, "old backup", "146")
    async with town.open(database_url) as node:
        assert node.gate.frozen is None, "with the right database it goes on"


async def test_another_history_is_not_signed_over(town: Town, database_url: str, backup_of: Callable[[], str]) -> None:
    """Restored and written on without the anchor: as large as the signed tree, but not the same."""
    await fill(town, database_url)
    older, anchor = backup_of(), town.data_dir / "anchor"
    async with town.open(database_url) as node:
        await accept(node, town.signer("de.bka#1").listing(wallet(50)))
    signed = anchor.read_bytes()
    anchor.unlink()
    async with town.open(older) as node:
        await accept(node, town.signer("de.bka#1").listing(wallet(51)), town.signer("de.bka#1").listing(wallet(52)))
    anchor.write_bytes(signed)
    async with town.open(older) as node:
        await assert_frozen(node, town, RolledBack, "another root")


async def test_a_database_restored_under_a_running_node(town: Town, database_url: str) -> None:
    """A fail-over that lost commits: the next batch finds less than it has logged, and freezes instead of forking."""
    await fill(town, database_url)
    async with town.open(database_url) as node:
        (head,) = by_hand(database_url, "SELECT size, root, accepted_ms, note, note_size FROM log_head")
        tiles = by_hand(database_url, "SELECT slot, hashes FROM log_tile")
        await accept(node, *(town.signer("de.bka#1").listing(wallet(n)) for n in (50, 51)))

        def restore() -> None:
            for table in ("item", "part", "edge", "statement", "log_entry"):
                by_hand(database_url, f"DELETE FROM {table} WHERE idx >= ?", head[0])
            by_hand(database_url, "UPDATE log_head SET size = ?, root = ?, accepted_ms = ?, note = ?, note_size = ?", *head)
            for slot, hashes in tiles:
                by_hand(database_url, "UPDATE log_tile SET hashes = ? WHERE slot = ?", hashes, slot)

        await asyncio.to_thread(restore)  # the node may be writing: what blocks its loop would wait for itself
        assert words(await submit(node, town.signer("de.bka#1").listing(wallet(60)))) == ["log_frozen"]
        await assert_frozen(node, town, RolledBack, "an older copy")


async def test_a_damaged_or_foreign_anchor(town: Town, database_url: str) -> None:
    """An anchor that cannot be read is evidence, not absence; one of another log says that directory and database do not fit."""
    await fill(town, database_url)
    anchor = town.data_dir / "anchor"
    signed = anchor.read_text("ascii")
    for text, why in ((signed[:-10], "damaged"), ("", "damaged"), (signed.replace("de.example", "fr.example"), "do not belong together")):
        anchor.write_text(text, "ascii")
        async with town.open(database_url) as node:
            await assert_frozen(node, town, Betrayed, why)
    anchor.write_text(signed, "ascii")
    async with town.open(database_url) as node:
        assert node.gate.frozen is None


async def test_the_anchor_never_goes_back(town: Town, database_url: str) -> None:
    """A worker that was slow to sign a smaller tree does not lower what another has signed since."""
    await fill(town, database_url)
    before = (town.data_dir / "anchor").read_bytes()
    async with town.open(database_url) as node:
        smaller = town.build(database_url)
        anchored = node.own_log._anchor.read()
        assert anchored is not None
        from dataclasses import replace

        smaller.own_log._anchor.write(replace(anchored, size=anchored.size - 1, root=b"\x01" * 32))
        await smaller.database.close()
    assert (town.data_dir / "anchor").read_bytes() == before


# --- F-08 ----------------------------------------------------------------------------------------------------------


async def _error_of_start(town: Town, url: str) -> CordonError:
    node = town.build(url)
    try:
        await node.start()
    except CordonError as error:
        return error
    else:
        assert node.gate.frozen is not None, "it started as if nothing had happened"
        return node.gate.frozen
    finally:
        await node.stop()


async def test_a_cut_or_overwritten_sqlite_file_is_a_clear_error(town: Town, sqlite_migrated_url: str) -> None:
    """Truncated at any place, or no database at all: the start says that the file cannot be trusted; it never makes a new log."""
    await fill(town, sqlite_migrated_url)
    path = Path(str(read_url(sqlite_migrated_url).database))
    whole = path.read_bytes()
    for content in (b"", whole[:50], whole[: len(whole) // 2], whole[: len(whole) * 9 // 10], b"not a database" * 900):
        path.write_bytes(content)
        error = await _error_of_start(town, sqlite_migrated_url)
        assert error.detail, type(error)
    path.write_bytes(whole)
    async with town.open(sqlite_migrated_url) as node:
        assert node.gate.frozen is None


async def test_a_missing_sqlite_file_is_not_made_anew(town: Town, sqlite_migrated_url: str) -> None:
    """A start with the wrong path must not begin an empty log beside the anchor."""
    await fill(town, sqlite_migrated_url)
    path = Path(str(read_url(sqlite_migrated_url).database))
    path.rename(path.with_suffix(".away"))
    error = await _error_of_start(town, sqlite_migrated_url)
    assert "unable to open database file" in error.detail
    assert not path.exists()


async def test_a_deleted_write_ahead_log_is_noticed(
    town: Town, clock: Clock, sqlite_migrated_url: str, driver: Driver, tmp_path: Path
) -> None:
    """Killed, then the -wal file removed: commits are lost that were signed. The anchor knows, and nothing is signed."""
    ordeal = Ordeal(town, clock, sqlite_migrated_url, driver, tmp_path / "journal")
    await ordeal.settle()
    ordeal.live(acks=10, endings=False)
    wal = Path(f"{read_url(sqlite_migrated_url).database}-wal")
    assert wal.stat().st_size > 0
    wal.unlink()
    async with town.open(sqlite_migrated_url) as node:
        assert isinstance(node.gate.frozen, RolledBack)
        assert "old backup" in node.gate.frozen.detail
