"""The items of a listing one by one: wallets, indicators, entities and links (schemas §2 rules 1-5, protocol §3.4a).

Ordinary wallets come by the hundred, so their checks are look-ups in frozensets, and one row is all that is built for each.
What a statement needs of all its items together is gathered in `Findings`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .address import Wallet
from .address.evm import is_canonical_id
from .canonical import JsonValue
from .errors import CordonError
from .facts import check_typologies
from .identifiers import Indicator
from .item_forms import (
    Item,
    Reader,
    check_amount,
    check_asset,
    check_assets,
    check_country,
    check_day,
    check_designation,
    check_entity_id,
    check_instant,
    check_language,
    check_member_name,
    check_members,
    check_optional,
    check_scope,
    check_summary,
    check_transaction_id,
    check_vasp,
    need,
    need_integer,
    need_list,
    need_object,
    need_text,
    need_word,
    person_outside_pii,
    read_subject_id,
    refuse,
)
from .statement import Disclosure
from .vocabulary import TYPOLOGIES, lists

_new = tuple.__new__
_LONGEST_LIKE, _MOST_KNOWN = 2048, 1024
"""Bytes of an item beyond which it is not remembered, and how many are: together they bound the memory."""


class ItemRow(NamedTuple):
    """One item with a subject: `number` is n of `core.n`, `type` wallet, indicator or entity, `id` canonical.

    `body`: the item as written, where that is known (`Disclosure.body`).
    """

    number: int
    type: str
    id: str
    value: Item
    body: bytes | None = None


class LinkRow(NamedTuple):
    """One link: `number` is n of `core.n`, `source` and `target` are canonical ids."""

    number: int
    source: str
    target: str
    value: Item
    body: bytes | None = None


_JUDGED_REQUIRED = frozenset({"type", "id", "typologies", "roles", "severity", "basis", "reliability", "credibility", "status", "action"})
_JUDGED_WORDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("basis", lists.BASES),
    ("reliability", lists.RELIABILITIES),
    ("status", lists.STATUSES),
    ("action", lists.ACTIONS),
)
_SPECIAL_ROLES = lists.INFORMATIVE_ROLES | lists.SCREENED_ROLES | {lists.NEVER_LISTED_ROLE, "cash_out_deposit"}
_JUDGED_OPTIONAL: Mapping[str, Reader] = {
    "scope": check_scope,
    "first_seen": check_day,
    "last_seen": check_day,
    "assets": check_assets,
    "embargo_until": check_instant,
    "entity": check_entity_id,
    "vasp": check_vasp,
    "designation": check_designation,
}


@dataclass(slots=True)
class Findings:
    """What is gathered over the items of one listing; `strong` is whether its context carries a block or a hold."""

    strong: bool
    clear: bool
    rows: list[ItemRow]
    links: list[LinkRow]
    typologies: set[str]
    guards: list[str]
    unembargoed: list[str]
    hold: bool = False
    screen_for: str | None = None


def _check_judged(item: dict[str, JsonValue], at: str, found: Findings) -> None:
    """Rules 1-3 of schemas §2 on one wallet or indicator whose id is good."""
    missing = _JUDGED_REQUIRED - item.keys()
    if missing:
        need(item, min(missing), at)
    for name, allowed in _JUDGED_WORDS:
        word = item[name]
        if type(word) is not str or word not in allowed:
            need_word(item, name, allowed, at)
    severity, credibility = item["severity"], item["credibility"]
    if type(severity) is not int or not 0 <= severity <= 4:
        need_integer(item, "severity", at, least=0, most=4)
    if type(credibility) is not int or not 1 <= credibility <= 6:
        need_integer(item, "credibility", at, least=1, most=6)
    action = item["action"]
    typologies = _check_codes(item["typologies"], at, found.typologies)
    roles = item["roles"]
    if type(roles) is not list or len(roles) > 16:
        refuse(f"{at}/roles", "form", "`roles` is a list of at most 16 codes")
    if action in lists.STRONG_ACTIONS:
        found.hold = True
        if not found.strong:
            refuse(f"{at}/action", "rule", f"{action} needs a fact with clear_and_rigorous evidence, or a competent instrument")
    if roles:
        _check_roles(item, roles, at, found)
    if not typologies and action not in lists.INFORMATIVE_ACTIONS:
        refuse(f"{at}/typologies", "missing", "an item without a typology asks for nothing but monitor or do_not_block")
    for name in item.keys() - _JUDGED_REQUIRED:
        reader = _JUDGED_OPTIONAL.get(name)
        if reader is not None:
            reader(item[name], f"{at}/{name}")
        else:
            _check_unknown(name, item[name], at)
    if found.clear and "embargo_until" not in item:
        found.unembargoed.append(str(item["id"]))
    if "sanctions.listed" in typologies and "designation" not in item:
        refuse(f"{at}/designation", "missing", "sanctions.listed names the list, the entry and its date in `designation`")


def _check_codes(codes: JsonValue, at: str, seen: set[str]) -> list[str]:
    known = TYPOLOGIES
    if type(codes) is not list or len(codes) > 16 or any(type(code) is not str or code not in known for code in codes):
        check_typologies(codes, f"{at}/typologies")
    assert type(codes) is list
    texts = [code for code in codes if type(code) is str]
    if len(texts) > 1 and len(set(texts)) != len(texts):
        refuse(f"{at}/typologies", "repeated", "`typologies` names a code twice")
    seen.update(texts)
    return texts


def _check_roles(item: Item, roles: list[JsonValue], at: str, found: Findings) -> None:
    special = False
    for number, role in enumerate(roles):
        if type(role) is not str or role not in lists.ROLES:
            refuse(f"{at}/roles/{number}", "unknown_code", "a role is a code of the vocabulary, such as collection")
        special = special or role in _SPECIAL_ROLES
    if len(roles) > 1 and len(set(map(str, roles))) != len(roles):
        refuse(f"{at}/roles", "repeated", "`roles` names a code twice")
    if special:
        _check_special_roles(item, frozenset(map(str, roles)), at, found)


def _check_special_roles(item: Item, roles: frozenset[str], at: str, found: Findings) -> None:
    if lists.NEVER_LISTED_ROLE in roles:
        refuse(f"{at}/roles", "rule", "the wallet of a victim is never listed")
    informative = roles & lists.INFORMATIVE_ROLES
    if informative and item["action"] not in lists.INFORMATIVE_ACTIONS:
        refuse(f"{at}/action", "rule", f"{min(informative)} takes only monitor or do_not_block")
    if "cash_out_deposit" in roles and "vasp" not in item:
        refuse(f"{at}/vasp", "missing", "cash_out_deposit names its VASP in `vasp`: a member id, an LEI or a domain")
    if "service_benign" in roles and item["action"] == "do_not_block":
        found.guards.append(str(item["id"]))
    if roles & lists.SCREENED_ROLES:
        found.screen_for = at


def _check_unknown(name: str, value: JsonValue, at: str) -> None:
    """A member we do not know is kept and ignored, unless it has a forbidden name at any depth."""
    check_member_name(name, value, f"{at}/{name}")
    if name == "kind" and value == "person":
        person_outside_pii(f"{at}/{name}")
    if type(value) in (dict, list):
        check_members(value, f"{at}/{name}")


_SORTS: Mapping[str, type[Wallet | Indicator]] = {"wallet": Wallet, "indicator": Indicator}


def _check_subject(item: dict[str, JsonValue], one: Disclosure, at: str, found: Findings) -> None:
    id_, word = need(item, "id", at), str(item["type"])
    if not isinstance(read_subject_id(id_, f"{at}/id"), _SORTS[word]):
        refuse(f"{at}/id", "form", f"the id of a {word} is not of this sort: choose the item type that fits it")
    _check_judged(item, at, found)
    found.rows.append(ItemRow(one.number, word, str(id_), item, one.body))


class _Judged(NamedTuple):
    """What `_check_judged` finds in an item, whatever its id."""

    typologies: frozenset[str]
    guards: bool
    unembargoed: bool
    hold: bool
    screened: bool


def take_like(item: dict[str, JsonValue], one: Disclosure, found: Findings) -> bool:
    """Take in an EVM wallet whose item differs from one judged before in its id alone; False: `ITEM_CHECKS` must judge it.

    The wallets of a campaign have their judgement in common, to the letter. Compared are bytes, not values, as 1 equals true; and
    only an EVM id is proven by its form. Faults are never remembered: they are found again where they can be pointed at.
    """
    id_, body = item.get("id"), one.body
    if body is None or len(body) > _LONGEST_LIKE or type(id_) is not str or not is_canonical_id(id_) or item.get("type") != "wallet":
        return False
    before, _, behind = body.partition(id_.encode())
    if before[-6:] != b'"id":"':
        return False  # the id stands elsewhere too
    try:
        judged = _judge_without_id(item, (before, behind))
    except CordonError:
        return False
    if judged.hold and not found.strong:
        return False
    found.rows.append(_new(ItemRow, (one.number, "wallet", id_, item, body)))
    found.typologies |= judged.typologies
    found.hold = found.hold or judged.hold
    if judged.guards:
        found.guards.append(id_)
    if judged.unembargoed and found.clear:
        found.unembargoed.append(id_)
    if judged.screened:
        found.screen_for = f"/parts/core/{one.number}"
    return True


_known: dict[tuple[bytes, bytes], _Judged] = {}


def _judge_without_id(item: dict[str, JsonValue], key: tuple[bytes, bytes]) -> _Judged:
    """The judgement of an item that is written as `key` before and behind its id."""
    judged = _known.get(key)
    if judged is None:
        found = Findings(strong=True, clear=True, rows=[], links=[], typologies=set(), guards=[], unembargoed=[])
        _check_judged(item, "", found)
        judged = _judgement(found)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[key] = judged
    return judged


def _judgement(found: Findings) -> _Judged:
    return _Judged(
        frozenset(found.typologies), bool(found.guards), bool(found.unembargoed), hold=found.hold, screened=found.screen_for is not None
    )


_DESIGNATION_TEXTS = ("authority", "programme", "reference")


def check_designations(item: Item, at: str, *, least: int = 0) -> None:
    """`designations` [{authority, programme, measure, date, reference}]: the entries of sanctions lists."""
    for number, value in enumerate(need_list(item, "designations", at, least=least)):
        where = f"{at}/designations/{number}"
        entry = need_object(value, where)
        for name in _DESIGNATION_TEXTS:
            need_text(entry, name, where)
        need_word(entry, "measure", lists.MEASURES, where)
        check_day(need(entry, "date", where), f"{where}/date")


def check_names(item: Item, at: str) -> None:
    for number, value in enumerate(need_list(item, "names", at, least=1)):
        where = f"{at}/names/{number}"
        name = need_object(value, where)
        need_text(name, "name", where)
        need_word(name, "kind", lists.NAME_KINDS, where)
        if "lang" in name:
            check_language(name["lang"], f"{where}/lang")


def check_entity_details(item: Item, at: str) -> None:
    if "jurisdictions" in item:
        for number, country in enumerate(need_list(item, "jurisdictions", at)):
            check_country(country, f"{at}/jurisdictions/{number}")
    if "designations" in item:
        check_designations(item, at)
    if "identifiers" in item:
        for number, value in enumerate(need_list(item, "identifiers", at)):
            where = f"{at}/identifiers/{number}"
            identifier = need_object(value, where)
            need_text(identifier, "scheme", where, longest=64)
            need_text(identifier, "value", where)
    if "summary" in item:
        check_summary(item["summary"], f"{at}/summary")


def _check_entity(item: dict[str, JsonValue], one: Disclosure, at: str, found: Findings) -> None:
    if item.get("kind") == "person":
        person_outside_pii(f"{at}/kind")
    check_members(item, at)
    id_ = need(item, "id", at)
    check_entity_id(id_, f"{at}/id")
    if need_word(item, "kind", lists.ENTITY_KINDS, at) in lists.SCREENED_ENTITY_KINDS:
        found.screen_for = at
    check_names(item, at)
    check_entity_details(item, at)
    found.rows.append(ItemRow(one.number, "entity", str(id_), item, one.body))


_LINK_OPTIONAL: Mapping[str, Reader] = {
    "tx": check_transaction_id,
    "amount": check_amount,
    "asset": check_asset,
    "at": check_instant,
}


def _check_link(item: dict[str, JsonValue], one: Disclosure, at: str, found: Findings) -> None:
    check_members(item, at)
    source = read_subject_id(need(item, "from", at), f"{at}/from").id
    target = read_subject_id(need(item, "to", at), f"{at}/to").id
    need_word(item, "relation", lists.RELATIONS, at)
    need_word(item, "basis", lists.BASES, at)
    need_integer(item, "confidence", at, least=0, most=100)
    check_optional(item, _LINK_OPTIONAL, at)
    if "amount" in item and "asset" not in item:
        refuse(f"{at}/asset", "missing", "an amount stands beside its `asset`")
    found.links.append(LinkRow(one.number, source, target, item, one.body))


ITEM_CHECKS: Mapping[str, Callable[[dict[str, JsonValue], Disclosure, str, Findings], None]] = {
    "wallet": _check_subject,
    "indicator": _check_subject,
    "entity": _check_entity,
    "link": _check_link,
}
