"""Bitcoin and its descendants: base58check by version byte, SegWit in bech32 and bech32m, CashAddr.

The same text can be an address of several of them (`1…` of Bitcoin, Bitcoin Cash and Bitcoin SV; `D…` of Dogecoin and
Verge): without a chain the first reading counts, with one the named coin's. `payload` is the scriptPubKey.
Sources: BIP-16, 173, 350, CashAddr 2023-05, Litecoin's M-form, chainparams of each coin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..checksums import (
    BECH32,
    BECH32M,
    base58_decode,
    base58check_encode,
    bech32_decode,
    bytes_of_base32,
    cashaddr_decode,
    sha256d,
)
from . import chains
from .model import Wallet, cash_text, invalid

KEY, SCRIPT = 0, 8  # the type bits of a CashAddr version byte; here also what a base58 version stands for
_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class Coin:
    """How one coin writes its addresses. `others` are versions that are read but not written by us."""

    chain: str
    family: str
    key: bytes
    script: bytes
    prefix: str | None = None
    others: dict[bytes, int] = field(default_factory=dict)

    def kind(self, version: bytes) -> int | None:
        """KEY or SCRIPT of a version that is this coin's, else None."""
        if version == self.key:
            return KEY
        return SCRIPT if version == self.script else self.others.get(version)

    def address(self, kind: int, digest: bytes) -> str:
        """Canonical text of a key or script hash."""
        if self.family == "bitcoincash":
            return cash_text(kind, digest)
        return base58check_encode((self.script if kind else self.key) + digest)

    def wallet(self, kind: int, digest: bytes, warnings: tuple[str, ...] = ()) -> Wallet:
        """The wallet of a key or script hash of 20 bytes."""
        return _new(Wallet, (f"{self.chain}:{self.address(kind, digest)}", self.family, script_of(kind, digest), None, None, warnings))


BITCOIN: Final = Coin(chains.BITCOIN, "bitcoin", b"\x00", b"\x05", "bc")
LITECOIN: Final = Coin(chains.LITECOIN, "litecoin", b"\x30", b"\x32", "ltc", {b"\x05": SCRIPT})
# The C… and H… forms were in use for some months of 2018, before CashAddr.
BITCOIN_CASH: Final = Coin(chains.BITCOIN_CASH, "bitcoincash", b"\x00", b"\x05", None, {b"\x1c": KEY, b"\x28": SCRIPT})
BITCOIN_SV: Final = Coin(chains.BITCOIN_SV, "bitcoinsv", b"\x00", b"\x05")
BITCOIN_GOLD: Final = Coin(chains.BITCOIN_GOLD, "bitcoingold", b"\x26", b"\x17", "btg")
DOGECOIN: Final = Coin(chains.DOGECOIN, "dogecoin", b"\x1e", b"\x16")
DASH: Final = Coin(chains.DASH, "dash", b"\x4c", b"\x10")
ZCASH: Final = Coin(chains.ZCASH, "zcash", b"\x1c\xb8", b"\x1c\xbd")
VERGE: Final = Coin(chains.VERGE, "verge", b"\x1e", b"\x21")

# In the order of the first reading: what an earlier coin claims, a later one gets only when it is named.
COINS: Final = (BITCOIN, LITECOIN, DOGECOIN, DASH, ZCASH, BITCOIN_GOLD, BITCOIN_CASH, BITCOIN_SV, VERGE)
BY_FAMILY: Final = {coin.family: coin for coin in COINS}
_BY_PREFIX: Final = {coin.prefix: coin for coin in COINS if coin.prefix}
_TESTNET_VERSIONS: Final = frozenset(bytes.fromhex(v) for v in "6f c4 3a 71 8c 13 a0 1d25 1cba".split())
_TWO_BYTE_VERSIONS: Final = frozenset((ZCASH.key, ZCASH.script, *(v for v in _TESTNET_VERSIONS if len(v) == 2)))
TESTNET_PREFIXES: Final = frozenset("tb bcrt tltc rltc tbtg".split())


