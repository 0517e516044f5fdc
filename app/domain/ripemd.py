"""RIPEMD-160 in plain Python, for builds of OpenSSL that leave it out: an answer must not depend on the build.

Specification: Dobbertin, Bosselaers, Preneel 1996. Only the nested form of `address/kin.py` needs it, never a check.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from hashlib import sha256

_MASK = 0xFFFFFFFF


def _built_in() -> hashlib._Hash | None:
    """A state to copy, at a third of the cost of asking for the algorithm by its name each time."""
    try:
        return hashlib.new("ripemd160")
    except ValueError:
        return None


_BUILT_IN = _built_in()
# One hex digit a step: the word taken and the bits rotated, on the left and on the right line.
_WORDS = (
    bytes(int(c, 16) for c in "0123456789abcdef74d1a6f3c0952eb83ae49f812706db5c19ba08c4d37fe56240597c2ae138b6fd"),
    bytes(int(c, 16) for c in "5e7092b4d6f81a3c6b370d5aef8c4912f5137e69b8c2a04d86413bf05c2d97aecfa4158762de039b"),
)
_TURNS = (
    bytes(int(c, 16) for c in "befc5879bdef6798768db97f7cf9b7dcbd67e9dfe8d65c75bcefef989e56865c9f5b68dc5cdeb856"),
    bytes(int(c, 16) for c in "899bdff5778beec69df7c89b77c76fdb97fb866ecd5edd75f58bee6e69c9c5f885c9c5e68d65fdbb"),
)
_ADDED = ((0, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E), (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0))


def hash160_of_each(opening: bytes, items: Sequence[bytes]) -> list[bytes]:
    """RIPEMD-160 of SHA-256 of each item behind `opening`, in one loop: for lists of addresses, where a call more a row counts."""
    first = sha256(opening).copy
    found: list[bytes] = []
    keep, second = found.append, None if _BUILT_IN is None else _BUILT_IN.copy
    for item in items:
        inner = first()
        inner.update(item)
        if second is None:
            keep(ripemd160_plain(inner.digest()))
            continue
        outer = second()
        outer.update(inner.digest())
        keep(outer.digest())
    return found


def ripemd160(data: bytes) -> bytes:
    """20 bytes; through OpenSSL where it has the algorithm."""
    if _BUILT_IN is None:
        return ripemd160_plain(data)
    state = _BUILT_IN.copy()
    state.update(data)
    return state.digest()


def ripemd160_plain(data: bytes) -> bytes:
    """The same, computed here."""
    padded = data + b"\x80" + bytes(-(len(data) + 9) % 64) + struct.pack("<Q", 8 * len(data))
    state: tuple[int, ...] = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
    for start in range(0, len(padded), 64):
        words = struct.unpack("<16I", padded[start : start + 64])
        left, right = _line(state, words, 0), _line(state, words, 1)
        state = tuple((state[(i + 1) % 5] + left[(i + 2) % 5] + right[(i + 3) % 5]) & _MASK for i in range(5))
    return struct.pack("<5I", *state)


def _line(state: tuple[int, ...], words: tuple[int, ...], side: int) -> tuple[int, ...]:
    a, b, c, d, e = state
    for step in range(80):
        turn = step // 16
        mixed = a + _mix(4 - turn if side else turn, b, c, d) + words[_WORDS[side][step]] + _ADDED[side][turn]
        a, e, d, c, b = e, d, _rotated(c, 10), b, (_rotated(mixed & _MASK, _TURNS[side][step]) + e) & _MASK
    return a, b, c, d, e


def _mix(turn: int, x: int, y: int, z: int) -> int:
    if turn == 0:
        return x ^ y ^ z
    if turn == 1:
        return (x & y) | (~x & _MASK & z)
    if turn == 2:
        return (x | (~y & _MASK)) ^ z
    if turn == 3:
        return (x & z) | (y & ~z & _MASK)
    return x ^ (y | (~z & _MASK))


def _rotated(x: int, bits: int) -> int:
    return ((x << bits) | (x >> (32 - bits))) & _MASK
