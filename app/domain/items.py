"""The rules of the home gate on the content of a statement, and what the rest of the house needs to know of it.

`check_items` judges all disclosures of one statement (schemas §2, "Items" and rules 1-6); `check_categories`, `check_embargo`
and `four_eyes_reason` are the steps that need the mandate, the open requests and the policy; `collect_items` takes a peer's
copy as it is and keeps what can be indexed. Faults point as `/parts/<part>/<number>/<member>`; one is reported, the first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import orjson

from .address import Wallet
from .canonical import JsonValue
from .claims import Kind
from .errors import CordonError, Fault, InvalidAddress, Schema, ScopeDenied
from .facts import FACT_CHECKS, FACT_COUNTS, check_request
from .identifiers import EntityId, Indicator, read_id
from .item_context import carries_strong_actions, check_context, require_screen
from .item_forms import Item, check_members, day_of, months_after, need_object, need_word, refuse
from .item_listing import ITEM_CHECKS, Findings, ItemRow, LinkRow, take_like
from .item_persons import check_pii
from .labels import Tlp
from .registry import Member, Policy
from .statement import Disclosure, Stub
from .vocabulary import covers, lists

__all__ = ["CheckedItems", "ItemRow", "LinkRow", "check_categories", "check_embargo", "check_items", "collect_items", "four_eyes_reason"]


@dataclass(frozen=True, slots=True)
class CheckedItems:
    """What the disclosures of one statement say, checked.

    `rows` wallets, indicators, entities; `links`; `context` of a listing; `facts` the items of the other kinds, `notes`
    the free objects of `ctx`. `guards` are ids said to be benign and not to be blocked; `unembargoed` ids of CLEAR items
    without `embargo_until`. `person`, `hold` and `clear` are the three cases of `four_eyes`.
    """

    rows: tuple[ItemRow, ...] = ()
    links: tuple[LinkRow, ...] = ()
    context: Item | None = None
    facts: tuple[Item, ...] = ()
    notes: tuple[Item, ...] = ()
    typologies: frozenset[str] = frozenset()
    guards: tuple[str, ...] = ()
    unembargoed: tuple[str, ...] = ()
    person: bool = False
    hold: bool = False
    clear: bool = False

    @property
    def subjects(self) -> tuple[str, ...]:
        """Ids of the wallets and indicators, each once, in order: what a protected identifier is looked for among."""
        return tuple(dict.fromkeys(row.id for row in self.rows if row.type != "entity"))


def check_items(stub: Stub, disclosures: Sequence[Disclosure], *, member: Member | None, policy: Policy) -> CheckedItems:
    """Judge all disclosures of a statement at its home node; `member` is its issuer, None for the registrar.

    Raises Schema, PersonalData, ProtectedPerson, ReferNotList, ScopeDenied.
    """
    if stub.kind == Kind.LISTING:
        return _check_listing(stub, disclosures, persons=member is not None and member.mandate.persons, policy=policy)
    if stub.kind in FACT_COUNTS:
        return _check_facts(stub, disclosures, policy)
    return CheckedItems(notes=_check_notes(stub, disclosures))


def _is_known_good(context: Item, latest_review: date) -> bool:
    """A context like one that was judged before: an agency's statements of one campaign share theirs to the letter."""
    try:
        _judge_context(orjson.dumps(context), latest_review)
    except (CordonError, orjson.JSONEncodeError):
        return False  # judged again where the fault can point to its place
    return True


@lru_cache(maxsize=256)
def _judge_context(written: bytes, latest_review: date) -> None:
    check_context(orjson.loads(written), "", latest_review=latest_review)