def _first_readings() -> dict[bytes, tuple[Coin, int]]:
    found: dict[bytes, tuple[Coin, int]] = {}
    for coin in reversed(COINS):
        found |= {version: (coin, kind) for version, kind in coin.others.items()}
        found |= {coin.script: (coin, SCRIPT), coin.key: (coin, KEY)}
    return found


_FIRST: Final = _first_readings()


def script_of(kind: int, digest: bytes) -> bytes:
    """scriptPubKey of P2PKH, P2SH, or the P2SH of 32 bytes that Bitcoin Cash has."""
    if len(digest) == 32:
        return b"\xaa\x20" + digest + b"\x87"
    return b"\xa9\x14" + digest + b"\x87" if kind else b"\x76\xa9\x14" + digest + b"\x88\xac"


def read(text: str, coin: Coin) -> Wallet:
    """An address of the coin named, in any of its spellings."""
    if coin.prefix:
        if text[: len(coin.prefix) + 1].lower() == coin.prefix + "1":
            return read_segwit(text, coin)
    elif coin.family in _WITH_CASH and _is_cash(text):
        return read_cash(text, coin)
    try:
        raw = base58_decode(text)
    except ValueError:
        raise invalid("alphabet", f"a {coin.family} address is written in base58, without 0, O, I and l") from None
    return read_versioned(text, raw, coin)


def read_versioned(text: str, raw: bytes, coin: Coin | None = None) -> Wallet:
    """A decoded base58check text: version of one or two bytes, hash of 20, checksum of 4. Without a coin, the first reading."""
    if len(raw) not in (25, 26):
        raise invalid("length", f"decoded it has {len(raw)} bytes, an address of this kind has 25: characters are missing or too many")
    if len(raw) == 26 and raw[:2] not in _TWO_BYTE_VERSIONS:
        raise invalid("length", "one character too many, or an address of a chain that is not read here")
    if not sha256d(raw[:-4]).startswith(raw[-4:]):
        raise invalid("checksum", "the checksum does not fit: a character is wrong; copy the address again from its source")
    version = raw[:-24]
    if coin is None:
        found = _FIRST.get(version)
        if found is None:
            raise _strange(version)
        coin, kind = found
    else:
        own = coin.kind(version)
        if own is None:
            raise _strange(version)
        kind = own
    digest = raw[-24:-4]
    if coin.family == "bitcoincash":
        return coin.wallet(kind, digest, ("legacy_form",))
    if version in coin.others:
        return coin.wallet(kind, digest, ("legacy_form",))
    return _new(Wallet, (f"{coin.chain}:{text}", coin.family, script_of(kind, digest), None, None, ()))


def _strange(version: bytes) -> Exception:
    if version in _TESTNET_VERSIONS:
        return _testnet()
    return invalid(
        "unknown_chain", "the checksum holds, but the version byte belongs to no chain that is read here, or not to the one named"
    )


def _testnet() -> Exception:
    return invalid("testnet", "that is an address of a test network: nothing on it has value, so nothing on it is listed")


# --- SegWit ---------------------------------------------------------------------------------------------------------


def coin_of_prefix(prefix: str) -> Coin | None:
    """The coin whose bech32 addresses open with `prefix` (lower case)."""
    return _BY_PREFIX.get(prefix)


