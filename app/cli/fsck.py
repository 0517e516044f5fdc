"""`cordon fsck`: every entry re-hashed, every part held against its digest, the access log walked (protocol §3.6)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.console import DEFAULT_DATA_DIR, DONE, REFUSED, Console, DataDir, JsonFlag, Tick, plain
from app.domain.canonical import JsonValue, b64u_decode, b64u_encode_digests, read_json
from app.domain.errors import CordonError

if TYPE_CHECKING:
    from app.storage.database import Database
    from app.storage.log import LogEntry

_STRIDE = 1024


@dataclass(slots=True)
class Health:
    """What a check found; `faults` name the entry or row and say what to do."""

    origin: str
    size: int = 0
    entries: int = 0
    parts: int = 0
    erased: int = 0
    access_rows: int = 0
    faults: list[str] = field(default_factory=list)

    def words(self) -> dict[str, JsonValue]:
        """As JSON."""
        return {
            "origin": self.origin,
            "size": self.size,
            "entries": self.entries,
            "parts": self.parts,
            "erased_parts": self.erased,
            "access_rows": self.access_rows,
            "faults": list(self.faults),
            "sound": not self.faults,
        }


def fsck(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Check the whole database of a node, running or not; nothing is changed."""
    console = Console(as_json)
    health = examine_directory(data_dir, console)
    console.document(health.words())
    for fault in health.faults:
        console.note(f"fault: {plain(fault)}")
    console.say(
        f"{health.origin}: {health.entries} entries re-hashed under the signed root, {health.parts} parts held against their digests, "
        f"{health.access_rows} rows of the access log: " + ("sound." if not health.faults else f"{len(health.faults)} faults.")
    )
    return REFUSED if health.faults else DONE


def examine_directory(data_dir: Path, console: Console) -> Health:
    """Examine the database that a data directory names."""
    from app.cli.local import settings_of
    from app.services.enroll import read_node_file

    settings = settings_of(data_dir)
    return examine_url(settings.resolved_database_url, read_node_file(data_dir).origin, settings.resolved_anchor, console)


def examine_url(url: str, origin: str, anchor: Path, console: Console) -> Health:
    """Examine one database."""
    import asyncio

    from app.storage.database import Database

    async def run() -> Health:
        database = Database(url, pool_size=1, checkpoints=False)
        try:
            await database.check_schema()
            return await _examine(database, origin, anchor, console)
        finally:
            await database.close()

    return asyncio.run(run())


async def _examine(database: Database, origin: str, anchor: Path, console: Console) -> Health:
    health = Health(origin)
    async with database.reading() as tx:
        head = await tx.log.head(origin)
    if head is None:
        health.faults.append(f"the database holds no log {origin}: is it the database of this data directory?")
        return health
    health.size = head.size
    with console.progress("re-hashing", head.size) as bar:
        await _check_log(database, origin, head.size, health, bar)
    with console.progress("parts", head.size) as bar:
        await _check_parts(database, origin, head.size, health, bar)
    await _check_anchor(database, origin, head.size, health, anchor)
    try:
        async with database.reading() as tx:
            health.access_rows = (await tx.audit.verify()).size
    except CordonError as error:
        health.faults.append(error.detail)
    _check_journal(database.journal_path, health)
    return health


def _check_journal(path: Path | None, health: Health) -> None:
    """What the access log has made durable and not yet brought into the database (ADR 0011)."""
    from app.storage.journal import aside, read_journal

    if path is None:
        return
    found = read_journal(path)
    if found is not None and found.damage:
        health.faults.append(f"{path.name}, the journal of the access log, is damaged: {found.damage}")
    if aside(path).exists():
        health.faults.append(f"{aside(path).name} was put aside as damaged: keep it as evidence, and move it away")


async def _check_log(database: Database, origin: str, size: int, health: Health, bar: Tick) -> None:
    """The tree from the entries themselves: nothing that is stored about it is believed."""
    from app.domain.merkle import Frontier, leaf_hash

    frontier = Frontier()
    for first in range(0, size, _STRIDE):
        async with database.reading() as tx:
            entries = await tx.log.entries(origin, first, min(first + _STRIDE, size))
            head = await tx.log.head(origin)
        hashes = []
        for at, entry in enumerate(entries, first):
            computed = leaf_hash(entry.entry)
            if entry.index != at:
                health.faults.append(f"entry {at} of {origin} is missing: restore it from a backup or a mirror")
                return
            if computed != entry.leaf:
                health.faults.append(f"entry {at} of {origin} does not hash to its leaf: restore it from a backup or a mirror")
            hashes.append(computed)
        frontier = frontier.append(hashes)
        health.entries += len(entries)
        bar.advance(len(entries))
    async with database.reading() as tx:
        head = await tx.log.head(origin)
    if health.entries != size:
        health.faults.append(f"{origin} has {health.entries} of {size} entries: restore the rest from a backup or a mirror")
    elif not health.faults and head is not None and head.size == size and frontier.root() != head.root:
        health.faults.append(f"the entries of {origin} give another root than the stored head: sign nothing, compare with a mirror")


async def _check_parts(database: Database, origin: str, size: int, health: Health, bar: Tick) -> None:
    for first in range(0, size, _STRIDE):
        end = min(first + _STRIDE, size)
        async with database.reading() as tx:
            signed = {entry.index: _signed_digests(entry) for entry in await tx.log.entries(origin, first, end)}
            rows = await tx.statements.parts_of(origin, range(first, end))
        for row in rows:
            health.parts += row.size
            health.erased += row.size if row.is_erased else 0
            for place, digest in enumerate(b64u_encode_digests(row.hashes()), row.number):
                if digest not in signed.get(row.index, ()):
                    health.faults.append(
                        f"disclosure {place} of entry {row.index} (part {row.part}) does not fit its signed digest: restore it from a backup"
                    )
        bar.advance(min(_STRIDE, size - first))


def _signed_digests(entry: LogEntry) -> Collection[str]:
    """What `_sd` of an entry holds; nothing of one that cannot be read: its leaf tells of that."""
    try:
        claims = read_json(b64u_decode(entry.entry.split(b".")[1].decode("ascii")))
    except (CordonError, UnicodeDecodeError, IndexError):
        return ()
    digests = claims.get("_sd") if isinstance(claims, dict) else None
    return frozenset(map(str, digests)) if isinstance(digests, list) else ()


async def _check_anchor(database: Database, origin: str, size: int, health: Health, anchor: Path) -> None:
    from app.domain.merkle import root_at
    from app.domain.tiles import TileReader, needed_for_root
    from app.storage.anchor import AnchorFile

    try:
        anchored = AnchorFile(anchor).read()
        if anchored is None or anchored.origin != origin:
            return
        if anchored.size > size:
            health.faults.append(
                f"{size} entries are here, but a tree of {anchored.size} was signed: this is an older backup; the node will not sign"
            )
            return
        async with database.reading() as tx:
            tiles = await tx.log.read_tiles(origin, needed_for_root(anchored.size))
        if anchored.size and root_at(anchored.size, TileReader(lambda level, index: tiles[level, index])) != anchored.root:
            health.faults.append(f"the tree of {anchored.size} entries has another root than the one signed: this is another history")
    except CordonError as error:
        health.faults.append(error.detail)
    except KeyError as error:
        health.faults.append(f"tile {error.args[0]} of {origin} is missing: restore it from a backup")
