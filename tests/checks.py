"""What must hold of a node's storage at any moment: states are the fold's, tombstones its destructions, the log verifies, the index fits.

Used by the laws of the projection and after every fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.domain.folding import Folded, OriginState, State, fold
from app.domain.identifiers import read_id
from app.domain.labels import EVERYTHING
from app.domain.merkle import consistency_path, leaf_hash, root_of, verify_consistency
from app.domain.statement import read_stub
from app.domain.tiles import TileReader
from app.index.known import read_known
from app.seal.keyring import Keyring
from app.seal.notes import read_checkpoint
from app.services.node import Node
from app.storage.database import Transaction
from tests.factories import Town
from tests.filed import check_filed


async def whole_keyring(tx: Transaction, node: Node, town: Town) -> Keyring:
    """The registry worked through from the log, by nobody's memory."""
    keyring = Keyring(town.origin, node.documents)
    for event in await tx.registry.control_events(town.origin):
        keyring.apply(event.index, read_stub(dict(event.claims), kid=event.kid, sid=event.sid, lenient=True))
    return keyring


async def check_states(tx: Transaction, node: Node, town: Town) -> Folded:
    head = await tx.log.head(town.origin)
    assert head is not None
    events = await tx.statements.events_between(town.origin, 0, head.size)
    assert [event.index for event in events] == list(range(head.size))
    keyring = await whole_keyring(tx, node, town)
    folded = fold(
        events,
        vector={town.origin: OriginState("live", head.size)},
        reader=EVERYTHING,
        as_of=None,
        registrar_kids={town.origin: keyring.registrar_kids},
        needs2=lambda _origin, index: keyring.policy_at(index).needs2,
    )
    stored = await tx.statements.locate_all(town.origin, [event.sid for event in events])
    for event in events:
        here, pure = stored[event.sid].state, folded.states[town.origin, event.sid]
        expiry = event.expires_at if here.expires_at is None else here.expires_at
        assert (here.state, expiry, here.superseded_by, here.contested) == (
            pure.state,
            pure.expires_at,
            pure.superseded_by,
            pure.contested,
        ), (event.index, event.kind)
    return folded


async def check_tombstones(tx: Transaction, town: Town, destroyed: set[tuple[str, str]]) -> None:
    """What was destroyed once stays destroyed, and nothing else is; an item row is where its part is."""
    head = await tx.log.head(town.origin)
    assert head is not None
    events = await tx.statements.events_between(town.origin, 0, head.size)
    rows = await tx.statements.parts_of(town.origin, range(head.size))
    erased = {(events[row.index].sid, row.part) for row in rows if row.is_erased}
    there = {(sid, part) for sid, part in destroyed if part in _parts(rows, events, sid)}
    assert erased == there
    listings = await tx.subjects.listings_of_sids(town.origin, [sid for sid, part in erased if part == "core"])
    assert listings == []


def _parts(rows: Any, events: Any, sid: str) -> set[str]:
    return {row.part for row in rows if events[row.index].sid == sid}


async def check_index(node: Node, town: Town, folded: Folded) -> None:
    await node.keeper.tick()
    await check_filed(node.database, node.index)
    assert node.index.positions.get(town.origin) == node.own_log.size
    live = {(one.origin, one.sid) for one in folded.active}
    async with node.database.reading() as tx:
        rows = await tx.subjects.listings_of_sids(town.origin, [sid for _, sid in live])
        known = await read_known(tx, [read_id(id_) for id_ in {row.subject for row in rows}])
    found = [one for subject, of_it in known.items() for one in of_it.find(subject)]
    assert {(x.sid, x.number) for x in rows} == {(x.sid, x.number) for x in found}
    assert {x.state for x in rows} <= {State.ACTIVE.value}


async def check_log(tx: Transaction, town: Town, notes: Sequence[str]) -> None:
    head = await tx.log.head(town.origin)
    assert head is not None
    entries = await tx.log.entries(town.origin, 0, head.size)
    leaves = [leaf_hash(entry.entry) for entry in entries]
    assert [entry.index for entry in entries] == list(range(head.size))
    tiles = await tx.log.read_tiles(town.origin, [(level, n) for level in range(3) for n in range(3)])
    read = TileReader(lambda level, index: tiles[level, index])
    before = None
    for note in (*notes, head.note):
        signed = read_checkpoint(note, town.origin, verifiers=town.log_keys)
        assert root_of(leaves[: signed.size]) == signed.root
        if before is not None:
            path = consistency_path(before.size, signed.size, read)
            verify_consistency(path, old_size=before.size, old_root=before.root, new_size=signed.size, new_root=signed.root)
        before = signed
    assert before is not None
    assert before.size == head.size
