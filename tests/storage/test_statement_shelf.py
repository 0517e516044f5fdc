"""The statement shelf: events come back as they were put, edges are found from both sides, states move, parts can be erased."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.claims import Kind
from app.domain.folding import Event, OriginState, ShownState, State, fold
from app.domain.labels import EVERYTHING, Label, Tlp
from app.domain.statement import ohash_of
from app.storage.database import Database
from app.storage.records import PartRow, Stored
from tests.storage.rows import AMBER, CLEAR, EXPIRES_S, FAR, GREEN, NOW_MS, ORIGIN, entry_of, event, part, put, row, sid_at

FULL = event(
    1,
    "erase",
    label=AMBER,
    parts={"core": Label(Tlp.RED, frozenset({"fr.example"})), "ctx": AMBER},
    targets=(sid_at(ORIGIN, 0),),
    expires_at=EXPIRES_S,
    must=("new",),
    erased_parts=("core", "pii"),
    kid_target="de.bka#9",
    from_index=0,
    reason="compromised",
    branch="b",
    bad=True,
)


@pytest.mark.parametrize("one", [FULL, event(1), event(1, "pad", label=CLEAR), event(1, Kind.RETRACT, targets=("a", "b"))])
async def test_an_event_comes_back_as_it_was_put(database: Database, one: Event) -> None:
    """What the fold reads is what the gate wrote, member for member."""
    async with database.transaction() as tx:
        await put(tx, [row(one)])
        assert await tx.statements.events(ORIGIN, [one.sid]) == [one]
        assert await tx.statements.events_between(ORIGIN, 0, 2) == [one]
        assert await tx.statements.events(FAR, [one.sid]) == []
        assert await tx.statements.events(ORIGIN, []) == []


async def test_text_that_postgresql_cannot_hold_does_not_stop_a_sync(database: Database) -> None:
    """A peer's stub with NULs is kept, marked, instead of failing the whole batch; its event keeps the bytes in JSON."""
    poison = event(1, "lis\0ting", issuer="fr.a\0b", kid="fr.a\0b#1", targets=("x\0y",), reason="a\0b", bad=True)
    async with database.transaction() as tx:
        await put(tx, [row(poison, jti="j\0")])
        (found,) = await tx.statements.events(ORIGIN, [poison.sid])
    assert found == replace(poison, kind="lis\ufffdting", issuer="fr.a\ufffdb", kid="fr.a\ufffdb#1")


async def test_inbound_edges_are_found_in_every_log_and_only_those_that_really_name_the_statement(database: Database) -> None:
    """An edge of another log counts where it writes `ohash/sid` of this one; a bare sid in another log names nothing here."""
    target = event(0)
    retraction = event(3, "retract", targets=("other", target.sid))
    endorsement = event(1, "endorse", origin=FAR, targets=(f"{ohash_of(ORIGIN)}/{target.sid}",))
    of_another_log = event(2, "endorse", origin=FAR, targets=(f"{ohash_of(FAR)}/{target.sid}",))
    stray = event(3, "retract", origin=FAR, targets=(target.sid,))
    async with database.transaction() as tx:
        await put(tx, [row(one) for one in (target, retraction, endorsement, of_another_log, stray)])
        assert await tx.statements.inbound(ORIGIN, [target.sid]) == [retraction, endorsement]
        assert await tx.statements.inbound(FAR, [target.sid]) == [of_another_log, stray]
        assert await tx.statements.inbound(ORIGIN, ["unknown"]) == []
        assert await tx.statements.inbound(ORIGIN, []) == []


async def test_one_statement_that_names_two_is_one_inbound_edge(database: Database) -> None:
    """Asking for both targets gives the statement once; a target named twice is one edge."""
    first, second = event(0), event(1)
    both = event(2, "retract", targets=(first.sid, second.sid, first.sid))
    async with database.transaction() as tx:
        await put(tx, [row(first), row(second), row(both)])
        assert await tx.statements.inbound(ORIGIN, [first.sid, second.sid]) == [both]


