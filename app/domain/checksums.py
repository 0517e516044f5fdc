"""Checksums and text encodings of the address formats: exact, small, and fast enough for bulk screening.

Functions on text and bytes that know no chain. Decoders raise ValueError on a character outside the alphabet and leave
lengths to the caller. Two tricks carry the speed: base58 digits are combined lane by lane inside one large integer, and
the bech32 and CashAddr codes, being linear, are summed from tables, one byte of input at a time (performance.md §3;
the formats: domain.md §4).
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterable
from functools import lru_cache, reduce
from hashlib import blake2b, sha256
from operator import getitem, xor

from sha3 import keccak_256

from .ripemd import ripemd160

# --- hashes ---------------------------------------------------------------------------------------------------------


def sha256d(data: bytes) -> bytes:
    """SHA-256 of SHA-256, Bitcoin's checksum."""
    return sha256(sha256(data).digest()).digest()


def keccak(data: bytes) -> bytes:
    """Keccak-256 with the padding of 2011 that Ethereum and Monero use; not SHA3-256."""
    digest: bytes = keccak_256(data).digest()
    return digest


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256: what a Bitcoin script names a key or another script by."""
    return ripemd160(sha256(data).digest())


def crc16_xmodem(data: bytes) -> int:
    """CRC-16, polynomial 0x1021, start 0: TON writes it big-endian, Stellar little-endian."""
    return crc_hqx(data, 0)


def ss58_checksum(data: bytes) -> bytes:
    """The two bytes that end an SS58 address of a 32-byte account."""
    return blake2b(b"SS58PRE" + data).digest()[:2]


# --- EIP-55 ---------------------------------------------------------------------------------------------------------

_UPPER_BITS = bytes(0x38 if 0x41 <= c <= 0x46 else 0x30 for c in range(256))  # '8' for A-F, '0' for all else
_LETTER_BITS = bytes(0x38 if chr(c) in "abcdefABCDEF" else 0x30 for c in range(256))
_HIGH_BITS = int("8" * 40, 16)


def eip55_matches(digits: str) -> bool:
    """Whether the case of 40 hex digits is the one EIP-55 gives: upper where the nibble of the hash is above 7."""
    raw = digits.encode()
    wanted = int(keccak_256(raw.lower()).hexdigest()[:40], 16) & int(raw.translate(_LETTER_BITS), 16) & _HIGH_BITS
    return wanted == int(raw.translate(_UPPER_BITS), 16)


def eip55(digits: str) -> str:
    """40 lower-case hex digits in the case of EIP-55."""
    nibbles = keccak_256(digits.encode()).hexdigest()
    return "".join(c.upper() if n > "7" else c for c, n in zip(digits, nibbles, strict=False))


# --- base58 ---------------------------------------------------------------------------------------------------------

BITCOIN_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE_ALPHABET = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_LANES = 64  # characters that one pass combines
_FULL = 8 * _LANES


def _digits(alphabet: str) -> bytes:
    """Translation table: character to its value, 0x80 for what is not in the alphabet."""
    return bytes(alphabet.find(chr(c)) if chr(c) in alphabet else 0x80 for c in range(256))


def _mask(lane: int) -> int:
    """Ones in every second lane of that many bits."""
    return sum(((1 << lane) - 1) << start for start in range(0, _FULL, 2 * lane))


_BITCOIN_DIGITS, _RIPPLE_DIGITS = _digits(BITCOIN_ALPHABET), _digits(RIPPLE_ALPHABET)
_ALIEN = sum(0x80 << start for start in range(0, _FULL, 8))
_M8, _M16, _M32, _M64, _M128, _M256 = (_mask(lane) for lane in (8, 16, 32, 64, 128, 256))
_P1, _P2, _P4, _P8, _P16, _P32 = (58**n for n in (1, 2, 4, 8, 16, 32))
_LIMB = 58**10  # ten digits fit a machine word: most divisions are then short ones
_PAIRS = [a + b for a in BITCOIN_ALPHABET for b in BITCOIN_ALPHABET]


def base58_decode(text: str, *, ripple: bool = False) -> bytes:
    """The bytes of a base58 text; leading zero digits are leading zero bytes. ValueError outside the alphabet.

    Neighbouring digits are joined into lanes of twice the width, six times over.
    """
    digits = text.encode().translate(_RIPPLE_DIGITS if ripple else _BITCOIN_DIGITS)
    if len(digits) > _LANES:
        return _decode_long(text, len(digits) - len(digits.lstrip(b"\0")), ripple=ripple)
    n = int.from_bytes(digits, "big")
    if n & _ALIEN:
        raise ValueError
    n = (n & _M8) + _P1 * ((n >> 8) & _M8)
    n = (n & _M16) + _P2 * ((n >> 16) & _M16)
    n = (n & _M32) + _P4 * ((n >> 32) & _M32)
    n = (n & _M64) + _P8 * ((n >> 64) & _M64)
    n = (n & _M128) + _P16 * ((n >> 128) & _M128)
    n = (n & _M256) + _P32 * (n >> 256)
    body = n.to_bytes((n.bit_length() + 7) >> 3, "big")
    if not digits or digits[0]:
        return body
    return bytes(len(digits) - len(digits.lstrip(b"\0"))) + body


def _decode_long(text: str, zeros: int, *, ripple: bool) -> bytes:
    if not text.isascii():
        raise ValueError
    n = 0
    for start in range(0, len(text), _LANES):
        piece = text[start : start + _LANES]
        n = n * 58 ** len(piece) + int.from_bytes(base58_decode(piece, ripple=ripple), "big")
    return bytes(zeros) + n.to_bytes((n.bit_length() + 7) >> 3, "big")


def base58_encode(data: bytes) -> str:
    """The one base58 text of some bytes."""
    n, parts = int.from_bytes(data, "big"), []
    while n:
        n, limb = divmod(n, _LIMB)
        for _ in range(5):
            limb, pair = divmod(limb, 3364)
            parts.append(_PAIRS[pair])
    text = "".join(reversed(parts)).lstrip("1")
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def base58check_encode(payload: bytes) -> str:
    """`payload` and four bytes of its double SHA-256."""
    return base58_encode(payload + sha256d(payload)[:4])


_TO_RIPPLE = str.maketrans(BITCOIN_ALPHABET, RIPPLE_ALPHABET)


def ripple_check_encode(payload: bytes) -> str:
    """The same in Ripple's order of the alphabet."""
    return base58check_encode(payload).translate(_TO_RIPPLE)


