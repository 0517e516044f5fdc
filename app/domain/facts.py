"""Items of the kinds that are not listings: requests, responses, outcomes, sightings, disputes and endorsements.

Each of these kinds has one item type, so `type` may be left out (schemas §2, protocol §3.4a). Every check takes the item and
its JSON pointer and raises `Schema`, or `PersonalData` for a note with personal data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .claims import Kind
from .item_forms import (
    Item,
    Reader,
    check_amount,
    check_asset,
    check_country,
    check_day,
    check_instant,
    check_optional,
    check_subject_ids,
    check_summary,
    need,
    need_integer,
    need_object,
    need_text,
    need_word,
    read_instant,
    read_subject_id,
    refuse,
)
from .registry import Policy
from .vocabulary import is_code, nearest_known
from .vocabulary.lists import (
    ANSWERS,
    DECLINE_REASONS,
    DISPUTE_GROUNDS,
    DISPUTE_STAGES,
    INSTRUMENTS,
    OUTCOMES,
    REQUEST_ACTIONS,
    SIGHTINGS,
)

_BIG = 2**53 - 1
_MONEY_ANSWERS = frozenset({"held", "partly_held"})
_HUMAN_ANSWERS = frozenset({"held", "partly_held", "declined"})
_MONEY_OUTCOMES = frozenset({"funds_frozen", "funds_recovered", "funds_returned"})


def check_typologies(value: object, at: str) -> None:
    """A list of different typology codes, each known or below one that is."""
    if type(value) is not list or len(value) > 16:
        refuse(at, "form", "`typologies` is a list of at most 16 codes")
    for number, code in enumerate(value):
        if type(code) is not str or not is_code(code) or nearest_known(code) is None:
            refuse(f"{at}/{number}", "unknown_code", "a typology is a code of the vocabulary, such as fraud.investment, or one below it")
    if len(set(value)) != len(value):
        refuse(at, "repeated", "`typologies` names a code twice")


def check_legal_basis(item: Item, at: str) -> dict[str, object]:
    """`{instrument, statute?, reference?}`."""
    basis = need_object(need(item, "legal_basis", at), f"{at}/legal_basis")
    at = f"{at}/legal_basis"
    need_word(basis, "instrument", INSTRUMENTS, at)
    for name in ("statute", "reference"):
        if name in basis:
            need_text(basis, name, at)
    return dict(basis)


def _check_money(item: Item, at: str, *, required: bool) -> None:
    if required or item.get("amount") is not None:
        check_amount(need(item, "amount", at), f"{at}/amount")
        check_asset(need(item, "asset", at), f"{at}/asset")
    elif item.get("asset") is not None:
        check_asset(item["asset"], f"{at}/asset")


def check_request(item: Item, at: str, *, issued_at: int, policy: Policy) -> None:
    """A request to freeze, preserve or inform. A freeze ends by itself, under an instrument one can look up (trust-and-ops DP-13)."""
    action = need_word(item, "action", REQUEST_ACTIONS, at)
    check_subject_ids(item, "subjects", at, least=1)
    basis = check_legal_basis(item, at)
    check_instant(need(item, "deadline", at), f"{at}/deadline")
    need_text(item, "contact", at)
    if action == "freeze" and "reference" not in basis:
        refuse(f"{at}/legal_basis/reference", "missing", "a freeze names the reference of its instrument")
    if action == "freeze" or "expires_at" in item:
        ends_at = read_instant(need(item, "expires_at", at), f"{at}/expires_at").timestamp()
        days = policy.freeze_days.get(action)
        if ends_at <= issued_at:
            refuse(f"{at}/expires_at", "range", "a request ends after it was issued")
        if days is not None and ends_at > issued_at + days * 86_400:
            refuse(f"{at}/expires_at", "range", f"here a {action} ends at most {days} days after it was issued")
    if "embargo_until" in item:
        check_instant(item["embargo_until"], f"{at}/embargo_until")


def check_response(item: Item, at: str) -> None:
    """An answer to a request; one that touches money or refuses says whether a human looked at it (trust-and-ops DP-07)."""
    answer = need_word(item, "answer", ANSWERS, at)
    check_instant(need(item, "at", at), f"{at}/at")
    _check_money(item, at, required=answer in _MONEY_ANSWERS)
    if "subjects" in item:
        check_subject_ids(item, "subjects", at, least=0)
    if answer == "declined":
        need_word(item, "reason", DECLINE_REASONS, at)
    elif item.get("reason") is not None:
        refuse(f"{at}/reason", "form", "only a declined request has a `reason`")
    if (answer in _HUMAN_ANSWERS or "reviewed_by_human" in item) and type(need(item, "reviewed_by_human", at)) is not bool:
        refuse(f"{at}/reviewed_by_human", "form", "`reviewed_by_human` is true or false")


def _check_count(value: object, at: str) -> None:
    if type(value) is not int or not 0 <= value <= _BIG:
        refuse(at, "form", "`count` is a whole number")


def _check_confidence(value: object, at: str) -> None:
    if type(value) is not int or not 0 <= value <= 100:
        refuse(at, "range", "`confidence` is a whole number from 0 to 100")


_OUTCOME_READERS: Mapping[str, Reader] = {
    "usd_value": check_amount,
    "usd_as_of": check_day,
    "country": check_country,
    "typologies": check_typologies,
    "confidence": _check_confidence,
    "count": _check_count,
}


def check_outcome(item: Item, at: str) -> None:
    """What came of it: money with its asset, or a count and never names."""
    result = need_word(item, "result", OUTCOMES, at)
    check_day(need(item, "at", at), f"{at}/at")
    _check_money(item, at, required=result in _MONEY_OUTCOMES)
    given = {name: value for name, value in item.items() if value is not None}
    if result == "persons_assisted":
        need(given, "count", at)
    if "usd_value" in given:
        need(given, "usd_as_of", at)
    check_optional(given, _OUTCOME_READERS, at)


def check_sighting(item: Item, at: str) -> None:
    """A subject was seen, in an hour and not at a moment, so that no customer can be told apart."""
    read_subject_id(need(item, "subject", at), f"{at}/subject")
    need_word(item, "seen", SIGHTINGS, at)
    if "hour" in item:
        hour = read_instant(item["hour"], f"{at}/hour")
        if hour.minute or hour.second or hour.microsecond:
            refuse(f"{at}/hour", "form", "`hour` is a whole hour such as 2026-11-02T08:00:00Z")
    if "count" in item:
        need_integer(item, "count", at, least=1, most=_BIG)


def check_dispute(item: Item, at: str) -> None:
    """Why a statement is disputed, and at which stage the dispute is."""
    need_word(item, "ground", DISPUTE_GROUNDS, at)
    _check_annotation(item, at)


def check_endorsement(item: Item, at: str) -> None:
    """What an endorser adds; nothing of it is required."""
    if "ground" in item:
        need_word(item, "ground", DISPUTE_GROUNDS, at)
    _check_annotation(item, at)


def _check_annotation(item: Item, at: str) -> None:
    if "stage" in item:
        need_word(item, "stage", DISPUTE_STAGES, at)
    if "since" in item:
        check_day(item["since"], f"{at}/since")
    if "note" in item:
        check_summary(item["note"], f"{at}/note")


FACT_CHECKS: Mapping[str, Callable[[Item, str], None]] = {
    Kind.RESPONSE: check_response,
    Kind.OUTCOME: check_outcome,
    Kind.SIGHTING: check_sighting,
    Kind.DISPUTE: check_dispute,
    Kind.ENDORSE: check_endorsement,
}
# How many items a statement of the kind has, at least and at most.
FACT_COUNTS: Mapping[str, tuple[int, int]] = {
    Kind.REQUEST: (1, 1),
    Kind.RESPONSE: (1, 1),
    Kind.OUTCOME: (1, 256),
    Kind.SIGHTING: (1, 256),
    Kind.DISPUTE: (0, 1),
    Kind.ENDORSE: (0, 1),
}
