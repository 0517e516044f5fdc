"""What the index is filled from: ids with their reach, kin by key, guards, and that erasing leaves none of it."""

from __future__ import annotations

from app.domain.address import far_keys, read_canonical_wallet
from app.domain.address.bip122 import BITCOIN, KEY
from app.domain.folding import ShownState, State
from app.storage.database import Database
from app.storage.item_rows import ItemRow
from tests.storage.rows import AMBER, CLEAR, ORIGIN, WALLET, event, put, row, sid_at, wallet

HASHED = f"{BITCOIN.chain}:{BITCOIN.address(KEY, bytes(range(20)))}"
LINK = {"type": "link", "from": WALLET, "to": HASHED, "relation": "transfers_to"}


async def test_ids_come_with_their_reach_and_go_with_their_content(database: Database) -> None:
    """A stretch of a log as texts, statement by statement; the same by sid, whatever has become of them; nothing of what was erased."""
    clear = event(0, label=CLEAR, parts={"core": CLEAR})
    amber, ended = event(1, parts={"core": AMBER}), event(2)
    async with database.transaction() as tx:
        await put(
            tx, [row(clear), row(amber), row(ended)], [wallet(clear), wallet(clear, HASHED, number=1), wallet(amber), wallet(ended, HASHED)]
        )
        await tx.subjects.put_items([ItemRow.of_link(ORIGIN, 1, 1, LINK)])
        await tx.statements.set_states({(ORIGIN, sid_at(ORIGIN, 2)): ShownState(State.RETRACTED)})
    narrow = "\n".join(sorted(f"@{one}" for one in (*AMBER.aud, amber.issuer)))
    async with database.reading() as tx:
        texts = await tx.filed.texts(ORIGIN, 0, 3)
        assert {(reach, frozenset(text.split("\n"))) for reach, text in texts} == {
            ("clear", frozenset({WALLET, HASHED})),
            (narrow, frozenset({WALLET})),
            (narrow, frozenset({WALLET, HASHED})),
        }
        assert await tx.filed.texts(ORIGIN, 2, 3) == []
        found = await tx.filed.of_sids(ORIGIN, [sid_at(ORIGIN, n) for n in (1, 2)])
        assert sorted(found) == sorted([(narrow, True, WALLET), (narrow, True, WALLET), (narrow, True, HASHED), ("green", False, HASHED)])
        keys = [key.hex() for key in far_keys(read_canonical_wallet(HASHED))]
        assert await tx.filed.kin(keys) == [(keys[0], HASHED)]
    async with database.transaction() as tx:
        await tx.subjects.erase_items(ORIGIN, [sid_at(ORIGIN, n) for n in (0, 1)])
        assert await tx.filed.texts(ORIGIN, 0, 3) == []
        assert await tx.filed.kin(keys) == []
        assert await tx.filed.links([WALLET]) == []


async def test_guards_are_those_of_the_own_log(database: Database) -> None:
    """Which of some ids a live listing of this log says must not be blocked."""
    one, two = event(0), event(1)
    benign = {"roles": ["service_benign"], "action": "do_not_block"}
    async with database.transaction() as tx:
        await put(tx, [row(one), row(two)], [wallet(one, **benign), wallet(two, HASHED)])
        assert await tx.filed.guarded(ORIGIN, [WALLET, HASHED]) == {WALLET}
        assert await tx.filed.guarded("fr.example/log", [WALLET, HASHED]) == frozenset()
        assert await tx.filed.guarded(ORIGIN, []) == frozenset()
