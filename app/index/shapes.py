"""The digests of many addresses at once, read from the bytes they arrive in: no string, no object, no regular expression a row.

Of the spellings that make up nearly every list (EVM with 0x, Tron, Bitcoin in base58 and bech32, Solana of 43 and 44 characters) every
character, the length and what decodes from it are checked here: alphabet, version byte, number of bytes, witness version and padding.
Checksums are checked if asked. A row that is none of these, or not plainly right, is *slow*: the careful reader looks at it and words
its error. So this module never says what an address is, only which rows need no closer look, and under which digest they would be filed:
the law is that a row which is not slow is read by `read_subject` to the very keys whose digests stand here (without checksums: or to the
refusal `checksum`).

Characters are looked up two at a time, as the value of the pair or as more than all values of a right row together, and a text becomes a
number by one matrix product with the powers of its base, exact in 64-bit floats: 58^2 · 2^32 · 26 < 2^53. The plain sum of the values
stands beside it: too large, and there was a strange character. What needs no number, as it is filed under its text, is compared with the
least and the greatest text instead: signs of base58 stand in the order of their values.
"""

from __future__ import annotations

from binascii import Error, a2b_hex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.address import LEAST_SOLANA, MOST_SOLANA, chains
from app.domain.ripemd import hash160_of_each
from app.index import sums
from app.index.keys import ACCOUNT, KEY_HASH, SCRIPT_HASH, TEXT, WITNESS, Digester, keys_of_id
from app.index.vector import F64, I64, U8, U16, U32, U64, Bools, digest_rows, digest_words, lanes

PAD = 64
"""Bytes of anything but an address that must stand before and after the rows."""

_U = np.uint64
_BASE58: Final = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32: Final = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_STRANGE: Final = 1 << 20
"""Of a pair with a strange character: more than 26 pairs can come to, and so little that no limb leaves 64 bits."""
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
    values = np.full(256, float(_STRANGE))
    values[0] = 0
    for value, sign in enumerate(alphabet):
        values[sign] = value
    second, first = np.divmod(np.arange(65_536), 256)
    table: F64 = values[first] * len(alphabet) + values[second]
    return np.minimum(table, _STRANGE)


def _pairs_of_cases() -> F64:
    counts = np.full(256, float(_STRANGE))
    counts[0] = 0
    for sign in _BASE58:
        counts[sign] = 1 if 65 <= sign <= 90 else 64 if 97 <= sign <= 122 else 0
    first, second = np.divmod(np.arange(65_536), 256)
    table: F64 = np.minimum(counts[first] + counts[second], _STRANGE)
    return table


def _powers(base: int, pairs: int, limbs: int, *, shift: int = 0) -> F64:
    """Row i: the limbs of 32 bits, highest first, of what the i-th of so many pairs counts, moved up by `shift` bits; then a one."""
    matrix = np.ones((pairs, limbs + 1))
    for place in range(pairs):
        power = (base ** (2 * place) << shift) & ((1 << 32 * limbs) - 1)
        for limb in range(limbs):
            matrix[pairs - 1 - place, limb] = power >> 32 * (limbs - 1 - limb) & 0xFFFFFFFF
    return matrix


_BASE58_PAIRS: Final = _pairs(_BASE58)
_BECH32_PAIRS: Final = _pairs(_BECH32)
# An address of 25 bytes: version, five words, checksum.
_OF_25: Final = _powers(58, 18, 7)
# Of 32 bytes, the first not zero: the least text has 43 signs, the greatest 44.
_LEAST_32: Final = int.from_bytes(LEAST_SOLANA.encode("ascii"), "big")
_MOST_32: Final = int.from_bytes(MOST_SOLANA.encode("ascii"), "big")
# A witness program of 32 or 52 digits; what the last of the 52 has beyond 256 bits comes out in the ninth word.
_OF_20: Final = _powers(32, 16, 5)
_OF_PROGRAM: Final = _powers(32, 26, 9, shift=28)
# What of 36 bytes that end where the row ends belongs to a row of a certain length.
_TAILS: Final = np.array([[0xFF if 36 - length <= at else 0 for at in range(36)] for length in range(37)], np.uint8).view(np.uint32)

