"""What is known of certain subjects: their live listings, those of their kin and of the ends of their links, whoever may see them.

Read from the database when the index file says "look", and then asked without waiting, as a value: the reader's filter comes afterwards,
in `domain/answer`. It answers for exactly the subjects that it was read for, and what they lead to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.domain.address import Wallet, ids_of_key, kin_keys
from app.domain.answer import Link, Listing
from app.domain.identifiers import Subject
from app.domain.labels import Reader
from app.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Known:
    """id -> its live listings, oldest first; id -> live links from or to it; wallet id -> listed ids of the same holder."""

    listings: Mapping[str, Sequence[Listing]] = field(default_factory=dict)
    links_of: Mapping[str, Sequence[Link]] = field(default_factory=dict)
    kin: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def find(self, subject: str) -> Sequence[Listing]:
        """Live listings on an id, oldest first; empty if none."""
        return self.listings.get(subject, ())

    def same_key(self, wallet: Wallet) -> Sequence[str]:
        """Listed ids of the same holder on other chains or in other forms, sorted."""
        return self.kin.get(wallet.id, ())

    def links(self, subject: str) -> Sequence[Link]:
        """Live links from or to an id."""
        return self.links_of.get(subject, ())

    def and_also(self, others: Iterable[Known]) -> Known:
        """What this says, and what others say."""
        listings, links, kin = dict(self.listings), dict(self.links_of), dict(self.kin)
        for other in others:
            listings.update(other.listings)
            links.update(other.links_of)
            kin.update(other.kin)
        return Known(listings, links, kin)


NOTHING_KNOWN = Known()


class Knowing(Protocol):
    """Who tells what is known: the live index, or what stands in front of it."""

    def may_know(self, subject: Subject, reader: Reader) -> bool:
        """False: nothing is said that the reader may see of it, its kin or its links. True: `known` has to tell."""
        ...

    def at_hand(self, subject: Subject, reader: Reader) -> Known | None:
        """What `known` would tell of one subject, if it can be told without asking a database; else None."""
        ...

    def standing(self) -> Mapping[str, Known]:
        """What was read lately and has not moved since, by id: true until something else is awaited."""
        ...

    async def known(self, subjects: Iterable[Subject], reader: Reader) -> Known:
        """What is said of the subjects, of their kin and of what they are linked with. Does not wait where nothing is."""
        ...

    async def known_in(self, tx: Transaction, subjects: Iterable[Subject], reader: Reader) -> Known:
        """The same as a snapshot of the database has it."""
        ...


async def read_known(tx: Transaction, subjects: Sequence[Subject]) -> dict[str, Known]:
    """What is known of each subject, by its id, in four queries at most for all of them."""
    links = _links_by_end({one.id for one in subjects}, await tx.filed.links([one.id for one in subjects]))
    keys = {one.id: kin_keys(one) for one in subjects if isinstance(one, Wallet)}
    far = await _far_kin(tx, {key for some in keys.values() for key in some if may_be_far(key)})
    kin = {id_: _kin_of(id_, some, far) for id_, some in keys.items()}
    wanted = dict.fromkeys(id_ for one in subjects for id_ in _ids_around(one.id, kin.get(one.id, ()), links.get(one.id, ())))
    listings: dict[str, list[Listing]] = {}
    for listing in await tx.filed.listings(wanted):
        listings.setdefault(listing.subject, []).append(listing)
    return {one.id: _around(one.id, kin.get(one.id, ()), links.get(one.id, ()), listings) for one in subjects}


def may_be_far(key: bytes) -> bool:
    """Whether a wallet of this key may be one whose id cannot be written from it."""
    return key[:1] in (b"s", b"m")


async def _far_kin(tx: Transaction, keys: Iterable[bytes]) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {}
    for key, id_ in await tx.filed.kin([key.hex() for key in keys]):
        found.setdefault(bytes.fromhex(key), []).append(id_)
    return found


def _kin_of(id_: str, keys: Iterable[bytes], far: Mapping[bytes, Sequence[str]]) -> tuple[str, ...]:
    """Ids that may be kin: those that can be written from the keys, and those that are kept under them."""
    return tuple(sorted({other for key in keys for other in (*ids_of_key(key), *far.get(key, ())) if other != id_}))


def ends_of(link: Link) -> tuple[str, str]:
    """The two ids that a link joins."""
    return str(link.item["from"]), str(link.item["to"])


def _links_by_end(ids: set[str], links: Iterable[Link]) -> dict[str, list[Link]]:
    found: dict[str, list[Link]] = {}
    for link in links:
        for end in dict.fromkeys(ends_of(link)):
            if end in ids:
                found.setdefault(end, []).append(link)
    return found


def _ids_around(id_: str, kin: Iterable[str], links: Iterable[Link]) -> Iterable[str]:
    return (id_, *kin, *(end for link in links for end in ends_of(link)))


def _around(id_: str, kin: Iterable[str], links: Sequence[Link], listings: Mapping[str, Sequence[Listing]]) -> Known:
    listed = {one: tuple(listings[one]) for one in _ids_around(id_, kin, links) if one in listings}
    same_key = tuple(one for one in kin if one in listed)
    return Known(listed, {id_: tuple(links)} if links else {}, {id_: same_key} if same_key else {})
