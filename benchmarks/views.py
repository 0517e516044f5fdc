"""Views: building every tier from the database, moving them, bucket answers, checking one, and screening from a copy.

BENCH_LISTED (1,000,000) ids on a tier. Each figure stands beside the hashing that it cannot do without, measured in the same run: SHA-256 of
64 bytes in this interpreter, which differs by a factor of four between machines. Floors and aims are those of the machine of the spec; what
is screened offline is judged as it is, and for the machine of the spec by what the hash takes there (ADR 0015).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import httpx

from app.domain.answer import Moment
from app.domain.folding import Event
from app.domain.identifiers import bucket_of, id_key
from app.domain.labels import Label, Tlp
from app.domain.merkle import leaf_hash
from app.domain.view import ViewHead, ViewOrigin, verify_answer
from app.domain.view_wire import read_bucket, write_bucket, write_delta
from app.domain.viewing import TIERS
from app.index.showing import Showing
from app.index.views import Sealed
from app.main import create_app
from app.sdk.offline import Portfolio, Screener
from app.sdk.view_store import Copy, Parts, Store
from app.seal.notes import NoteKey, Verifier, read_view_head, sign_note
from app.services.enroll import Founding, found
from app.settings import load
from app.storage.database import Database
from app.storage.item_rows import ItemRow
from app.storage.log import Head, LogEntry
from app.storage.records import StatementRow
from app.storage.upgrade import upgrade
from benchmarks.goals import judge

NOW_MS = 1_790_000_000_000
ORIGIN = "de.example/log"
MOMENT = Moment(now_ms=NOW_MS, own_origin=ORIGIN)
CLEAR = Label(Tlp.CLEAR)
POLICY = b"{}"
LISTED = int(os.environ.get("BENCH_LISTED", "1000000"))
EACH = 250
"""Wallets in a statement; a tenth of LISTED is measured with one in each, too."""
GOALS_HASH_US = 0.33
"""What `hashlib` takes for 64 bytes where the goals were set."""
KEY = NoteKey.from_seed("de.example/view/clear", bytes(32))
VERIFIER = Verifier.from_vkey(KEY.vkey)


def row(what: str, value: str, ceiling: str = "") -> None:
    """One line of the report."""
    print(f"{what:58}{value:>22}   {ceiling}", flush=True)


def per_call_us(work: Callable[[], object], calls: int, rounds: int = 5) -> float:
    """Microseconds of CPU a call, the least of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        for _ in range(calls):
            work()
        best = min(best, time.process_time() - begun)
    return best / calls * 1e6


