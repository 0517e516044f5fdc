"""Addresses from small numbers, written from the standards and independent of `app.domain`: the oracle for the demonstration's wallets.

Key n is the scalar n on secp256k1, or the 32-byte seed n on Ed25519. A third party's library computes the curve points and hashes.
"""

from __future__ import annotations

import base64
import hashlib

import sha3
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

BITCOIN_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE_ALPHABET = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
BECH32_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def secp256k1(n: int, *, compressed: bool) -> bytes:
    public = ec.derive_private_key(n, ec.SECP256K1()).public_key()
    return public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint if compressed else PublicFormat.UncompressedPoint)


def ed25519(n: int) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(n.to_bytes(32, "big")).public_key().public_bytes_raw()


def keccak(data: bytes) -> bytes:
    return sha3.keccak_256(data).digest()


def hash160(data: bytes) -> bytes:
    return hashlib.new("ripemd160", hashlib.sha256(data).digest()).digest()


def base58(data: bytes, alphabet: str = BITCOIN_ALPHABET) -> str:
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = alphabet[rest] + text
    return alphabet[0] * (len(data) - len(data.lstrip(b"\0"))) + text


def base58check(data: bytes, alphabet: str = BITCOIN_ALPHABET) -> str:
    return base58(data + hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4], alphabet)


def five_bits(data: bytes) -> list[int]:
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return [int(bits[i : i + 5], 2) for i in range(0, len(bits), 5)]


def bech32(prefix: str, version: int, program: bytes) -> str:
    def polymod(values: list[int]) -> int:
        check = 1
        for value in values:
            top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
            for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
                check ^= generator if top >> i & 1 else 0
        return check

    data = [version, *five_bits(program)]
    head = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = polymod([*head, *data, 0, 0, 0, 0, 0, 0]) ^ (1 if version == 0 else 0x2BC830A3)
    return prefix + "1" + "".join(BECH32_ALPHABET[d] for d in [*data, *(check >> 5 * (5 - i) & 31 for i in range(6))])


def cashaddr(version: int, payload: bytes) -> str:
    data = five_bits(bytes([version]) + payload)
    check = 1
    for value in [*(ord(c) & 31 for c in "bitcoincash"), 0, *data, *([0] * 8)]:
        top, check = check >> 35, (check & 0x07FFFFFFFF) << 5 ^ value
        for i, generator in enumerate((0x98F2BC8E61, 0x79B76D99E2, 0xF33E5FB3C4, 0xAE2EABE2A8, 0x1E4F43E470)):
            check ^= generator if top >> i & 1 else 0
    check ^= 1
    return "".join(BECH32_ALPHABET[d] for d in [*data, *(check >> 5 * (7 - i) & 31 for i in range(8))])


def crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


def evm_bytes(n: int) -> bytes:
    return keccak(secp256k1(n, compressed=False)[1:])[12:]


def evm(n: int) -> str:
    lower = evm_bytes(n).hex()
    nibbles = keccak(lower.encode()).hex()
    return "0x" + "".join(c.upper() if int(nibbles[i], 16) > 7 else c for i, c in enumerate(lower))


def tron(n: int) -> str:
    return base58check(b"\x41" + evm_bytes(n))


def p2pkh(n: int, version: int) -> str:
    return base58check(bytes([version]) + hash160(secp256k1(n, compressed=True)))


def p2sh(n: int, version: int) -> str:
    return base58check(bytes([version]) + hash160(b"\x00\x14" + hash160(secp256k1(n, compressed=True))))


def segwit(n: int, prefix: str) -> str:
    return bech32(prefix, 0, hash160(secp256k1(n, compressed=True)))


def taproot(n: int) -> str:
    """BIP-341 key path: the internal key tweaked by its own hash."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    point = secp256k1(n, compressed=True)
    tag = hashlib.sha256(b"TapTweak").digest()
    tweak = int.from_bytes(hashlib.sha256(tag + tag + point[1:]).digest(), "big")
    return bech32("bc", 1, secp256k1(((n if point[0] == 2 else order - n) + tweak) % order, compressed=True)[1:])


def monero(n: int) -> str:
    data = b"\x12" + ed25519(n) + ed25519(n + 1000)
    data += keccak(data)[:4]
    widths = [0, 2, 3, 5, 6, 7, 9, 10, 11]
    return "".join(base58(block).lstrip("1").rjust(widths[len(block)], "1") for block in (data[i : i + 8] for i in range(0, len(data), 8)))


def stellar(n: int) -> str:
    data = b"\x30" + ed25519(n)
    return base64.b32encode(data + crc16(data).to_bytes(2, "little")).decode()


def ton(n: int, tag: int = 0x51) -> str:
    data = bytes([tag, 0]) + hashlib.sha256(ed25519(n)).digest()
    return base64.urlsafe_b64encode(data + crc16(data).to_bytes(2, "big")).decode()


DERIVE = {
    "ethereum": evm,
    "tron": tron,
    "bitcoin": lambda n: (lambda n: p2pkh(n, 0), lambda n: p2sh(n, 5), lambda n: segwit(n, "bc"), taproot)[n % 4](n),
    "litecoin": lambda n: segwit(n, "ltc") if n % 2 else p2pkh(n, 0x30),
    "bitcoincash": lambda n: cashaddr(0, hash160(secp256k1(n, compressed=True))),
    "dogecoin": lambda n: p2pkh(n, 0x1E),
    "solana": lambda n: base58(ed25519(n)),
    "ton": ton,
    "xrp": lambda n: base58check(b"\x00" + hash160(secp256k1(n, compressed=True)), RIPPLE_ALPHABET),
    "monero": monero,
    "stellar": stellar,
}
