"""Chains with one account form each: Solana, XRP Ledger, Monero, Stellar, Polkadot's family, Cosmos, BNB Beacon, Cardano.

Each `read_…` takes the bare address text and gives the wallet; a tag that a spelling packs comes out beside the id.
"""

from __future__ import annotations

import re
from typing import Final
from zlib import crc32

from ..checksums import (
    BECH32,
    BECH32M,
    BITCOIN_ALPHABET,
    base32_decode,
    base32_encode,
    base58_decode,
    base58_encode,
    bech32_decode,
    bytes_of_base32,
    crc16_xmodem,
    keccak,
    monero_decode,
    ripple_check_encode,
    sha256d,
    ss58_checksum,
)
from . import chains
from .bip122 import decode_bech32, one_case
from .model import Wallet, invalid

_new = tuple.__new__
_WRONG: Final = "the checksum does not fit: a character is wrong; copy the address again from its source"


def _base58(text: str, what: str, *, ripple: bool = False) -> bytes:
    try:
        return base58_decode(text, ripple=ripple)
    except ValueError:
        raise invalid("alphabet", f"{what} is written in base58, without 0, O, I and l") from None


# --- Solana ---------------------------------------------------------------------------------------------------------


def read_solana(text: str) -> Wallet:
    """32 bytes in base58. There is no checksum: a wrong character gives another account."""
    if not 32 <= len(text) <= 44:
        raise invalid("length", "a Solana address has 32 to 44 characters: some are missing or too many")
    return solana_of(text, _base58(text, "a Solana address"))


def solana_of(text: str, raw: bytes) -> Wallet:
    """The wallet of a decoded text."""
    if len(raw) != 32:
        raise invalid("length", f"decoded it has {len(raw)} bytes, a Solana address has 32: characters are missing or too many")
    letters = text.encode()
    if len(letters.translate(None, _NO_CAPITALS)) < 3 or len(letters.translate(None, _NO_SMALL)) < 3:
        _refuse_one_case(text)
    return _new(Wallet, ("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:" + text, "solana", raw, None, None, ()))


LEAST_SOLANA: Final = base58_encode(b"\1" + bytes(31))[:8]
"""How the least text of 43 signs opens that has 32 bytes. Signs of base58 stand in the order of their values, so texts compare like numbers."""
MOST_SOLANA: Final = base58_encode(b"\xff" * 32)[:8]
"""How the greatest of 44 opens."""
_BASE58: Final = BITCOIN_ALPHABET.encode()
_NO_CAPITALS: Final = b"123456789abcdefghijklmnopqrstuvwxyz"
_NO_SMALL: Final = _NO_CAPITALS.upper()


def is_plain_solana(text: str) -> bool:
    """Whether a text is a Solana address beyond doubt, told without decoding it; of some that are one, too, it says no."""
    length = len(text)
    if length not in (43, 44) or text[0] == "1" or not text.isascii():
        return False
    if not (text[:8] > LEAST_SOLANA if length == 43 else text[:8] < MOST_SOLANA):
        return False
    letters = text.encode("ascii")
    if letters.translate(None, _BASE58):
        return False
    return len(letters.translate(None, _NO_CAPITALS)) >= 3 and len(letters.translate(None, _NO_SMALL)) >= 3


def _refuse_one_case(text: str) -> None:
    """A bech32 or CashAddr text with a character too many can have 32 bytes in base58; Solana has no checksum to tell it.

    What gives it away is that its letters have one case, but for a slip or two: so has one Solana key in 10^9. Ids of
    programs and sinks, chosen by hand, are full of ones, which those texts are not.
    """
    if text.count("1") > 3:
        return
    match = _BECH32_LIKE.fullmatch(text.lower())
    if match is not None and bech32_decode(*match.groups())[2] in (BECH32, BECH32M):
        raise invalid("unknown_chain", "the checksum holds, but the prefix belongs to no chain that is read here")
    raise invalid(
        "checksum", "this looks like an address of another chain with a character too many or too few; copy it again from its source"
    )


_BECH32_LIKE: Final = re.compile(r"([a-z]{1,16})1([02-9ac-hj-np-z]{20,})")
_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P