def read_segwit(text: str, coin: Coin) -> Wallet:
    """A witness program of 2 to 40 bytes: bech32 for version 0 (20 or 32 bytes), bech32m from version 1 on."""
    small, upper = one_case(text)
    prefix = coin.prefix or ""
    if not 14 <= len(small) <= 90:
        raise invalid("length", "a bech32 address has at most 90 characters; the usual ones have 42 or 62")
    number, digits, constant = decode_bech32(prefix, small[len(prefix) + 1 :])
    if digits == 0:
        raise invalid("length", "nothing stands between prefix and checksum: the address was cut")
    version = number >> 5 * (digits - 1)
    if constant != (BECH32M if version else BECH32):
        raise invalid("checksum", "the checksum does not fit: a character is wrong; copy the address again from its source")
    try:
        program = bytes_of_base32(number & ((1 << 5 * (digits - 1)) - 1), digits - 1)
    except ValueError:
        raise invalid("length", "the digits do not end on a whole byte: the address was cut or padded") from None
    if version > 16 or not 2 <= len(program) <= 40 or (version == 0 and len(program) not in (20, 32)):
        raise invalid("length", "no witness program has this version and length: a version 0 program has 20 or 32 bytes")
    script = bytes((version + 0x50 if version else 0, len(program))) + program
    return _new(Wallet, (f"{coin.chain}:{small}", coin.family, script, None, None, upper))


def one_case(text: str) -> tuple[str, tuple[str, ...]]:
    """The text in lower case and a warning if it was in capitals; mixed case is refused, since it hides copying faults."""
    if text.islower():
        return text, ()
    if not text.isupper():
        raise invalid("mixed_case", "capitals and small letters are mixed: this kind of address is written all in small letters")
    return text.lower(), ("upper_case",)


def decode_bech32(prefix: str, data: str) -> tuple[int, int, int]:
    """`bech32_decode` with our refusals."""
    try:
        return bech32_decode(prefix, data)
    except ValueError:
        if not 6 <= len(data) <= 112:
            raise invalid("length", "too short or too long for a bech32 address") from None
        raise invalid("alphabet", "a bech32 address has no b, i, o or 1 after its prefix, and nothing but letters and digits") from None


# --- CashAddr -------------------------------------------------------------------------------------------------------

_CASH_SIZES: Final = {0: 20, 3: 32}
_WITH_CASH: Final = frozenset(("bitcoincash", "bitcoinsv"))


def _is_cash(text: str) -> bool:
    return text[:12].lower() == "bitcoincash:" or (len(text) in (42, 61) and text[:1] in "qpzrQPZR")


def read_cash(text: str, coin: Coin = BITCOIN_CASH) -> Wallet:
    """A CashAddr with or without its prefix; Bitcoin SV addresses were written so for some time and are read as legacy."""
    small, warnings = one_case(text)
    body = small.removeprefix("bitcoincash:")
    if body != small:
        warnings = (*warnings, "with_prefix")
    try:
        number, digits, valid = cashaddr_decode("bitcoincash", body)
        payload = bytes_of_base32(number, digits)
    except ValueError:
        raise invalid("alphabet", "that is no CashAddr: 42 letters and digits without b, i, o and 1, opening with q or p") from None
    if not valid:
        raise invalid("checksum", "the checksum does not fit: a character is wrong; copy the address again from its source")
    version, digest = payload[0], payload[1:]
    if version & 0x80 or _CASH_SIZES.get(version & 7) != len(digest) or version >> 3 > 3:
        raise invalid("length", "no CashAddr has this type and length")
    kind = SCRIPT if version >> 3 & 1 else KEY
    if len(digest) == 32:
        return _long_script(coin, kind, digest, warnings if version >> 3 == 1 else (*warnings, "token_form"))
    if coin is not BITCOIN_CASH:
        return coin.wallet(kind, digest, (*warnings, "legacy_form"))
    if version >> 3 > 1:
        return coin.wallet(kind, digest, (*warnings, "token_form"))
    return _new(Wallet, (f"{coin.chain}:{body}", coin.family, script_of(kind, digest), None, None, warnings))


def _long_script(coin: Coin, kind: int, digest: bytes, warnings: tuple[str, ...]) -> Wallet:
    """The P2SH of 32 bytes that Bitcoin Cash has since 2023."""
    if kind != SCRIPT or coin is not BITCOIN_CASH:
        raise invalid("length", "only a Bitcoin Cash script has a hash of 32 bytes")
    address = cash_text(SCRIPT | 3, digest)
    return Wallet(f"{coin.chain}:{address}", coin.family, script_of(SCRIPT, digest), warnings=warnings)
