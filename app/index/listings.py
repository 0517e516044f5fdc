"""The live listings in memory: what a lookup asks, so that it never waits for a database.

Built from storage at start, moved after each commit and never before it: nothing is shown that a crash could take back.
Holds every listing whose fold state is `active`, whoever may see it; the reader's filter comes in `domain/answer`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager

from app.domain.address import Wallet, kin_keys, read_canonical_wallet
from app.domain.answer import Link, Listing
from app.domain.errors import InvalidAddress, Unavailable
from app.index.buckets import Full
from app.index.listed import ListedIds
from app.index.turns import Turn
from app.storage.database import Database, Transaction

log = logging.getLogger("cordon.index")

ATTEMPTS = 5
"""How often others' commits may come between before a still snapshot is given up."""

Follower = Callable[[Collection[str] | None], None]
"""Is told the ids of which something else is said, in the same step; None: everything was read anew."""


class ListingIndex:
    """subject id -> its live listings; kin key -> listed wallets of that holder; id -> live links from or to it.

    Replaced tuples only, so a reader that holds one never sees it change under it.
    """

    def __init__(self, listed: ListedIds | None = None, *, database: Database | None = None) -> None:
        """`database`: what `still` opens a snapshot of."""
        self._listed = listed
        self._database = database
        self._lock = asyncio.Lock()
        self.catching_up: list[Callable[[], Awaitable[None]]] = []
        """What takes in the commits of other workers."""
        self._by_subject: dict[str, tuple[Listing, ...]] = {}
        self._by_statement: dict[tuple[str, str], dict[str, None]] = {}
        self._by_key: dict[bytes, tuple[str, ...]] = {}
        self._links: dict[str, tuple[Link, ...]] = {}
        self._linked_by: dict[tuple[str, str], dict[str, None]] = {}
        self.positions: dict[str, int] = {}
        """Per log, the index up to which its statements are in here."""
        self._touched: dict[str, None] | None = None  # None: of every id
        self._followers: list[Follower] = []

    def __len__(self) -> int:
        return len(self._by_subject)

    def subjects(self) -> tuple[str, ...]:
        """Every id with a live listing."""
        return tuple(self._by_subject)

    # --- stand still -------------------------------------------------------------------------------------------------

    def turn(self) -> Turn:
        """For a gate: taken before its commit, left when the index has moved (`index/turns`)."""
        return Turn(self._lock)

    @asynccontextmanager
    async def still(self) -> AsyncIterator[Transaction]:
        """A snapshot of the database at exactly `positions`; nothing moves the index while it is open. For reading alone, and briefly.

        Unavailable if other workers log faster than this one can follow.
        """
        assert self._database is not None
        for _ in range(ATTEMPTS):
            async with self.turn() as turn:
                await turn.take()
                async with self._database.reading() as tx:
                    if await self._stands_at_heads(tx):
                        yield tx
                        return
            for catch_up in self.catching_up:
                await catch_up()
        raise Unavailable("other workers log without a pause: ask again in a moment")

    async def _stands_at_heads(self, tx: Transaction) -> bool:
        return all(head.size == self.positions.get(head.origin, 0) for head in await tx.log.heads())

    def take_touched(self) -> dict[str, None] | None:
        """The ids of which something else is said since the last call. None: it may be any, as at the first call, and the database has
        to be read from the start. For one caller: who keeps views.
        """
        found, self._touched = self._touched, {}
        return found

    @property
    def is_touched(self) -> bool:
        """Whether `take_touched` would give any."""
        return self._touched is None or bool(self._touched)

    def follow(self, told: Follower) -> None:
        """Tell somebody from now on what moves. He must be quick: a commit waits for him."""
        self._followers.append(told)

    def find(self, subject: str) -> tuple[Listing, ...]:
        """Live listings on an id, oldest first; empty if none."""
        return self._by_subject.get(subject, ())

    def same_key(self, wallet: Wallet) -> list[str]:
        """Listed ids of the same holder on other chains or in other forms."""
        found: list[str] = []
        for key in kin_keys(wallet):
            for other in self._by_key.get(key, ()):
                if other != wallet.id and other not in found:
                    found.append(other)
        return found

    def links(self, subject: str) -> tuple[Link, ...]:
        """Live links from or to an id."""
        return self._links.get(subject, ())

    def replace(self, statements: Iterable[tuple[str, str]], listings: Iterable[Listing], links: Iterable[Link] = ()) -> None:
        """Take out all items of `statements` (origin, sid), then put `listings` and `links` in: one admitted batch is one call."""
        before: dict[str, bool] = {}
        for statement in statements:
            for subject in self._by_statement.pop(statement, {}):
                before.setdefault(subject, self.holds(subject))
                self._take_out(subject, statement)
            for end in self._linked_by.pop(statement, {}):
                before.setdefault(end, self.holds(end))
                self._unlink(end, statement)
        for listing in listings:
            if listing.state == "active":
                before.setdefault(listing.subject, self.holds(listing.subject))
                self._put_in(listing)
        for link in links:
            if link.state == "active":
                for end in (str(link.item["from"]), str(link.item["to"])):
                    before.setdefault(end, self.holds(end))
                self._link(link)
        self._tell_listed(before)
        for told in self._followers:
            told(before)

    def holds(self, subject: str) -> bool:
        """Whether anything live is said of an id: a listing, or a link from or to it."""
        return subject in self._by_subject or subject in self._links

    def ids(self) -> Iterator[list[str]]:
        """Every id of which something live is said as of now, once, in pages."""
        both = [*self._by_subject, *(end for end in self._links if end not in self._by_subject)]
        for start in range(0, len(both), 10_000):
            yield both[start : start + 10_000]

    def _tell_listed(self, before: Mapping[str, bool]) -> None:
        """Move the fingerprints by what became known or unknown, in the same step: no lookup can come between."""
        if self._listed is None:
            return
        try:
            self._listed.add([subject for subject, was in before.items() if not was and self.holds(subject)])
        except Full:
            log.info("the fingerprints are full: lists are looked up row by row until a larger table is built")
        self._listed.remove([subject for subject, was in before.items() if was and not self.holds(subject)])

    def become(self, other: ListingIndex) -> None:
        """Hold what `other` holds from now on, which nobody else may use: it was loaded anew beside this one."""
        if self._touched is not None:
            self._touched |= dict.fromkeys(self._by_subject) | dict.fromkeys(other._by_subject)
        before = (
            {id_: self.holds(id_) for index in (self, other) for page in index.ids() for id_ in page} if self._listed is not None else {}
        )
        self._by_subject, self._by_statement, self._by_key = other._by_subject, other._by_statement, other._by_key
        self._links, self._linked_by, self.positions = other._links, other._linked_by, other.positions
        self._tell_listed(before)
        for told in self._followers:
            told(None)

    def _link(self, link: Link) -> None:
        for end in (str(link.item["from"]), str(link.item["to"])):
            self._links[end] = (*self._links.get(end, ()), link)
            self._linked_by.setdefault((link.origin, link.sid), {})[end] = None

    def _unlink(self, end: str, statement: tuple[str, str]) -> None:
        kept = tuple(x for x in self._links.get(end, ()) if (x.origin, x.sid) != statement)
        if kept:
            self._links[end] = kept
        else:
            self._links.pop(end, None)

    def _put_in(self, listing: Listing) -> None:
        statement = (listing.origin, listing.sid)
        subject = listing.subject
        if self._touched is not None:
            self._touched[subject] = None
        before = self._by_subject.get(subject)
        if before is None:
            self._by_subject[subject] = (listing,)
            self._relate(subject)
        else:
            self._by_subject[subject] = tuple(sorted((*before, listing), key=lambda x: (x.accepted_ms, x.origin, x.index, x.number)))
        self._by_statement.setdefault(statement, {})[subject] = None

    def _take_out(self, subject: str, statement: tuple[str, str]) -> None:
        if self._touched is not None:
            self._touched[subject] = None
        kept = tuple(x for x in self._by_subject.get(subject, ()) if (x.origin, x.sid) != statement)
        if kept:
            self._by_subject[subject] = kept
        elif self._by_subject.pop(subject, None) is not None:
            self._unrelate(subject)

    def _relate(self, subject: str) -> None:
        for key in _keys_of(subject):
            self._by_key[key] = (*self._by_key.get(key, ()), subject)

    def _unrelate(self, subject: str) -> None:
        for key in _keys_of(subject):
            left = tuple(x for x in self._by_key.get(key, ()) if x != subject)
            if left:
                self._by_key[key] = left
            else:
                self._by_key.pop(key, None)


def _keys_of(subject: str) -> tuple[bytes, ...]:
    """The kin keys of a wallet id; none for what is no wallet."""
    try:
        return kin_keys(read_canonical_wallet(subject))
    except InvalidAddress:
        return ()