def is_off_curve(wallet: Wallet) -> bool:
    """Whether a Solana account is no point of the curve: it then has no key, a program owns it.

    Costs as much as reading hundreds of addresses (one power modulo 2^255 - 19): for record pages, not for screening.
    """
    y = int.from_bytes(wallet.payload, "little") & ((1 << 255) - 1)
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    return y >= _P or (square != 0 and pow(square, (_P - 1) // 2, _P) != 1)


# --- XRP Ledger -----------------------------------------------------------------------------------------------------

_X_MAIN, _X_TEST = b"\x05\x44", b"\x04\x93"


def read_xrp(text: str) -> Wallet:
    """A classic address `r…`, or an X-address, whose tag is taken out."""
    raw = _base58(text, "an XRP address", ripple=True)
    if len(raw) not in (25, 35):
        raise invalid("length", "an XRP address has 25 to 35 characters, an X-address 46 or 47: some are missing or too many")
    if sha256d(raw[:-4])[:4] != raw[-4:]:
        raise invalid("checksum", _WRONG)
    if len(raw) == 35:
        return _x_address(raw)
    if raw[0] != 0:
        raise invalid("unknown_chain", "the checksum holds, but that is no account: an XRP address opens with r")
    return _new(Wallet, ("xrpl:0:" + text, "xrp", raw[1:21], None, None, ()))


def is_x_address(text: str) -> bool:
    """Whether the first two bytes are an X-address's: most SS58 texts that open with X have others."""
    try:
        return base58_decode(text, ripple=True)[:2] in (_X_MAIN, _X_TEST)
    except ValueError:
        return False


def _x_address(raw: bytes) -> Wallet:
    if raw[:2] == _X_TEST:
        raise invalid("testnet", "that is an X-address of a test network: nothing on it has value, so nothing on it is listed")
    flag, tag, rest = raw[22], int.from_bytes(raw[23:27], "little"), raw[27:31]
    if raw[:2] != _X_MAIN or flag > 1 or any(rest) or (flag == 0 and tag):
        raise invalid("alphabet", "the X-address holds a tag of a form that is not defined: give the classic address and the tag apart")
    text = ripple_check_encode(b"\x00" + raw[2:22])
    return Wallet(f"{chains.XRP}:{text}", "xrp", raw[2:22], None, str(tag) if flag else None, ("tag_inside",))


# --- Monero ---------------------------------------------------------------------------------------------------------

_MONERO_MAIN: Final = {(18, 69): "standard", (42, 69): "subaddress", (19, 77): "integrated"}
_MONERO_TEST: Final = frozenset((53, 54, 63, 24, 25, 36))


def read_monero(text: str) -> Wallet:
    """95 characters (standard, subaddress) or 106 (integrated). As it stands: what it receives cannot be traced."""
    if len(text) not in (95, 106):
        raise invalid("length", "a Monero address has 95 characters, with a payment id in it 106: some are missing or too many")
    try:
        raw = monero_decode(text)
    except ValueError:
        raise invalid("alphabet", "a Monero address is written in base58 by blocks of 11, and one of them cannot be read") from None
    if keccak(raw[:-4])[:4] != raw[-4:]:
        raise invalid("checksum", _WRONG)
    if (raw[0], len(raw)) not in _MONERO_MAIN:
        if raw[0] in _MONERO_TEST:
            raise invalid("testnet", "that is a Monero address of a test network: nothing on it has value, so nothing on it is listed")
        raise invalid("unknown_chain", "the checksum holds, but the network byte is not Monero's")
    return Wallet(f"{chains.MONERO}:{text}", "monero", raw[:-4])


# --- Stellar --------------------------------------------------------------------------------------------------------

_STELLAR_ACCOUNT, _STELLAR_CONTRACT, _STELLAR_MUXED, _STELLAR_SEED = 6 << 3, 2 << 3, 12 << 3, 18 << 3


def read_stellar(text: str) -> Wallet:
    """An account `G…`, a contract `C…`, or a muxed account `M…`, whose id is taken out as the tag."""
    if len(text) not in (56, 69):
        raise invalid("length", "a Stellar address has 56 characters, a muxed one 69: some are missing or too many")
    try:
        raw = base32_decode(text)
    except ValueError:
        raise invalid("alphabet", "a Stellar address is written in capitals and the digits 2 to 7") from None
    if crc16_xmodem(raw[:-2]) != int.from_bytes(raw[-2:], "little"):
        raise invalid("checksum", _WRONG)
    if raw[0] == _STELLAR_SEED:
        raise invalid("private_key", "that is a secret seed, not an address: whoever holds it owns the account; move the funds at once")
    if raw[0] == _STELLAR_MUXED and len(raw) == 43:
        return _stellar(raw[1:33], str(int.from_bytes(raw[33:41], "big")), ("tag_inside",))
    if raw[0] not in (_STELLAR_ACCOUNT, _STELLAR_CONTRACT) or len(raw) != 35:
        raise invalid("alphabet", "the checksum holds, but that is no account: a Stellar address opens with G, C or M")
    return Wallet(f"{chains.STELLAR}:{text}", "stellar", raw[:-2])


def _stellar(key: bytes, tag: str, warnings: tuple[str, ...]) -> Wallet:
    payload = bytes((_STELLAR_ACCOUNT,)) + key
    text = base32_encode(payload + crc16_xmodem(payload).to_bytes(2, "little"))
    return Wallet(f"{chains.STELLAR}:{text}", "stellar", payload, None, tag, warnings)


# --- Polkadot and its family ----------------------------------------------------------------------------------------

_GENERIC = 42
_NETWORKS: Final = {2: chains.KUSAMA, 8: "polkadot:baf5aabe40646d11f0ee8abbdc64f4a4", 66: "polkadot:8b404e7ed8789d813982b9cb4c8b664c"}


def read_polkadot(text: str) -> Wallet:
    """SS58 of a 32-byte account. The key is one on every network of the family: the id is Polkadot's, the network a scope."""
    return ss58_of(text, _base58(text, "an SS58 address"))


def ss58_of(text: str, raw: bytes) -> Wallet:
    """The wallet of a decoded text: prefix of one or two bytes, account of 32, checksum of 2."""
    if len(raw) not in (35, 36) or (raw[0] < 64) != (len(raw) == 35):
        raise invalid("length", "an SS58 address of an account has 46 to 49 characters: some are missing or too many")
    if ss58_checksum(raw[:-2]) != raw[-2:]:
        raise invalid("checksum", _WRONG)
    prefix, key = _network(raw), raw[-34:-2]
    if prefix == 0:
        return Wallet(f"{chains.POLKADOT}:{text}", "polkadot", key)
    known = prefix == _GENERIC or prefix in _NETWORKS
    payload = b"\x00" + key
    address = base58_encode(payload + ss58_checksum(payload))
    return Wallet(f"{chains.POLKADOT}:{address}", "polkadot", key, _NETWORKS.get(prefix), None, () if known else ("foreign_prefix",))


def _network(raw: bytes) -> int:
    """The network number; two-byte prefixes hold it in a twisted order, and must not hold a number below 64."""
    if raw[0] < 64:
        return raw[0]
    number = (raw[0] & 0x3F) << 2 | raw[1] >> 6 | (raw[1] & 0x3F) << 8
    if raw[0] > 127 or number < 64:
        raise invalid("alphabet", "the SS58 prefix is of a form that is reserved")
    return number


# --- Cosmos, BNB Beacon, Cardano ------------------------------------------------------------------------------------

_COSMOS: Final = {"cosmos": (chains.COSMOS, "cosmos"), "bnb": (chains.BNB_BEACON, "bnb")}
_CARDANO_SIZES: Final = {0: 57, 1: 57, 2: 57, 3: 57, 6: 29, 7: 29, 14: 29, 15: 29}  # by the upper half of the header byte


def read_cosmos(text: str, prefix: str) -> Wallet:
    """An account of the Cosmos family: bech32 of 20 bytes (a key) or 32 (a module or a group)."""
    small, warnings = one_case(text)
    payload = _bech32_bytes(small, prefix)
    if len(payload) not in (20, 32):
        raise invalid("length", "an account of this chain has 20 or 32 bytes: the address was cut, or names something else")
    caip2, family = _COSMOS[prefix]
    return Wallet(f"{caip2}:{small}", family, payload, warnings=warnings)


def read_cardano(text: str) -> Wallet:
    """A Shelley address `addr1…`, a reward account `stake1…`, or a Byron address in base58."""
    if text[:3] == "Ddz" or text[:3] == "Ae2":
        return byron_of(text, _base58(text, "a Byron address of Cardano"))
    small, warnings = one_case(text)
    payload = _bech32_bytes(small, small.partition("1")[0])
    if payload[:1] and payload[0] & 15 == 0:
        raise invalid("testnet", "that is a Cardano address of a test network: nothing on it has value, so nothing on it is listed")
    header = payload[0] >> 4 if payload else -1
    if _CARDANO_SIZES.get(header) != len(payload) or payload[0] & 15 != 1 or (header >= 14) != small.startswith("stake1"):
        raise invalid("length", "no Cardano address has this header and length")
    return Wallet(f"{chains.CARDANO}:{small}", "cardano", payload, warnings=warnings)


def byron_of(text: str, raw: bytes) -> Wallet:
    """The wallet of a decoded Byron text: CBOR of [24(bytes), CRC-32 of those bytes], in its shortest form."""
    size = len(raw) - 9 if raw[3:4] < b"\x58" else len(raw) - 10
    head = bytes((0x40 + size,)) if size < 24 else bytes((0x58, size & 0xFF))
    start = 3 + len(head)
    if not 1 <= size <= 255 or raw[:3] != b"\x82\xd8\x18" or raw[3:start] != head or raw[start + size : start + size + 1] != b"\x1a":
        raise invalid("length", "no Byron address of Cardano has this form: characters are missing or too many")
    body = raw[start : start + size]
    if crc32(body) != int.from_bytes(raw[-4:], "big"):
        raise invalid("checksum", _WRONG)
    return Wallet(f"{chains.CARDANO}:{text}", "cardano", body)


def _bech32_bytes(small: str, prefix: str) -> bytes:
    number, digits, constant = decode_bech32(prefix, small[len(prefix) + 1 :])
    if constant != BECH32:
        raise invalid("checksum", _WRONG)
    try:
        return bytes_of_base32(number, digits)
    except ValueError:
        raise invalid("length", "the digits do not end on a whole byte: the address was cut or padded") from None
