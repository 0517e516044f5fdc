"""The digests of many addresses at once, read from the bytes they arrive in: no string, no object, no regular expression a row.

Of the spellings that make up nearly every list (EVM with 0x, Tron, Bitcoin in base58 and bech32, Solana of 43 and 44 characters) every
character, the length and what decodes from it are checked here: alphabet, version byte, number of bytes, witness version and padding.
Checksums are checked if asked. A row that is none of these, or not plainly right, is *slow*: the careful reader looks at it and words
its error. So this module never says what an address is, only which rows need no closer look, and under which digest they would be filed:
the law is that a row which is not slow is read by `read_subject` to the very keys whose digests stand here (without checksums: or to the
refusal `checksum`).

Characters are looked up two at a time, as the value of the pair or as not-a-number, and a text becomes a number by one matrix product
with the powers of its base, exact in 64-bit floats: 58^2 · 2^32 · 26 < 2^53. A strange character makes the whole row not-a-number.
"""

from __future__ import annotations

from binascii import Error, a2b_hex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.address import chains
from app.domain.ripemd import hash160_of_each
from app.index import sums
from app.index.keys import ACCOUNT, KEY_HASH, SCRIPT_HASH, TEXT, WITNESS, Digester, keys_of_id
from app.index.vector import F64, I64, U16, U32, U64, Bools, digest_rows, digest_words, lanes

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
_BECH32_VALUES: Final = _table(_BECH32, range(32))


def _pairs(alphabet: bytes) -> F64:
    """The value of two characters, the first the higher, by their two bytes in memory; a zero byte stands for no character."""
    values = np.full(256, np.nan)
    values[0] = 0
    for value, sign in enumerate(alphabet):
        values[sign] = value
    second, first = np.divmod(np.arange(65_536), 256)
    table: F64 = values[first] * len(alphabet) + values[second]
    return table


def _powers(base: int, pairs: int, limbs: int, *, shift: int = 0) -> F64:
    """Row i: the limbs of 32 bits, highest first, of what the i-th of so many pairs counts, moved up by `shift` bits."""
    matrix = np.zeros((pairs, limbs))
    for place in range(pairs):
        power = (base ** (2 * place) << shift) & ((1 << 32 * limbs) - 1)
        for limb in range(limbs):
            matrix[pairs - 1 - place, limb] = power >> 32 * (limbs - 1 - limb) & 0xFFFFFFFF
    return matrix