def resident_bytes() -> int:
    """What this process holds in memory."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def subject(number: int) -> str:
    """A listed id."""
    return f"eip155:0:0x{number:040x}"


async def main() -> None:
    """All figures."""
    piece = os.urandom(64)
    hash_us = per_call_us(lambda: sha256(piece).digest(), 20_000)
    row("SHA-256 of 64 bytes, the unit of the right column", f"{hash_us:.2f} µs")
    with tempfile.TemporaryDirectory() as folder:
        await built(Path(folder) / "single.sqlite3", LISTED // 10, 1, hash_us)
        sealed = await built(Path(folder) / "many.sqlite3", LISTED, EACH, hash_us)
    answers(sealed, hash_us)
    offline(sealed, hash_us)
    await served()


# --- building --------------------------------------------------------------------------------------------------------


async def fill(database: Database, ids: int, each: int) -> None:
    """Statements in force that name so many ids, rows alone: nothing is signed, nothing disclosed."""
    async with database.transaction() as tx:
        await tx.log.create(ORIGIN, 0)
    last = 0
    for first in range(0, ids // each, 10_000 // each):
        indices = range(first, min(first + 10_000 // each, ids // each))
        entries, statements, items = list[LogEntry](), list[StatementRow](), list[ItemRow]()
        for index in indices:
            sid = secrets.token_urlsafe(32)
            said = Event(ORIGIN, index, sid, "listing", "de.bka", "de.bka#1", CLEAR, {"core": CLEAR}, (), NOW_MS // 1000 + 86_400 + index)
            entries.append(LogEntry(ORIGIN, index, sid, b"", leaf_hash(b"")))
            statements.append(StatementRow(said, 0, 0, jti=None, context=None))
            for number in range(each):
                wallet = {"type": "wallet", "id": subject(index * each + number), "severity": 3, "typologies": ["fraud.investment"]}
                items.append(ItemRow.of(ORIGIN, index, number, wallet, (0, 0)))
        async with database.transaction() as tx:
            await tx.log.append(entries)
            await tx.statements.put(statements)
            await tx.subjects.put_items(items)
            head = Head(ORIGIN, indices[-1] + 1, bytes(32), 0)
            await tx.log.swap_head(last, head)
        last = head.size


async def built(path: Path, ids: int, each: int, hash_us: float) -> Sealed:
    """Every tier from the rows, then moved."""
    upgrade(f"sqlite+aiosqlite:///{path}")
    database = Database(f"sqlite+aiosqlite:///{path}")
    await fill(database, ids, each)
    before, begun, wall = resident_bytes(), time.process_time(), time.perf_counter()
    showing = Showing(TIERS)
    await showing.build(database, MOMENT)
    sealed = list((await showing.seal(showing.freeze())).values())
    took, wall = time.process_time() - begun, time.perf_counter() - wall
    assert [one.entries for one in sealed] == [ids, ids]
    # One hash an id and its leaf, one a node of the tree of each tier.
    least = (ids + len(sealed) * 131_071) * hash_us / 1e6
    row(
        f"{ids:,} ids, {each} a statement: both tiers from the rows",
        f"{took:.2f} s of CPU",
        f"{took / least:.1f} x its hashes ({least:.2f} s)",
    )
    row("  an id of a tier", f"{took / ids / len(sealed) * 1e6:.2f} µs", "floor 4 µs, aim 2 µs")
    row("  start to the roots of both", f"{wall:.2f} s")
    row("  memory, an id of a tier", f"{(resident_bytes() - before) / ids / len(sealed):.0f} bytes", "an entry has 51")
    took = await moved(database, showing, path, each)
    least = 1_000 * 18 * hash_us / 1e3
    row(
        "  1,000 changes: rows read, a new root of each tier",
        f"{took:.1f} ms",
        f"{took / least:.1f} x their hashes ({least:.1f} ms) a tier; floor 50 ms, aim 10 ms",
    )
    await database.close()
    return await showing.views["clear"].seal()


async def moved(database: Database, showing: Showing, path: Path, each: int) -> float:
    """Milliseconds of CPU for 1,000 ids that are listed no more; the median of some rounds."""
    rounds = []
    for number in range(5):
        statements = range(number * 1_000 // each, (number + 1) * 1_000 // each)
        with sqlite3.connect(path) as connection:
            connection.executemany("UPDATE statement SET state = 'retracted' WHERE idx = ?", [(index,) for index in statements])
        listed = [(await view.seal()).entries for view in showing.views.values()]
        showing.touch(subject(index * each + one) for index in statements for one in range(each))
        begun = time.process_time()
        async with database.reading() as tx:
            while not await showing.look(tx, MOMENT):
                pass
        after = [one.entries for one in (await showing.seal(showing.freeze())).values()]
        rounds.append(time.process_time() - begun)
        assert after == [entries - 1_000 for entries in listed]
    return statistics.median(rounds) * 1e3


# --- answers ---------------------------------------------------------------------------------------------------------


def head_note(root: bytes, *, later_s: int = 0) -> str:
    """A signed head."""
    head = ViewHead(KEY.name, NOW_MS // 1000 + later_s, root, sha256(POLICY).digest(), (ViewOrigin(ORIGIN, 1, bytes(32), 0),))
    return sign_note(head.text(), KEY)


def answers(sealed: Sealed, hash_us: float) -> None:
    """One bucket: written, and checked from its bytes to the verdict."""
    note, asked = head_note(sealed.tree.root), subject(LISTED - 1)
    number = bucket_of(id_key(asked))
    body = write_bucket("clear", sealed.answer(number), note)
    written = per_call_us(lambda: write_bucket("clear", sealed.answer(number), note), 2_000)
    root = read_view_head(note, [VERIFIER]).root
    words = read_bucket(body)
    checked = per_call_us(lambda: verify_answer(id_key(asked), words.answer, root=root), 2_000)
    whole = per_call_us(lambda: verify_answer(id_key(asked), read_bucket(body).answer, root=read_view_head(note, [VERIFIER]).root), 500)
    row(f"bucket answer written ({len(body):,} bytes)", f"{written:.0f} µs")
    row("verify: path and entry under an opened head", f"{checked:.0f} µs", f"{checked / (18 * hash_us):.1f} x its 18 hashes; floor 100 µs")
    row("verify: JSON, head signature, path, entry", f"{whole:.0f} µs")


# --- offline ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts that are asked for together, and how many of them are listed."""

    what: str
    texts: list[str]
    listed: int


