"""What must hold of an index at any moment: it stands at the heads, its file misses nothing, what it keeps is what a fresh read gives."""

from __future__ import annotations

from app.domain.identifiers import EntityId, read_id
from app.domain.labels import EVERYTHING, PUBLIC, Reader, ReaderClass
from app.domain.reach import CLEAR, GREEN, read_reach
from app.index.known import read_known
from app.index.listings import ListingIndex
from app.storage.database import Database, Transaction


def reader_of(name: str) -> Reader:
    """Somebody who reads this class, and nothing above it but what is for all."""
    if name == CLEAR:
        return PUBLIC
    return Reader(ReaderClass.VASP) if name == GREEN else Reader(ReaderClass.NODE, name.removeprefix("@"))


async def filed_ids(tx: Transaction) -> dict[str, set[str]]:
    """Every id of which something live is said, by class of its reach."""
    found: dict[str, set[str]] = {}
    for head in await tx.log.heads():
        for reach, text in await tx.filed.texts(head.origin, 0, head.size):
            for name in read_reach(reach):
                found.setdefault(name, set()).update(text.split("\n"))
    return found


async def check_filed(database: Database, index: ListingIndex) -> None:
    """See above; with a file that is believed."""
    listed = index._listed
    assert listed is not None
    assert listed.is_ready
    assert index.is_current, (listed.places(), index.positions, index.epoch)
    async with database.reading() as tx:
        heads = {head.origin: head.size for head in await tx.log.heads() if head.size}
        assert {origin: size for origin, size in index.positions.items() if size} == heads
        assert {origin: size for origin, size in listed.places().items() if size and not origin.startswith("@")} == heads
        ids = await filed_ids(tx)
        for name, some in ids.items():
            for id_ in some:
                subject = read_id(id_)
                assert isinstance(subject, EntityId) or listed.may_hold(subject, reader_of(name)), (name, id_)
        every = {id_ for some in ids.values() for id_ in some} | set(index._kept)
        fresh = await read_known(tx, [read_id(id_) for id_ in sorted(every)])
    for id_ in sorted(every):
        known, now = await index.known([read_id(id_)], EVERYTHING), fresh[id_]
        assert known.find(id_) == now.find(id_), id_
        assert [*map(repr, known.links(id_))] == [*map(repr, now.links(id_))], id_
        assert known == now, id_
