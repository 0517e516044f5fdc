"""F-37: many at once. One outcome, nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import pytest

from app.services.admit import Admitted, OwnLog
from app.services.node import Node
from app.services.screen import Caller as Asking
from app.services.screen import Query
from app.storage.urls import read_url, sqlite_path
from tests.factories import Town, accept, sid_in, submit, vasp_reader, wallet, wallet_id, words


async def test_the_same_statement_fifty_times_at_once(node: Node, town: Town) -> None:
    """One is accepted, 49 are known; all name the same place, and every receipt holds."""
    wire = town.signer("de.bka#1").listing(wallet(1))
    results = [result for (result,) in await asyncio.gather(*(submit(node, wire) for _ in range(50)))]
    assert sorted(words(results)) == ["accepted"] + ["known"] * 49
    assert {r.index for r in results if isinstance(r, Admitted)} == {6}
    for result in results:
        assert isinstance(result, Admitted)
        town.check_receipt(wire, result)


async def test_one_jti_from_fifty_sides(node: Node, town: Town) -> None:
    """Fifty different statements under one jti: one is logged, the others conflict."""
    bka = town.signer("de.bka#1")
    wires = [bka.listing(wallet(n), jti="once") for n in range(50)]
    results = [result for (result,) in await asyncio.gather(*(submit(node, wire) for wire in wires))]
    assert sorted(words(results)) == ["accepted"] + ["jti_conflict"] * 49


async def test_twenty_agencies_on_one_address_at_once(node: Node, town: Town) -> None:
    """All twenty statements are logged and told, none is lost or merged."""
    names = [f"de.a{n:02}" for n in range(20)]
    await accept(node, *(town.member(name, keys=("1",)) for name in names))
    wires = [town.signer(f"{name}#1").listing(wallet(1, severity=n % 5)) for n, name in enumerate(names)]
    results = [result for (result,) in await asyncio.gather(*(submit(node, wire) for wire in wires))]
    assert set(words(results)) == {"accepted"}
    assert sorted(r.index for r in results if isinstance(r, Admitted) and r.index is not None) == list(range(26, 46))
    answer = await node.screening.screen_one(Query(wallet_id(1)), Asking(vasp_reader()))
    assert isinstance(answer["result"], dict)
    statements = answer["result"]["statements"]
    assert isinstance(statements, list)
    assert sorted(str(s["issuer"]) for s in statements if isinstance(s, dict)) == names


async def test_approval_and_withdrawal_at_once_have_one_outcome(node: Node, town: Town) -> None:
    """Approve, retract and renew of one waiting listing race: whatever came last in the log, rows, index and answers agree."""
    await accept(node, town.policy(needs2=["listing"]))
    bka, second = town.signer("de.bka#1"), town.signer("de.bka#2")
    for turn in range(5):
        wire = bka.listing(wallet(turn))
        await submit(node, wire)
        sid = sid_in(wire)
        await asyncio.gather(submit(node, second.approve(sid)), submit(node, bka.retract(sid)), submit(node, bka.renew(sid)))
        async with node.database.reading() as tx:
            stored = await tx.statements.locate(town.origin, sid)
        assert stored is not None
        assert (stored.state.state, (await node.index.find(wallet_id(turn)))) == ("retracted", ())


async def test_lookups_go_on_while_a_large_batch_is_logged(node: Node, town: Town) -> None:
    """Screening answers from memory in the midst of a batch of 4,000 wallets, and shows it whole or not at all."""
    bka = town.signer("de.bka#1")
    wires = [bka.listing(*(wallet(1000 * s + n) for n in range(200))) for s in range(20)]
    last, first = wallet_id(19_199), wallet_id(0)
    task, seen = asyncio.create_task(submit(node, *wires)), set[tuple[str, str]]()
    while not task.done():
        answer = await node.screening.screen_many([Query(first), Query(last)], Asking(vasp_reader()), hits_only=False)
        results = answer["results"]
        assert isinstance(results, list)
        seen.add(tuple(str(r["match"]) for r in results if isinstance(r, dict)))  # type: ignore[arg-type]
        await asyncio.sleep(0)
    assert set(words(task.result())) == {"accepted"}
    assert ("not_listed", "not_listed") in seen
    assert seen <= {("not_listed", "not_listed"), ("listed", "listed")}


async def test_a_tool_that_writes_between_commit_and_signature_is_waited_for(
    town: Town, sqlite_migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes the write lock just when the note is to be published: the receipt comes when it lets go."""
    async with town.open(sqlite_migrated_url) as node:
        await accept(node, *town.settled())
        tool = sqlite3.connect(sqlite_path(read_url(sqlite_migrated_url)), isolation_level=None, check_same_thread=False)
        inner = OwnLog.advance

        def then_lock(own_log: OwnLog, *args: Any) -> None:
            inner(own_log, *args)
            tool.execute("BEGIN IMMEDIATE")
            asyncio.get_running_loop().call_later(0.3, tool.execute, "ROLLBACK")
            monkeypatch.undo()

        monkeypatch.setattr(OwnLog, "advance", then_lock)
        wire = town.signer("de.bka#1").listing(wallet(1))
        (one,) = await accept(node, wire)
        town.check_receipt(wire, one)
        tool.close()
