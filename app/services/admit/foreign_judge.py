"""What is wrong with an entry that a peer's log holds: everything that its bytes, and what stands below it, can tell.

`open_entry` needs no place in the log and may run in any thread: form, signature, claims, disclosures, items. `judge` asks the
registry at the entry's index. A fault makes an entry inert and never stops the log (protocol §3.7): another node that reads the
same bytes finds the same fault, whenever they came to it. So nothing is judged here by a clock, by what came later, or by parts:

- what the source may have spoilt (a disclosure that belongs to no digest) is as good as withheld;
- what the agency signed and its node should have refused (a key out of its term, a kind beyond the mandate) is `bad`;
- what only its parts tell (an item that no answer could show) is left out of the index, and the statement counts as the fold says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.domain.answer import epoch_ms
from app.domain.canonical import JsonValue
from app.domain.claims import KINDS
from app.domain.errors import CordonError, DisclosureMismatch, Malformed, Refused, ScopeDenied, TooLarge, UnknownKid, Validity, WrongOrigin
from app.domain.items import CheckedItems, check_categories, collect_items
from app.domain.labels import RANK, Label, Tlp
from app.domain.registry import node_of_origin
from app.domain.statement import LONGEST_S, NODE_KINDS, TYP, Disclosure, Kind, Stub, check_mandate_kind, read_stub, sid_of
from app.seal.disclosure import read_disclosures
from app.seal.jws import PublicKey, Token, open_tokens
from app.seal.keyring import Keyring

AHEAD_S = 300
"""How far `iat` may lie ahead of the acceptance, by the rule of every home node."""
LAST_MS = 253_402_300_799_000
"""The end of the year 9999: no later moment can be written, so none is read."""
_TIME = re.compile(rb"(?:0|[1-9][0-9]{0,14}) ")
_NO_ITEMS = CheckedItems()
_TEXTS = ("basis", "reliability", "status", "action")

FindKey = Callable[[str], PublicKey | None]


@dataclass(frozen=True, slots=True)
class Offered:
    """One line of a source: the entry at `index` (None: withheld), the disclosures it gave, and the parts it says are erased.

    `is_endless`: the source gives no end to this line; so no entry, and it is reported.
    """

    index: int
    entry: bytes | None
    disclosures: tuple[str, ...] = ()
    erased: frozenset[str] = frozenset()
    is_endless: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """An entry as its bytes have it. `fault`: the problem code of the first fault found so far; then `stub` may be missing.

    `is_missing`: not all of its parts came, or they were not the right ones. `parts_fault`: what is wrong with their contents.
    """

    index: int
    entry: bytes
    accepted_ms: int = 0
    sid: str | None = None
    stub: Stub | None = None
    fault: str | None = None
    disclosures: tuple[Disclosure, ...] = ()
    items: CheckedItems = field(default=_NO_ITEMS)
    is_missing: bool = False
    parts_fault: str | None = None


def is_relayed(label: Label) -> bool:
    """Whether a relay may bring it: AMBER and up comes from the origin alone, whoever else offers it (protocol §3.8)."""
    return RANK[label.tlp] <= RANK[Tlp.GREEN]


# --- what the bytes tell -------------------------------------------------------------------------------------------------


def open_entry(offered: Offered, find_key: FindKey, *, from_relay: bool) -> Opened:
    """Read an entry that is there. Never raises: what cannot be read is a fault."""
    (opened,) = open_entries([offered], find_key, from_relay=from_relay)
    return opened


def open_entries(page: Sequence[Offered], find_key: FindKey, *, from_relay: bool) -> list[Opened]:
    """`open_entry` of each: step by step over all of them, the signatures in one loop, which takes less (ADR 0008)."""
    timed = [_read_time(offered) for offered in page]
    jws = [one.entry.partition(b" ")[2] if one.fault is None else b"" for one in timed]
    tokens = open_tokens(jws, typ=TYP, find_key=find_key)
    stubs = [one if one.fault else _read_stub(one, token) for one, token in zip(timed, tokens, strict=True)]
    return [
        one if one.stub is None or one.fault else _with_parts(one, one.stub, offered, from_relay=from_relay)
        for one, offered in zip(stubs, page, strict=True)
    ]


def _read_time(offered: Offered) -> Opened:
    assert offered.entry is not None
    entry = offered.entry
    time = _TIME.match(entry)
    accepted_ms = int(entry[: time.end() - 1]) if time else LAST_MS + 1
    if time is None or accepted_ms > LAST_MS:
        return Opened(offered.index, entry, fault="malformed")
    return Opened(offered.index, entry, accepted_ms)


def _read_stub(timed: Opened, token: Token | CordonError) -> Opened:
    try:
        if isinstance(token, CordonError):
            raise token
        stub = read_stub(token.claims, kid=token.kid, sid=token.sid, lenient=True)
        _check_span(stub, timed.accepted_ms // 1000)
    except Refused as error:
        return replace(timed, fault=error.slug, sid=_sid(timed.entry.partition(b" ")[2]))
    return Opened(timed.index, timed.entry, timed.accepted_ms, stub.sid, stub)


def _sid(jws: bytes) -> str | None:
    """The id that the entry has whoever signed it; None for what is no token at all."""
    if not jws.isascii() or jws.count(b".") != 2:
        return None
    return sid_of(jws.decode("ascii"))


def _check_span(stub: Stub, accepted_s: int) -> None:
    """Times that can be written down, and an end at most two years after the beginning, as its home node should have seen to.

    A beginning that lay ahead of its acceptance would stretch that: the end is held to the time of the log as well.
    """
    if stub.issued_at * 1000 > LAST_MS:
        raise Validity("`iat` lies beyond the year 9999")
    if stub.expires_at is not None and not stub.issued_at < stub.expires_at <= stub.issued_at + LONGEST_S:
        raise Validity("`exp` lies after `iat` and at most 730 days after it")
    if stub.expires_at is not None and stub.expires_at > accepted_s + AHEAD_S + LONGEST_S:
        raise Validity("`exp` lies more than 730 days after the log has accepted it")


def _with_parts(opened: Opened, stub: Stub, offered: Offered, *, from_relay: bool) -> Opened:
    try:
        given = read_disclosures(stub, offered.disclosures, home=False)
    except (TooLarge, Malformed, DisclosureMismatch):
        return replace(opened, is_missing=bool(stub.parts))  # they are not what was signed: ask again
    except Refused as error:
        return replace(opened, parts_fault=error.slug)
    if from_relay:
        kept = tuple(one for one in given if is_relayed(stub.parts[one.part]))
        # A relay may keep back what it likes; only the origin knows which digests are decoys.
        is_missing = len(kept) < len(stub.digests)
    else:
        kept = given
        is_missing = not stub.parts.keys() <= {one.part for one in kept} | offered.erased
    items = readable_items(stub, kept)
    return Opened(opened.index, opened.entry, opened.accepted_ms, stub.sid, stub, None, kept, items, is_missing)


def readable_items(stub: Stub, disclosures: tuple[Disclosure, ...]) -> CheckedItems:
    """What can be indexed and shown: an item of another shape than any answer could put into words is left out."""
    items = collect_items(stub, disclosures)
    if stub.kind != Kind.LISTING:
        return items
    rows = tuple(row for row in items.rows if _can_be_shown(row.type, row.value))
    links = tuple(link for link in items.links if isinstance(link.value.get("relation"), str) and _has_embargo_in_order(link.value))
    if len(rows) == len(items.rows) and len(links) == len(items.links):
        return items
    codes = (code for row in rows for code in _texts(row.value.get("typologies")))
    return replace(items, rows=rows, links=links, typologies=frozenset(codes))


def _texts(value: JsonValue) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _can_be_shown(word: str, item: Mapping[str, JsonValue]) -> bool:
    if not _has_embargo_in_order(item):
        return False
    if word == "entity":
        return isinstance(item.get("names"), list)
    severity = item.get("severity")
    return (
        type(severity) is int
        and 0 <= severity <= 4
        and _are_texts(item.get("typologies"))
        and _are_texts(item.get("roles"))
        and all(type(item.get(name)) is str for name in _TEXTS)
        and type(item.get("credibility")) is int
    )


def _are_texts(value: JsonValue) -> bool:
    return type(value) is list and all(type(one) is str for one in value)


def _has_embargo_in_order(item: Mapping[str, JsonValue]) -> bool:
    """An embargo that cannot be read would hold nothing back."""
    embargo = item.get("embargo_until")
    if embargo is None:
        return True
    if not isinstance(embargo, str):
        return False
    try:
        epoch_ms(embargo)
    except (ValueError, OverflowError):
        return False
    return embargo.endswith("Z") or len(embargo) == 10


# --- what the registry tells ---------------------------------------------------------------------------------------------


def judge(stub: Stub, keyring: Keyring, *, index: int, accepted_ms: int) -> str | None:
    """The problem code of what makes a verified statement inert at this place of its log; None if nothing does.

    `keyring`: its log's, with everything that stands below `index`; what stands above changes nothing.
    """
    try:
        if stub.origin != keyring.origin:
            raise WrongOrigin("it was signed for another log")
        keyring.check_carried_key(stub.kid, index=index, accepted_s=accepted_ms // 1000, kind=stub.kind)
        if stub.kind in KINDS:
            _check_mandate(stub, keyring, index)
        keyring.check_carried_control(stub, index=index)
    except Refused as error:
        return error.slug
    return None


def _check_mandate(stub: Stub, keyring: Keyring, index: int) -> None:
    if stub.issuer == keyring.registrar:
        check_mandate_kind(stub, None)
    elif stub.issuer == node_of_origin(keyring.origin):
        if stub.kind not in NODE_KINDS:
            raise ScopeDenied("a node signs nothing but what it found itself")
    else:
        member = keyring.member(stub.issuer, before=index)
        if member is None:
            raise UnknownKid("its issuer was no member yet")
        check_mandate_kind(stub, member)


def covered_items(stub: Stub, items: CheckedItems, keyring: Keyring, *, index: int) -> CheckedItems:
    """The items of a listing, if the mandate of its issuer at this place covers them all; else ScopeDenied."""
    if stub.kind == Kind.LISTING and items.typologies:
        check_categories(items, keyring.member(stub.issuer, before=index))
    return items