_BASE58_PAIRS: Final = _pairs(_BASE58)
_BECH32_PAIRS: Final = _pairs(_BECH32)
# An address of 25 bytes: version, five words, checksum. One of 32 bytes: eight words, and one that must stay empty.
_OF_25: Final = {width: _powers(58, width // 2, 7) for width in (34, 36)}
_OF_32: Final = _powers(58, 22, 9)
# A witness program of 32 or 52 digits; what the last of the 52 has beyond 256 bits comes out in the ninth word.
_OF_20: Final = _powers(32, 16, 5)
_OF_PROGRAM: Final = _powers(32, 26, 9, shift=28)
# What of so many bytes that end where the row ends belongs to a row of a certain length.
_TAILS: Final = {
    width: np.array([[0xFF if width - length <= at else 0 for at in range(width)] for length in range(width + 1)], np.uint8).view(np.uint32)
    for width in (36, 44)
}

_ONE_THREAD: Final = 4 * 65_536
"""Multiplications up to which OpenBLAS uses one thread (its SMP_THRESHOLD_MIN * GEMM_MULTITHREAD_THRESHOLD)."""
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


@dataclass(frozen=True, slots=True)
class _Payloads:
    """Rows of which a payload of twenty bytes was read: which of all rows, whether they are right, five words each, and what kind of key."""

    chosen: I64
    good: Bools
    words: Sequence[U32]
    tags: U64
    nests: Bools | None = None
    """Those that are key hashes, which a script may nest."""


class Shapes:
    """The reader for one secret."""

    def __init__(self, digester: Digester) -> None:
        self._digester = digester
        self._lanes = lanes(digester)

    def read(self, buffer: bytes, starts: I64, lengths: I64, *, checksums: bool = False) -> Rows:
        """The rows at `starts` of `lengths` bytes; `buffer` has PAD bytes around them, and no zero byte."""
        rows = Rows(np.zeros(len(starts), np.uint64), np.ones(len(starts), np.bool_), np.empty(0, np.int64), np.empty(0, np.uint64))
        letters = np.frombuffer(buffer, np.uint8)
        first, second = letters[starts], letters[starts + 1]
        found: list[_Payloads] = []
        chosen = np.flatnonzero((lengths == 42) & (first == 48) & (second == 120))
        if len(chosen):
            found.append(_evm(buffer, starts, chosen, checksums=checksums))
        chosen = np.flatnonzero((lengths == 34) & (first == 84))
        if len(chosen):
            found.append(_tron(buffer, starts, chosen, checksums=checksums))
        chosen = np.flatnonzero((lengths >= 26) & (lengths <= 35) & ((first == 49) & (second != 49) | (first == 51)))
        if len(chosen):
            found.append(_bitcoin(buffer, starts, lengths, chosen, checksums=checksums))
        chosen = np.flatnonzero(((lengths == 42) | (lengths == 62)) & (first == 98) & (second == 99))
        if len(chosen):
            found += self._segwit(rows, buffer, starts, lengths, chosen, checksums=checksums)
        chosen = np.flatnonzero(((lengths == 43) | (lengths == 44)) & (first != 49))
        if len(chosen):
            self._solana(rows, buffer, starts, lengths, chosen)
        if found:
            self._file(rows, found)
        return rows

    def ids(self, ids: Sequence[str]) -> U64:
        """Every digest under which these canonical ids are filed, in no order."""
        text = without_zeros("\n".join(ids).encode("utf-8"))
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

    def _segwit(self, rows: Rows, buffer: bytes, starts: I64, lengths: I64, chosen: I64, *, checksums: bool) -> list[_Payloads]:
        """Witness programs: one digit of version, the program, six of checksum. Those of twenty bytes are handed back."""
        letters = np.frombuffer(buffer, np.uint8)
        at = starts[chosen]
        opens = (letters[at + 2] == 49) & ((letters[at + 3] == 113) | (lengths[chosen] == 62) & (letters[at + 3] == 112))
        found: list[_Payloads] = []
        some = chosen[opens & (lengths[chosen] == 42)]
        if len(some):
            words, good = _program(buffer, starts[some] + 3, 39, checksums=checksums)
            found.append(_Payloads(some, good, words, _all(_TAG_KEY, len(some)), nests=good))
        some = chosen[opens & (lengths[chosen] == 62)]
        if len(some):
            words, good = _program(buffer, starts[some] + 3, 59, checksums=checksums)
            script = np.zeros((len(some), 36), np.uint8)
            script[:, 0] = np.where(letters[starts[some] + 3] == 112, 0x51, 0)
            script[:, 1] = 32
            script[:, 2:34] = np.ascontiguousarray(np.stack(words, axis=1)).view(np.uint8)
            _set(rows, some, good, digest_rows(self._lanes, _TAG_WITNESS, script))
        return found

    def _solana(self, rows: Rows, buffer: bytes, starts: I64, lengths: I64, chosen: I64) -> None:
        at, length = starts[chosen], lengths[chosen]
        raw = _right(buffer, at, length, 44)
        limbs, good = _number(raw.view(np.uint16), _BASE58_PAIRS, _OF_32)
        # Exactly 32 bytes: no ninth word, and the first byte is not zero, as the text opens with no `1`.
        good &= (limbs[0] == 0) & (limbs[1] >> 24 != 0) & _has_both_cases(raw)
        padded = np.frombuffer(gather(buffer, at, 44), np.uint8).reshape(-1, 44).copy()
        padded[length == 43, 43] = 0
        tags = (length.astype(np.uint64) << np.uint64(8)) | np.uint64(TEXT[0])
        _set(rows, chosen, good, digest_rows(self._lanes, tags, padded))

    def _file(self, rows: Rows, found: Sequence[_Payloads]) -> None:
        """The digests of all payloads in one go: each array operation has a fixed cost."""
        of_rows = len(found)
        nests = [(one.chosen[one.nests], [word[one.nests] for word in one.words]) for one in found if one.nests is not None]
        holders = np.concatenate([chosen for chosen, _ in nests]) if nests else rows.second_rows
        if len(holders):
            words = _nested([np.concatenate([some[at] for _, some in nests]) for at in range(5)])
            found = [*found, _Payloads(holders, np.empty(0, np.bool_), words, _all(_TAG_SCRIPT, len(holders)))]
        tags = np.concatenate([one.tags for one in found])
        digests = digest_words(self._lanes, tags, [np.concatenate([one.words[at] for one in found]) for at in range(5)])
        end = 0
        for one in found[:of_rows]:
            start, end = end, end + len(one.chosen)
            _set(rows, one.chosen, one.good, digests[start:end])
        rows.second_rows, rows.second = holders, digests[end:]


def _all(tag: int, count: int) -> U64:
    return np.full(count, tag, np.uint64)


def _evm(buffer: bytes, starts: I64, chosen: I64, *, checksums: bool) -> _Payloads:
    texts = gather(buffer, starts[chosen] + 2, 40)
    try:
        octets, good = a2b_hex(texts), np.ones(len(chosen), np.bool_)
    except Error:  # some row has a character that is no digit
        digits = np.frombuffer(texts.translate(_HEX_VALUES), np.uint64).reshape(-1, 5)
        octets, good = _bytes_of_digits(digits), _clean(digits)
    words = np.frombuffer(octets, np.uint32).reshape(-1, 5).T
    if checksums:
        good &= sums.eip55(texts, good)
    return _Payloads(chosen, good, list(words), _all(_TAG_ACCOUNT, len(chosen)))


def _tron(buffer: bytes, starts: I64, chosen: I64, *, checksums: bool) -> _Payloads:
    pairs = np.frombuffer(gather(buffer, starts[chosen], 34), np.uint16).reshape(-1, 17)
    limbs, good = _number(pairs, _BASE58_PAIRS, _OF_25[34])
    good &= limbs[0] == 0x41
    if checksums:
        good &= sums.base58check(limbs, good)
    return _Payloads(chosen, good, _in_memory(limbs[1:6]), _all(_TAG_ACCOUNT, len(chosen)))


def _bitcoin(buffer: bytes, starts: I64, lengths: I64, chosen: I64, *, checksums: bool) -> _Payloads:
    raw = _right(buffer, starts[chosen], lengths[chosen], 36)
    limbs, good = _number(raw.view(np.uint16), _BASE58_PAIRS, _OF_25[36])
    is_script = np.frombuffer(buffer, np.uint8)[starts[chosen]] == 51
    # Exactly one leading zero byte for exactly one leading `1`: more of either is rare, and read with care.
    is_key = ~is_script & (limbs[0] == 0) & (limbs[1] >> 24 != 0)
    good &= is_key | is_script & (limbs[0] == 5)
    if checksums:
        good &= sums.base58check(limbs, good)
    tags = np.where(is_script, np.uint64(_TAG_SCRIPT), np.uint64(_TAG_KEY))
    return _Payloads(chosen, good, _in_memory(limbs[1:6]), tags, nests=good & is_key)


def _program(buffer: bytes, at: I64, digits: int, *, checksums: bool) -> tuple[list[U32], Bools]:
    """The words of programs of twenty or thirty-two bytes, and which of them are right."""
    pairs = np.frombuffer(gather(buffer, at + 1, digits - 1), np.uint16).reshape(len(at), -1)
    program = digits - 7 >> 1
    limbs, good = _number(pairs[:, :program], _BECH32_PAIRS, _OF_20 if digits == 39 else _OF_PROGRAM)
    good &= ~np.isnan(_BECH32_PAIRS.take(pairs[:, program:])).any(axis=1)
    if checksums:
        values = np.frombuffer(gather(buffer, at, digits).translate(_BECH32_VALUES), np.uint8).reshape(-1, digits)
        good &= sums.bech32(values)
    if digits == 59:
        good &= limbs.pop() == 0  # what the last digit has beyond 256 bits
    return _in_memory(limbs), good


def _nested(words: Sequence[U32]) -> list[U32]:
    """Of key hashes the scripts that nest them: what they share with such an address. No way around two hashes a row."""
    programs = np.empty((len(words[0]), 22), np.uint8)
    programs[:, 0], programs[:, 1] = 0, 20
    programs[:, 2:] = np.stack(words, axis=1).view(np.uint8)
    nested = b"".join(hash160_of_each(programs.tobytes(), 22))
    return list(np.frombuffer(nested, np.uint32).reshape(-1, 5).T)


def without_zeros(buffer: bytes) -> bytes:
    """A zero byte stands for no character where rows are read; no address holds it or what takes its place."""
    return buffer.replace(b"\0", b"\1") if b"\0" in buffer else buffer


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


def _bytes_of_digits(digits: U64) -> bytes:
    """Forty hexadecimal digits, a byte each, to twenty bytes."""
    x = (digits << _U(4) | digits >> _U(8)) & _U(0x00FF00FF00FF00FF)
    x = (x | x >> _U(8)) & _U(0x0000FFFF0000FFFF)
    return (x | x >> _U(16)).astype(np.uint32).tobytes()


def _right(buffer: bytes, starts: I64, lengths: I64, width: int) -> U32:
    """Rows of at most `width` bytes, moved to the right, zeros in front."""
    raw = np.frombuffer(gather(buffer, starts + lengths - width, width), np.uint32).reshape(len(starts), -1)
    return raw & _TAILS[width].take(lengths, axis=0)


def _number(pairs: U16, table: F64, powers: F64) -> tuple[list[I64], Bools]:
    """Limbs of 32 bits, highest first (that one keeps what is left), and which rows have no strange character."""
    piece = _ONE_THREAD // powers.size
    limbs = np.empty((powers.shape[1], len(pairs)))
    for start in range(0, len(pairs), piece):
        values = table.take(pairs[start : start + piece])
        # In pieces so small that the library under numpy does not spread them over threads, which would spin on other workers' cores.
        limbs[:, start : start + piece] = (values @ powers).T
    good = ~np.isnan(limbs[0])
    columns = list(np.where(good, limbs, 0).astype(np.int64))
    for at in range(len(columns) - 1, 0, -1):
        columns[at - 1] += columns[at] >> 32
        columns[at] &= 0xFFFFFFFF
    return columns, good


def _in_memory(limbs: Sequence[I64]) -> list[U32]:
    """Words as they stand in memory: the first byte of the payload first."""
    return [limb.astype(np.uint32).byteswap() for limb in limbs]


def _has_both_cases(texts: U32) -> Bools:
    """At least three capitals and three small letters: what is not is looked at for a slip in another chain's address."""
    ones = np.uint32(0x01010101)
    letters = texts >> np.uint32(6) & ones
    small = letters & texts >> np.uint32(5)
    return (_total(letters ^ small) >= 3) & (_total(small) >= 3)


def _total(flags: U32) -> U32:
    """Of each row the flags that are set, one a byte, 255 at most."""
    joined = flags[:, 0].copy()
    for column in range(1, flags.shape[1]):
        joined += flags[:, column]
    return joined * np.uint32(0x01010101) >> np.uint32(24)