_ONE_THREAD: Final = 4 * 65_536
"""Multiplications up to which OpenBLAS uses one thread (its SMP_THRESHOLD_MIN * GEMM_MULTITHREAD_THRESHOLD)."""
_HEADS: Final = tuple(f"{chain}:".encode("ascii") for chain in (chains.EVM, chains.TRON, chains.BITCOIN, chains.SOLANA))
_TAG_ACCOUNT: Final = ACCOUNT[0] | 20 << 8
_TAG_KEY: Final = KEY_HASH[0] | 20 << 8
_TAG_SCRIPT: Final = SCRIPT_HASH[0] | 20 << 8
_TAG_WITNESS: Final = WITNESS[0] | 34 << 8
_TRON, _KEY, _SCRIPT = ord("T"), ord("1"), ord("3")
_VERSION_0, _VERSION_1 = ord("q"), ord("p")
_PROGRAM_20: Final = b"\x00\x14"
"""What stands before a key hash in the script that nests it."""
_NONE: Final = np.empty(0, np.int64)
# By the first sign of an address in base58: the version byte, and what is filed.
_VERSIONS: Final = np.zeros(256, np.int64)
_VERSIONS[[_TRON, _KEY, _SCRIPT]] = 0x41, 0, 5
_TAGS: Final = np.zeros(256, np.uint64)
_TAGS[[_TRON, _KEY, _SCRIPT]] = _TAG_ACCOUNT, _TAG_KEY, _TAG_SCRIPT
# Of two signs of base58: the capitals, the small letters times 64; what is strange counts more than all signs of a text.
_CASES: Final = _pairs_of_cases()


_IS_EVM, _IS_OF_25, _IS_KEY_PROGRAM, _IS_PROGRAM, _IS_SOLANA = range(1, 6)


def _openings() -> U8:
    """By the first two bytes of a row, the second the higher: what they open."""
    table = np.full((256, 256), 6, np.uint8)
    table[:, _TRON], table[:, _KEY], table[:, _SCRIPT] = 2, 3, 4
    table[ord("x"), ord("0")], table[ord("c"), ord("b")] = 1, 5
    table[_KEY, _KEY] = 0
    return table.reshape(-1)


def _kinds() -> U8:
    """By length, cut to 63, and opening: how a row is read; 0: with care."""
    table = np.zeros((64, 8), np.uint8)
    table[26:36, 3:5], table[34, 2] = _IS_OF_25, _IS_OF_25
    table[42, 1], table[42, 5], table[62, 5] = _IS_EVM, _IS_KEY_PROGRAM, _IS_PROGRAM
    table[43:45, [1, 2, 4, 5, 6]] = _IS_SOLANA
    return table.reshape(-1)


_OPENINGS: Final = _openings()
_KINDS: Final = _kinds()


@dataclass(slots=True)
class Rows:
    """What was read: for each row its digest, or that it is slow; and the second digests of those that have two, by row."""

    digests: U64
    slow: Bools
    second_rows: I64
    second: U64


