"""What a tier lists, worked out for many items at once: from narrow columns to the bytes of entries, on numpy arrays.

It is the rule of `domain/viewing` for the items that are all but every one: those of listings in force that nobody disputes. Of these a
few small integers decide, so nothing is parsed and no object is made for each. Of an id of which anything odd is said nothing is worked
out here: it is read whole and by `viewing.entry_of`. A law of the suite holds the two equal.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from app.domain.answer import Moment, is_public
from app.domain.glance import GUARD, TAGGED
from app.domain.identifiers import KEY_PREFIX
from app.domain.labels import Reader
from app.domain.merkle import HASH_BYTES
from app.domain.view import BUCKETS, MAX_SIDS, SID_BYTES
from app.index.vector import I64, U8, U16, U64, Bools
from app.storage.viewed import FLAGS, IS_GREEN, IS_ODD, NO_EMBARGO, ViewedItem, ViewedRow, ViewedStatement

I32 = npt.NDArray[np.int32]

_ENTITY = "entity:"
_SID_CHARS, _SID_GROUP = 24, 18
"""Of a sid: whole groups of characters that hold its first 16 bytes, and the bytes that they hold."""
_FIXED = HASH_BYTES + 3
_HEAD = np.dtype([("key", f"V{HASH_BYTES}"), ("severity", np.uint8), ("category", np.uint8), ("count", np.uint8)])
_SINGLE = np.dtype([("head", f"V{_FIXED}"), ("sid", f"V{SID_BYTES}")])
PARTS = 8
"""Runs of buckets that are worked out one after the other, so that only one of them at a time needs memory for it."""
_PIECE = 16_384
"""Entries whose bytes are placed together: the table of their places stays small."""


# --- rows as columns -------------------------------------------------------------------------------------------------


class Logs:
    """Numbers for the logs that rows stand in, and the other way round."""

    def __init__(self) -> None:
        self.origins: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, origin: str) -> int:
        """Its number, given at the first question."""
        found = self._numbers.get(origin)
        if found is None:
            found = self._numbers[origin] = len(self.origins)
            self.origins.append(origin)
        return found

    def where(self, origins: Iterable[str]) -> Bools:
        """By number, whether a log is one of these."""
        chosen = frozenset(origins)
        return np.array([origin in chosen for origin in self.origins], np.bool_)


@dataclass(frozen=True, slots=True)
class Columns:
    """Items in force, one place in each array an item: `keys` (n, 32) and `sids` (n, 16) bytes, the rest as in `storage/viewed`."""

    keys: U8
    sids: U8
    logs: U16
    indices: I64
    glances: I32
    embargoes_ms: I64
    accepted_ms: I64
    until_s: I64

    def __len__(self) -> int:
        return len(self.glances)

    @classmethod
    def of(cls, rows: Sequence[ViewedRow], logs: Logs) -> Columns:
        """Of items with their statements; entities, which nobody screens, must not be among them."""
        if not rows:
            return _NOTHING
        origins, indices, subjects, sids, embargoes_ms, accepted_ms, until_s, glances = zip(*rows, strict=True)
        return cls(
            keys=keys_of(subjects),
            sids=_sids(sids),
            logs=np.array([logs.number(origin) for origin in origins], np.uint16),
            indices=np.array(indices, np.int64),
            glances=np.array(glances, np.int32),
            embargoes_ms=np.array(embargoes_ms, np.int64),
            accepted_ms=np.array(accepted_ms, np.int64),
            until_s=np.array(until_s, np.int64),
        )

    @classmethod
    def of_page(cls, log: int, items: Sequence[ViewedItem], statements: Sequence[ViewedStatement]) -> tuple[Columns, list[str]]:
        """Of items of one log and of those of their statements that are in force; and the ids that have to be read one by one."""
        if not items or not statements:
            return _NOTHING, []
        indices, _, subjects, embargoes_ms, item_glances = zip(*items, strict=True)
        standing, sids, accepted_ms, until_s, statement_glances = zip(*statements, strict=True)
        places, heads = np.array(indices, np.int64), np.array(standing, np.int64)
        at = np.searchsorted(heads, places)
        is_live = heads.take(at, mode="clip") == places
        is_live &= [not subject.startswith(_ENTITY) for subject in subjects]
        rows = np.flatnonzero(is_live)
        at = at[rows]
        glances = np.array(item_glances, np.int32)[rows] + np.array(statement_glances, np.int32)[at]
        live = subjects if len(rows) == len(subjects) else [subjects[row] for row in rows.tolist()]
        odd = [live[row] for row in np.flatnonzero(glances & IS_ODD).tolist()]
        return cls(
            keys=keys_of(live),
            sids=_sids(sids)[at],
            logs=np.full(len(rows), log, np.uint16),
            indices=places[rows],
            glances=glances,
            embargoes_ms=np.array(embargoes_ms, np.int64)[rows],
            accepted_ms=np.array(accepted_ms, np.int64)[at],
            until_s=np.array(until_s, np.int64)[at],
        ), odd

    @classmethod
    def joined(cls, pieces: Sequence[Columns]) -> Columns:
        """All of them, one after the other."""
        return cls(*(np.concatenate([getattr(piece, one.name) for piece in (_NOTHING, *pieces)]) for one in fields(cls)))

    def part(self, number: int) -> Columns:
        """Those whose keys belong into one of PARTS equal runs of buckets."""
        rows = np.flatnonzero(self.keys[:, 0] // (256 // PARTS) == number)
        rest = [getattr(self, one.name)[rows] for one in fields(self)[2:]]
        return Columns(_at(self.keys, rows), _at(self.sids, rows), *rest)


_NOTHING = Columns(
    np.empty((0, HASH_BYTES), np.uint8),
    np.empty((0, SID_BYTES), np.uint8),
    np.empty(0, np.uint16),
    np.empty(0, np.int64),
    np.empty(0, np.int32),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
)


def is_screened(row: ViewedRow) -> bool:
    """Whether anybody screens what the row names: an entity he does not."""
    return not row[2].startswith(_ENTITY)


def keys_of(ids: Iterable[str]) -> U8:
    """The keys of ids that stand in statements, (n, 32) bytes: these were checked when they came."""
    joined = b"".join([sha256(KEY_PREFIX + one.encode("utf-8")).digest() for one in ids])
    return np.frombuffer(joined, np.uint8).reshape(-1, HASH_BYTES)


def _sids(texts: Sequence[str]) -> U8:
    joined = urlsafe_b64decode("".join([text[:_SID_CHARS] for text in texts]))
    return np.frombuffer(joined, np.uint8).reshape(-1, _SID_GROUP)[:, :SID_BYTES]


# --- what a tier says of them ----------------------------------------------------------------------------------------


def entries_of(columns: Columns, logs: Logs, reader: Reader, moment: Moment) -> Entries:
    """The entries of a tier, but for the ids that are odd. `moment.protected` is not asked: leave those ids out, or take them out later."""
    glances, own, weightless = columns.glances, logs.where([moment.own_origin]), logs.where(moment.weightless)
    shown = (glances & TAGGED * FLAGS == 0) & (columns.until_s > moment.now_s)
    if is_public(reader):
        shown &= (glances & IS_GREEN == 0) & (_open_ms(columns, moment) <= moment.now_ms)
    guards = glances & GUARD * FLAGS != 0
    # What takes an id out of the tier, whatever else is said of it.
    out = (shown & guards & own[columns.logs]) | (glances & IS_ODD != 0)
    said = shown & ~guards & ~weightless[columns.logs]
    scores = (glances & 0xFFFF ^ 0xFF).astype(np.uint16)  # the worse, the higher; of the same severity the lower category
    counts = np.flatnonzero(out | said)
    return _packed(_at(columns.keys, counts), _at(columns.sids, counts), scores[counts], out[counts])


def next_changes(columns: Columns, reader: Reader, moment: Moment) -> I64:
    """For each item the first second after `moment` at which the entry of its id may be another; 0: never, as where it has ended."""
    soonest = np.where(columns.until_s > moment.now_s, columns.until_s, 0)
    if is_public(reader):
        opens_s = -(-_open_ms(columns, moment) // 1000)
        soonest = np.where((opens_s > moment.now_s) & (opens_s < soonest), opens_s, soonest)
        soonest[columns.glances & IS_GREEN != 0] = 0
    return soonest


def _open_ms(columns: Columns, moment: Moment) -> I64:
    """From when on the public is told."""
    embargoes = columns.embargoes_ms
    return np.where(embargoes == NO_EMBARGO, columns.accepted_ms + moment.public_delay_ms, embargoes)


# --- entries ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries by ascending key: `keys` (n, 32), and entry i of `data` from `places[i]` to `places[i + 1]`."""

    keys: U8
    places: I64
    data: U8

    def __len__(self) -> int:
        return len(self.keys)

    def each(self) -> Iterator[tuple[bytes, bytes]]:
        """Key and entry, one by one."""
        places, data, keys = self.places.tolist(), self.data.tobytes(), self.keys.tobytes()
        for number in range(len(self)):
            yield keys[number * HASH_BYTES : (number + 1) * HASH_BYTES], data[places[number] : places[number + 1]]

    def ends(self, first: int = 0, end: int = BUCKETS) -> list[int]:
        """Where in `data` each of these buckets begins, and the last one ends."""
        numbers = self.keys[:, 0].astype(np.int64) << 8 | self.keys[:, 1]
        ends: list[int] = self.places[np.searchsorted(numbers, np.arange(first, end + 1))].tolist()
        return ends

    def buckets(self, ends: Sequence[int]) -> list[bytes]:
        """The bytes of the buckets between some of these ends."""
        data = self.data.data
        return [bytes(data[begin:end]) for begin, end in pairwise(ends)]


