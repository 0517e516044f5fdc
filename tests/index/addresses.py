"""Generated addresses of the chains that lists are made of, from numbers; and ways to spoil them."""

from __future__ import annotations

import random
from hashlib import sha256

from app.domain.address import read_wallet
from app.domain.address.bip122 import COINS, KEY, SCRIPT
from app.domain.address.evm import tron_id
from app.domain.address.kin import _segwit
from app.domain.checksums import base58_encode


def some_bytes(number: int, size: int) -> bytes:
    """Bytes of a number, without a zero in front."""
    return b"\x07" + sha256(b"address %d" % number).digest()[: size - 1]


def evm(number: int) -> str:
    """In the case of EIP-55 two times out of three."""
    text = "0x" + some_bytes(number, 20).hex()
    return read_wallet(text).display if number % 3 else text


def tron(number: int) -> str:
    return tron_id(some_bytes(number, 20)).rpartition(":")[2]


def bitcoin(number: int) -> str:
    """By turns a key hash and a script hash in base58, and witness programs of each kind."""
    coin, digest = COINS[0], some_bytes(number, 20)
    match number % 5:
        case 0:
            return coin.address(KEY, digest)
        case 1:
            return coin.address(SCRIPT, digest)
        case 2:
            return _segwit(coin, b"\x00\x14" + digest).rpartition(":")[2]
        case 3:
            return _segwit(coin, b"\x00\x20" + some_bytes(number, 32)).rpartition(":")[2]
        case _:
            return _segwit(coin, b"\x51\x20" + some_bytes(number, 32)).rpartition(":")[2]


def solana(number: int) -> str:
    return base58_encode(sha256(b"solana %d" % number).digest())


def mixed(number: int) -> str:
    """The mix of performance §2."""
    share = number % 20
    if share < 10:
        return evm(number)
    if share < 15:
        return tron(number)
    return bitcoin(number // 20) if share < 18 else solana(number)


def spoilt(text: str, dice: random.Random) -> str:
    """The text with one fault of the kind that people and machines make."""
    at = dice.randrange(len(text))
    match dice.randrange(7):
        case 0:
            return text[:at] + dice.choice("0OIl1aA9zZ-_ xé\x19\x00`@{~") + text[at + 1 :]
        case 1:
            return text[:at] + text[at + 1 :]
        case 2:
            return text[:at] + dice.choice("1aZ0") + text[at:]
        case 3:
            return text.swapcase()
        case 4:
            return text.lower() if dice.random() < 0.5 else text.upper()
        case 5:
            return text[:at] + text[at].swapcase() + text[at + 1 :]
        case _:
            return text[: at + 1]


def padded(texts: list[str]) -> tuple[bytes, list[int], list[int]]:
    """A buffer as `Shapes.read` wants it, starts and lengths."""
    rows = [text.encode("utf-8") for text in texts]
    starts, at = [], 64
    for row in rows:
        starts.append(at)
        at += len(row) + 1
    return b"\n" * 64 + b"\n".join(rows) + b"\n" * 64, starts, [len(row) for row in rows]