@dataclass(frozen=True, slots=True)
class _Payloads:
    """Rows of which a payload of twenty bytes was read: which of all rows, whether they are right, the five words of each in columns, and
    what kind of key.
    """

    chosen: I64
    good: Bools
    words: U32
    tags: U64 | int
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
        openings = _OPENINGS.take(letters.take(starts + 1).astype(np.uint16) << 8 | letters.take(starts))
        kinds = _KINDS.take(np.minimum(lengths, 63) << 3 | openings)
        found: list[_Payloads] = []
        if len(chosen := np.flatnonzero(kinds == _IS_EVM)):
            found.append(_evm(buffer, starts, chosen, checksums=checksums))
        if len(chosen := np.flatnonzero(kinds == _IS_OF_25)):
            found.append(_of_25(buffer, starts[chosen], lengths[chosen], chosen, checksums=checksums))
        if len(chosen := np.flatnonzero(kinds == _IS_KEY_PROGRAM)):
            words, good = _program(buffer, starts[chosen], 39, checksums=checksums)
            found.append(_Payloads(chosen, good, words, _TAG_KEY, nests=good))
        if len(chosen := np.flatnonzero(kinds == _IS_PROGRAM)):
            self._script_programs(rows, buffer, starts, chosen, checksums=checksums)
        if len(chosen := np.flatnonzero(kinds == _IS_SOLANA)):
            self._solana(rows, buffer, starts, lengths, chosen)
        if found:
            self._file(rows, found)
        return rows

    def ids(self, ids: Sequence[str]) -> U64:
        """Every digest under which these canonical ids are filed, in no order."""
        return self.ids_in("\n".join(ids).encode("utf-8"))

    def ids_in(self, text: bytes) -> U64:
        """The same of ids parted by line feeds, of which the last has none."""
        buffer = b"".join((b"\n" * PAD, without_zeros(text), b"\n" * PAD))
        ends = np.flatnonzero(np.frombuffer(buffer, np.uint8)[PAD : PAD + len(text) + 1] == 10) + PAD
        starts = np.concatenate(([PAD], ends[:-1] + 1))
        heads = np.zeros(len(starts), np.int64)
        for head in _HEADS:
            heads[np.frombuffer(gather(buffer, starts, len(head)), f"S{len(head)}") == head] = len(head)
        rows = self.read(buffer, starts + heads, ends - starts - heads)
        rows.slow |= heads == 0
        slow = np.flatnonzero(rows.slow)
        careful = [text[at - PAD : end - PAD].decode("utf-8") for at, end in zip(starts[slow].tolist(), ends[slow].tolist(), strict=True)]
        others = [self._digester.digest(key) for id_ in careful for key in keys_of_id(id_)]
        second = rows.second[~rows.slow[rows.second_rows]]
        return np.concatenate((rows.digests[~rows.slow], second, np.array(others, np.uint64)))

    # --- families ----------------------------------------------------------------------------------------------------

    def _script_programs(self, rows: Rows, buffer: bytes, starts: I64, chosen: I64, *, checksums: bool) -> None:
        """Witness programs of thirty-two bytes, filed under the script that they stand for."""
        words, good = _program(buffer, starts[chosen], 59, checksums=checksums)
        script = np.zeros((len(chosen), 36), np.uint8)
        script[:, 0] = np.where(np.frombuffer(buffer, np.uint8).take(starts[chosen] + 3) == _VERSION_1, 0x51, 0)
        script[:, 1] = 32
        script[:, 2:34] = np.ascontiguousarray(words.T).view(np.uint8)
        _set(rows, chosen, good, digest_rows(self._lanes, _TAG_WITNESS, script))

    def _solana(self, rows: Rows, buffer: bytes, starts: I64, lengths: I64, chosen: I64) -> None:
        """Filed under their text: whether it has 32 bytes is a question of its first signs alone, but for texts at the very border."""
        length = lengths[chosen]
        is_short = length == 43
        raw = rows_at(buffer, starts[chosen], 44)
        raw[is_short, 43] = 0
        opening = raw[:, :8].copy().view(">u8")[:, 0]
        good = np.where(is_short, opening > _LEAST_32, opening < _MOST_32) & _has_both_cases(raw)
        tags = (length.astype(np.uint64) << np.uint64(8)) | np.uint64(TEXT[0])
        _set(rows, chosen, good, digest_rows(self._lanes, tags, raw))

    def _file(self, rows: Rows, found: Sequence[_Payloads]) -> None:
        """The digests of all payloads in one go, and of the scripts that nest them: each array operation has a fixed cost."""
        chosen, good = np.concatenate([one.chosen for one in found]), np.concatenate([one.good for one in found])
        ends = np.cumsum([len(one.chosen) for one in found]).tolist()
        places = [slice(end - len(one.chosen), end) for one, end in zip(found, ends, strict=True)]
        nests = np.concatenate(
            [np.flatnonzero(one.nests) + at.start for one, at in zip(found, places, strict=True) if one.nests is not None] or [_NONE]
        )
        columns, tags = np.empty((5, len(chosen) + len(nests)), np.uint64), np.empty(len(chosen) + len(nests), np.uint64)
        for one, place in zip(found, places, strict=True):
            columns[:, place], tags[place] = one.words, one.tags
        if len(nests):
            columns[:, len(chosen) :], tags[len(chosen) :] = _nested(columns[:, nests]), _TAG_SCRIPT
        digests = digest_words(self._lanes, tags, columns)
        _set(rows, chosen, good, digests[: len(chosen)])
        rows.second_rows, rows.second = chosen[nests], digests[len(chosen) :]


def _evm(buffer: bytes, starts: I64, chosen: I64, *, checksums: bool) -> _Payloads:
    texts = gather(buffer, starts[chosen] + 2, 40)
    try:
        octets, good = a2b_hex(texts), np.ones(len(chosen), np.bool_)
    except Error:  # some row has a character that is no digit
        digits = np.frombuffer(texts.translate(_HEX_VALUES), np.uint64).reshape(-1, 5)
        octets, good = _bytes_of_digits(digits), _clean(digits)
    if checksums:
        good &= sums.eip55(texts, good)
    return _Payloads(chosen, good, np.frombuffer(octets, np.uint32).reshape(-1, 5).T, _TAG_ACCOUNT)


def _of_25(buffer: bytes, at: I64, lengths: I64, chosen: I64, *, checksums: bool) -> _Payloads:
    """What base58 has of 25 bytes: Tron, and Bitcoin's key and script hashes."""
    limbs, good = _number(_right(buffer, at, lengths).view(np.uint16), _BASE58_PAIRS, _OF_25)
    first = np.frombuffer(buffer, np.uint8).take(at)
    # Exactly one leading zero byte for exactly one leading `1`: more of either is rare, and read with care.
    is_key = first == _KEY
    good &= (limbs[0] == _VERSIONS.take(first)) & (~is_key | (limbs[1] & 0xFFFFFFFF > 0xFFFFFF))
    if checksums:
        good &= sums.base58check([limb & 0xFFFFFFFF for limb in limbs], good)
    return _Payloads(chosen, good, _in_memory(limbs[1:6]), _TAGS.take(first), nests=good & is_key)


