"""Addresses for made-up lists: keys 1, 2, 3 … of no one, so that no real wallet stands in our own files."""

from __future__ import annotations

from hashlib import sha256

_B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58check(payload: bytes) -> str:
    data = payload + sha256(sha256(payload).digest()).digest()[:4]
    number = int.from_bytes(data)
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = _B58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def _hash(n: int) -> bytes:
    return sha256(n.to_bytes(8)).digest()[:20]


def btc(n: int) -> str:
    return base58check(b"\x00" + _hash(n))


def tron(n: int) -> str:
    return base58check(b"\x41" + _hash(n))


def evm(n: int) -> str:
    return "0x" + _hash(n).hex()
