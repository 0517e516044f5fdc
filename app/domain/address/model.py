"""What reading an address gives: the wallet, its chain, its siblings, and the words for what was lenient about it.

Contracts' shapes; the codes of a refusal are the closed list of schemas §3, the warnings are ours.
"""

from __future__ import annotations

from binascii import b2a_base64
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..checksums import cashaddr_encode, crc16_xmodem, eip55
from ..errors import InvalidAddress


class Wallet(NamedTuple):
    """One key-holder on one chain: the same value for every spelling of the address.

    A named tuple and not a frozen dataclass: the constructor of the latter alone costs more than reading an EVM address
    may take. `payload` is what the chain itself compares (20 bytes of an EVM address, a scriptPubKey, …).
    """

    id: str
    """Canonical CAIP-10 (domain.md, decision 2)."""
    family: str
    payload: bytes
    scope_chain: str | None = None
    """A narrower chain (CAIP-2) the caller named, such as eip155:56; an id of `eip155:0` stands for all of them."""
    tag: str | None = None
    """Destination tag or memo beside the address."""
    warnings: tuple[str, ...] = ()
    """Keys of WARNINGS: what was lenient in reading this spelling."""

    @property
    def chain(self) -> str:
        """CAIP-2 of the id."""
        namespace, reference, _ = self.id.split(":", 2)
        return f"{namespace}:{reference}"

    @property
    def address(self) -> str:
        """The text part of the id."""
        return self.id.split(":", 2)[2]

    @property
    def display(self) -> str:
        """The spelling people know: EIP-55 for EVM, CashAddr with its prefix, `UQ…` for TON, the rest as in the id."""
        if self.family == "evm":
            return "0x" + eip55(self.payload.hex())
        if self.family == "bitcoincash":
            return "bitcoincash:" + self.address
        if self.family == "ton":
            return ton_friendly(self.payload)
        return self.address


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain: its CAIP-2 id in the form that our ids carry, its family, its name."""

    caip2: str
    family: str
    name: str


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another id that belongs to the same holder; `relation` is a word of `related[].relation` (schemas §4.2)."""

    id: str
    relation: str


WARNINGS: Final = {
    "no_prefix": "read without its 0x",
    "upper_prefix": "0X is usually written 0x",
    "upper_case": "all in capitals: it carries no checksum in its case, or is usually written in small letters",
    "hex_form": "the hexadecimal form of a Tron address",
    "chain_alias": "the chain id is another name of the same chain",
    "with_prefix": "the id leaves out the prefix before the colon",
    "legacy_form": "an older spelling of the same address",
    "friendly_form": "the user-friendly TON form of a raw account",
    "tag_inside": "the spelling packs a tag or memo: it was taken out and stands beside the id",
    "token_form": "the token-aware spelling of the same address",
    "foreign_prefix": "the SS58 prefix is not Polkadot's: the same key is written in Polkadot's form",
    "tag_ignored": "this chain knows no tags: the tag was left out",
}


def invalid(code: str, detail: str) -> InvalidAddress:
    """A refusal; `detail` never holds the value itself."""
    return InvalidAddress(code, detail)


def cash_text(version: int, key: bytes) -> str:
    """CashAddr without its prefix: version byte and hash."""
    return cashaddr_encode("bitcoincash", bytes((version,)) + key)


def ton_friendly(payload: bytes, *, bounceable: bool = False) -> str:
    """The TON form that wallets show: `UQ…` for people's accounts, `EQ…` (bounceable) for contracts."""
    data = bytes((0x11 if bounceable else 0x51,)) + payload
    data += crc16_xmodem(data).to_bytes(2, "big")
    return b2a_base64(data, newline=False).decode().replace("+", "-").replace("/", "_")
