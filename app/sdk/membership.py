"""Which ids a verified copy of a view lists: many at a time, at little more than the one SHA-256 that each id needs, and those whose keys
were kept at a small part of that.

The ids of a view are known by their keys only, so whoever asks for an id has to hash it: that is the floor, and most of the time spent.
What comes after it touches one small string in most cases: the third byte of every key is kept apart, bucket by bucket, 16 times
smaller than the copy, and only a key whose third byte is there is looked for in the copy itself. A delta moves what it changed.

Where numpy is installed the same is asked of two megabytes of bits for a whole batch at once, at nearly twice the speed; the answers are
the same. Nothing needs it.

A house asks for the same customers whenever the list moves, and what they hash to never moves: a `Portfolio` keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from itertools import compress, islice
from operator import is_not
from struct import iter_unpack
from types import ModuleType
from typing import Any

from ..domain.identifiers import id_key, read_subject
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
_PREFIX = "cordon-id/v1\neip155:0:"
"""What is hashed before an EVM address in small letters, which is the whole rest of its id."""
_MESSAGE = f"{len(_PREFIX) + _EVM_CHARS}s"
_OPENING = f">HB{HASH_BYTES - 3}x"
"""Of a key: its bucket, and its mark."""
_BITS = 1 << 24
_ROW = 256 // 8
"""Bytes of the bits of one bucket."""
_FEW = 2_048
"""Up to so many buckets their bits are set one by one."""
_PREFIX_BYTES = _PREFIX.encode("ascii")
_is_evm = re.compile(r"0x[0-9a-f]{40}").fullmatch


def key_of(text: str) -> bytes:
    """The key of what a text names, in any spelling; InvalidAddress if nobody can read it."""
    if _is_evm(text):
        return sha256(_PREFIX_BYTES + text.encode()).digest()
    return id_key(read_subject(text).id)


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
        return cls(kept, b"".join([_keys_of(kept[start : start + _PIECE]) for start in range(0, len(kept), _PIECE)]))


def _keys_of(texts: Sequence[str]) -> bytes:
    if not _are_evm(texts):
        return b"".join([key_of(text) for text in texts])
    return b"".join([sha256(message).digest() for (message,) in iter_unpack(_MESSAGE, _messages(texts))])


def _messages(texts: Sequence[str]) -> bytes:
    """What is hashed for EVM addresses in small letters."""
    return (_PREFIX + _PREFIX.join(texts)).encode("ascii")


class Membership:
    """The keys of 65,536 buckets of good form; a value, `moved` gives that of the next copy."""

    __slots__ = ("_bits", "_buckets", "_marks")

    def __init__(self, buckets: Sequence[bytes], marks: Sequence[bytes] | None = None, *, bits: Any = None) -> None:
        """`bits`: one for each three bytes that open a key, a numpy array; None: they are not used."""
        self._buckets = buckets
        self._marks = [_marks(data) for data in buckets] if marks is None else marks
        self._bits = bits

    @classmethod
    def empty(cls, *, with_numpy: bool = True) -> Membership:
        """Of a view that lists nothing."""
        numpy = _numpy() if with_numpy else None
        return cls([b""] * BUCKETS, [b""] * BUCKETS, bits=None if numpy is None else numpy.zeros(_BITS // 8, numpy.uint8))

    def moved(self, buckets: Sequence[bytes]) -> Membership:
        """The same of other buckets; what is still the very same object is not looked at again."""
        marks = list(self._marks)
        changed = list(compress(range(BUCKETS), map(is_not, buckets, self._buckets)))
        for number in changed:
            marks[number] = _marks(buckets[number])
        return Membership(buckets, marks, bits=None if self._bits is None else _moved_bits(self._bits, marks, changed))

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
            yield from self._of_evm(piece) if _are_evm(piece) else (text for text in piece if key_of(text) in self)

    def _of_evm(self, texts: Sequence[str]) -> list[str]:
        messages = _messages(texts)
        if self._bits is not None:
            return self._at_once(texts, messages)
        marks, is_there, digest = self._marks, self._is_there, sha256
        return [
            text
            for text, (message,) in zip(texts, iter_unpack(_MESSAGE, messages), strict=True)
            if (key := digest(message).digest())[_MARK] in marks[number := key[0] << 8 | key[1]] and is_there(number, key)
        ]

    def _at_once(self, texts: Sequence[str], messages: bytes) -> list[str]:
        numpy, digest = _numpy(), sha256
        assert numpy is not None
        keys = b"".join([digest(message).digest() for message in numpy.frombuffer(messages, f"S{len(messages) // len(texts)}").tolist()])
        return self._of_keys(texts, keys)

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
        opened = (numpy.frombuffer(keys, ">u4")[:: HASH_BYTES // 4] >> 8).astype(numpy.int64)
        places = numpy.flatnonzero(self._bits.take(opened >> 3) >> (opened & 7).astype(numpy.uint8) & 1)
        numbers = (opened[places] >> 8).tolist()
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


def _moved_bits(bits: Any, marks: Sequence[bytes], changed: Sequence[int]) -> Any:
    """The bits after these buckets have other marks."""
    numpy = _numpy()
    assert numpy is not None
    if len(changed) > _FEW:
        starts = numpy.repeat(numpy.arange(BUCKETS) << 8, numpy.fromiter(map(len, marks), numpy.int64, BUCKETS))
        flags = numpy.zeros(_BITS, numpy.bool_)
        flags[starts | numpy.frombuffer(b"".join(marks), numpy.uint8)] = True
        return numpy.packbits(flags, bitorder="little")
    bits = bits.copy()
    for number in changed:
        row = sum({1 << mark for mark in marks[number]})
        bits[number * _ROW : (number + 1) * _ROW] = numpy.frombuffer(row.to_bytes(_ROW, "little"), numpy.uint8)
    return bits


def _marks(data: bytes) -> bytes:
    """The third byte of each key of a bucket."""
    # Entries with one sid each stand at even distances; the keys of others have to be found.
    marks = data[_MARK::_SINGLE]
    if len(data) == _SINGLE * len(marks) and data[HASH_BYTES + 2 :: _SINGLE].count(1) == len(marks):
        return marks
    return bytes(key[_MARK] for key in keys_in(data))


def _are_evm(texts: Sequence[str]) -> bool:
    """Whether all of them are `0x` and 40 small hex digits: what is left without the digits is an x each, where it belongs."""
    count = len(texts)
    raw = "".join(texts).encode("utf-8", "replace")
    return (
        all(len(text) == _EVM_CHARS for text in texts)
        and raw[::_EVM_CHARS] == b"0" * count
        and raw[1::_EVM_CHARS] == b"x" * count
        and raw.translate(None, _HEX) == b"x" * count
    )
