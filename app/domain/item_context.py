"""The one context of a listing: why it was made, on what evidence, how to object, and how coercion was looked for.

Every member that trust-and-ops §1.1 and §1.2 ask for is refused by name when it is missing (DP-01); the screen for coercion
makes the coerced worker unlistable (§1.3, schemas §2 rule 4).
"""

from __future__ import annotations

from datetime import date

from .canonical import JsonValue
from .claims import is_member_id
from .facts import check_legal_basis
from .item_forms import (
    Item,
    check_day,
    check_members,
    check_sha256,
    check_summary,
    check_text,
    need,
    need_list,
    need_object,
    need_text,
    need_word,
    read_day,
    refer,
    refuse,
)
from .vocabulary import lists


def check_context(item: dict[str, JsonValue], at: str, *, latest_review: date) -> None:
    """The one context of a listing: purpose, legal basis, evidence, review, redress, neutrality (trust-and-ops §1.1, §1.2)."""
    check_members(item, at)
    need_word(item, "purpose", lists.PURPOSES, at)
    check_legal_basis(item, at)
    need_word(item, "assertion", lists.ASSERTIONS, at)
    need_word(item, "evidence_standard", lists.EVIDENCE_STANDARDS, at)
    _check_evidence(item, at)
    review_by = read_day(need(item, "review_by", at))
    if review_by is None:
        check_day(item["review_by"], f"{at}/review_by")
    elif review_by > latest_review:
        refuse(
            f"{at}/review_by", "range", f"`review_by` is at most {latest_review.isoformat()}: an entry is looked at again within its term"
        )
    redress = need_object(need(item, "redress", at), f"{at}/redress")
    need_text(redress, "contact", f"{at}/redress")
    need_word(redress, "route", lists.REDRESS_ROUTES, f"{at}/redress")
    if need(item, "neutrality", at) is not True:
        refuse(f"{at}/neutrality", "rule", "`neutrality` is true: the issuer attests that the entry is not political")
    if "coercion_screen" in item:
        _check_screen(item["coercion_screen"], f"{at}/coercion_screen")
    if "summary" in item:
        check_summary(item["summary"], f"{at}/summary")


def _check_evidence(item: Item, at: str) -> None:
    for number, value in enumerate(need_list(item, "evidence", at, least=1)):
        where = f"{at}/evidence/{number}"
        evidence = need_object(value, where)
        check_sha256(need(evidence, "sha256", where), f"{where}/sha256")
        need_word(evidence, "kind", lists.EVIDENCE_KINDS, where)
        holder = need_text(evidence, "held_by", where)
        if holder != "issuer" and not is_member_id(holder):
            refuse(f"{where}/held_by", "form", "`held_by` is the word issuer or a member id")


def _check_screen(value: JsonValue, at: str) -> None:
    screen = need_object(value, at)
    if need_word(screen, "result", lists.COERCION_RESULTS, at) == "indicators_present":
        refer(f"{at}/result")
    need_word(screen, "role", lists.COERCION_ROLES, at)
    check_day(need(screen, "assessed_at", at), f"{at}/assessed_at")
    if "indicators" in screen:
        for number, indicator in enumerate(need_list(screen, "indicators", at)):
            check_text(indicator, f"{at}/indicators/{number}", longest=128)


def carries_strong_actions(context: Item) -> bool:
    """Rule 1: a fact that is clear and rigorous, or an instrument of a competent authority."""
    basis = context["legal_basis"]
    if isinstance(basis, dict) and basis["instrument"] in lists.COMPETENT_INSTRUMENTS:
        return True
    return context["assertion"] == "fact" and context["evidence_standard"] in lists.STRONG_STANDARDS


def require_screen(context: Item, at: str, *, person: bool, other: str | None) -> None:
    """Rule 4: with a person, a recruiter or a mule the context says how coercion was looked for."""
    if not person and other is None:
        return
    screen = context.get("coercion_screen")
    if not isinstance(screen, dict):
        refuse(f"{at}/coercion_screen", "missing", "with a person, a recruiter or a mule the context has a `coercion_screen`")
    if person and screen["result"] == "not_assessed":
        refuse(f"{at}/coercion_screen/result", "rule", "a person is not listed before coercion was assessed")
