"""Ids of everything a statement can be about: wallets, indicators, entities; reading, printing, hashing (protocol §3.4a, §3.10).

`read_subject` takes what people paste, `read_id` takes exactly the canonical text that stands in statements: between the
two lies everything lenient. An id is hashed as the text it is.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from .address import Wallet, read_canonical_wallet, read_wallet
from .address.evm import is_canonical_id, read_usual
from .address.guard import outside_ascii
from .address.ton import is_friendly
from .errors import InvalidAddress
from .indicators import KINDS, Indicator, check_indicator, covering, is_iban, read_indicator

__all__ = [
    "KINDS",
    "EntityId",
    "Indicator",
    "Subject",
    "bucket_of",
    "covering",
    "describe",
    "id_key",
    "read_id",
    "read_indicator",
    "read_subject",
]

_KINDS: Final = frozenset(KINDS)
_MEMBER: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")
_ENTITY_SLUG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
KEY_PREFIX: Final = b"cordon-id/v1\n"
_LONGEST: Final = 2048


@dataclass(frozen=True, slots=True)
class EntityId:
    """`entity:<member id>:<slug>`: an organisation or a person as one member names it."""

    id: str
    member: str
    slug: str


Subject = Wallet | Indicator | EntityId


def read_subject(text: str, *, chain: str | None = None, tag: str | None = None) -> Wallet | Indicator:
    """What screening takes: any spelling of a wallet or an indicator. With a chain or a tag it is a wallet.

    Raises InvalidAddress and nothing else; the code is of the closed list of schemas §3.
    """
    if chain is None and tag is None:
        usual = read_usual(text)
        if usual is not None:
            return usual
    bare = text.strip(" ")
    head, colon, _ = bare.partition(":")
    if colon and head in _KINDS:
        return read_indicator(bare)
    if colon and head == "entity":
        raise InvalidAddress("name_not_address", "an entity is looked up among the entities: only wallets and indicators are screened")
    if chain is None and tag is None and _looks_like_indicator(bare):
        return read_indicator(bare)
    try:
        return read_wallet(text, chain=chain, tag=tag)
    except InvalidAddress:
        if chain is None and tag is None and is_iban(bare):
            return read_indicator(bare)
        raise


def _looks_like_indicator(text: str) -> bool:
    if "://" in text or text[:1] == "+" or text[:4].lower() == "tel:":
        return True
    if text.count(":") > 1 and not text.strip("0123456789abcdefABCDEF:.[]"):
        return True  # IPv6: no CAIP-2 namespace is made of hexadecimal digits alone
    return ("." in text or "@" in text) and not is_friendly(text)


def read_id(text: str) -> Wallet | Indicator | EntityId:
    """The subject of exactly its canonical id; InvalidAddress on every other text, however readable."""
    if is_canonical_id(text):  # most of what is listed; what follows would come to the same
        return read_canonical_wallet(text)
    _check_text(text)
    kind, _, value = text.partition(":")
    if kind in _KINDS:
        return check_indicator(kind, value)
    if kind == "entity":
        return _read_entity(text, value)
    return read_canonical_wallet(text)


def _read_entity(text: str, value: str) -> EntityId:
    member, _, slug = value.partition(":")
    if not _MEMBER.fullmatch(member) or not _ENTITY_SLUG.fullmatch(slug) or len(member) > 253 or len(slug) > 128:
        raise InvalidAddress("alphabet", "an entity id is entity:<member id>:<slug>, the slug of small letters, digits and single hyphens")
    return EntityId(text, member, slug)


def describe(subject: Subject) -> str:
    """What a text was read as, for people: `tron address`, `domain`."""
    if isinstance(subject, Wallet):
        return f"{_FAMILY_WORDS.get(subject.family, subject.family)} address"
    if isinstance(subject, EntityId):
        return "entity"
    if subject.kind == "handle":
        return f"{subject.value.partition(':')[0]} handle"
    return _KIND_WORDS.get(subject.kind, subject.kind)


_FAMILY_WORDS: Final = {
    "evm": "EVM",
    "ton": "TON",
    "xrp": "XRP",
    "bitcoincash": "bitcoin cash",
    "bitcoinsv": "bitcoin SV",
    "bitcoingold": "bitcoin gold",
    "bnb": "BNB beacon chain",
}
_KIND_WORDS: Final = {
    "url": "web address",
    "email": "e-mail address",
    "phone": "phone number",
    "ip": "IP address",
    "tx": "transaction",
    "iban": "IBAN",
}


def id_key(text: str) -> bytes:
    """SHA-256 of the id as it stands. The text must be NFC, 1 to 2,048 bytes, without white space, control or BOM."""
    _check_text(text)
    return sha256(KEY_PREFIX + text.encode("utf-8")).digest()


def bucket_of(key: bytes) -> int:
    """Number of the bucket of a key: its first 16 bits."""
    return key[0] << 8 | key[1]


def _check_text(text: str) -> None:
    if text.isascii():
        fits = text.isprintable() and " " not in text
    else:
        fits = not any(c.isspace() or c == "\ufeff" or unicodedata.category(c) in ("Cc", "Cs") for c in text)
        fits = fits and unicodedata.is_normalized("NFC", text)
    if not fits:
        raise outside_ascii(text) or InvalidAddress(
            "alphabet", "an id has no white space and no control characters, and is in Unicode form NFC"
        )
    if not text or len(text) > _LONGEST or len(text.encode("utf-8")) > _LONGEST:
        raise InvalidAddress("length", "an id has 1 to 2,048 bytes")