_MONERO_BLOCKS = {2: 1, 3: 2, 5: 3, 6: 4, 7: 5, 9: 6, 10: 7, 11: 8}  # characters of a block: bytes


def monero_decode(text: str) -> bytes:
    """Monero's base58: blocks of 11 characters are 8 bytes each, so the length of the text fixes that of the bytes."""
    out = bytearray()
    for start in range(0, len(text), 11):
        block = text[start : start + 11]
        size = _MONERO_BLOCKS.get(len(block))
        n = int.from_bytes(base58_decode(block), "big")
        if size is None or n >> 8 * size:
            raise ValueError
        out += n.to_bytes(size, "big")
    return bytes(out)


def monero_encode(data: bytes) -> str:
    """The one text of some bytes in Monero's base58."""
    characters = {size: length for length, size in _MONERO_BLOCKS.items()}
    blocks = (data[start : start + 8] for start in range(0, len(data), 8))
    return "".join(base58_encode(b.lstrip(b"\0")).rjust(characters[len(b)], "1") for b in blocks)


# --- base32 numbers and linear codes --------------------------------------------------------------------------------


def _to_int32(alphabet: str) -> bytes:
    """Table from an alphabet of 32 to the digits that `int(…, 32)` reads; '!' (never a digit) for all other bytes."""
    return bytes(b"0123456789abcdefghijklmnopqrstuv"[alphabet.index(chr(c))] if chr(c) in alphabet else 0x21 for c in range(256))