def _packed(keys: U8, sids: U8, scores: U16, out: Bools) -> Entries:
    """One entry a key of those of which nothing is `out`: the best score, the lowest sids."""
    order, is_first = _ordered(keys, sids)
    starts = np.flatnonzero(is_first)
    if not len(starts):
        return Entries(keys[:0], np.zeros(1, np.int64), np.empty(0, np.uint8))
    sids = _at(sids, order)
    kept = ~np.maximum.reduceat(out[order], starts)
    best = np.maximum.reduceat(scores[order], starts)[kept]
    # A statement may name an id twice; its sid stands in the entry once.
    counts = is_first.copy()
    counts[1:] |= _differ(sids[1:], sids[:-1])
    groups = np.cumsum(is_first) - 1
    place = np.cumsum(counts) - 1
    counts &= (place - place[starts][groups] < MAX_SIDS) & kept[groups]
    numbers = np.add.reduceat(counts, starts, dtype=np.int64)[kept]
    heads = np.empty(len(best), _HEAD)
    heads["key"] = _whole(_at(keys, order[starts[kept]]))
    heads["severity"] = best >> 8
    heads["category"] = best & 0xFF ^ 0xFF
    heads["count"] = numbers
    return _placed(heads, _at(sids, np.flatnonzero(counts)), numbers)


