"""Indicators: domains, URLs, phones, handles and the like, each to one id (protocol §3.4a, `<kind>:<canonical value>`).

`read_indicator` takes any spelling of any kind. What is canonical never depends on a table that changes from release to
release: phone numbers are judged by a library only when a spelling is read, never when an id is checked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import phonenumbers

from .address import read_chain
from .address.guard import outside_ascii
from .checksums import base58_decode
from .errors import InvalidAddress
from .hosts import read_domain, read_email, read_ip, read_url


@dataclass(frozen=True, slots=True)
class Indicator:
    """`id` = `kind:value`; `display` is what to show."""

    id: str
    kind: str
    value: str
    display: str


_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_PHONE_TEXT: Final = re.compile(r"\+[0-9 ()./-]{6,40}")
_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_PACKAGE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)+")
_STORE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_HEX64: Final = re.compile(r"[0-9a-f]{64}")
_IP_LIKE: Final = re.compile(r"\[?[0-9A-Fa-f:.]+\]?")
_TELEGRAM: Final = re.compile(r"https?://(?:www\.)?(?:t|telegram)\.me/([a-z][a-z0-9_]{3,31})/?", re.IGNORECASE | re.ASCII)
_TELEGRAM_OWN: Final = frozenset("joinchat addstickers addemoji share proxy socks login setlanguage contact invoice".split())
_WHATSAPP: Final = re.compile(r"https?://(?:www\.)?wa\.me/([0-9]{7,15})/?", re.IGNORECASE)

_PLATFORMS: Final = {"twitter": "x", "tg": "telegram", "fb": "facebook", "ig": "instagram", "insta": "instagram", "wa": "whatsapp"}
_STORES: Final = {"play": "google-play", "google": "google-play", "android": "google-play", "ios": "apple", "app-store": "apple"}


def read_indicator(text: str, *, kind: str | None = None) -> Indicator:
    """The indicator that any spelling stands for; `kind` is one of KINDS. Raises InvalidAddress and nothing else."""
    text = text.strip(" ")
    head, colon, rest = text.partition(":")
    if kind is None and colon and head in _READERS:
        kind, text = head, rest
    elif kind is not None and colon and head == kind:
        text = rest
    if kind is not None and kind not in _READERS:
        raise InvalidAddress("unknown_chain", f"no such kind of indicator: {', '.join(KINDS)} are known")
    if not text or len(text) > 4096:
        raise InvalidAddress("length", "empty, or longer than any indicator")
    return _guessed(text) if kind is None else _READERS[kind](text)


def _guessed(text: str) -> Indicator:
    if "://" in text:
        return _read_link(text)
    if _IP_LIKE.fullmatch(text) and (text.count(".") == 3 or text.count(":") > 1):
        return _indicator("ip", read_ip(text))
    if text[0] == "+" or text[:4].lower() == "tel:":
        return _read_phone(text)
    if text[0] == "@":
        raise InvalidAddress("name_not_address", "a handle says little without its platform: give it as handle:telegram:name, for example")
    if "@" in text and "/" not in text:
        return _indicator("email", read_email(text))
    if is_iban(text):
        return _read_iban(text)
    if "/" in text and "." in text.partition("/")[0]:
        return _read_link("https://" + text)
    if "." in text:
        return _indicator("domain", read_domain(text))
    raise outside_ascii(text) or InvalidAddress("alphabet", "no domain, web address, e-mail, phone number, IP address or IBAN")


def check_indicator(kind: str, value: str) -> Indicator:
    """The indicator of exactly its canonical value; `kind` is one of KINDS. InvalidAddress on any other spelling."""
    if kind == "phone":
        if not _E164.fullmatch(value):
            raise InvalidAddress("alphabet", "a phone number in an id is + and 7 to 15 digits, without blanks")
        return _indicator(kind, value)
    found = _READERS[kind](value)
    if found.id != f"{kind}:{value}":
        raise InvalidAddress(
            "alphabet", f"a readable spelling, but not the canonical one of a {found.kind}: read it first, then list the id"
        )
    return found


def _indicator(kind: str, value: str, display: str | None = None) -> Indicator:
    if len(value.encode("utf-8")) + len(kind) >= 2048:
        raise InvalidAddress("length", "an id has at most 2,048 bytes")
    return Indicator(f"{kind}:{value}", kind, value, display or value)


def covering(indicator: Indicator) -> tuple[str, ...]:
    """Ids of patterns that cover a domain or the host of a URL: `*.example.org` covers `a.b.example.org`, not itself."""
    if indicator.kind == "url":
        host = indicator.value.partition("://")[2].partition("/")[0].partition(":")[0]
    else:
        host = indicator.value if indicator.kind == "domain" else ""
    labels = host.removeprefix("*.").split(".")
    start = 0 if host.startswith("*.") else 1
    return tuple(found for i in range(start, len(labels) - 1) if (found := f"domain:*.{'.'.join(labels[i:])}") != indicator.id)


# --- kinds ----------------------------------------------------------------------------------------------------------


def _read_link(text: str) -> Indicator:
    """A web address; a link to a Telegram name is that handle, one to a WhatsApp number that phone: one thing, one id."""
    telegram = _TELEGRAM.fullmatch(text)
    if telegram and telegram[1].lower() not in _TELEGRAM_OWN:
        return _read_handle(f"telegram:{telegram[1]}")
    whatsapp = _WHATSAPP.fullmatch(text)
    if whatsapp:
        return _read_phone("+" + whatsapp[1])
    return _indicator("url", read_url(text))


def _read_phone(text: str) -> Indicator:
    """E.164. A number needs its country: + and the country code."""
    bare = text[4:] if text[:4].lower() == "tel:" else text
    if not _PHONE_TEXT.fullmatch(bare):
        raise outside_ascii(text) or InvalidAddress("alphabet", "no phone number: write it with + and the country code, then digits")
    try:
        number = phonenumbers.parse(bare, None)
    except phonenumbers.NumberParseException:
        raise InvalidAddress("length", "no country has a phone number of this form: check the country code and the length") from None
    value = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not _E164.fullmatch(value) or not phonenumbers.is_possible_number(number):
        raise InvalidAddress("length", "the phone number has too few or too many digits for its country")
    return _indicator("phone", value, phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL))


def _read_handle(text: str) -> Indicator:
    """`platform:name`, both in small letters, the name without its @."""
    platform, colon, name = text.partition(":")
    platform = _PLATFORMS.get(platform.lower(), platform.lower())
    if not colon or not _SLUG.fullmatch(platform):
        raise InvalidAddress("alphabet", "a handle needs its platform: handle:telegram:name, for example")
    name = _small_name(unicodedata.normalize("NFC", name.removeprefix("@")), name)
    return _indicator("handle", f"{platform}:{name}", f"@{name} ({platform})")


def _small_name(name: str, seen: str) -> str:
    """Lower case; characters that only look like others (wide, joined, invisible) are refused, never mapped."""
    if not name or len(name) > 128:
        raise InvalidAddress("length", "a handle has 1 to 128 characters")
    for character in {*name, *seen}:
        if not character.isascii() and (unicodedata.normalize("NFKC", character) != character or not character.isprintable()):
            if unicodedata.combining(character):
                continue
            raise InvalidAddress("confusable", f"U+{ord(character):04X} in the handle is invisible or looks like another character")
        if character.isspace() or not character.isprintable():
            raise InvalidAddress("alphabet", "a handle has no blanks and no control characters")
    return unicodedata.normalize("NFC", name.lower())


def _read_app(text: str) -> Indicator:
    """`store:id`: a package name for google-play, a number for apple."""
    store, colon, value = text.partition(":")
    store = _STORES.get(store.lower(), store.lower())
    if store == "apple":
        value = value.removeprefix("id")
    form = {"google-play": _PACKAGE, "apple": re.compile(r"[1-9][0-9]{0,15}")}.get(store, _STORE_ID)
    if not colon or not _SLUG.fullmatch(store) or len(value) > 256 or not form.fullmatch(value):
        raise outside_ascii(text) or InvalidAddress(
            "alphabet", "an app is named app:google-play:<package> or app:apple:<number>, for example"
        )
    return _indicator("app", f"{store}:{value}")


def _read_tx(text: str) -> Indicator:
    """`<caip2>:<hash>`: hexadecimal in small letters, with 0x on EVM chains and Polkadot; base58 on Solana."""
    chain_text, _, name = text.rpartition(":")
    chain = read_chain(chain_text)
    if chain.caip2 == "eip155:0":
        raise InvalidAddress("unknown_chain", "a transaction stands on one chain: name it, as in tx:eip155:1:0x…")
    if chain.family == "solana":
        value = _signature(name)
    else:
        small = name.lower().removeprefix("0x") if name.isascii() else name
        if not _HEX64.fullmatch(small):
            raise outside_ascii(name) or InvalidAddress("length", "a transaction hash has 64 hexadecimal digits")
        value = f"0x{small}" if chain.family in ("evm", "polkadot") else small
    return _indicator("tx", f"{chain.caip2}:{value}")


def _signature(text: str) -> str:
    try:
        size = len(base58_decode(text)) if len(text) <= 88 else 0
    except ValueError:
        size = 0
    if size != 64:
        raise outside_ascii(text) or InvalidAddress("length", "a Solana transaction is named by 64 bytes in base58, 86 to 88 characters")
    return text


def is_iban(text: str) -> bool:
    """Whether the text has the form and the check digits of an IBAN, in groups or without."""
    bare = text.replace(" ", "").upper()
    return text.isascii() and _IBAN.fullmatch(bare) is not None and _mod97(bare) == 1


def _mod97(bare: str) -> int:
    return int("".join(str(int(c, 36)) for c in bare[4:] + bare[:4])) % 97


def _read_iban(text: str) -> Indicator:
    """Without blanks, in capitals; the check digits must hold (ISO 13616)."""
    bare = text.replace(" ", "").upper() if text.isascii() else ""
    if not _IBAN.fullmatch(bare):
        raise outside_ascii(text) or InvalidAddress("alphabet", "no IBAN: two letters, two check digits, then 11 to 30 letters and digits")
    if _mod97(bare) != 1:
        raise InvalidAddress("checksum", "the check digits of the IBAN do not fit: a character is wrong")
    return _indicator("iban", bare, " ".join(bare[i : i + 4] for i in range(0, len(bare), 4)))


_READERS: Final[dict[str, Callable[[str], Indicator]]] = {
    "domain": lambda text: _indicator("domain", read_domain(text)),
    "url": _read_link,
    "email": lambda text: _indicator("email", read_email(text)),
    "phone": _read_phone,
    "handle": _read_handle,
    "ip": lambda text: _indicator("ip", read_ip(text)),
    "app": _read_app,
    "tx": _read_tx,
    "iban": _read_iban,
}
KINDS: Final = tuple(_READERS)