BECH32_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_DIGITS = _to_int32(BECH32_ALPHABET)
_STELLAR_DIGITS = _to_int32("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


def bytes_of_base32(number: int, digits: int) -> bytes:
    """The bytes in a number of `digits` 5-bit digits. ValueError if the spare bits are 5 or more, or not zero."""
    spare = 5 * digits & 7
    if spare > 4 or number & ((1 << spare) - 1):
        raise ValueError
    return (number >> spare).to_bytes(5 * digits >> 3, "big")


def base32_decode(text: str) -> bytes:
    """RFC 4648 base32 without padding, upper case, canonical (Stellar). ValueError otherwise."""
    return bytes_of_base32(int(text.encode("ascii").translate(_STELLAR_DIGITS), 32), len(text))


def base32_encode(data: bytes) -> str:
    """RFC 4648 base32 without padding."""
    count = -(-8 * len(data) // 5)
    number = int.from_bytes(data, "big") << (5 * count - 8 * len(data))
    return "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(number >> 5 * i) & 31] for i in reversed(range(count)))


class LinearCode:
    """A BCH code over 5-bit digits, as bech32 and CashAddr use it: the checksum of a sum is the sum of the checksums.

    `tables[i][b]` is what byte b, i bytes from the right end of the digits, adds to the checksum.
    """

    def __init__(self, generators: tuple[int, ...], bits: int, longest: int) -> None:
        self.generators, self.shift = generators, bits - 5
        self.low = (1 << self.shift) - 1
        self.size = bits // 5
        """Digits of the checksum."""
        self.tables = self._tables(5 * longest)

    def feed(self, state: int, values: Iterable[int]) -> int:
        """The state after some more digits."""
        for value in values:
            top = state >> self.shift
            state = (state & self.low) << 5 ^ value
            for i, generator in enumerate(self.generators):
                if top >> i & 1:
                    state ^= generator
        return state

    def _tables(self, bits: int) -> list[list[int]]:
        units = [1 << i for i in range(5)]
        single = []
        for _ in range(0, bits + 8, 5):
            single += units
            units = [self.feed(unit, (0,)) for unit in units]
        tables = []
        for start in range(0, bits, 8):
            table = [0]
            for bit in range(8):
                table += [entry ^ single[start + bit] for entry in table]
            tables.append(table)
        return tables

    def sum(self, number: int, digits: int) -> int:
        """Checksum, from state 0, of a number of `digits` 5-bit digits."""
        return reduce(xor, map(getitem, self.tables, number.to_bytes((5 * digits + 7) >> 3, "little")))


BECH32, BECH32M = 1, 0x2BC830A3
_BECH32 = LinearCode((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3), 30, 112)
_CASHADDR = LinearCode((0x98F2BC8E61, 0x79B76D99E2, 0xF33E5FB3C4, 0xAE2EABE2A8, 0x1E4F43E470), 40, 112)


@lru_cache(maxsize=1024)
def _bech32_start(prefix: str, digits: int) -> int:
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    return _BECH32.feed(1, expanded + [0] * digits)


@lru_cache(maxsize=256)
def _cashaddr_start(prefix: str, digits: int) -> int:
    return _CASHADDR.feed(1, [ord(c) & 31 for c in prefix] + [0] * (digits + 1))


def bech32_decode(prefix: str, data: str) -> tuple[int, int, int]:
    """What follows the `1` of a lower-case text: (number of the digits before the checksum, their count, constant).

    The constant is BECH32 or BECH32M in a valid text. ValueError outside the alphabet, under 6 or over 112 characters.
    """
    count = len(data)
    if not 6 <= count <= 112:
        raise ValueError
    number = int(data.encode().translate(_BECH32_DIGITS), 32)
    return number >> 30, count - 6, _bech32_start(prefix, count) ^ _BECH32.sum(number, count)


def bech32_encode(prefix: str, number: int, digits: int, constant: int = BECH32) -> str:
    """`prefix`, `1`, the digits of `number`, and the checksum that makes them valid under `constant`."""
    number <<= 30
    number |= _bech32_start(prefix, digits + 6) ^ _BECH32.sum(number, digits + 6) ^ constant
    return f"{prefix}1{_bech32_text(number, digits + 6)}"


def cashaddr_decode(prefix: str, data: str) -> tuple[int, int, bool]:
    """As `bech32_decode`, for what follows the colon: (number, count, whether the 40-bit checksum holds)."""
    count = len(data)
    if not 8 <= count <= 112:
        raise ValueError
    number = int(data.encode().translate(_BECH32_DIGITS), 32)
    return number >> 40, count - 8, _cashaddr_start(prefix, count) ^ _CASHADDR.sum(number, count) == 1


def cashaddr_encode(prefix: str, payload: bytes) -> str:
    """What follows the colon of a CashAddr: version byte and hash, with their checksum."""
    digits = -(-8 * len(payload) // 5)
    number = int.from_bytes(payload, "big") << (5 * digits - 8 * len(payload)) << 40
    number |= _cashaddr_start(prefix, digits + 8) ^ _CASHADDR.sum(number, digits + 8) ^ 1
    return _bech32_text(number, digits + 8)


def _bech32_text(number: int, digits: int) -> str:
    return "".join([BECH32_ALPHABET[number >> 5 * i & 31] for i in range(digits - 1, -1, -1)])
