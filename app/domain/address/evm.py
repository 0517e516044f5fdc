"""EVM chains and Tron: twenty bytes of the same key, in hexadecimal with EIP-55, or in base58check behind 0x41.

An EVM id stands for the key-holder on every EVM chain (`eip155:0`); a chain that was named is a scope beside it.
"""

from __future__ import annotations

import re
from hashlib import sha256

from ..checksums import base58_decode, base58check_encode, eip55_matches
from . import chains
from .model import Wallet, invalid

_new = tuple.__new__
_HEX_LOWER = frozenset("0123456789abcdef")

is_canonical_id = re.compile(r"eip155:0:0x[0-9a-f]{40}").fullmatch
"""Whether a text is the id of an EVM wallet as statements carry it: the one sort of id that its form alone proves good."""


def read_usual(text: str) -> Wallet | None:
    """The commonest spelling, 0x and 40 small hex digits, without a further call; None for every other text."""
    if len(text) != 42:
        return None
    try:
        payload = bytes.fromhex(text[2:])
    except ValueError:
        return None
    if "0x" + payload.hex() != text:
        return None
    return _new(Wallet, ("eip155:0:" + text, "evm", payload, None, None, ()))


def read(text: str) -> Wallet:
    """0x and 40 hex digits: all small, or in the case of EIP-55; all capitals, `0X` and no prefix with a warning."""
    head = text[:2]
    warnings: tuple[str, ...]
    if head == "0x":
        digits, warnings = text[2:], ()
    elif head == "0X":
        digits, warnings = text[2:], ("upper_prefix",)
    else:
        digits, warnings = text, ("no_prefix",)
    small = digits if digits.islower() else digits.lower()
    payload = hex_bytes(small, 20)
    if digits is not small and small != digits:
        warnings = (*warnings, *_case_warnings(digits))
    return _new(Wallet, ("eip155:0:0x" + small, "evm", payload, None, None, warnings))


def _case_warnings(digits: str) -> tuple[str, ...]:
    if eip55_matches(digits):
        return ()
    if digits.isupper():
        return ("upper_case",)
    raise invalid(
        "checksum",
        "capitals and small letters do not follow EIP-55: a character is wrong, or the case was changed on the way; "
        "copy the address again, or write it all in small letters if you are sure of it",
    )


def hex_bytes(small: str, size: int) -> bytes:
    """The bytes of lower-case hex digits; `fromhex` alone would skip blanks."""
    try:
        payload = bytes.fromhex(small)
    except ValueError:
        payload = b""
    if len(payload) == size and len(small) == 2 * size:
        return payload
    if not _HEX_LOWER.issuperset(small):
        raise invalid("alphabet", f"a character is no hexadecimal digit; {2 * size} of 0-9 and a-f are wanted")
    raise invalid("length", f"{len(small)} hexadecimal digits where {2 * size} are wanted: some are missing or too many")


def read_tron(text: str) -> Wallet:
    """`T…` in base58check; 41 and 40 hex digits, or 0x and 40 of them, with a warning."""
    if text[:1] != "T":
        return _tron_of_hex(text)
    try:
        raw = base58_decode(text)
    except ValueError:
        raise invalid("alphabet", "a Tron address is written in base58, without 0, O, I and l") from None
    if len(raw) != 25:
        raise invalid("length", "a Tron address has 34 characters: some are missing or too many")
    return tron_of(text, raw)


def tron_of(text: str, raw: bytes) -> Wallet:
    """The wallet of a decoded text of 25 bytes that opens with 0x41."""
    payload = raw[:21]
    if not sha256(sha256(payload).digest()).digest().startswith(raw[21:]):
        raise invalid("checksum", "the checksum does not fit: a character is wrong; copy the address again from its source")
    if payload[0] != 0x41:
        raise invalid("unknown_chain", "the checksum holds, but the version byte is not Tron's")
    return _new(Wallet, ("tron:0x2b6653dc:" + text, "tron", payload, None, None, ()))


def _tron_of_hex(text: str) -> Wallet:
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    if len(digits) == 42 and digits[:2] == "41":
        digits = digits[2:]
    elif digits is text:
        raise invalid("alphabet", "a Tron address opens with T, or with 41 in its hexadecimal form")
    payload = read("0x" + digits).payload
    address = base58check_encode(b"\x41" + payload)
    return Wallet(f"{chains.TRON}:{address}", "tron", b"\x41" + payload, warnings=("hex_form",))


def tron_id(payload: bytes) -> str:
    """The id of the Tron account with these 20 bytes."""
    return f"{chains.TRON}:{base58check_encode(b'A' + payload)}"
