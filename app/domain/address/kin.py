"""Siblings: other ids of the same holder, worked out from the address alone (domain.md §4, trap c).

One 20-byte account is an EVM address and a Tron address; one hash of a public key is `1…`, `bc1q…`, `L…`, `D…` and
others, and the nested `3…`; one script hash, witness script or taproot key has a twin on each chain that knows it.
Informational: related, never listed (decision 1). The relation is symmetric but for the nested `3…` and for Monero's
integrated addresses, whose other side cannot be told from the address.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..checksums import BECH32, BECH32M, bech32_encode, hash160, keccak, monero_encode
from . import chains
from .bip122 import BITCOIN, BY_FAMILY, COINS, KEY, LITECOIN, SCRIPT, Coin
from .evm import tron_id
from .model import Sibling, Wallet

MONERO_STANDARD, MONERO_INTEGRATED = 18, 19


def siblings(wallet: Wallet) -> tuple[Sibling, ...]:
    """Other ids of the same key or script, each with relation `same_key`; the wallet's own id is not among them."""
    if wallet.family == "evm":
        ids: Iterator[str] = iter((tron_id(wallet.payload),))
    elif wallet.family == "tron":
        ids = iter((f"{chains.EVM}:0x{wallet.payload[1:].hex()}",))
    elif wallet.family in BY_FAMILY:
        ids = _of_script(wallet.payload)
    elif wallet.family == "monero":
        ids = _of_integrated(wallet.payload)
    else:
        return ()
    return tuple(Sibling(found, "same_key") for found in ids if found != wallet.id)


def kin_keys(wallet: Wallet) -> tuple[bytes, ...]:
    """Short keys that a wallet shares with its siblings: two wallets are kin if they have one in common.

    The same relation as `siblings`, without writing any address: an index files a listed wallet under its keys, and finds
    the kin of an asked one under his. The second key, where there is one, is the nested `3…` of a key hash.
    """
    payload = wallet.payload
    if wallet.family in ("evm", "tron"):
        return (b"a" + payload[-20:],)
    if wallet.family in BY_FAMILY:
        if len(payload) == 25:
            return _key_hash(payload[3:23])
        if len(payload) == 23:
            return (b"s" + payload[2:22],)
        return _key_hash(payload[2:]) if payload[:2] == b"\x00\x14" else (b"w" + payload,)
    if wallet.family == "monero":
        return (b"m" + payload[1:65],)
    return ()


def ids_of_key(key: bytes) -> Iterator[str]:
    """Every id that can be written from a key of `kin_keys`: all wallets that have it but those that have it among their `far_keys`."""
    kind, payload = key[:1], key[1:]
    if kind == b"a":
        yield f"{chains.EVM}:0x{payload.hex()}"
        yield tron_id(payload)
    elif kind == b"h":
        yield from (f"{coin.chain}:{coin.address(KEY, payload)}" for coin in COINS)
        yield from (_segwit(coin, b"\x00\x14" + payload) for coin in COINS if coin.prefix)
    elif kind == b"s":
        yield from (f"{coin.chain}:{coin.address(SCRIPT, payload)}" for coin in COINS)
    elif kind == b"w" and payload[0] != 0xAA:
        yield from (_segwit(coin, payload) for coin in COINS if coin.prefix)
    elif kind == b"m":
        yield _standard(payload)


def far_keys(wallet: Wallet) -> tuple[bytes, ...]:
    """Keys that a wallet shares with others from whose side nobody can write its id: an index must keep them, to find it under."""
    if wallet.family == "monero":
        return kin_keys(wallet) if wallet.payload[0] != MONERO_STANDARD else ()
    return kin_keys(wallet)[1:] if wallet.family in BY_FAMILY else ()


def _key_hash(digest: bytes) -> tuple[bytes, ...]:
    return b"h" + digest, b"s" + hash160(b"\x00\x14" + digest)


def _of_script(script: bytes) -> Iterator[str]:
    if len(script) == 25:
        yield from _of_hash(script[3:23], KEY)
    elif len(script) == 23:
        yield from _of_hash(script[2:22], SCRIPT)
    elif script[:2] == b"\x00\x14":
        yield from _of_hash(script[2:], KEY)
    elif script[0] != 0xAA:  # Bitcoin Cash alone has scripts of 32 bytes
        yield from (_segwit(coin, script) for coin in COINS if coin.prefix)


def _of_hash(digest: bytes, kind: int) -> Iterator[str]:
    """All ids of a key hash: bare, SegWit, and SegWit nested in a script; or of a script hash."""
    for coin in COINS:
        yield f"{coin.chain}:{coin.address(kind, digest)}"
    if kind == KEY:
        program = b"\x00\x14" + digest
        yield from (_segwit(coin, program) for coin in COINS if coin.prefix)
        nested = hash160(program)
        yield from (f"{coin.chain}:{coin.address(SCRIPT, nested)}" for coin in (BITCOIN, LITECOIN))


def _segwit(coin: Coin, script: bytes) -> str:
    program = script[2:]
    version = script[0] - 0x50 if script[0] else 0
    digits = -(-8 * len(program) // 5)
    number = version << 5 * digits | int.from_bytes(program, "big") << (5 * digits - 8 * len(program))
    return f"{coin.chain}:{bech32_encode(coin.prefix or '', number, digits + 1, BECH32M if version else BECH32)}"


def _of_integrated(payload: bytes) -> Iterator[str]:
    """The standard address inside an integrated one."""
    if payload[0] == MONERO_INTEGRATED:
        yield _standard(payload[1:65])


def _standard(keys: bytes) -> str:
    standard = bytes((MONERO_STANDARD,)) + keys
    return f"{chains.MONERO}:{monero_encode(standard + keccak(standard)[:4])}"