def _check_listing(stub: Stub, disclosures: Sequence[Disclosure], *, persons: bool, policy: Policy) -> CheckedItems:
    core = [(_item(one), one) for one in disclosures if one.part == "core"]
    context, context_at = _find_context(core)
    latest_review = months_after(day_of(stub.issued_at), policy.review_months)
    if not _is_known_good(context, latest_review):
        check_context(context, context_at, latest_review=latest_review)
    clear = stub.label.tlp is Tlp.CLEAR
    found = Findings(carries_strong_actions(context), clear and stub.parts["core"].tlp is Tlp.CLEAR, [], [], set(), [], [])
    for item, one in core:
        if item is not context and not take_like(item, one, found):
            _check_item(item, one, found)
    if not found.rows and not found.links:
        refuse("/parts/core", "missing", "a listing has at least one wallet, indicator, entity or link")
    others = [one for one in disclosures if one.part != "core"] if len(core) < len(disclosures) else []
    notes = _check_notes(stub, others)
    person = False
    for one in others:
        if one.part == "pii":
            person = check_pii(one.value, f"/parts/pii/{one.number}", persons=persons) or person
    require_screen(context, context_at, person=person, other=found.screen_for)
    return CheckedItems(
        rows=tuple(found.rows),
        links=tuple(found.links),
        context=context,
        notes=notes,
        typologies=frozenset(found.typologies),
        guards=tuple(found.guards),
        unembargoed=tuple(found.unembargoed),
        person=person,
        hold=found.hold,
        clear=clear,
    )


def _item(disclosure: Disclosure) -> dict[str, JsonValue]:
    """The item of a `core` disclosure."""
    if type(disclosure.value) is not dict:
        refuse(f"/parts/{disclosure.part}/{disclosure.number}", "form", "an item is an object")
    return disclosure.value


def _check_item(item: dict[str, JsonValue], one: Disclosure, found: Findings) -> None:
    word, at = item.get("type"), f"/parts/core/{one.number}"
    check = ITEM_CHECKS.get(word) if type(word) is str else None
    if check is None:
        refuse(f"{at}/type", "unknown_code", "`type` is wallet, indicator, entity, link or context")
    check(item, one, at, found)


def _find_context(core: Sequence[tuple[dict[str, JsonValue], Disclosure]]) -> tuple[dict[str, JsonValue], str]:
    contexts = [(item, one.number) for item, one in core if item.get("type") == "context"]
    if not contexts:
        refuse("/parts/core", "missing", "a listing has exactly one item of type `context`")
    if len(contexts) > 1:
        refuse(f"/parts/core/{contexts[1][1]}", "repeated", "a listing has exactly one item of type `context`")
    item, number = contexts[0]
    return item, f"/parts/core/{number}"


def _check_facts(stub: Stub, disclosures: Sequence[Disclosure], policy: Policy) -> CheckedItems:
    least, most = FACT_COUNTS[stub.kind]
    core = [(_item(one), f"/parts/core/{one.number}") for one in disclosures if one.part == "core"]
    if not least <= len(core) <= most:
        refuse("/parts/core", "count", f"a `{stub.kind}` has {least} to {most} items in `core`")
    for item, at in core:
        check_members(item, at)
        if item.get("type", stub.kind) != stub.kind:
            refuse(f"{at}/type", "unknown_code", f"the items of a `{stub.kind}` are of this type: leave `type` out")
        if stub.kind == Kind.REQUEST:
            check_request(item, at, issued_at=stub.issued_at, policy=policy)
        else:
            FACT_CHECKS[stub.kind](item, at)
    return CheckedItems(facts=tuple(item for item, _ in core), notes=_check_notes(stub, disclosures))


def _check_notes(stub: Stub, disclosures: Sequence[Disclosure]) -> tuple[Item, ...]:
    """The free objects of `ctx`; that of a retraction says why."""
    notes: list[Item] = []
    for one in disclosures:
        if one.part != "ctx":
            continue
        at = f"/parts/ctx/{one.number}"
        note = need_object(one.value, at)
        check_members(note, at)
        if stub.kind == Kind.RETRACT:
            need_word(note, "reason", lists.RETRACT_REASONS, at)
        elif stub.kind == Kind.EVIDENCE and type(note.get("text")) is not str:
            refuse(f"{at}/text", "missing", "the context of an `evidence` is its `text`")
        notes.append(note)
    return tuple(notes)