async def test_states_of_the_fold_are_kept_and_shown(database: Database) -> None:
    """What `fold` says goes in as it is, and `locate` and `record` say it again."""
    old, new = event(0), event(1, targets=(sid_at(ORIGIN, 0),))
    renewal = event(2, "renew", targets=(new.sid,), expires_at=EXPIRES_S + 5)
    history = [old, new, renewal]
    folded = fold(history, vector={ORIGIN: OriginState("live", 3)}, reader=EVERYTHING, as_of=None, registrar_kids={})
    async with database.transaction() as tx:
        await put(tx, [row(one) for one in history])
        await tx.statements.set_states(folded.states)
        await tx.statements.set_states({})
        found = await tx.statements.locate_all(ORIGIN, [one.sid for one in history])
    assert {sid: stored.state for sid, stored in found.items()} == {sid: state for (_, sid), state in folded.states.items()}
    assert found[old.sid].state == ShownState(State.SUPERSEDED, EXPIRES_S, new.sid)
    assert found[new.sid].state.expires_at == EXPIRES_S + 5


async def test_a_statement_is_located_with_its_label_and_handling(database: Database) -> None:
    """`locate` says place, time and who may see it; what the log has not is None."""
    one = event(4, label=AMBER)
    async with database.transaction() as tx:
        await put(tx, [row(one, handling=("ORCON",), state=ShownState(State.WAITING))])
        found = await tx.statements.locate(ORIGIN, one.sid)
        assert await tx.statements.locate(FAR, one.sid) is None
    assert found == Stored(
        origin=ORIGIN,
        index=4,
        sid=one.sid,
        kind="listing",
        issuer="de.bka",
        kid="de.bka#1",
        accepted_ms=NOW_MS + 4000,
        label=AMBER,
        handling=("ORCON",),
        state=ShownState(State.WAITING, EXPIRES_S),
        event=one,
    )


async def test_labels_of_a_range_stand_in_log_order(database: Database) -> None:
    """Who may see which entry of a bundle."""
    async with database.transaction() as tx:
        await put(tx, [row(event(2, label=AMBER)), row(event(0)), row(event(1, label=CLEAR))])
        assert await tx.statements.labels(ORIGIN, 0, 3) == [GREEN, CLEAR, AMBER]
        assert await tx.statements.labels(ORIGIN, 1, 2) == [CLEAR]


