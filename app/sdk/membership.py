"""Which ids a verified copy of a view lists: many at a time, at little more than the one SHA-256 that each id needs, and those whose keys
were kept at a small part of that.

The ids of a view are known by their keys only, so whoever asks for an id has to hash it: that is the floor, and most of the time spent.
What comes after it touches one small string in most cases: the third byte of every key is kept apart, bucket by bucket, 16 times
smaller than the copy, and only a key whose third byte is there is looked for in the copy itself. A delta moves what it changed.

Where numpy is installed the same is asked of sixteen megabytes of bits for a whole batch at once, three bits of the fourth byte included:
of a million listed they leave one text in 130 to be looked for in the copy. The answers are the same, and nothing needs it.

A house asks for the same customers whenever the list moves, and what they hash to never moves: a `Portfolio` keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from itertools import chain, compress, islice
from operator import is_not
from struct import Struct, iter_unpack
from types import ModuleType
from typing import Any

from ..domain.address import Wallet, chains, is_plain_solana
from ..domain.identifiers import KEY_PREFIX, id_key, read_subject
from ..domain.merkle import HASH_BYTES
from ..domain.view import BUCKETS, SID_BYTES, holds, keys_in

_SINGLE = HASH_BYTES + 3 + SID_BYTES
_MARK = 2
_PIECE = 4_096
"""Texts that are worked on together: what is made of them stays in the cache."""
_LONG_PIECE = 65_536
"""The same where nothing is made of them but three bytes each."""
_EVM_CHARS = 42
_HEX = b"0123456789abcdef"
_PREFIX = KEY_PREFIX.decode("ascii") + f"{chains.EVM}:"
"""What is hashed before an EVM address in small letters, which is the whole rest of its id."""
_MESSAGE_BYTES = len(_PREFIX) + _EVM_CHARS
_WHOLE = Struct(f"{_MESSAGE_BYTES}s" * _PIECE)
"""The messages of a whole piece, cut in one call."""
_ZERO_AT = len(_PREFIX)
_FRAME = f"{_PREFIX}0x".encode("ascii").translate(None, _HEX)
"""What is left of a message without the digits."""
_OPENING = f">HB{HASH_BYTES - 3}x"
"""Of a key: its bucket, and its mark."""
_MORE_BITS = 3
"""Of the fourth byte of a key, after the three whole ones."""
_ROW_BITS = 1 << 8 + _MORE_BITS
"""Of one bucket."""
_ROW = _ROW_BITS // 8
_FEW = 2_048
"""Up to so many buckets their bits are set one by one, and beyond it in parts of so many."""
_EVM_PREFIX = (_PREFIX + "0x").encode("ascii")
_SOLANA_PREFIX = KEY_PREFIX + f"{chains.SOLANA}:".encode("ascii")
_evm = re.compile(r"(?:eip155:0:)?(?:0x)?([0-9a-f]{40}|[0-9A-F]{40})").fullmatch
"""An EVM address in a spelling that needs no checksum, alone or as its id."""


def key_of(text: str) -> bytes:
    """The key of what a text names, in any spelling; InvalidAddress if nobody can read it."""
    if (found := _evm(text)) is not None:
        return sha256(_EVM_PREFIX + found[1].lower().encode()).digest()
    if is_plain_solana(text):
        return sha256(_SOLANA_PREFIX + text.encode()).digest()
    subject = read_subject(text)
    if isinstance(subject, Wallet):  # whose id needs no further look
        return sha256(KEY_PREFIX + subject.id.encode("ascii")).digest()
    return id_key(subject.id)


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Texts that are asked for again and again, read and hashed once; 32 bytes each beside the texts. Good for any copy, of any node.

    Keep it as you keep the texts: whoever has a key can try which id it is.
    """

    texts: Sequence[str]
    keys: bytes
    """The keys of the texts in their order, one after the other."""

    def __post_init__(self) -> None:
        if len(self.keys) != HASH_BYTES * len(self.texts):
            raise ValueError(f"{len(self.texts)} texts have {HASH_BYTES * len(self.texts)} bytes of keys, not {len(self.keys)}")

    @classmethod
    def of(cls, texts: Iterable[str]) -> Portfolio:
        """Of texts in any spelling; InvalidAddress for the first that nobody can read."""
        kept = tuple(texts)
        keys = (_keys_of(kept[start : start + _PIECE]) for start in range(0, len(kept), _PIECE))
        return cls(kept, b"".join(chain.from_iterable(keys)))


