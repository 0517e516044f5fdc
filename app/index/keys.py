"""What a fingerprint is made from: the keys of an id, and the keyed 64-bit digest of a key.

An id is filed under, and looked for by, the same keys. A wallet that has siblings is filed under what it shares with them
(`domain/address/kin`): 20 bytes of an account, a key hash, a script hash; so one probe finds the address and its kin on other chains.
Every other id is filed under its text. A key is a kind byte and a payload of at most 64 bytes; longer ones are hashed to 32 first.

The digest is two multilinear sums modulo 2^64 over the 32-bit words of the payload with 64-bit secret multipliers, of which the upper
halves are kept (strongly universal: two keys collide with probability 2^-64 over the choice of the secret, whatever the keys), then
mixed. Whoever chooses addresses cannot aim at a bucket without the secret, which is drawn for each file. `vector.py` computes the same
for many at once (ADR 0009).

A key is filed once for each class of the reach of what is said of it (`domain/reach`): its digest, turned by 64 bits that follow from
secret and class. The class of what everybody may read turns nothing, that of what every member may read turns the fingerprint and the
side of the pair (`buckets`): the two that nearly all is filed under, and nearly everybody reads, are looked at in one go, and what stands
in one makes no search in the other longer.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from operator import mul

from app.domain.address import Wallet, kin_keys
from app.domain.errors import InvalidAddress
from app.domain.identifiers import EntityId, Indicator, Subject, read_id
from app.domain.reach import CLEAR, GREEN

__all__ = ["ACCOUNT", "CLASS", "KEY_HASH", "SCRIPT_HASH", "SECRET_BYTES", "TEXT", "WITNESS", "WORDS", "Digester", "keys_of", "keys_of_id"]

ACCOUNT, KEY_HASH, SCRIPT_HASH, WITNESS, TEXT, LONG = b"a", b"h", b"s", b"w", b"t", b"d"
CLASS = b"c"
"""Kind of the key that says: something was filed under this class."""
LONGEST = 64
WORDS = LONGEST // 4
SECRET_BYTES = 32
_M64 = (1 << 64) - 1
_MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9
_STRUCTS = [struct.Struct(f"<{n}I") for n in range(WORDS + 1)]


def keys_of(subject: Subject) -> tuple[bytes, ...]:
    """The keys of a wallet or an indicator: one of the listed ids has one of them, or nothing is said of the subject or its kin."""
    if isinstance(subject, Wallet):
        keys = kin_keys(subject)
        return keys or (short(TEXT + subject.address.encode("utf-8")),)
    return (short(TEXT + subject.id.encode("utf-8")),)


def keys_of_id(text: str) -> tuple[bytes, ...]:
    """The keys of a canonical id; none for an entity, which is never screened."""
    try:
        subject = read_id(text)
    except InvalidAddress:
        # An id of a peer's newer vocabulary: it is filed as it stands, since no lookup of today can be read as it.
        return (short(TEXT + text.encode("utf-8")),)
    return () if isinstance(subject, EntityId) else keys_of(subject)


def short(key: bytes) -> bytes:
    """The key, or the hash of one that is longer than the words reach."""
    return key if len(key) <= LONGEST + 1 else LONG + hashlib.blake2b(key, digest_size=32).digest()


class Digester:
    """The keyed digest of one file."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError("the secret of an index file has 32 bytes")
        drawn = hashlib.shake_256(b"cordon-index/v1\n" + secret).digest(16 * (WORDS + 2))
        numbers = struct.unpack(f"<{2 * (WORDS + 2)}Q", drawn)
        self.lane_a: Sequence[int] = numbers[: WORDS + 2]
        """Start, multiplier of the tag, multipliers of the words: of the sum whose upper half chooses the bucket."""
        self.lane_b: Sequence[int] = numbers[WORDS + 2 :]
        self.secret = secret
        # Both sums in one: a word times both multipliers is one product of Python's integers.
        both = [b << 128 | a for a, b in zip(self.lane_a, self.lane_b, strict=True)]
        self._start, self._tag, self._words = both[0], both[1], both[2:]

    def digest(self, key: bytes) -> int:
        """64 bits of a key."""
        size = len(key) - 1
        count = (size + 3) >> 2
        payload = key[1:] if not size & 3 else key[1:].ljust(4 * count, b"\0")
        sums: int = self._start + (key[0] | size << 8) * self._tag + sum(map(mul, self._words, _STRUCTS[count].unpack(payload)))
        x = (sums & 0xFFFFFFFF00000000) | (sums >> 160 & 0xFFFFFFFF)
        x ^= x >> 32
        x = x * _MIX_1 & _M64
        x ^= x >> 29
        x = x * _MIX_2 & _M64
        return x ^ x >> 32

    def turn(self, name: str) -> int:
        """What turns a digest for a class."""
        if name == CLEAR:
            return 0
        drawn = int.from_bytes(hashlib.blake2b(name.encode("utf-8"), key=self.secret, digest_size=8).digest(), "little")
        return drawn & 0xFFFFFFFF00000000 | 1 if name == GREEN else drawn

    def mark(self, name: str) -> int:
        """The digest that says that something was filed under a class."""
        return self.digest(short(CLASS + name.encode("utf-8")))

    def digests(self, subject: Wallet | Indicator) -> list[int]:
        """The digests of all keys of a subject."""
        return [self.digest(key) for key in keys_of(subject)]
