"""Batches of 500 plain listings through the shelves, and quick reads, beside the bare driver doing the same rows, on one core."""

from __future__ import annotations

import asyncio
import gc
import secrets
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from app.domain.folding import Event
from app.domain.labels import Label, Tlp
from app.domain.merkle import leaf_hash
from app.domain.tiles import Edge, TileKey
from app.seal.disclosure import new_disclosure
from app.storage.database import Database, Transaction
from app.storage.log import Head, LogEntry
from app.storage.part_rows import part_rows_of
from app.storage.records import PartRow, StatementRow
from app.storage.statement_rows import as_row
from app.storage.subjects import ItemRow
from app.storage.upgrade import upgrade

ORIGIN, NOW_MS, BATCH, ROUNDS, READS = "de.example/log", 1_790_000_000_000, 500, 24, 3000
GREEN = Label(Tlp.GREEN)
INSERTS = {
    "log_entry": "INSERT INTO log_entry VALUES (?,?,?,?,?)",
    "statement": "INSERT INTO statement VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    "part": "INSERT INTO part VALUES (?,?,?,?,?,?)",
    "item": "INSERT INTO item VALUES (?,?,?,?,?,?,?,?,?,?)",
}


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit of the gate writes: an entry of 760 B, two disclosures of 400 B, a wallet and its context."""

    entries: list[LogEntry]
    statements: list[StatementRow]
    parts: list[PartRow]
    items: list[ItemRow]


def make(first: int) -> Batch:
    """500 listings of one wallet each."""
    batch = Batch([], [], [], [])
    for index in range(first, first + BATCH):
        sid, subject = secrets.token_urlsafe(32), "tron:0x2b6653dc:T" + secrets.token_hex(16)
        entry = f"{NOW_MS} {secrets.token_urlsafe(540)}".encode()
        one = Event(ORIGIN, index, sid, "listing", "de.bka", "de.bka#1", GREEN, {"core": GREEN}, (), 1_800_000_000)
        context = orjson.dumps({"type": "context", "purpose": "fraud_prevention", "evidence": [{"sha256": "0" * 64}], "note": "x" * 250})
        batch.entries.append(LogEntry(ORIGIN, index, sid, entry, leaf_hash(entry)))
        batch.statements.append(StatementRow(one, NOW_MS + first, NOW_MS // 1000, jti=secrets.token_hex(8), context=context))
        item = {"type": "wallet", "id": subject, "typologies": ["fraud.investment"], "severity": 3, "note": "x" * 200}
        said = [new_disclosure("core.0", item), new_disclosure("core.1", orjson.loads(context))]
        parts, spots = part_rows_of(ORIGIN, index, said)
        batch.parts += parts
        batch.items.append(ItemRow.of(ORIGIN, index, 0, item, spots[0]))
    return batch


async def shelve(tx: Transaction, batch: Batch, tiles: Mapping[TileKey, bytes], head: Head) -> None:
    """The writes of the gate, in its order."""
    await tx.log.find_sids(ORIGIN, [entry.sid for entry in batch.entries])
    await tx.log.append(batch.entries)
    await tx.statements.put(batch.statements)
    await tx.statements.put_parts(batch.parts)
    await tx.subjects.put_items(batch.items)
    await tx.log.write_tiles(ORIGIN, tiles)
    await tx.log.swap_head(head.size - BATCH, head)


def bare(connection: sqlite3.Connection, batch: Batch) -> float:
    """CPU seconds of the driver alone for the same rows, made beforehand, in one durable commit."""
    rows = {
        "log_entry": [(e.origin, e.index, e.sid, e.entry, e.leaf) for e in batch.entries],
        "statement": [as_row(s) for s in batch.statements],
        "part": [tuple(p) for p in batch.parts],
        "item": [i[:10] for i in batch.items],
    }
    gc.collect()
    start = time.process_time()
    connection.execute("BEGIN IMMEDIATE")
    for table, insert in INSERTS.items():
        connection.executemany(insert, rows[table])
    connection.execute("COMMIT")
    return time.process_time() - start


async def writes(database: Database, connection: sqlite3.Connection) -> tuple[list[float], list[float], list[str]]:
    """CPU seconds of (shelves, bare) round by round, and some of the ids written."""
    edge, ours, theirs, ids = Edge(), [], [], []
    async with database.transaction() as tx:
        await tx.log.create(ORIGIN, NOW_MS)
    for number in range(ROUNDS):
        batch = make(number * BATCH)
        theirs.append(bare(connection, batch))
        grown = edge.append([entry.leaf for entry in batch.entries])
        gc.collect()
        start = time.process_time()
        async with database.transaction() as tx:
            await shelve(tx, batch, grown.changed, Head(ORIGIN, grown.size, grown.root, NOW_MS))
        ours.append(time.process_time() - start)
        edge = grown.edge
        ids += [item.subject for item in batch.items[:50]]
    return ours, theirs, ids


async def reads(database: Database, connection: sqlite3.Connection, ids: list[str]) -> None:
    """Print what a read of one row by key costs."""

    async def timed(name: str, call: Callable[[int], object], floor: float | None = None) -> float:
        start = time.process_time()
        for number in range(READS):
            found = call(number)
            if asyncio.iscoroutine(found):
                await found
        taken = (time.process_time() - start) / READS
        print(f"{name:>44} {taken * 1e6:>8.1f} µs" + (f"{floor / taken:>8.2f}" if floor else ""))
        return taken

    async def in_transaction(number: int) -> None:
        async with database.reading() as tx:
            await tx.log.entry(ORIGIN, number % BATCH)

    def key(number: int) -> int:
        return number * 7919 % (ROUNDS * BATCH)

    sql = "SELECT entry FROM log_entry WHERE origin = ? AND idx = ?"
    floor = await timed("bare driver, an entry", lambda n: connection.execute(sql, (ORIGIN, key(n))).fetchall())
    await timed("quick, an entry", lambda n: database.quick.log.entry(ORIGIN, key(n)), floor)
    await timed("quick, a listing with its statement", lambda n: database.quick.subjects.listings([ids[n % len(ids)]]), floor)
    await timed("in a read transaction, an entry", in_transaction, floor)


def run() -> None:
    """Print the two tables."""
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_measure(Path(directory)))


async def _measure(directory: Path) -> None:
    url = f"sqlite+aiosqlite:///{directory / 'ours'}"
    upgrade(url)
    upgrade(f"sqlite+aiosqlite:///{directory / 'bare'}")
    connection = sqlite3.connect(directory / "bare", isolation_level=None, cached_statements=256)
    for pragma in ("synchronous=FULL", "secure_delete=ON", "foreign_keys=ON", "cache_size=-65536", "wal_autocheckpoint=4000"):
        connection.execute(f"PRAGMA {pragma}")
    database = Database(url)
    ours, theirs, ids = await writes(database, connection)
    taken, floor = statistics.median(ours[ROUNDS // 2 :]), statistics.median(theirs[ROUNDS // 2 :])
    print(f"\n{BATCH} listings of one wallet in one durable commit on SQLite, CPU (all threads), medians; ratio = bare / shelves")
    print(f"{'shelves':>12} {'bare driver':>12} {'ratio':>7} {'µs a statement':>15}")
    print(f"{taken * 1e3:>9.1f} ms {floor * 1e3:>9.1f} ms {floor / taken:>7.2f} {taken / BATCH * 1e6:>15.1f}")
    print(f"\nReads of one row by key, CPU each; ratio to the bare driver, {ROUNDS * BATCH} statements")
    await reads(database, connection, ids)
    await database.close()
    connection.close()
