"""Checksums of many addresses at once: EIP-55, base58check, bech32 and bech32m. What fails here is looked at and refused elsewhere.

EIP-55 and base58check cost their hash functions, one call a row; the arithmetic around them is done for all. Bech32 is linear over bits:
the checksum of a text is the exclusive-or of one table entry for each place and digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

import numpy as np
import sha3

from app.domain.checksums import BECH32, BECH32M
from app.index.vector import I64, U8, U32, Bools

_U = np.uint64
_CASE = _U(0x2020202020202020)
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def eip55(texts: bytes, asked: Bools) -> Bools:
    """Rows of forty hexadecimal digits: all small, all capitals, or in the case that their hash says."""
    words = np.frombuffer(texts, np.uint64).reshape(-1, 5)
    letters = (words >> _U(6)) & _U(0x0101010101010101)
    capitals = letters & ~(words >> _U(5))
    any_capital = capitals.any(axis=1)
    fine: Bools = np.asarray(~any_capital | ~(letters & (words >> _U(5))).any(axis=1))
    some = np.flatnonzero(asked & ~fine)
    if not len(some):
        return fine
    small = (words[some] | letters[some] << _U(5)).tobytes()
    hashes = b"".join([sha3.keccak_256(small[at : at + 40]).digest()[:20] for at in range(0, len(small), 40)])
    octets = np.frombuffer(hashes, np.uint8).reshape(-1, 20)
    wanted = np.empty((len(some), 40), np.uint8)
    wanted[:, 0::2], wanted[:, 1::2] = octets >> 7, octets >> 3 & 1
    has = capitals[some].view(np.uint8).reshape(-1, 40)
    fine[some] = ((wanted & letters[some].view(np.uint8).reshape(-1, 40)) == has).all(axis=1)
    return fine


def base58check(limbs: Sequence[I64], asked: Bools) -> Bools:
    """A version byte, five words and a checksum, as numbers: 21 bytes and the first four of their double SHA-256."""
    some = np.flatnonzero(asked)
    words = np.stack([limb[some] for limb in limbs], axis=1).astype(">u4")
    octets = words.view(np.uint8)[:, 3:].tobytes()
    fine = np.zeros(len(asked), np.bool_)
    fine[some] = [
        sha256(sha256(octets[at : at + 21]).digest()).digest()[:4] == octets[at + 21 : at + 25] for at in range(0, len(octets), 25)
    ]
    return fine


def bech32(digits: U8) -> Bools:
    """Rows of digits after `bc1`, of one length: bech32 for witness version 0, bech32m for the others."""
    start, tables = _linear(digits.shape[1])
    check = np.full(len(digits), start, np.uint32)
    values = digits & 31
    for place in range(digits.shape[1]):
        check ^= tables[place].take(values[:, place])
    return np.asarray(check == np.where(values[:, 0] == 0, np.uint32(BECH32), np.uint32(BECH32M)))


def _step(check: int, digit: int) -> int:
    top = check >> 25
    check = (check & 0x1FFFFFF) << 5 ^ digit
    for bit, word in enumerate(_GENERATOR):
        if top >> bit & 1:
            check ^= word
    return check


@lru_cache(4)
def _linear(length: int) -> tuple[int, U32]:
    """What the prefix and zeros give, and for each place what each digit changes."""
    prefix = 1
    for digit in (3, 3, 0, 2, 3):  # `bc`, spread as BIP-173 says
        prefix = _step(prefix, digit)
    zeros = prefix
    for _ in range(length):
        zeros = _step(zeros, 0)
    tables = np.zeros((length, 32), np.uint32)
    for place in range(length):
        for digit in range(1, 32):
            check = digit
            for _ in range(length - 1 - place):
                check = _step(check, 0)
            tables[place, digit] = check
    return zeros, tables


__all__ = ["base58check", "bech32", "eip55"]
