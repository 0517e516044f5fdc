"""The registry shelf: control statements in log order, members that follow the fold, roots that are kept for ever."""

from __future__ import annotations

from dataclasses import replace

from app.domain.folding import Event, ShownState, State
from app.storage.database import Database, Transaction
from app.storage.registry import ControlEvent, RootRow
from tests.storage.rows import FAR, ORIGIN, entry_of, event, row, sid_at


def member(index: int, name: str, *, id_: str = "de.bka", origin: str = ORIGIN) -> tuple[Event, dict[str, str]]:
    """A `member` statement and its claims."""
    return event(index, "member", origin=origin), {"knd": "member", "id": id_, "name": name, "class": "agency", "country": "DE"}


async def log(tx: Transaction, *statements: tuple[Event, dict[str, str]], state: State = State.ACTIVE) -> None:
    """Log statements with their claims, and bring the register up to date."""
    for one, claims in statements:
        await tx.log.append([entry_of(one, claims)])
        await tx.statements.put([row(one, state=ShownState(state))])
    await tx.registry.refresh(statements[0][0].origin, [one for one, _ in statements])


async def test_the_registry_is_read_in_log_order_with_claims_as_signed(database: Database) -> None:
    """Control statements, and the approvals and reaffirmations that name one of them; nothing else, no other log's."""
    policy = (event(0, "policy"), {"knd": "policy"})
    first, second = member(2, "BKA"), member(5, "Bundeskriminalamt")
    approval = (event(3, "approve", targets=(first[0].sid,)), {"knd": "approve"})
    of_listing = (event(4, "approve", targets=(sid_at(ORIGIN, 1),)), {"knd": "approve"})
    async with database.transaction() as tx:
        await log(tx, second, policy, first, (event(1), {"knd": "listing"}), approval, of_listing, member(9, "x", origin=FAR))
        found = await tx.registry.control_events(ORIGIN)
        assert await tx.registry.control_events(ORIGIN, first=3) == found[2:]
        assert await tx.registry.control_events("nowhere/log") == []
    assert [(e.index, e.kind) for e in found] == [(0, "policy"), (2, "member"), (3, "approve"), (5, "member")]
    assert found[1] == ControlEvent(2, first[0].sid, "de.bka#1", "member", State.ACTIVE, first[1])


async def test_the_newest_member_in_force_is_shown(database: Database) -> None:
    """A newer version replaces, whatever the order of arrival; one that is inert or waits does not count; groups stand apart."""
    async with database.transaction() as tx:
        await log(tx, member(7, "new"))
        await log(tx, member(3, "old"), member(4, "Police", id_="de.aaa"))
        await log(tx, member(9, "not yet approved"), state=State.WAITING)
        await log(tx, (event(10, "group"), {"knd": "group", "id": "group:de.x", "name": "X", "class": "agency"}))
        assert [(m.id, m.name, m.index) for m in await tx.registry.members()] == [("de.aaa", "Police", 4), ("de.bka", "new", 7)]
        assert [g.id for g in await tx.registry.groups()] == ["group:de.x"]
        assert await tx.registry.group("de.bka") is None

        revocation = event(11, "key-revoke", kid_target="de.registrar#1", from_index=5)
        await tx.statements.set_states({(ORIGIN, sid_at(ORIGIN, 7)): ShownState(State.INERT)})
        await log(tx, (revocation, {"knd": "key-revoke"}))
        found = await tx.registry.member("de.bka")
        assert found is not None
        assert (found.name, found.member_class, found.country, found.claims["class"]) == ("old", "agency", "DE", "agency")


async def test_members_of_different_logs_do_not_mix(database: Database) -> None:
    """The same id in two logs is two registrations; without an origin the first log in order answers."""
    async with database.transaction() as tx:
        await log(tx, member(1, "theirs", origin=FAR))
        await log(tx, member(1, "ours"))
        await log(tx, (event(2), {"knd": "listing"}))
        ours, theirs = await tx.registry.members()
        assert (ours.origin, theirs.origin) == (ORIGIN, FAR)
        assert await tx.registry.member("de.bka") == ours
        assert await tx.registry.member("de.bka", origin=FAR) == theirs
        assert await tx.registry.member("de.xyz") is None


async def test_root_documents_are_kept_for_ever(database: Database) -> None:
    """Every version stays; a version that is there is not replaced; the latest is the highest."""
    one = RootRow("de", 1, "ab" * 32, b'{"payload":"1"}')
    two = replace(one, version=2, document=b'{"payload":"2"}')
    async with database.transaction() as tx:
        assert await tx.registry.latest_root("de") is None
        await tx.registry.put_root("de", 2, two.document, two.sha256)
        await tx.registry.put_root("de", 1, one.document, one.sha256)
        await tx.registry.put_root("de", 1, b"forged", "00" * 32)
        await tx.registry.put_root("fr", 9, b"{}", "11" * 32)
        assert await tx.registry.roots("de") == [one, two]
        assert await tx.registry.root("de", 1) == one
        assert await tx.registry.root("de", 3) is None
        assert await tx.registry.latest_root("de") == two
