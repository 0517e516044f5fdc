"""The valve of each origin: how many items its listings may bring into force in an hour, and in all (protocol §4, poisoning flood).

What is above it is mirrored like everything else and stays dormant until a human releases it: nothing of it is shown. Hours are of
effective time: when the log accepted it, but not before we last heard from there and not later than now, lest a peer that floods us
spread its flood over hours of its own invention.

What a log says it accepted at a time that has not come stays dormant, too, until it has: no answer is about the future, and nothing
outlives by a wrong clock what anybody may list (F-24). It is counted when it comes, so waiting is no way round the valve.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Sequence

from app.domain.folding import State
from app.services.admit.rows import Logged
from app.storage.database import Database, Transaction
from app.storage.mirrors import MirrorRow
from app.storage.valve import DormantRow

log = logging.getLogger("cordon.valve")

HOUR_MS = 3_600_000
AHEAD_MS = 65_000
"""How far a log may be ahead of our clock: the minute by which clocks of nodes may differ, and the 5 s that a witness may take (§3.6)."""
AHEAD = "ahead"
"""Why a listing is dormant whose time has not come."""
_COUNTED = frozenset({"wallet", "indicator"})


def items_of(one: Logged) -> int:
    """How many items of a listing count: wallets and indicators, which lookups find."""
    return sum(row.type in _COUNTED for row in one.items.rows)


async def let_in(tx: Transaction, mirror: MirrorRow, listings: Sequence[Logged], *, now_ms: int) -> frozenset[int]:
    """Count the items of these listings, in log order; the indices of those that stay dormant."""
    standing = [one for one in listings if one.state.state is not State.INERT]
    beyond = await _count(tx, mirror, standing, now_ms)
    ahead = [one.event.index for one in standing if one.accepted_ms > now_ms + AHEAD_MS and one.event.index not in beyond]
    if ahead:
        log.warning(
            "%s is ahead of our clock: %d listings from entry %d on wait until their time has come", mirror.origin, len(ahead), ahead[0]
        )
    dormant = {**beyond, **dict.fromkeys(ahead, AHEAD)}
    if dormant:
        await tx.valve.put([DormantRow(mirror.origin, index, reason, now_ms) for index, reason in sorted(dormant.items())])
    return frozenset(dormant)


async def _count(tx: Transaction, mirror: MirrorRow, listings: Sequence[Logged], now_ms: int) -> dict[int, str]:
    """Which are more than was agreed, by index, and by which limit."""
    counted = [(one, n) for one in listings if (n := items_of(one))]
    if not counted:
        return {}
    hours = {one.event.index: _hour(one.accepted_ms, mirror, now_ms) for one, _ in counted}
    before = await _added_since(tx, mirror.origin, sorted(set(hours.values())))
    total = await tx.valve.total(mirror.origin)
    fresh: Counter[int] = Counter()
    beyond: dict[int, str] = {}
    for one, n in counted:
        hour = hours[one.event.index]
        since = before[hour] + sum(added for later, added in fresh.items() if later >= hour)
        if since + n > mirror.added_per_hour:
            beyond[one.event.index] = "hour"
        elif total + fresh.total() + n > mirror.total:
            beyond[one.event.index] = "total"
        else:
            fresh[hour] += n
    for hour, n in fresh.items():
        await tx.valve.add(mirror.origin, hour, n)
    if beyond:
        log.error(
            "VALVE: %s brings more than agreed (%d items an hour, %d in all): %d listings from entry %d on stay dormant until released",
            mirror.origin,
            mirror.added_per_hour,
            mirror.total,
            len(beyond),
            min(beyond),
        )
    return beyond


def _hour(accepted_ms: int, mirror: MirrorRow, now_ms: int) -> int:
    return min(max(accepted_ms, mirror.seen_ms), now_ms) // HOUR_MS


async def _added_since(tx: Transaction, origin: str, hours: Sequence[int]) -> dict[int, int]:
    """What was counted from each of these hours on. Nothing from one on is nothing from a later one on."""
    counts: dict[int, int] = {}
    last = -1
    for hour in hours:
        last = await tx.valve.added(origin, hour) if last else 0
        counts[hour] = last
    return counts


async def waiting_at(tx: Transaction, origin: str, indices: Collection[int] | None) -> list[int]:
    """The listings of a log that stay dormant, all or those of `indices`, upwards."""
    if indices is not None:
        return sorted(await tx.valve.waiting(origin, indices))
    waiting: list[int] = []
    while rows := await tx.valve.page(origin, after=waiting[-1] if waiting else -1):
        waiting += [row.index for row in rows]
    return waiting


async def whose_time_has_come(database: Database, now_ms: int) -> dict[str, list[int]]:
    """The listings, by log, that were ahead of our clock and are no more."""
    async with database.reading() as tx:
        return await tx.valve.come(AHEAD, now_ms + AHEAD_MS)
