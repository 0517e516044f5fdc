"""Indicators that live on the network: domains, URLs, e-mail and IP addresses, each to one text (protocol §3.4a).

Domains are in their ASCII form: IDNA2008, with no mapping before it (UTS 46 off), so that a look-alike is refused or
kept apart and never turned into what it imitates. URLs follow RFC 3986 §6.2: what cannot matter is written in one way.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Final

import idna

from .address.guard import outside_ascii
from .errors import InvalidAddress

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_TOP: Final = re.compile(r"(?!xn--)[a-z][a-z0-9-]{0,61}[a-z0-9]|xn--[a-z0-9-]{1,58}[a-z0-9]")
# Endings of naming systems that live on a chain: they are not in the DNS, and what they stand for changes.
_ON_CHAIN: Final = frozenset(
    "eth ton sol bnb crypto nft x wallet dao bitcoin blockchain zil polygon klever hi altimist anime manga go near trx btc bit arb "
    "lens apt sui stx tez icp hbar stark base avax algo ada unstoppable 888".split()
)
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_LOCAL: Final = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_KEPT: Final = _UNRESERVED | frozenset("!$&'()*+,;=:@/?[]")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_PORTS: Final = {"http": "80", "https": "443"}


def read_domain(text: str) -> str:
    """The lower-case ASCII form, without a final dot; `*.` in front is kept: all names below, a thing of its own."""
    name = _refanged(text)
    wild = name.startswith("*.")
    labels = name.removeprefix("*.").removesuffix(".").split(".")
    if len(labels) < 2:
        raise InvalidAddress("length", "a domain has at least two parts, as in name.example")
    ascii_form = ".".join(_ascii_label(label) for label in labels)
    top = ascii_form.rpartition(".")[2]
    if top in _ON_CHAIN:
        raise InvalidAddress(
            "name_not_address", f"names that end in .{top} live on a chain and change hands: give the address it stands for"
        )
    if not _TOP.fullmatch(top):
        raise InvalidAddress("alphabet", "a domain ends in a top-level name of letters, as in name.example")
    if len(ascii_form) > 253:
        raise InvalidAddress("length", "a domain has at most 253 characters in its ASCII form")
    return f"*.{ascii_form}" if wild else ascii_form


def _refanged(text: str) -> str:
    """Undo the brackets and the hxxp that analysts write so that nobody clicks."""
    if "[.]" in text or "(.)" in text:
        text = text.replace("[.]", ".").replace("(.)", ".")
    return "http" + text[4:] if text[:4].lower() == "hxxp" else text


def _ascii_label(label: str) -> str:
    if len(label) > 63:
        raise InvalidAddress("length", "a part of a domain has at most 63 characters")
    if label.isascii():
        small = label.lower()
        if _LABEL.fullmatch(small):
            return small
        raise outside_ascii(label) or InvalidAddress("alphabet", "each part of a domain has 1 to 63 letters, digits and hyphens")
    composed = unicodedata.normalize("NFC", label)
    alike = any(not c.isascii() and unicodedata.normalize("NFC", c).isascii() for c in label)  # the Kelvin sign is one
    try:
        if not alike:
            return idna.alabel("".join(_small(c) for c in composed)).decode("ascii")
    except UnicodeError:  # what the idna package raises derives from it
        pass
    raise InvalidAddress("confusable", "a part of the domain has characters that no registered name has: invisible, wide or joined ones")


def _small(character: str) -> str:
    """Lower case, but never from outside ASCII into it, nor into two characters."""
    small = character.lower()
    return small if len(small) == 1 and small.isascii() == character.isascii() else character


def read_ip(text: str) -> str:
    """IPv4 in dotted form; IPv6 as RFC 5952 has it. An IPv4 address mapped into IPv6 is that IPv4 address."""
    bare = _refanged(text)
    bare = bare[1:-1] if bare[:1] == "[" and bare[-1:] == "]" else bare
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        address = None
    if address is None or "%" in bare or not bare.isascii():
        raise InvalidAddress("alphabet", "no IP address: four numbers up to 255 without leading zeros, or IPv6 without a zone")
    return str(getattr(address, "ipv4_mapped", None) or address)


def read_email(text: str) -> str:
    """Both sides of the @ in lower case, the domain in its ASCII form."""
    address = _refanged(text.removeprefix("mailto:").replace("[@]", "@"))
    local, _, domain = address.rpartition("@")
    small = local.lower() if local.isascii() else ""
    if not _LOCAL.fullmatch(small) or len(small) > 64 or domain.startswith("*"):
        raise outside_ascii(local) or InvalidAddress("alphabet", "no e-mail address: name@domain, the name in ASCII and without quotes")
    return f"{small}@{read_domain(domain)}"


def read_url(text: str) -> str:
    """http or https: host in small letters, no user, default port or fragment, dots resolved, one way of percent-encoding."""
    match = _URL.fullmatch(_refanged(text))
    if match is None or match[1].lower() not in _PORTS:
        raise InvalidAddress("uri", "no web address: only http:// and https:// are read; of a payment link give the bare address")
    _visible(text)
    scheme, authority, path, query = match[1].lower(), match[2], match[3], match[4]
    host, port = _host_and_port(authority.rpartition("@")[2], scheme)
    shown = f"{scheme}://{host}{port}{_without_dots(_encoded(path))}"
    return f"{shown}?{_encoded(query)}" if query else shown


def _visible(text: str) -> None:
    for place, character in enumerate(text):
        if character == "\\" or (not character.isalnum() and unicodedata.category(character)[0] in "ZC"):
            raise outside_ascii(text) or InvalidAddress(
                "alphabet", f"character {place + 1} is a blank or a backslash: no web address has one"
            )


def _host_and_port(authority: str, scheme: str) -> tuple[str, str]:
    host, colon, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    if not colon:
        host, port = authority, ""
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536 and len(port) < 7):
        raise InvalidAddress("alphabet", "the port of a web address is a number from 1 to 65535")
    port = str(int(port)) if port else ""
    shown = f":{port}" if port and port != _PORTS[scheme] else ""
    if host[:1] == "[":
        return f"[{ipaddress.IPv6Address(read_ip6(host))}]", shown
    if host.rpartition(".")[2].isdigit():
        return read_ip(host), shown
    if host.startswith("*"):
        raise InvalidAddress("alphabet", "a web address names one host: give a pattern as a domain, *.name.example")
    return read_domain(host), shown


def read_ip6(host: str) -> str:
    """The IPv6 address in brackets, as it is written in a URL."""
    bare = host[1:-1]
    try:
        address = ipaddress.IPv6Address(bare)
    except ValueError:
        address = None
    if address is None or host[-1:] != "]" or "%" in bare:
        raise InvalidAddress("alphabet", "no IPv6 address between the brackets of the web address")
    return str(address)


def _encoded(text: str) -> str:
    """Percent-encoding in one way: what needs none has none, the rest in capitals; a lone % is itself encoded."""
    if _UNRESERVED.issuperset(text):
        return text
    out, i = [], 0
    while i < len(text):
        character = text[i]
        if character == "%" and len(text) > i + 2 and text[i + 1] in _HEX and text[i + 2] in _HEX:
            decoded = chr(int(text[i + 1 : i + 3], 16))
            out.append(decoded if decoded in _UNRESERVED else text[i : i + 3].upper())
            i += 3
            continue
        out.append(character if character in _KEPT else "".join(f"%{byte:02X}" for byte in character.encode("utf-8")))
        i += 1
    return "".join(out)


def _without_dots(path: str) -> str:
    """The path with `.` and `..` resolved (RFC 3986 §5.2.4); never empty."""
    out: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del out[-1:]
        elif segment != ".":
            out.append(segment)
    if segments and segments[-1] in (".", ".."):
        out.append("")
    return "/" + "/".join(out)