def _keys_of(texts: Sequence[str]) -> list[bytes]:
    """The keys of one text or more, in order; InvalidAddress for the first that nobody can read."""
    messages = _messages(texts)
    return [key_of(text) for text in texts] if messages is None else [sha256(message).digest() for message in messages]


def _messages(texts: Sequence[str]) -> Sequence[bytes] | None:
    """What is hashed for EVM addresses in small letters; None if some text is none."""
    if set(map(len, texts)) != {_EVM_CHARS}:
        return None
    count, data = len(texts), (_PREFIX + _PREFIX.join(texts)).encode("ascii", "replace")
    # What is left without the digits is an x each, and that stands where it belongs.
    if (
        data[_ZERO_AT::_MESSAGE_BYTES] != b"0" * count
        or data[_ZERO_AT + 1 :: _MESSAGE_BYTES] != b"x" * count
        or data.translate(None, _HEX) != _FRAME * count
    ):
        return None
    messages: Sequence[bytes] = (_WHOLE if count == _PIECE else Struct(f"{_MESSAGE_BYTES}s" * count)).unpack(data)
    return messages


class Membership:
    """The keys of 65,536 buckets of good form; a value, `moved` gives that of the next copy."""

    __slots__ = ("_bits", "_buckets", "_marks")

    def __init__(self, buckets: Sequence[bytes], marks: Sequence[bytes] | None = None, *, bits: Any = None) -> None:
        """`bits`: one for each 27 bits that may open a key, a numpy array; None: they are not used."""
        self._buckets = buckets
        self._marks = [_marks(data) for data in buckets] if marks is None else marks
        self._bits = bits

    @classmethod
    def empty(cls, *, with_numpy: bool = True) -> Membership:
        """Of a view that lists nothing."""
        numpy = _numpy() if with_numpy else None
        return cls([b""] * BUCKETS, [b""] * BUCKETS, bits=None if numpy is None else numpy.zeros(BUCKETS * _ROW, numpy.uint8))

    def moved(self, buckets: Sequence[bytes]) -> Membership:
        """The same of other buckets; what is still the very same object is not looked at again."""
        marks = list(self._marks)
        changed = list(compress(range(BUCKETS), map(is_not, buckets, self._buckets)))
        for number in changed:
            marks[number] = _marks(buckets[number])
        return Membership(buckets, marks, bits=None if self._bits is None else _moved_bits(self._bits, buckets, changed))

    def __contains__(self, key: bytes) -> bool:
        number = key[0] << 8 | key[1]
        return key[_MARK] in self._marks[number] and self._is_there(number, key)

    def _is_there(self, number: int, key: bytes) -> bool:
        data, marks = self._buckets[number], self._marks[number]
        if len(data) != _SINGLE * len(marks):  # some entry has more than one sid: places tell nothing
            return holds(data, key)
        at = marks.find(key[_MARK])
        while at >= 0 and not data.startswith(key, _SINGLE * at):
            at = marks.find(key[_MARK], at + 1)
        return at >= 0

    def listed_of(self, portfolio: Portfolio) -> Iterator[str]:
        """Those texts of a portfolio that are listed, in order."""
        texts, keys = portfolio.texts, portfolio.keys
        for start in range(0, len(texts), _LONG_PIECE):
            end = start + _LONG_PIECE
            yield from self._of_keys(texts[start:end], keys[HASH_BYTES * start : HASH_BYTES * end])

    def listed(self, texts: Iterable[str]) -> Iterator[str]:
        """Those of many texts that are listed, in order; InvalidAddress for the first that nobody can read."""
        rest = iter(texts)
        while piece := list(islice(rest, _PIECE)):
            keys = _keys_of(piece)
            if self._bits is not None:
                yield from self._of_keys(piece, b"".join(keys))
                continue
            marks, is_there = self._marks, self._is_there
            yield from [
                text
                for text, key in zip(piece, keys, strict=True)
                if key[_MARK] in marks[number := key[0] << 8 | key[1]] and is_there(number, key)
            ]

    def _of_keys(self, texts: Sequence[str], keys: bytes) -> list[str]:
        is_there = self._is_there
        if self._bits is None:
            marks = self._marks
            return [
                text
                for place, (text, (number, mark)) in enumerate(zip(texts, iter_unpack(_OPENING, keys), strict=True))
                if mark in marks[number] and is_there(number, keys[place * HASH_BYTES : (place + 1) * HASH_BYTES])
            ]
        numpy = _numpy()
        assert numpy is not None
        opened = (numpy.frombuffer(keys, ">u4")[:: HASH_BYTES // 4] >> 8 - _MORE_BITS).astype(numpy.int64)
        places = numpy.flatnonzero(self._bits.take(opened >> 3) >> (opened & 7).astype(numpy.uint8) & 1)
        numbers = (opened[places] >> 8 + _MORE_BITS).tolist()
        return [
            texts[place]
            for place, number in zip(places.tolist(), numbers, strict=True)
            if is_there(number, keys[place * HASH_BYTES : (place + 1) * HASH_BYTES])
        ]


@cache
def _numpy() -> ModuleType | None:
    """It, if it is installed."""
    try:
        return import_module("numpy")
    except ImportError:
        return None


def _moved_bits(bits: Any, buckets: Sequence[bytes], changed: Sequence[int]) -> Any:
    """The bits after these buckets have changed."""
    numpy = _numpy()
    assert numpy is not None
    bits = bits.copy()
    if len(changed) <= _FEW:
        for number in changed:
            data = buckets[number]
            row = sum(
                {1 << (mark << _MORE_BITS | more >> 8 - _MORE_BITS) for mark, more in zip(_marks(data), _marks(data, 1), strict=True)}
            )
            bits[number * _ROW : (number + 1) * _ROW] = numpy.frombuffer(row.to_bytes(_ROW, "little"), numpy.uint8)
        return bits
    for first in range(0, BUCKETS, _FEW):
        some = buckets[first : first + _FEW]
        marks, more = [_marks(data) for data in some], b"".join([_marks(data, 1) for data in some])
        places = numpy.repeat(numpy.arange(len(some)) * _ROW_BITS, numpy.fromiter(map(len, marks), numpy.int64, len(some)))
        places |= numpy.frombuffer(b"".join(marks), numpy.uint8).astype(numpy.int64) << _MORE_BITS
        places |= numpy.frombuffer(more, numpy.uint8) >> 8 - _MORE_BITS
        flags = numpy.zeros(len(some) * _ROW_BITS, numpy.bool_)
        flags[places] = True
        bits[first * _ROW : (first + _FEW) * _ROW] = numpy.packbits(flags, bitorder="little")
    return bits


def _marks(data: bytes, further: int = 0) -> bytes:
    """The third byte of each key of a bucket, or one `further` on."""
    # Entries with one sid each stand at even distances; the keys of others have to be found.
    marks = data[_MARK + further :: _SINGLE]
    if len(data) == _SINGLE * len(marks) and data[HASH_BYTES + 2 :: _SINGLE].count(1) == len(marks):
        return marks
    return bytes(key[_MARK + further] for key in keys_in(data))