async def test_a_record_has_entry_parts_and_edges(database: Database) -> None:
    """Everything kept of one statement, of whichever log has it; of a sid at two indices the lower."""
    one, again = event(0), event(5, sid=sid_at(ORIGIN, 0))
    dispute = event(1, "dispute", targets=(f"{ohash_of(ORIGIN)}/{one.sid}",))
    async with database.transaction() as tx:
        await put(tx, [row(again), row(one, jti="case-7"), row(dispute)])
        await tx.statements.put_parts([part(one, 1, "core.3"), part(one, 0, "ctx.0")])
        found = await tx.statements.record(one.sid)
        assert await tx.statements.record(one.sid, ORIGIN) == found
        assert await tx.statements.record(one.sid, FAR) is None
        assert await tx.statements.record("unknown") is None
    assert found is not None
    assert (found.stored.index, found.jti, found.entry, found.issued_at) == (0, "case-7", entry_of(one).entry, NOW_MS // 1000)
    assert [(p.part, p.texts) for p in found.parts] == [("ctx", ["disclosure-0-ctx.0"]), ("core", ["disclosure-0-core.3"])]
    assert found.edges == (dispute,)


async def test_pages_run_by_time_of_acceptance_over_all_logs(database: Database) -> None:
    """Walking page by page gives every statement once, for every filter, also where times are equal."""
    events = [event(i, "listing" if i % 3 else "retract", origin=(ORIGIN, FAR)[i % 2]) for i in range(10)]
    rows = [row(one, accepted_ms=NOW_MS + one.index // 4) for one in events]
    async with database.transaction() as tx:
        await put(tx, rows)
        for filters in ({}, {"issuer": "de.bka"}, {"kind": "listing"}, {"issuer": "fr.bka", "kind": "retract"}):
            walked: list[Stored] = []
            while page := await tx.statements.page(**filters, after=_after(walked), limit=2):  # type: ignore[arg-type]
                walked += page
            matching = [r for r in rows if all(getattr(r.event, name) == value for name, value in filters.items())]
            expected = sorted(matching, key=lambda r: (r.accepted_ms, r.event.origin, r.event.index))
            assert [(s.origin, s.index) for s in walked] == [(r.event.origin, r.event.index) for r in expected]
        assert [s.index for s in await tx.statements.page(since_ms=NOW_MS + 2)] == [8, 9]


def _after(walked: list[Stored]) -> tuple[int, str, int] | None:
    return (walked[-1].accepted_ms, walked[-1].origin, walked[-1].index) if walked else None


async def test_what_a_key_signed_is_found_from_an_index_on(database: Database) -> None:
    """A revocation touches the statements of that key in that log, from its index, and no other key's."""
    signed = [event(i, kid="de.bka#old" if i % 2 else "de.bka#new") for i in range(6)]
    async with database.transaction() as tx:
        await put(tx, [row(one) for one in (*signed, event(3, origin=FAR, issuer="de.bka", kid="de.bka#old"))])
        assert await tx.statements.by_kid(ORIGIN, "de.bka#old", 2) == [sid_at(ORIGIN, 3), sid_at(ORIGIN, 5)]


async def test_idempotency_keys_and_quota_are_counted_by_issuer(database: Database) -> None:
    """A jti belongs to its issuer; the first use of it is told; the count is of what was accepted since."""
    async with database.transaction() as tx:
        await put(
            tx,
            [
                row(event(0), jti="a"),
                row(event(1), jti="b"),
                row(event(2, issuer="de.lka"), jti="a"),
                row(event(3)),
                row(event(4), jti="a"),
            ],
        )
        assert await tx.statements.find_jti(ORIGIN, "de.bka", ["a", "b", "c"]) == {"a": sid_at(ORIGIN, 0), "b": sid_at(ORIGIN, 1)}
        assert await tx.statements.find_jti(ORIGIN, "de.fiu", ["a"]) == {}
        assert await tx.statements.find_jti(ORIGIN, "de.bka", []) == {}
        first = NOW_MS // 1000
        assert await tx.statements.counts_since(ORIGIN, "de.bka", NOW_MS + 1000) == {first + 1: 1, first + 3: 1, first + 4: 1}
        assert await tx.statements.counts_since(ORIGIN, "de.bka", NOW_MS + 9000) == {}


async def test_control_statements_stand_apart(database: Database) -> None:
    """The few statements that the registry is made of are found without reading the others, by kind or all."""
    async with database.transaction() as tx:
        await put(
            tx,
            [
                row(event(0, "policy")),
                row(event(1)),
                row(event(2, Kind.KEY_REVOKE, kid_target="de.bka#1", from_index=1)),
                row(event(0, "member", origin=FAR)),
            ],
        )
        assert [e.kind for e in await tx.statements.control_statements(ORIGIN)] == ["policy", "key-revoke"]
        assert [e.index for e in await tx.statements.control_statements(ORIGIN, [Kind.KEY_REVOKE])] == [2]


async def test_erasing_a_part_deletes_value_and_salt_and_leaves_a_tombstone(database: Database) -> None:
    """Only the named parts of the named statements of that log lose their disclosures; erasing again changes nothing."""
    one, other, namesake = event(0), event(1), event(0, origin=FAR, sid=sid_at(ORIGIN, 0))
    parts = [part(e, n, name) for e in (one, other, namesake) for n, name in enumerate(("core.0", "pii.0", "ctx.0"))]
    async with database.transaction() as tx:
        await put(tx, [row(one), row(other), row(namesake)])
        await tx.statements.put_parts(parts)
        assert await tx.statements.erase_parts(ORIGIN, [one.sid], ["core", "pii"]) == 2
        assert await tx.statements.erase_parts(ORIGIN, [one.sid], ["core", "pii"]) == 0
        assert await tx.statements.erase_parts(ORIGIN, [], ["core"]) == 0
        kept = [*await tx.statements.parts_of(ORIGIN, [0, 1]), *await tx.statements.parts_of(FAR, [0])]
    expected = [p._replace(disclosures=None, digests=p.hashes()[0]) if p in parts[:2] else p for p in parts]
    assert kept == expected
    assert [p.hashes() for p in kept] == [p.hashes() for p in parts]
    assert [(p.size, len(p.texts)) for p in kept[:3]] == [(1, 0), (1, 0), (1, 1)]
    assert [p.is_erased for p in kept[:3]] == [True, True, False]


async def test_many_parts_go_in_at_once(database: Database) -> None:
    """A statement with every disclosure it may have, in the order of the wire."""
    one = event(0)
    parts: list[PartRow] = [part(one, n, f"core.{n}") for n in range(256)]
    async with database.transaction() as tx:
        await put(tx, [row(one)])
        await tx.statements.put_parts(parts[::-1])
        assert await tx.statements.parts_of(ORIGIN, [0]) == parts