def batches() -> Iterable[Batch]:
    """As an exchange has them, and at both ends."""
    size = min(100_000, LISTED // 2)
    numbers = range(LISTED // 2 - size // 100, LISTED // 2)
    one_in_hundred = [f"0x{numbers[place // 100] if place % 100 == 0 else LISTED + place:040x}" for place in range(size)]
    yield Batch("1 % listed", one_in_hundred, size // 100)
    yield Batch("none listed", [f"0x{LISTED + place:040x}" for place in range(size)], 0)
    yield Batch("all listed", [f"0x{5_000 + place:040x}" for place in range(size)], size)


def offline(sealed: Sealed, hash_us: float) -> None:
    """Lookups from a copy on disk."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), "clear")
        copy = Parts(list(sealed.buckets), head_note(sealed.tree.root), POLICY, 1).build("clear", [VERIFIER])
        store.keep_snapshot(copy, {})
        size = (Path(folder) / "clear" / "view.bin").stat().st_size
        begun = time.process_time()
        screener = Screener(Store(Path(folder), "clear"), [VERIFIER], clock=lambda: NOW_MS / 1000)
        took = time.process_time() - begun
        whole = b"".join(sealed.buckets)
        least = per_call_us(lambda: sha256(whole).digest(), 1, 3) / 1e6 + 131_071 * hash_us / 1e6
        row("copy loaded and verified", f"{took:.2f} s", f"{took / least:.1f} x its hashes ({least:.2f} s); {size:,} bytes")
        for batch in batches():
            hashing_us = per_call_us(lambda: [sha256(text.encode()).digest() for text in batch.texts], 1) / len(batch.texts)  # noqa: B023
            took_us = per_call_us(lambda: screener.listed(batch.texts), 1) / len(batch.texts)  # noqa: B023
            assert len(screener.listed(batch.texts)) == batch.listed
            row(
                f"offline, {len(batch.texts):,} at once, {batch.what}, numpy at hand",
                f"{1 / took_us:.2f} M/s",
                f"hashing them alone {1 / hashing_us:.2f} M/s; {hashing_us / took_us:.0%} of that",
            )
            judge("M/s offline, texts never seen before", 1 / took_us, 3, 6)
            judge(f"  the same on the machine of the goals, by its hash of {GOALS_HASH_US} µs", hashing_us / took_us / GOALS_HASH_US, 3, 6)
            portfolio = Portfolio.of(batch.texts)
            again_us = per_call_us(lambda: screener.listed_of(portfolio), 1) / len(batch.texts)  # noqa: B023
            assert screener.listed_of(portfolio) == screener.listed(batch.texts)
            judge("M/s offline, of a portfolio", 1 / again_us, 3, 6)
        for text in spellings(subject(LISTED - 1)):
            single = per_call_us(lambda: screener.is_listed(text), 20_000)  # noqa: B023
            row(f"offline lookup of {text[:14]}…", f"{single:.2f} µs", f"{single / hash_us:.1f} x its hash; floor 4 µs")
        for changed in (1, 1_000):
            copy = delta(store, copy, changed)
            begun = time.process_time()
            assert screener.refresh()
            row(f"  refreshed by a delta of {changed:,} buckets", f"{(time.process_time() - begun) * 1e3:.1f} ms")


def spellings(id_: str) -> tuple[str, ...]:
    """An EVM address in those that need no checksum, and one of Solana."""
    text = id_.rpartition(":")[2]
    return text, f"0x{text[2:].upper()}", id_, text[2:], "Hj8V1nX4Cz3AtRJ2NSXzxTSoD6ATU1YRyRR9owbpU77B"


def delta(store: Store, copy: Copy, count: int) -> Copy:
    """The copy after so many of its first buckets lost an entry, kept as a delta."""
    changed = {number: copy.buckets[number][51:] for number in range(count)}
    tree = copy.tree.updated(changed)
    note = head_note(tree.root, later_s=count)
    after = copy.changed(note, read_view_head(note, [VERIFIER]), POLICY, changed)
    store.keep_delta(after, write_delta(note, changed), {})
    return after


async def served() -> None:
    """A bucket from the application, without a socket: 2,000 requests, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "de"
        folder.mkdir()
        found(folder, Founding("de", "de.example", "DE", "http://127.0.0.1:8000", seed=b"benchmark"), now=int(time.time()))
        url = f"sqlite+aiosqlite:///{folder / 'cordon.sqlite3'}"
        upgrade(url)
        app = create_app(load({"data_dir": folder, "database_url": url, "rate_public_per_minute": 10_000_000}, environment={}))
        async with app.router.lifespan_context(app):
            await app.state.api.node.views.refresh()
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
                bucket, live = await latencies(client, "/v1/view/clear/bucket/3d56"), await latencies(client, "/livez")
        row(
            "bucket from the app, p50 / p99",
            f"{bucket[0]:.2f} / {bucket[1]:.2f} ms",
            f"/livez beside it {live[0]:.2f} / {live[1]:.2f} ms; floor p99 1 ms there",
        )


async def latencies(client: httpx.AsyncClient, path: str, count: int = 2_000) -> tuple[float, float]:
    """(p50, p99) in milliseconds, the client's own work included."""
    found = []
    for _ in range(count):
        begun = time.perf_counter()
        response = await client.get(path)
        found.append((time.perf_counter() - begun) * 1e3)
        assert response.status_code == 200
    found.sort()
    return found[count // 2], found[count * 99 // 100]


def run() -> None:
    """For `python -m benchmarks views`."""
    asyncio.run(main())


if __name__ == "__main__":
    run()
