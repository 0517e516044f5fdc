"""What clients keep here to be told: watchlists and webhooks, each its owner's alone (schemas §4.5)."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace

from app.domain.canonical import b64u_encode
from app.domain.errors import Fault, InvalidAddress, NotFound, Schema, TooLarge
from app.domain.identifiers import read_subject
from app.domain.watching import BUCKET, goes_to, is_pattern, keys_of_watched
from app.sdk.outbound import check_url
from app.storage.database import Database, Transaction
from app.storage.watches import Watched, Watchlist
from app.storage.webhooks import Delivery, Webhook

MOST_LISTS, MOST_ITEMS, MOST_HOOKS = 100, 1_000_000, 20
OVERLAP_MS = 24 * 3_600_000
"""How long the old secret goes on signing beside the new one."""
REPLAY_PAGE = 1_000


class Watching:
    """Watchlists and webhooks of one node."""

    def __init__(self, database: Database, *, clock: Callable[[], int], allow_loopback: bool) -> None:
        self._database = database
        self._clock = clock
        self._allow_loopback = allow_loopback

    # --- watchlists --------------------------------------------------------------------------------------------------

    async def create_list(self, owner: str, name: str, items: Sequence[Watched]) -> Watchlist:
        """A new list; what is listed already is no news to it."""
        made = Watchlist(_new_id("wl"), owner, name, self._clock())

        async def work(tx: Transaction) -> None:
            if len(await tx.watches.of_owner(owner)) >= MOST_LISTS:
                raise TooLarge(f"at most {MOST_LISTS} watchlists: put more into one of them")
            await tx.watches.put(made)
            await self._add(tx, made, items)

        await self._database.run(work)
        return made

    async def change_list(self, one: Watchlist, *, name: str | None, add: Sequence[Watched], remove: Sequence[str]) -> Watchlist:
        """Put items in and take others out, in one step."""

        async def work(tx: Transaction) -> None:
            if name is not None:
                await tx.watches.rename(one.id, name)
            await tx.watches.take_turn()
            await tx.watches.remove(one.id, remove)
            await self._add(tx, one, add)

        await self._database.run(work)
        return one if name is None else replace(one, name=name)

    async def _add(self, tx: Transaction, one: Watchlist, items: Sequence[Watched]) -> None:
        await tx.watches.take_turn()
        if await tx.watches.count(one.owner) + len(items) > MOST_ITEMS:
            raise TooLarge(f"at most {MOST_ITEMS} ids and buckets: watch buckets, each stands for many ids")
        keys = [(key, item.watched) for item in items for key in keys_of_watched(item.watched)]
        # What is committed by now is no news, though nobody may have made events of it yet.
        await tx.watches.add(one.id, items, keys, since=await tx.outbox.last_change())

    async def lists(self, owner: str) -> list[Watchlist]:
        """Those of an owner."""
        async with self._database.reading() as tx:
            return await tx.watches.of_owner(owner)

    async def list_of(self, owner: str, list_id: str) -> Watchlist:
        """One of an owner's; NotFound for any other."""
        async with self._database.reading() as tx:
            found = await tx.watches.get(list_id)
        if found is None or found.owner != owner:
            raise NotFound("no such watchlist for this caller")
        return found

    async def items(self, one: Watchlist, *, after: str, limit: int) -> list[Watched]:
        """A page of what a list holds."""
        async with self._database.reading() as tx:
            return await tx.watches.items(one.id, after=after, limit=limit)

    async def end_list(self, one: Watchlist) -> None:
        """Drop it."""

        async def work(tx: Transaction) -> None:
            await tx.watches.take_turn()
            await tx.watches.end(one.id)

        await self._database.run(work)

    # --- webhooks ----------------------------------------------------------------------------------------------------

    async def create_hook(self, owner: str, url: str, *, events: Sequence[str], watchlists: Sequence[str]) -> Webhook:
        """A new address, with its first secret."""
        await self._check(owner, events, watchlists)
        target = check_url(url, self._allow_loopback).url
        made = Webhook(_new_id("wh"), owner, target, tuple(events), tuple(watchlists), (_new_secret(),), self._clock())

        async def work(tx: Transaction) -> None:
            if len(await tx.webhooks.of_owner(owner)) >= MOST_HOOKS:
                raise TooLarge(f"at most {MOST_HOOKS} webhooks: end one that you do not use")
            await tx.webhooks.put(made)

        await self._database.run(work)
        return made

    async def _check(self, owner: str, events: Sequence[str], watchlists: Sequence[str]) -> None:
        for place, pattern in enumerate(events):
            if not is_pattern(pattern):
                raise Schema("an event is chosen by its type, by `listing.*` or by `*`", faults=(Fault(f"/events/{place}", "unknown"),))
        own = {one.id for one in await self.lists(owner)}
        for place, list_id in enumerate(watchlists):
            if list_id not in own:
                raise Schema("no such watchlist for this caller", faults=(Fault(f"/watchlists/{place}", "unknown"),))

    async def change_hook(
        self, one: Webhook, *, url: str | None, events: Sequence[str] | None, watchlists: Sequence[str] | None, enable: bool
    ) -> Webhook:
        """Send elsewhere, other events, or again."""
        await self._check(one.owner, events or (), watchlists or ())
        target = None if url is None else check_url(url, self._allow_loopback).url

        def change(now: Webhook) -> Webhook:
            return replace(
                now,
                url=now.url if target is None else target,
                events=now.events if events is None else tuple(events),
                watchlists=now.watchlists if watchlists is None else tuple(watchlists),
                state="active" if enable else now.state,
                reason="" if enable else now.reason,
                resting_ms=0 if enable else now.resting_ms,
            )

        return await self._put_changed(one, change)

    async def _put_changed(self, one: Webhook, change: Callable[[Webhook], Webhook]) -> Webhook:
        """As it is now, not as the caller has seen it: its secret may have been turned since, or the address been disabled."""

        async def work(tx: Transaction) -> Webhook:
            changed = change(_hook_of(await tx.webhooks.get(one.id, for_change=True), one.owner))
            await tx.webhooks.put(changed)
            return changed

        return await self._database.run(work)

    async def rotate(self, one: Webhook) -> Webhook:
        """A new secret; the one before signs beside it for a day."""
        until = self._clock() + OVERLAP_MS
        return await self._put_changed(one, lambda now: replace(now, secrets=(_new_secret(), {**now.secrets[0], "until_ms": until})))

    async def hooks(self, owner: str) -> list[Webhook]:
        """Those of an owner."""
        async with self._database.reading() as tx:
            return await tx.webhooks.of_owner(owner)

    async def hook_of(self, owner: str, hook_id: str) -> Webhook:
        """One of an owner's; NotFound for any other."""
        async with self._database.reading() as tx:
            return _hook_of(await tx.webhooks.get(hook_id), owner)

    async def counts(self, one: Webhook) -> dict[str, int]:
        """How many events wait, and how many are dead letters."""
        async with self._database.reading() as tx:
            return await tx.webhooks.counts(one.id)

    async def dead(self, one: Webhook, *, after: int, limit: int) -> list[Delivery]:
        """A page of dead letters."""
        async with self._database.reading() as tx:
            return await tx.webhooks.dead(one.id, after=after, limit=limit)

    async def end_hook(self, one: Webhook) -> None:
        """Drop it with what was on its way."""
        await self._database.run(lambda tx: tx.webhooks.end(one.id))

    async def replay(self, one: Webhook, after: int) -> int:
        """Send everything after an event again, dead letters too; how many."""
        now_ms, count = self._clock(), 0
        while True:

            async def work(tx: Transaction, start: int = after) -> list[int]:
                events = await tx.outbox.events(one.owner, after=start, limit=REPLAY_PAGE)
                chosen = [e for e in events if goes_to(e.type, e.watchlist, events=one.events, watchlists=one.watchlists)]
                await tx.webhooks.done([(one.id, e.seq) for e in chosen])
                await tx.webhooks.queue(Delivery(one.id, e.seq, e.urgent, now_ms) for e in chosen)
                return [len(chosen), len(events), events[-1].seq if events else start]

            chosen, seen, after = await self._database.run(work)
            count += chosen
            if seen < REPLAY_PAGE:
                return count