def check_categories(checked: CheckedItems, member: Member | None) -> None:
    """Every typology of a listing lies within a category of the mandate, else ScopeDenied (vectors, decision 23)."""
    categories = member.mandate.categories if member is not None else ()
    for code in checked.typologies:
        if not any(covers(category, code) for category in categories):
            number = next(row.number for row in checked.rows if code in _codes(row.value))
            detail = f"the mandate covers {', '.join(categories) or 'no category'}: leave the item out, or ask the registrar to widen it"
            raise ScopeDenied(detail, faults=(Fault(f"/parts/core/{number}/typologies", "scope_denied", detail),))


def _codes(item: Item) -> list[JsonValue]:
    codes = item.get("typologies")
    return codes if isinstance(codes, list) else []


def check_embargo(checked: CheckedItems, frozen: Collection[str]) -> None:
    """Rule 6: a CLEAR item on an id under an open freeze request of its own issuer (`frozen`) has `embargo_until`; else Schema."""
    for id_ in checked.unembargoed:
        if id_ in frozen:
            number = next(row.number for row in checked.rows if row.id == id_)
            detail = "a freeze of this id is open: set `embargo_until`, lest the public page warns its owner"
            raise Schema(detail, faults=(Fault(f"/parts/core/{number}/embargo_until", "missing", detail),))


def four_eyes_reason(checked: CheckedItems, policy: Policy) -> str | None:
    """Why a second pair of eyes must look before this is logged (`person`, `hold` or `clear`), or None (schemas §2)."""
    for word, applies in (("person", checked.person), ("hold", checked.hold), ("clear", checked.clear)):
        if applies and word in policy.four_eyes:
            return word
    return None


def collect_items(stub: Stub, disclosures: Sequence[Disclosure]) -> CheckedItems:
    """What can be indexed of a copy from a peer: its home node has judged it, and a newer vocabulary is none of its faults.

    An item whose id we cannot read is left out; nothing is refused.
    """
    rows: list[ItemRow] = []
    links: list[LinkRow] = []
    facts: list[Item] = []
    context: Item | None = None
    for one in disclosures:
        item = one.value
        if one.part != "core" or type(item) is not dict:
            continue
        if stub.kind != Kind.LISTING:
            facts.append(item)
        elif item.get("type") == "context":
            context = item if context is None else context
        elif item.get("type") == "link":
            source, target = item.get("from"), item.get("to")
            if _is_subject(source) and _is_subject(target):
                links.append(LinkRow(one.number, str(source), str(target), item, one.body))
        elif str(item.get("type")) in _SORTS and _is_subject(item.get("id"), _SORTS[str(item["type"])]):
            rows.append(ItemRow(one.number, str(item["type"]), str(item["id"]), item, one.body))
    return CheckedItems(
        rows=tuple(rows),
        links=tuple(links),
        context=context,
        facts=tuple(facts),
        typologies=frozenset(code for row in rows for code in _codes(row.value) if isinstance(code, str)),
        guards=tuple(row.id for row in rows if _is_guard(row.value)),
        hold=any(row.value.get("action") in lists.STRONG_ACTIONS for row in rows if isinstance(row.value.get("action"), str)),
        clear=stub.kind == Kind.LISTING and stub.label.tlp is Tlp.CLEAR,
    )


_SORTS: Mapping[str, type[Wallet | Indicator | EntityId]] = {"wallet": Wallet, "indicator": Indicator, "entity": EntityId}


def _is_subject(value: JsonValue, sort: type[Wallet | Indicator | EntityId] | None = None) -> bool:
    if type(value) is not str:
        return False
    try:
        return isinstance(read_id(value), sort or (Wallet, Indicator, EntityId))
    except InvalidAddress:
        return False


def _is_guard(item: Item) -> bool:
    roles = item.get("roles")
    return isinstance(roles, list) and "service_benign" in roles and item.get("action") == "do_not_block"
