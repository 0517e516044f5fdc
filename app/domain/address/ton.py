"""TON accounts: raw `workchain:hash`, and the friendly forms of 48 characters that say how to send to it.

One account has at least four spellings; the id is the raw form, `tvm:-239:<workchain>:<64 hex>` (TEP-2).
"""

from __future__ import annotations

from binascii import Error, a2b_base64
from typing import Final

from ..checksums import crc16_xmodem
from . import chains
from .evm import hex_bytes
from .model import Wallet, invalid

_TO_STANDARD: Final = str.maketrans("-_", "+/")
_WORKCHAINS: Final = {0x00: "0", 0xFF: "-1"}
_BYTES: Final = {text: byte for byte, text in _WORKCHAINS.items()}
_TEST_ONLY = 0x80


def is_friendly(text: str) -> bool:
    """Whether the first characters are those of a friendly form: the tag and the workchain fix them."""
    return len(text) == 48 and text[0] in "EUk0" and text[1] in "Qf"


def read(text: str) -> Wallet:
    """Raw or friendly."""
    return _raw(text) if ":" in text else _friendly(text)


def _raw(text: str) -> Wallet:
    workchain, _, digits = text.partition(":")
    if workchain not in _BYTES:
        raise invalid("unknown_chain", "TON has the workchains 0 and -1: a raw address is written 0: and 64 hexadecimal digits")
    small = digits.lower()
    payload = bytes((_BYTES[workchain],)) + hex_bytes(small, 32)
    return _wallet(payload, () if small == digits else ("upper_case",))


def _friendly(text: str) -> Wallet:
    if len(text) != 48:
        raise invalid("length", "the friendly form of a TON address has 48 characters, the raw form is 0: and 64 hexadecimal digits")
    if ("-" in text or "_" in text) and ("+" in text or "/" in text):
        raise invalid("alphabet", "the two alphabets of base64 are mixed: write - and _, or + and /")
    try:
        data = a2b_base64(text.translate(_TO_STANDARD), strict_mode=True)
    except (Error, ValueError):
        data = b""
    if len(data) != 36:
        raise invalid("alphabet", "a TON address is written in base64: letters, digits, - and _")
    if crc16_xmodem(data[:34]) != int.from_bytes(data[34:], "big"):
        raise invalid("checksum", "the checksum does not fit: a character is wrong; copy the address again from its source")
    if data[0] & ~_TEST_ONLY not in (0x11, 0x51) or data[1] not in _WORKCHAINS:
        raise invalid("unknown_chain", "the checksum holds, but the first two bytes name no kind of TON address in use")
    if data[0] & _TEST_ONLY:
        raise invalid("testnet", "that is a TON address for test networks only: nothing on it has value, so nothing on it is listed")
    return _wallet(data[1:34], ("friendly_form",))


def _wallet(payload: bytes, warnings: tuple[str, ...]) -> Wallet:
    address = f"{_WORKCHAINS[payload[0]]}:{payload[1:].hex()}"
    return Wallet(f"{chains.TON}:{address}", "ton", payload, warnings=warnings)