def read_items(items: Sequence[tuple[str, str | None]], prefixes: Sequence[str], *, member: str = "items") -> list[Watched]:
    """What a caller wants to watch, ids in their one spelling; Schema names every one that is none."""
    found: list[Watched] = []
    faults: list[Fault] = []
    for place, (text, reference) in enumerate(items):
        try:
            found.append(Watched(read_subject(text).id, reference))
        except InvalidAddress as error:
            faults.append(Fault(f"/{member}/{place}/id", error.code, error.detail))
    for place, prefix in enumerate(prefixes):
        if BUCKET.fullmatch(prefix) is None:
            faults.append(Fault(f"/prefixes/{place}", "prefix", "four lower-case hex digits"))
        else:
            found.append(Watched(prefix))
    if faults:
        raise Schema("some of what is to be watched cannot be read: nothing was changed", faults=tuple(faults))
    return list({one.watched: one for one in found}.values())


def _hook_of(found: Webhook | None, owner: str) -> Webhook:
    if found is None or found.owner != owner:
        raise NotFound("no such webhook for this caller")
    return found


def _new_id(kind: str) -> str:
    return f"{kind}_{b64u_encode(secrets.token_bytes(15))}"


def _new_secret() -> dict[str, str | int | None]:
    return {
        "hmac": b64encode(secrets.token_bytes(32)).decode("ascii"),
        "seed": b64encode(secrets.token_bytes(32)).decode("ascii"),
        "until_ms": None,
    }