def _ordered(keys: U8, sids: U8) -> tuple[I64, Bools]:
    """The order of rows by key, then sid; and in that order whether a row is the first of its key."""
    lead = _words(keys[:, :8])[0]
    order = np.argsort(lead)
    is_first = np.ones(len(order), np.bool_)
    lead = lead[order]
    is_first[1:] = lead[1:] != lead[:-1]
    if is_first.all():
        return order, is_first
    # Rows whose keys open with the same eight bytes, which are those of one key: these alone are put in full order.
    close = ~is_first
    close[:-1] |= ~is_first[1:]
    rows = order[close]
    rows = rows[np.lexsort((*_words(_at(sids, rows))[::-1], *_words(_at(keys, rows))[::-1]))]
    order[close] = rows
    is_first[close] = np.concatenate(([True], _differ(_at(keys, rows[1:]), _at(keys, rows[:-1]))))
    return order, is_first


def _whole(rows: U8) -> npt.NDArray[np.void]:
    """Rows of bytes as one value each, which are copied several times as fast."""
    return np.ascontiguousarray(rows).view(f"V{rows.shape[1]}")[:, 0]


def _at(rows: U8, places: I64) -> U8:
    """The rows at these places."""
    return _whole(rows).take(places).view(np.uint8).reshape(-1, rows.shape[1])


def _differ(these: U8, those: U8) -> Bools:
    """Row by row, whether the bytes differ."""
    found: Bools = (np.ascontiguousarray(these).view(np.uint64) != np.ascontiguousarray(those).view(np.uint64)).any(axis=1)
    return found


def _words(rows: U8) -> list[U64]:
    """Rows of bytes as columns of numbers that sort as the bytes do, the leading one first."""
    words = np.ascontiguousarray(rows).view(">u8").astype(np.uint64)
    return list(np.ascontiguousarray(words.T))


def _placed(heads: npt.NDArray[np.void], sids: U8, numbers: I64) -> Entries:
    """Heads and sids as they stand in the buckets."""
    places = np.zeros(len(heads) + 1, np.int64)
    np.cumsum(_FIXED + SID_BYTES * numbers, out=places[1:])
    keys = np.ascontiguousarray(heads["key"]).view(np.uint8).reshape(-1, HASH_BYTES)
    if len(sids) == len(heads):  # one each
        single = np.empty(len(heads), _SINGLE)
        single["head"], single["sid"] = heads.view(f"V{_FIXED}"), _whole(sids)
        return Entries(keys, places, single.view(np.uint8))
    data = np.empty(places[-1], np.uint8)
    rows = heads.view(np.uint8).reshape(-1, _FIXED)
    starts = np.repeat(places[:-1] + _FIXED - SID_BYTES * (np.cumsum(numbers) - numbers), numbers) + SID_BYTES * np.arange(len(sids))
    for begin in range(0, len(rows), _PIECE):
        piece = slice(begin, begin + _PIECE)
        data[places[:-1][piece, None] + np.arange(_FIXED)] = rows[piece]
    for begin in range(0, len(sids), _PIECE):
        piece = slice(begin, begin + _PIECE)
        data[starts[piece, None] + np.arange(SID_BYTES)] = sids[piece]
    return Entries(keys, places, data)
