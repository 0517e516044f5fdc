"""Reading a wallet: any spelling of an address, with or without a chain, to the one canonical id (domain.md §4).

Without a chain the text decides, in this order: 0x, a colon (CAIP-10, raw TON, CashAddr), a bech32 prefix, and then
what the base58, base64 or base32 text decodes to. Where a format has a checksum it is always verified. Only blanks at
the edges are trimmed; nothing is repaired. Hot paths stand first: most of what is screened is EVM, Tron and Bitcoin.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NoReturn

from ..checksums import base58_decode
from ..errors import InvalidAddress
from . import accounts, bip122, chains, evm, guard, ton
from .chains import read_chain
from .model import Chain, Wallet, invalid

_new = tuple.__new__
_LONGEST = 300

_READERS: Final[dict[str, Callable[[str], Wallet]]] = {
    "evm": evm.read,
    "tron": evm.read_tron,
    "solana": accounts.read_solana,
    "ton": ton.read,
    "xrp": accounts.read_xrp,
    "monero": accounts.read_monero,
    "stellar": accounts.read_stellar,
    "polkadot": accounts.read_polkadot,
    "cosmos": lambda text: _cosmos(text, "cosmos"),
    "bnb": lambda text: _cosmos(text, "bnb"),
    "cardano": accounts.read_cardano,
}
_BY_CHAIN: Final[dict[str, Callable[[str], Wallet]]] = {
    chain.caip2: partial(bip122.read, coin=bip122.BY_FAMILY[chain.family]) if chain.family in bip122.BY_FAMILY else _READERS[chain.family]
    for chain in chains.CHAINS
    if chain.family != "evm"
}
_TAGGED: Final = frozenset(("xrp", "stellar", "ton", "cosmos", "bnb", "monero"))
_HEX_HASHES: Final = frozenset(_READERS) - {"solana"} | frozenset(bip122.BY_FAMILY)


def read_wallet(text: str, *, chain: str | None = None, tag: str | None = None) -> Wallet:
    """The wallet that any spelling stands for.

    `chain` is a CAIP-2 id or a common name, `tag` a destination tag or memo. Raises InvalidAddress with a code of the
    closed list of schemas §3, and nothing else, on whatever text.
    """
    if chain is None and tag is None:
        usual = evm.read_usual(text)
        if usual is not None:
            return usual
    named = None if chain is None else read_chain(chain)
    text = text.strip(" ")
    if len(text) > _LONGEST:
        raise invalid("length", "longer than any address")
    try:
        wallet = _detect(text) if named is None and ":" not in text else _read(text, named)
    except InvalidAddress as error:
        _refuse(text, named, error)
    if named is None and tag is None:
        return wallet
    return _beside(wallet, named, tag)


def read_canonical_wallet(text: str) -> Wallet:
    """The wallet of exactly its canonical id, as statements carry it; InvalidAddress on every other spelling."""
    if evm.is_canonical_id(text):
        return _new(Wallet, (text, "evm", bytes.fromhex(text[11:]), None, None, ()))
    if len(text) > _LONGEST:
        raise invalid("length", "longer than any id of a wallet")
    if text[:11] == "eip155:0:0x" and len(text) == 51 and text.islower():
        return read_wallet(text[9:])
    address = text.find(":", text.find(":") + 1) + 1
    read = _BY_CHAIN.get(text[: address - 1])
    try:
        wallet = read(text[address:]) if read else _caip10(text)
    except InvalidAddress as error:
        raise guard.outside_ascii(text) or error from None
    if wallet.id == text and wallet.tag is None:
        return wallet if wallet.scope_chain is None else wallet._replace(scope_chain=None)
    raise _not_canonical(wallet, text)


def _not_canonical(wallet: Wallet, text: str) -> InvalidAddress:
    if wallet.id.lower() == text.lower():
        return invalid("mixed_case", "the case is not that of the canonical id: EVM, TON and bech32 addresses are in small letters there")
    if not text.startswith(wallet.chain + ":"):
        return invalid("unknown_chain", f"an id in a statement opens with {wallet.chain}: here; name a narrower chain in the scope")
    return invalid(
        "alphabet", f"a readable spelling, but not the canonical one of {wallet.chain}: tags and older forms stand beside the id"
    )


def _read(text: str, named: Chain | None) -> Wallet:
    if ":" in text:
        return _with_colon(text, named)
    if named is None:
        return _detect(text)
    return _named(text, named)


def _refuse(text: str, named: Chain | None, error: InvalidAddress) -> NoReturn:
    """Raise what helps most: what the text is instead, or that it belongs to another chain than the one named."""
    best = guard.explain(text, error, hash_is_hex=named is None or named.family in _HEX_HASHES)
    if best is error and named is not None and ":" not in text:
        try:
            other = _detect(text)
        except InvalidAddress:
            raise best from None
        if other.family != named.family:
            reads_as = f"this reads as an address of {other.chain}, not of {named.name}"
            raise invalid("ambiguous_chain", f"{reads_as}: correct the chain or leave it out") from None
    raise best from None


# --- with a chain ---------------------------------------------------------------------------------------------------


def _named(text: str, chain: Chain) -> Wallet:
    coin = bip122.BY_FAMILY.get(chain.family)
    if coin is not None:
        return bip122.read(text, coin)
    return _READERS[chain.family](text)


def _cosmos(text: str, prefix: str) -> Wallet:
    if text[: len(prefix) + 1].lower() != prefix + "1":
        raise invalid("alphabet", f"an address of this chain opens with {prefix}1")
    return accounts.read_cosmos(text, prefix)


def _with_colon(text: str, named: Chain | None) -> Wallet:
    head, _, rest = text.partition(":")
    small = head.lower()
    if small == "bitcoincash":
        coin = bip122.BY_FAMILY.get(named.family) if named else None
        wallet = bip122.read_cash(text, coin if coin is bip122.BITCOIN_SV else bip122.BITCOIN_CASH)
    elif small in ("bchtest", "bchreg"):
        raise invalid("testnet", "that is an address of a test network: nothing on it has value, so nothing on it is listed")
    elif len(rest) == 64 and head.removeprefix("-").isdigit():
        wallet = ton.read(text)
    elif ":" in rest and head in chains.NAMESPACES:
        wallet = _caip10(text)
    else:
        raise invalid(
            "uri", "that is a payment link or another URI: give the bare address, without what stands before the colon and after a ?"
        )
    if named is not None and not _agree(wallet, named):
        raise invalid("ambiguous_chain", f"the text names a chain that is not {named.name}: correct one of the two or leave the chain out")
    return wallet


def _agree(wallet: Wallet, named: Chain) -> bool:
    scopes = (wallet.scope_chain, named.caip2)
    return wallet.family == named.family and (None in scopes or wallet.chain in scopes or scopes[0] == scopes[1])


def _caip10(text: str) -> Wallet:
    """`namespace:reference:address`, of any chain id in use for the chain; the address in any of its spellings."""
    namespace, _, rest = text.partition(":")
    reference, _, address = rest.partition(":")
    caip2 = f"{namespace}:{reference}"
    chain = read_chain(caip2) if namespace in chains.NAMESPACES else None
    if chain is None or not address:
        raise invalid("unknown_chain", "that is no CAIP-10 id of a chain that is read here: write it as eip155:0:0x… for example")
    tag = None
    if chain.family in ("xrp", "stellar"):
        address, _, tag = address.partition("-")
    wallet = _named(address, chain)
    if chain.family != "evm" or chain.caip2 != chains.EVM:
        wallet = _beside(wallet, chain, tag or None)
    return wallet if wallet.chain == caip2 else wallet._replace(warnings=(*wallet.warnings, "chain_alias"))


# --- without a chain ------------------------------------------------------------------------------------------------

_BECH32_HEADS: Final = {"bc1": "bc", "ltc": "ltc", "btg": "btg", "cos": "cosmos", "bnb": "bnb", "add": "addr", "sta": "stake"}


_HEAD_LETTERS: Final = frozenset("bBlLcCaAsS")
_HEX: Final = frozenset("0123456789abcdefABCDEF")


def _detect(text: str) -> Wallet:
    length = len(text)
    first = text[:1]
    if first == "0" and text[1:2] in ("x", "X"):
        return evm.read_tron(text) if length == 44 and text[2:4] == "41" else evm.read(text)
    if length <= 36 and length >= 25 and first != "r":
        return _short_base58(text)
    if length == 40 and _HEX.issuperset(text):  # before the prefixes: bc1 is hexadecimal too
        return evm.read(text)
    if first in _HEAD_LETTERS:
        head = _BECH32_HEADS.get(text[:3].lower())
        if head is not None and text[len(head) : len(head) + 1] == "1" and (length not in (43, 44) or text.islower() or text.isupper()):
            return _bech32(text, head)
    if length in (43, 44):
        return accounts.solana_of(text, _decoded(text))
    if length in (40, 42):
        return _of_40_or_42(text, length)
    if length == 48 and ton.is_friendly(text):
        return ton.read(text)
    if first == "r" and length <= 36:
        return accounts.read_xrp(text)
    if 50 <= length <= 75 and first in "GMCS" and text.isupper():
        return accounts.read_stellar(text)
    if length in (95, 106):
        return accounts.read_monero(text)
    return _long_base58(text)


def _short_base58(text: str) -> Wallet:
    raw = _decoded(text)
    if len(raw) == 25 and raw[0] == 0x41:
        return evm.tron_of(text, raw)
    if len(raw) < 32:
        return bip122.read_versioned(text, raw)
    return _of_account(text, raw)


def _long_base58(text: str) -> Wallet:
    length = len(text)
    if length < 25 or length > 120:
        raise invalid("length", f"{length} characters: no address that is read here has so few or so many")
    if length in (46, 47) and text[0] in "XT" and accounts.is_x_address(text):
        # A few SS58 texts open alike; they are read when Polkadot is named, since two bytes of checksum are no proof here.
        return accounts.read_xrp(text)
    return _of_account(text, _decoded(text))


def _of_account(text: str, raw: bytes) -> Wallet:
    """Of what decodes to 32 bytes or more, the length and the first bytes tell which chain it is."""
    if len(raw) in (35, 36):
        return accounts.ss58_of(text, raw)
    if raw[:3] == b"\x82\xd8\x18":
        return accounts.byron_of(text, raw)
    return accounts.solana_of(text, raw)


def _decoded(text: str) -> bytes:
    try:
        return base58_decode(text)
    except ValueError:
        raise invalid("alphabet", "no address that is read here has these characters; base58 has no 0, O, I and l") from None


def _bech32(text: str, prefix: str) -> Wallet:
    coin = bip122.coin_of_prefix(prefix)
    if coin is not None:
        return bip122.read_segwit(text, coin)
    return accounts.read_cardano(text) if prefix in ("addr", "stake") else accounts.read_cosmos(text, prefix)


def _of_40_or_42(text: str, length: int) -> Wallet:
    """EVM without its 0x, Tron in hexadecimal, or CashAddr without its prefix: the alphabets tell them apart."""
    if length == 40:
        return evm.read(text)
    if text[0] in "qpzrQPZR":
        return bip122.read_cash(text)
    return evm.read_tron(text) if text[:2] == "41" else _long_base58(text)


# --- what stands beside the id --------------------------------------------------------------------------------------


def _beside(wallet: Wallet, chain: Chain | None, tag: str | None) -> Wallet:
    """The wallet with the scope of the chain that was named and the tag that was given."""
    scope, warnings = wallet.scope_chain, wallet.warnings
    if chain is not None and chain.caip2 not in (wallet.chain, chains.EVM):
        scope = chain.caip2
    kept = wallet.tag
    given = tag.strip(" ") if tag else ""
    if given and wallet.family not in _TAGGED:
        warnings = (*warnings, "tag_ignored")
    elif given:
        own = _tag(given, wallet.family)
        if kept not in (None, own):
            raise invalid("alphabet", "the address packs one tag and another was given beside it: give one of the two")
        kept = own
    return _new(Wallet, (wallet.id, wallet.family, wallet.payload, scope, kept, warnings))


def _tag(text: str, family: str) -> str:
    """A destination tag is a number of 32 bits; a memo is free text of at most 128 characters."""
    if family == "xrp":
        if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) >= 1 << 32:
            raise invalid("alphabet", "the tag of an XRP address is a number from 0 to 4294967295")
        return str(int(text))
    if len(text) > 128 or not text.isprintable():
        raise invalid("length", "a memo has at most 128 characters and no line break or other control character")
    return text