def _program(buffer: bytes, starts: I64, digits: int, *, checksums: bool) -> tuple[U32, Bools]:
    """The words of programs of twenty or thirty-two bytes in columns, and which of them are right: `bc1`, one digit of version, the
    program, six of checksum.
    """
    letters = rows_at(buffer, starts, 4)
    good = letters[:, 2] == ord("1")
    good &= (letters[:, 3] == _VERSION_0) | (letters[:, 3] == _VERSION_1) & (digits == 59)
    pairs = np.frombuffer(gather(buffer, starts + 4, digits - 1), np.uint16).reshape(len(starts), -1)
    program = digits - 7 >> 1
    limbs, clean = _number(pairs[:, :program], _BECH32_PAIRS, _OF_20 if digits == 39 else _OF_PROGRAM)
    good &= clean & (_BECH32_PAIRS.take(pairs[:, program:]).max(axis=1) < _STRANGE)
    if checksums:
        values = np.frombuffer(gather(buffer, starts + 3, digits).translate(_BECH32_VALUES), np.uint8).reshape(-1, digits)
        good &= sums.bech32(values)
    if digits == 59:
        good &= limbs[-1] & 0xFFFFFFFF == 0  # what the last digit has beyond 256 bits
        limbs = limbs[:-1]
    return _in_memory(limbs), good


def _nested(words: U64) -> U32:
    """Of key hashes, in columns, the scripts that nest them: what they share with such an address. No way around two hashes a row."""
    hashes = np.ascontiguousarray(words.T.astype(np.uint32)).view("V20")[:, 0].tolist()
    return np.frombuffer(b"".join(hash160_of_each(_PROGRAM_20, hashes)), np.uint32).reshape(-1, 5).T


def without_zeros(buffer: bytes) -> bytes:
    """A zero byte stands for no character where rows are read; no address holds it or what takes its place."""
    return buffer.replace(b"\0", b"\1") if b"\0" in buffer else buffer


def gather(buffer: bytes, at: I64, width: int) -> bytes:
    """`width` bytes from each place, one after another."""
    return rows_at(buffer, at, width).tobytes()


def rows_at(buffer: bytes, at: I64, width: int) -> U8:
    """`width` bytes from each place, one row each."""
    windows = np.ndarray((len(buffer) - width + 1,), f"V{width}", buffer, 0, (1,))
    return windows[at].view(np.uint8).reshape(len(at), width)


def _set(rows: Rows, chosen: I64, good: Bools, digests: U64) -> None:
    rows.digests[chosen] = digests  # of a slow row it means nothing
    rows.slow[chosen] = ~good


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


def _right(buffer: bytes, starts: I64, lengths: I64) -> U32:
    """Rows of at most 36 bytes, moved to the right, zeros in front."""
    raw = rows_at(buffer, starts + lengths - 36, 36).view(np.uint32)
    raw &= _TAILS.take(lengths, axis=0)
    return raw


def _number(pairs: U16, table: F64, powers: F64) -> tuple[I64, Bools]:
    """Limbs, highest first, of which the lower 32 bits count (that one keeps what is left), and which rows have no strange character."""
    piece = _ONE_THREAD // powers.size
    sums = np.empty((powers.shape[1], len(pairs)))
    for start in range(0, len(pairs), piece):
        # In pieces so small that the library under numpy does not spread them over threads, which would spin on other workers' cores.
        sums[:, start : start + piece] = powers.T @ table.take(pairs[start : start + piece]).T
    good = sums[-1] < _STRANGE
    limbs = sums[:-1].astype(np.int64)
    for at in range(len(limbs) - 1, 0, -1):
        limbs[at - 1] += limbs[at] >> 32
    return limbs, good


def _in_memory(limbs: I64) -> U32:
    """Words as they stand in memory: the first byte of the payload first, and nothing above 32 bits."""
    return limbs.astype(np.uint32).byteswap(inplace=True)


def _has_both_cases(texts: U8) -> Bools:
    """Signs of base58 alone, at least three capitals and three small letters: what is not is looked at for a slip in another chain's address."""
    counts = (_CASES.take(texts.view(np.uint16)) @ np.ones(texts.shape[1] >> 1)).astype(np.int64)
    return np.asarray((counts & 0x3F >= 3) & (counts >> 6 & 0x3F >= 3) & (counts < _STRANGE))
