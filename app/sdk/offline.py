"""Screening without a network, from a verified copy of a view: no question leaves the house (protocol §3.10, mode a).

It says what the node would say of the id to whoever may read the tier: `listed` or `not_listed`, in any spelling, or `invalid`. What only
the node can say is not here: statements in full, what is narrowed to a tag, related ids, and anything from AMBER up. A copy that is too
old is not used: `Unavailable`, never a silent "not listed".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..domain.address import Wallet
from ..domain.answer import Match
from ..domain.errors import InvalidAddress, Unavailable
from ..domain.identifiers import id_key, read_subject
from ..domain.view import BucketEntry, bucket_number, find_entry
from ..domain.viewing import GREEN
from ..seal.notes import Verifier, read_vkeys
from ..seal.roots import RootDocument
from .membership import Membership, Portfolio, key_of
from .view_store import Copy, Store

__all__ = ["Offline", "Portfolio", "Screener"]


@dataclass(frozen=True, slots=True)
class Offline:
    """What a copy says of one text. `sids`: the first 16 bytes of each statement id; `asks_node`: a tag was given, and only the node knows
    what is narrowed to a tag; `error`: why a text is `invalid`.
    """

    query: str
    id: str | None
    match: Match
    severity: int | None = None
    category: int | None = None
    sids: tuple[bytes, ...] = ()
    asks_node: bool = False
    error: str | None = None


class Screener:
    """Answers from the copy in a folder. For one thread at a time; `refresh` after `cordon mirror` has brought a newer one."""

    def __init__(self, store: Store, keys: Sequence[Verifier], *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._version: tuple[int, ...] = ()
        self._removed: Mapping[bytes, int] = {}
        self._copy: Copy
        self._members = Membership.empty()
        self.refresh()

    @classmethod
    def open(cls, folder: Path | str, root: RootDocument, *, tier: str = GREEN, clock: Callable[[], float] = time.time) -> Screener:
        """The copy that `cordon mirror` keeps in a folder, verified under a root document; NotFound, InvalidProof, Malformed."""
        return cls(Store(Path(folder), tier), read_vkeys(root.view_vkeys), clock=clock)

    def refresh(self) -> bool:
        """Take in what is on disk if it has changed; whether it had. What is new is verified, which takes as long as there is of it."""
        version = self._store.version()
        if version and version == self._version:
            return False
        self._copy = self._store.load(self._keys)
        self._removed = self._store.tombstones()
        self._members = self._members.moved(self._copy.buckets)
        self._not_after = self._copy.not_after
        self._version = version
        return True

    @property
    def as_of(self) -> int:
        """The second for which the copy stands."""
        return self._copy.head.as_of

    @property
    def not_after(self) -> int:
        """The second from which it is not used any more."""
        return self._not_after

    @property
    def copy(self) -> Copy:
        """The copy itself, with head and tree: what proves an answer later."""
        return self._copy

    # --- ask ---------------------------------------------------------------------------------------------------------

    def screen(self, text: str, *, chain: str | None = None, tag: str | None = None) -> Offline:
        """What is known of one text in any spelling; a text that nobody can read is `invalid`. Unavailable if the copy is too old."""
        self._check_age()
        try:
            subject = read_subject(text, chain=chain, tag=tag)
        except InvalidAddress as error:
            return Offline(text, None, Match.INVALID, error=error.code)
        entry = self._entry(id_key(subject.id))
        asks_node = isinstance(subject, Wallet) and subject.tag is not None
        if entry is None:
            return Offline(text, subject.id, Match.NOT_LISTED, asks_node=asks_node)
        return Offline(text, subject.id, Match.LISTED, entry.severity, entry.category, entry.sids, asks_node)

    def is_listed(self, text: str) -> bool:
        """The short form for a hot path; InvalidAddress for a text that nobody can read."""
        if self._clock() > self._not_after:
            self._check_age()
        return key_of(text) in self._members

    def listed(self, texts: Iterable[str]) -> list[str]:
        """Those of many texts that are listed, as they were written; InvalidAddress for the first that nobody can read."""
        self._check_age()
        return list(self._members.listed(texts))

    def listed_of(self, portfolio: Portfolio) -> list[str]:
        """Those texts of a portfolio that are listed, as they were written: for whoever asks for the same ones whenever the list has moved.

        Nothing is read or hashed, that was done by `Portfolio.of`; so a million takes a fraction of a second.
        """
        self._check_age()
        return list(self._members.listed_of(portfolio))

    def removed_at(self, text: str) -> int | None:
        """The second since which an id that was listed is listed no more; None if it never was, or is again (trust-and-ops CP-4)."""
        return self._removed.get(id_key(read_subject(text).id))

    def _entry(self, key: bytes) -> BucketEntry | None:
        return find_entry(self._copy.buckets[bucket_number(key)], key)

    def _check_age(self) -> None:
        if self._clock() > self._not_after:
            raise Unavailable(f"the copy of the view is of {self.as_of} and may not be used after {self._not_after}: run `cordon mirror`")
