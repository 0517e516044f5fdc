"""What a text is that is no address: the typed refusals that tell the caller what was pasted (schemas §3).

Called only when reading has failed, so it may look closely. No detail repeats the value; of what may be a secret it
repeats nothing. Characters outside ASCII are never mapped to their look-alikes (trust-and-ops S-19): they are named.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from ..checksums import base58_decode, bech32_decode, crc16_xmodem, sha256d
from ..errors import InvalidAddress
from .bip122 import TESTNET_PREFIXES
from .model import invalid

_HEX64: Final = re.compile(r"(?:0[xX])?[0-9a-fA-F]{64}")
_NAME: Final = re.compile(r"@?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+|@[A-Za-z0-9_]+")
_EXTENDED_KEY: Final = re.compile(r"[xyztuvYZUV]prv[0-9A-Za-z]{100,110}|[LMd][tg]pv[0-9A-Za-z]{100,110}")
_EXTENDED_PUBLIC: Final = re.compile(r"[xyztuvYZUV]pub[0-9A-Za-z]{100,110}|[LMd][tg]ub[0-9A-Za-z]{100,110}")
_BECH32: Final = re.compile(r"([a-z_-]{1,20})1([02-9ac-hj-np-z]{6,112})")
_STELLAR_SEED: Final = re.compile(r"S[A-Z2-7]{55}")
_WIF: Final = frozenset((0x80, 0xB0, 0x9E, 0xCC, 0xEF))
_TEST_PREFIXES: Final = TESTNET_PREFIXES | {"addr_test", "stake_test", "tbnb"}
_KEEP_OUT: Final = "that is a private key or seed, not an address: whoever saw it owns the funds, so move them; nothing of it was kept"


def explain(text: str, error: InvalidAddress, *, hash_is_hex: bool = True) -> InvalidAddress:
    """The refusal that says most: `error`, or what the text looks like instead. `hash_is_hex` as the chain named has it."""
    return outside_ascii(text) or _secret(text) or _hash(text, hash_is_hex=hash_is_hex) or _other_thing(text) or error


def outside_ascii(text: str) -> InvalidAddress | None:
    """`confusable` or `alphabet` for characters that no address has; None for printable ASCII."""
    if text.isascii():
        if text.isprintable():
            return None
        place = next(i for i, c in enumerate(text) if not c.isprintable())
        return invalid("alphabet", f"character {place + 1} is a line break, a tab or another control character: leave it out")
    place = next(i for i, c in enumerate(text) if not c.isascii())
    character = text[place]
    seen = f"character {place + 1} is U+{ord(character):04X} {unicodedata.name(character, 'without a name')}"
    if unicodedata.category(character)[0] in "LNMZC":
        return invalid("confusable", f"{seen}: it is invisible or looks like another; type the address or copy it from its source")
    return invalid("alphabet", f"{seen}: addresses are made of ASCII letters and digits")


def _secret(text: str) -> InvalidAddress | None:
    words = text.split(" ")
    if len(words) >= 12 and all(word.isalpha() and word.islower() for word in words):
        return invalid("private_key", _KEEP_OUT)
    if _EXTENDED_KEY.fullmatch(text) or _is_wif(text) or _is_seed(text):
        return invalid("private_key", _KEEP_OUT)
    return None


def _is_wif(text: str) -> bool:
    if len(text) not in (51, 52, 58):
        return False
    raw = _checked(text, ripple=False)
    if raw[:2] in (b"\x01\x42", b"\x01\x43"):  # BIP-38: encrypted, yet as secret
        return len(raw) == 39
    return raw[:1] != b"" and raw[0] in _WIF and (len(raw) == 33 or (len(raw) == 34 and raw[33] == 1))


def _is_seed(text: str) -> bool:
    if _STELLAR_SEED.fullmatch(text):
        raw = _base32(text)
        return crc16_xmodem(raw[:-2]) == int.from_bytes(raw[-2:], "little")
    if text[:1] == "s" and 27 <= len(text) <= 31:
        raw = _checked(text, ripple=True)
        return (len(raw) == 17 and raw[0] == 0x21) or (len(raw) == 19 and raw[:3] == b"\x01\xe1\x4b")
    return False


def _base32(text: str) -> bytes:
    bits = int("".join(f"{'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.index(c):05b}" for c in text), 2)
    return bits.to_bytes(35, "big")


def _checked(text: str, *, ripple: bool) -> bytes:
    """Content of a base58check text, or nothing."""
    try:
        raw = base58_decode(text, ripple=ripple)
    except ValueError:
        return b""
    return raw[:-4] if sha256d(raw[:-4])[:4] == raw[-4:] else b""


def _hash(text: str, *, hash_is_hex: bool) -> InvalidAddress | None:
    if _HEX64.fullmatch(text):
        if not hash_is_hex and text[:2] not in ("0x", "0X"):
            return invalid("private_key", _KEEP_OUT)
        return invalid(
            "transaction_hash",
            "64 hexadecimal digits are a transaction hash: give the address that sent or received, or the hash as tx:<chain>:<hash>. "
            "If it is a private key, it is no longer secret",
        )
    if 86 <= len(text) <= 88 and _base58_size(text) == 64:
        return invalid("transaction_hash", "64 bytes in base58 are a Solana signature, the name of a transaction: give the address in it")
    return None


def _base58_size(text: str) -> int:
    try:
        return len(base58_decode(text))
    except ValueError:
        return 0


def _other_thing(text: str) -> InvalidAddress | None:
    if " " in text:
        return invalid("alphabet", "there is a blank inside: an address has none; give one address at a time")
    if _NAME.fullmatch(text) and not text.replace(".", "").isdigit():
        return invalid(
            "name_not_address", "that is a name, and names change hands: look up the address it stands for today and give that one"
        )
    if _EXTENDED_PUBLIC.fullmatch(text):
        return invalid("name_not_address", "that is an extended public key, from which addresses are made: give the addresses")
    return _bech32_thing(text)


def _bech32_thing(text: str) -> InvalidAddress | None:
    """A checksum that holds behind a prefix that is a test network's, or unknown here."""
    match = _BECH32.fullmatch(text.lower()) if text.islower() or text.isupper() else None
    if match is None:
        return None
    prefix, data = match.groups()
    if prefix in _TEST_PREFIXES:
        return invalid("testnet", "that is an address of a test network: nothing on it has value, so nothing on it is listed")
    if bech32_decode(prefix, data)[2] in (1, 0x2BC830A3) and prefix not in ("bc", "ltc", "btg", "cosmos", "bnb", "addr", "stake"):
        return invalid("unknown_chain", "the checksum holds, but the prefix belongs to no chain that is read here")
    return None
