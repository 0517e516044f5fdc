"""The digests of many addresses at once, read from the bytes they arrive in: no string, no object, no regular expression a row.

Of the spellings that make up nearly every list (EVM with 0x, Tron, Bitcoin in base58 and bech32, Solana of 43 and 44 characters) every
character, the length and what decodes from it are checked here: alphabet, version byte, number of bytes, witness version and padding.
Checksums are checked if asked. A row that is none of these, or not plainly right, is *slow*: the careful reader looks at it and words
its error. So this module never says what an address is, only which rows need no closer look, and under which digest they would be filed:
the law is that a row which is not slow is read by `read_subject` to the very keys whose digests stand here (without checksums: or to the
refusal `checksum`).

Numbers in base 58 become limbs of 40 bits by one matrix product, exact in 64-bit floats: 57 · 2^40 · 44 < 2^53.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from app.domain.address import chains
from app.domain.checksums import hash160
from app.index import sums
from app.index.keys import ACCOUNT, KEY_HASH, SCRIPT_HASH, TEXT, WITNESS, Digester, keys_of_id
from app.index.vector import I64, U8, U32, U64, Bools, digest_rows, digest_words, lanes

PAD = 64
"""Bytes of anything but an address that must stand before and after the rows."""

_U = np.uint64
_BASE58: Final = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32: Final = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_WRONG: Final = 0x80
_WRONGS: Final = _U(0x8080808080808080)


def _table(alphabet: bytes, values: Sequence[int]) -> bytes:
    table = bytearray([_WRONG]) * 256
    for sign, value in zip(alphabet, values, strict=True):
        table[sign] = value
    return bytes(table)


_HEX_VALUES: Final = _table(b"0123456789abcdefABCDEF", [*range(16), *range(10, 16)])
_BASE58_VALUES: Final = _table(_BASE58, range(58))
_BECH32_VALUES: Final = _table(_BECH32, range(32))


def _powers(width: int, digits: int, limbs: int) -> npt.NDArray[np.float64]:
    """Row i: the limbs, highest first, of 58 to the power that the i-th of `width` right-aligned digits has."""
    matrix = np.zeros((width, limbs))
    for place in range(digits):
        power = 58**place
        for limb in range(limbs):
            matrix[width - 1 - place, limb] = power >> 40 * (limbs - 1 - limb) & 0xFFFFFFFFFF
    return matrix


_SHORT_POWERS: Final = _powers(40, 35, 6)
_LONG_POWERS: Final = _powers(48, 44, 7)
# What of forty bytes that end where the row ends belongs to a row of so many characters.
_TAILS: Final = np.array([[0xFF if 40 - length <= at else 0 for at in range(40)] for length in range(41)], np.uint8).view(np.uint64)
_LONG_TAILS: Final = np.array([[0xFF if 48 - length <= at else 0 for at in range(48)] for length in range(49)], np.uint8).view(np.uint64)

_HEADS: Final = tuple(f"{chain}:".encode("ascii") for chain in (chains.EVM, chains.TRON, chains.BITCOIN, chains.SOLANA))
_TAG_ACCOUNT: Final = ACCOUNT[0] | 20 << 8
_TAG_KEY: Final = KEY_HASH[0] | 20 << 8
_TAG_SCRIPT: Final = SCRIPT_HASH[0] | 20 << 8
_TAG_WITNESS: Final = WITNESS[0] | 34 << 8


@dataclass(slots=True)
class Rows:
    """What was read: for each row its digest, or that it is slow; and the second digests of those that have two, by row."""

    digests: U64
    slow: Bools
    second_rows: I64
    second: U64


class Shapes:
    """The reader for one secret."""

    def __init__(self, digester: Digester) -> None:
        self._digester = digester
        self._lanes = lanes(digester)

    def read(self, buffer: bytes, starts: I64, lengths: I64, *, checksums: bool = False) -> Rows:
        """The rows at `starts` of `lengths` bytes; `buffer` has PAD bytes around them."""
        rows = Rows(np.zeros(len(starts), np.uint64), np.ones(len(starts), np.bool_), np.empty(0, np.int64), np.empty(0, np.uint64))
        letters = np.frombuffer(buffer, np.uint8)
        first, second = letters[starts], letters[starts + 1]
        chosen = np.flatnonzero((lengths == 42) & (first == 48) & (second == 120))
        if len(chosen):
            self._evm(rows, buffer, starts, chosen, checksums=checksums)
        chosen = np.flatnonzero((lengths == 34) & (first == 84))
        if len(chosen):
            self._tron(rows, buffer, starts, chosen, checksums=checksums)
        chosen = np.flatnonzero((lengths >= 26) & (lengths <= 35) & ((first == 49) & (second != 49) | (first == 51)))
        if len(chosen):
            self._bitcoin(rows, buffer, starts, lengths, chosen, checksums=checksums)
        chosen = np.flatnonzero(((lengths == 42) | (lengths == 62)) & (first == 98) & (second == 99))
        if len(chosen):
            self._segwit(rows, buffer, starts, lengths, chosen, checksums=checksums)
        chosen = np.flatnonzero(((lengths == 43) | (lengths == 44)) & (first != 49))
        if len(chosen):
            self._solana(rows, buffer, starts, lengths, chosen)
        return rows

    def ids(self, ids: Sequence[str]) -> U64:
        """Every digest under which these canonical ids are filed, in no order."""
        text = "\n".join(ids).encode("utf-8")
        buffer = b"".join((b"\n" * PAD, text, b"\n" * PAD))
        ends = np.flatnonzero(np.frombuffer(buffer, np.uint8)[PAD : PAD + len(text) + 1] == 10) + PAD
        starts = np.concatenate(([PAD], ends[:-1] + 1))
        heads = np.zeros(len(starts), np.int64)
        for head in _HEADS:
            heads[np.frombuffer(gather(buffer, starts, len(head)), f"S{len(head)}") == head] = len(head)
        rows = self.read(buffer, starts + heads, ends - starts - heads)
        slow = np.flatnonzero(rows.slow | (heads == 0))
        others = [self._digester.digest(key) for at in slow for key in keys_of_id(ids[int(at)])]
        rows.slow[slow] = True
        second = rows.second[~rows.slow[rows.second_rows]]
        return np.concatenate((rows.digests[~rows.slow], second, np.array(others, np.uint64)))

    # --- families ----------------------------------------------------------------------------------------------------

    def _evm(self, rows: Rows, buffer: bytes, starts: I64, chosen: I64, *, checksums: bool) -> None:
        texts = gather(buffer, starts[chosen] + 2, 40)
        digits = np.frombuffer(texts.translate(_HEX_VALUES), np.uint64).reshape(-1, 5)
        good = _clean(digits)
        words = np.ascontiguousarray(_bytes_of_digits(digits).T)
        if checksums:
            good &= sums.eip55(texts, good)
        _set(rows, chosen, good, digest_words(self._lanes, _TAG_ACCOUNT, words))

    def _tron(self, rows: Rows, buffer: bytes, starts: I64, chosen: I64, *, checksums: bool) -> None:
        limbs, good = _base58(buffer, starts[chosen] + 34, np.full(len(chosen), 34))
        good &= (limbs[0] == 0) & (limbs[1] >> 32 == 0x41)
        if checksums:
            good &= sums.base58check(limbs[1:], good)
        _set(rows, chosen, good, digest_words(self._lanes, _TAG_ACCOUNT, _twenty(limbs[1:])))

    def _bitcoin(self, rows: Rows, buffer: bytes, starts: I64, lengths: I64, chosen: I64, *, checksums: bool) -> None:
        limbs, good = _base58(buffer, starts[chosen] + lengths[chosen], lengths[chosen])
        is_script = np.frombuffer(buffer, np.uint8)[starts[chosen]] == 51
        version = limbs[1] >> 32
        # Exactly one leading zero byte for exactly one leading `1`: more of either is rare, and read with care.
        is_key = ~is_script & (version == 0) & (limbs[1] >> 24 & 0xFF != 0)
        good &= (limbs[0] == 0) & (is_key | is_script & (version == 5))
        if checksums:
            good &= sums.base58check(limbs[1:], good)
        words = _twenty(limbs[1:])
        tags = np.where(is_script, np.uint64(_TAG_SCRIPT), np.uint64(_TAG_KEY))
        _set(rows, chosen, good, digest_words(self._lanes, tags, words))
        self._nested(rows, chosen, good & is_key, words)

    def _segwit(self, rows: Rows, buffer: bytes, starts: I64, lengths: I64, chosen: I64, *, checksums: bool) -> None:
        letters = np.frombuffer(buffer, np.uint8)
        at = starts[chosen]
        opens = (letters[at + 2] == 49) & ((letters[at + 3] == 113) | (lengths[chosen] == 62) & (letters[at + 3] == 112))
        for length in (42, 62):
            some = chosen[opens & (lengths[chosen] == length)]
            if len(some):
                self._programs(rows, buffer, starts[some] + 3, length - 3, some, checksums=checksums)

    def _programs(self, rows: Rows, buffer: bytes, at: I64, digits: int, chosen: I64, *, checksums: bool) -> None:
        """Witness programs: one digit of version, the program, six of checksum."""
        width = digits + 1  # 40 or 60; the last is not ours
        values = np.frombuffer(gather(buffer, at, width).translate(_BECH32_VALUES), np.uint8).reshape(-1, width)
        good: Bools = np.asarray(~(values[:, :digits] & _WRONG).any(axis=1))
        if checksums:
            good &= sums.bech32(values[:, :digits])
        if digits == 39:
            limbs = _forties(np.ascontiguousarray(values[:, 1:33]))
            words = _words_of(limbs, first=0)
            _set(rows, chosen, good, digest_words(self._lanes, _TAG_KEY, words))
            self._nested(rows, chosen, good, words)
            return
        limbs = _forties(np.ascontiguousarray(values[:, 1:49]))
        last = values[:, 49:53].astype(np.int64)
        tail = last[:, 0] << 15 | last[:, 1] << 10 | last[:, 2] << 5 | last[:, 3]
        good &= tail & 15 == 0
        script = np.zeros((len(values), 36), np.uint8)
        script[:, 0] = np.where(values[:, 0] == 0, 0, 0x51)
        script[:, 1] = 32
        for number, limb in enumerate(limbs):
            for byte in range(5):
                script[:, 2 + 5 * number + byte] = limb >> (32 - 8 * byte) & 0xFF
        script[:, 32], script[:, 33] = tail >> 12 & 0xFF, tail >> 4 & 0xFF
        _set(rows, chosen, good, digest_rows(self._lanes, _TAG_WITNESS, script))

    def _solana(self, rows: Rows, buffer: bytes, starts: I64, lengths: I64, chosen: I64) -> None:
        at, length = starts[chosen], lengths[chosen]
        raw = np.frombuffer(gather(buffer, at + length - 48, 48), np.uint64).reshape(-1, 6) & _LONG_TAILS[length]
        texts = raw.tobytes()
        digits = np.frombuffer(texts.translate(_BASE58_VALUES), np.uint64).reshape(-1, 6)
        good = _clean(digits & _LONG_TAILS[length]) & _has_both_cases(raw)
        values = (digits & _LONG_TAILS[length]).view(np.uint8).reshape(-1, 48)
        limbs = _carry((values.astype(np.float64) @ _LONG_POWERS).astype(np.int64))
        # 256 bits are six limbs and sixteen bits; the first of the 32 bytes is not zero, as the text opens with no `1`.
        good &= (limbs[0] < 1 << 16) & (limbs[0] >> 8 != 0)
        padded = np.frombuffer(gather(buffer, at, 44), np.uint8).reshape(-1, 44).copy()
        padded[length == 43, 43] = 0
        tags = (length.astype(np.uint64) << _U(8)) | _U(TEXT[0])
        _set(rows, chosen, good, digest_rows(self._lanes, tags, padded))

    def _nested(self, rows: Rows, chosen: I64, good: Bools, words: Sequence[U32]) -> None:
        """The second key of a key hash: the script that nests it. No way around two hashes a row."""
        some = np.flatnonzero(good)
        if not len(some):
            return
        hashes = np.ascontiguousarray(np.stack([word[some] for word in words], axis=1)).tobytes()
        nested = b"".join([hash160(b"\x00\x14" + hashes[at : at + 20]) for at in range(0, len(hashes), 20)])
        digests = digest_rows(self._lanes, _TAG_SCRIPT, np.frombuffer(nested, np.uint8).reshape(-1, 20))
        rows.second_rows = np.concatenate((rows.second_rows, chosen[some]))
        rows.second = np.concatenate((rows.second, digests))


def gather(buffer: bytes, at: I64, width: int) -> bytes:
    """`width` bytes from each place, one after another."""
    windows = np.ndarray((len(buffer) - width + 1,), f"V{width}", buffer, 0, (1,))
    return bytes(windows[at].tobytes())


def _set(rows: Rows, chosen: I64, good: Bools, digests: U64) -> None:
    some = chosen[good]
    rows.digests[some] = digests[good]
    rows.slow[some] = False


def _clean(words: U64) -> Bools:
    """Whether no character of a row was outside the alphabet."""
    joined = words[:, 0].copy()
    for column in range(1, words.shape[1]):
        joined |= words[:, column]
    return np.asarray((joined & _WRONGS) == 0)


def _bytes_of_digits(digits: U64) -> U32:
    """Forty hexadecimal digits, a byte each, to five words of four bytes."""
    x = (digits << _U(4) | digits >> _U(8)) & _U(0x00FF00FF00FF00FF)
    x = (x | x >> _U(8)) & _U(0x0000FFFF0000FFFF)
    return (x | x >> _U(16)).astype(np.uint32)


def _base58(buffer: bytes, ends: I64, lengths: I64) -> tuple[list[I64], Bools]:
    """Six limbs of 40 bits, highest first, of texts of at most 35 characters, and which have no strange character."""
    tails = _TAILS[lengths]
    digits = np.frombuffer(gather(buffer, ends - 40, 40).translate(_BASE58_VALUES), np.uint64).reshape(-1, 5) & tails
    values = digits.view(np.uint8).reshape(-1, 40)
    return _carry((values.astype(np.float64) @ _SHORT_POWERS).astype(np.int64)), _clean(digits)


def _carry(limbs: I64) -> list[I64]:
    """Columns of 40 bits each; the highest keeps what is left."""
    columns = [np.ascontiguousarray(column) for column in limbs.T]
    for at in range(len(columns) - 1, 0, -1):
        columns[at - 1] += columns[at] >> 40
        columns[at] &= 0xFFFFFFFFFF
    return columns


def _twenty(limbs: Sequence[I64]) -> list[U32]:
    """Of five limbs (version, 20 bytes, four of checksum) the 20 bytes, as words in the order of memory."""
    a, b, c, d, e = limbs
    big = (a & 0xFFFFFFFF, b >> 8, (b & 0xFF) << 24 | c >> 16, (c & 0xFFFF) << 16 | d >> 24, (d & 0xFFFFFF) << 8 | e >> 32)
    return [word.astype(np.uint32).byteswap() for word in big]


def _words_of(limbs: Sequence[I64], *, first: int) -> list[U32]:
    """Four limbs of 40 bits as five words in the order of memory."""
    a, b, c, d = limbs[first : first + 4]
    big = (a >> 8, (a & 0xFF) << 24 | b >> 16, (b & 0xFFFF) << 16 | c >> 24, (c & 0xFFFFFF) << 8 | d >> 32, d & 0xFFFFFFFF)
    return [word.astype(np.uint32).byteswap() for word in big]


def _forties(values: U8) -> list[I64]:
    """Digits of five bits, eight to a limb of 40."""
    x = values.view(np.uint64).byteswap()
    x = (x & _U(0x001F001F001F001F)) | (x & _U(0x1F001F001F001F00)) >> _U(3)
    x = (x & _U(0x000003FF000003FF)) | (x & _U(0x03FF000003FF0000)) >> _U(6)
    x = (x & _U(0xFFFFF)) | x >> _U(32) << _U(20)
    return [np.ascontiguousarray(column).astype(np.int64) for column in x.T]


def _has_both_cases(texts: U64) -> Bools:
    """At least three capitals and three small letters: what is not is looked at for a slip in another chain's address."""
    ones = _U(0x0101010101010101)
    letters = texts >> _U(6) & ones
    small = letters & texts >> _U(5)
    return np.asarray((_total(letters ^ small) >= 3) & (_total(small) >= 3))


def _total(flags: U64) -> U64:
    joined = flags[:, 0].copy()
    for column in range(1, flags.shape[1]):
        joined += flags[:, column]
    with np.errstate(over="ignore"):
        return np.asarray(joined * _U(0x0101010101010101) >> _U(56))
