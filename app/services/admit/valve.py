"""The valve of each origin: how many items its listings may bring into force in an hour, and in all (protocol §4, poisoning flood).

What is above it is mirrored like everything else and stays dormant until a human releases it: nothing of it is shown. Hours are of
effective time: when the log accepted it, but not before we last heard from there and not later than now, lest a peer that floods us
spread its flood over hours of its own invention.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Sequence

from app.domain.folding import State
from app.services.admit.rows import Logged
from app.storage.database import Transaction
from app.storage.mirrors import MirrorRow
from app.storage.valve import DormantRow

log = logging.getLogger("cordon.valve")

HOUR_MS = 3_600_000
_COUNTED = frozenset({"wallet", "indicator"})


def items_of(one: Logged) -> int:
    """How many items of a listing count: wallets and indicators, which lookups find."""
    return sum(row.type in _COUNTED for row in one.items.rows)


async def let_in(tx: Transaction, mirror: MirrorRow, listings: Sequence[Logged], *, now_ms: int) -> frozenset[int]:
    """Count the items of these listings, in log order; the indices of those that stay dormant."""
    counted = [(one, items_of(one)) for one in listings if one.state.state is not State.INERT]
    counted = [(one, n) for one, n in counted if n]
    if not counted:
        return frozenset()
    hours = {one.event.index: _hour(one.accepted_ms, mirror, now_ms) for one, _ in counted}
    before = await _added_since(tx, mirror.origin, sorted(set(hours.values())))
    total = await tx.valve.total(mirror.origin)
    fresh: Counter[int] = Counter()
    dormant: list[DormantRow] = []
    for one, n in counted:
        hour = hours[one.event.index]
        since = before[hour] + sum(added for later, added in fresh.items() if later >= hour)
        if since + n > mirror.added_per_hour:
            dormant.append(DormantRow(mirror.origin, one.event.index, "hour", now_ms))
        elif total + fresh.total() + n > mirror.total:
            dormant.append(DormantRow(mirror.origin, one.event.index, "total", now_ms))
        else:
            fresh[hour] += n
    for hour, n in fresh.items():
        await tx.valve.add(mirror.origin, hour, n)
    if dormant:
        await tx.valve.put(dormant)
        log.error(
            "VALVE: %s brings more than agreed (%d items an hour, %d in all): %d listings from entry %d on stay dormant until released",
            mirror.origin,
            mirror.added_per_hour,
            mirror.total,
            len(dormant),
            dormant[0].index,
        )
    return frozenset(row.index for row in dormant)


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
