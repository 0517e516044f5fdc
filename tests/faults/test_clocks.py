"""F-23: our clock jumps, leaps and goes back. (F-24, a peer's clock: test_evil_peer.)"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.services.admit import Admitted
from tests.checks import check_index, check_log, check_states
from tests.factories import DAY_S, Clock, Town, accept, submit, wallet, wallet_id, words
from tests.waiting import within

YEAR_S = 365 * DAY_S


def at(text: str) -> int:
    """Milliseconds of a moment in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize("jump_s", [-3600, 7200, -400 * DAY_S], ids=["-1 h", "+2 h", "-400 d"])
async def test_the_clock_jumps_in_the_midst_of_logging(town: Town, clock: Clock, database_url: str, jump_s: int) -> None:
    """Times in the log never go back, receipts hold, and what comes after a restart stands after what was there."""
    async with town.open(database_url) as node:
        bka = town.signer("de.bka#1")
        wires = [bka.listing(wallet(n)) for n in range(4)]
        results = await accept(node, *town.settled(), *wires[:2])
        signed = clock()
        clock.advance(s=jump_s)
        # What was signed by a good clock is judged by ours: too far from it either way, it has to wait until the clocks agree.
        told = words(await submit(node, wires[2]))
        assert told == (["accepted"] if jump_s > 0 else ["clock_skew"])
        clock.ms = signed + 1000
        results += await accept(node, wires[3])
        times = [one.accepted_ms for one in results if isinstance(one, Admitted)]
        assert times == sorted(times)
    clock.advance(s=jump_s)
    async with town.open(database_url) as node:
        assert node.gate.frozen is None
        clock.ms = signed + 2000
        again = await submit(node, wires[2])
        assert words(again)[0] in ("accepted", "known")
        async with node.database.reading() as tx:
            folded = await check_states(tx, node, town)
            await check_log(tx, town, [])
        await check_index(node, town, folded)


async def test_signatures_are_judged_with_the_skew_that_is_allowed(town: Town, clock: Clock, database_url: str) -> None:
    """A minute ahead is a clock, an hour ahead is none; the same statement is taken when its time has come."""
    async with town.open(database_url) as node:
        await accept(node, *town.settled())
        signer_clock = Clock(clock() + 3_600_000)
        early = Town.at(town.data_dir, clock=signer_clock).signer("de.bka#1").listing(wallet(1))
        signer_clock.ms = clock() + 30_000
        near = Town.at(town.data_dir, clock=signer_clock).signer("de.bka#1").listing(wallet(2))
        assert words(await submit(node, early, near)) == ["clock_skew", "accepted"]
        clock.advance(s=3600)
        assert words(await submit(node, early)) == ["accepted"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2028-02-28T23:59:59", "2028-02-29T00:00:01"),
        ("2038-01-19T03:14:07", "2038-01-19T03:14:09"),
        ("2028-12-31T23:59:59", "2029-01-01T00:00:00"),
    ],
    ids=["leap day", "2038", "new year"],
)
async def test_days_that_break_calendars(tmp_path: Path, database_url: str, before: str, after: str) -> None:
    """Founded before, logging and expiring after: receipts hold, a listing ends in its second."""
    clock = Clock(at(before) - 60_000)
    town = Town.found(tmp_path / "late", clock=clock)
    async with town.open(database_url) as node:
        await accept(node, *town.settled())
        clock.ms = at(before)
        bka = town.signer("de.bka#1")
        ends_soon, stays = bka.listing(wallet(1), days=2 / DAY_S), bka.listing(wallet(2), days=YEAR_S / DAY_S)
        for wire, result in zip((ends_soon, stays), await accept(node, ends_soon, stays), strict=True):
            assert isinstance(result, Admitted)
            town.check_receipt(wire, result)
        clock.ms = at(after)
        clock.advance(s=5)
        late = town.signer("de.bka#1").listing(wallet(3))
        town.check_receipt(late, (await accept(node, late))[0])
        now_s = clock() // 1000
        assert [one.expires_at > now_s for n in (1, 2, 3) for one in (await node.index.find(wallet_id(n)))] == [False, True, True]
        async with node.database.reading() as tx:
            await check_log(tx, town, [])


async def test_timeouts_do_not_look_at_the_wall_clock(town: Town, clock: Clock, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock goes back two hours in the middle of waiting: nobody waits two hours longer."""
    async with town.open(database_url, commit_window_ms=50) as node:
        await accept(node, *town.settled())
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() - 7200)
        async with within(5):
            assert words(await submit(node, town.signer("de.bka#1").listing(wallet(1)))) == ["accepted"]
