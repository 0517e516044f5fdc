"""The controlled vocabulary, version 1: closed lists, the tree of typologies, and its mappings to and from other lists.

Pure data and look-ups (schemas §1, domain.md §3.1). A code of a newer version is kept and read as its nearest known parent;
`covers` is the whole rule of a mandate's categories.
"""

from __future__ import annotations

import re

from ..canonical import JsonValue
from . import lists
from .crosswalk import CHAINABUSE, CHAINALYSIS, DWVA, GRAPHSENSE, GRAPHSENSE_ENTITY_KINDS, MISP, OFAC, OPENSANCTIONS, Reading
from .lists import BASIS_CONFIDENCE
from .typologies import SCHEMES, TYPOLOGIES, Typology

__all__ = [
    "BASIS_CONFIDENCE",
    "CHAINABUSE",
    "CHAINALYSIS",
    "DWVA",
    "GRAPHSENSE",
    "GRAPHSENSE_ENTITY_KINDS",
    "MISP",
    "OFAC",
    "OPENSANCTIONS",
    "SCHEMES",
    "TYPOLOGIES",
    "VERSION",
    "Reading",
    "Typology",
    "covers",
    "document",
    "is_code",
    "nearest_known",
    "number_of",
]

VERSION = 1
_is_code = re.compile(r"[a-z0-9_]{1,40}(?:\.[a-z0-9_]{1,40}){0,4}").fullmatch


def is_code(text: str) -> bool:
    """Whether `text` has the form of a typology code, known or not: lower-case words joined by dots."""
    return _is_code(text) is not None


def nearest_known(code: str) -> str | None:
    """The code itself, or its nearest parent that this version knows; None where not even the first word is known."""
    while code and code not in TYPOLOGIES:
        code = code.rpartition(".")[0]
    return code or None


def number_of(code: str) -> int:
    """The number of a code in bucket entries: its own or its nearest known parent's; 0 where there is none (schemas §1)."""
    known = nearest_known(code)
    return TYPOLOGIES[known].number if known else 0


def covers(category: str, code: str) -> bool:
    """Whether a mandate for `category` covers `code`: itself and every narrower one (vectors, decision 23)."""
    return code == category or code.startswith(f"{category}.")


def document() -> dict[str, JsonValue]:
    """The whole vocabulary as `GET /v1/vocabulary` gives it."""
    plain: dict[str, frozenset[str]] = {
        "purpose": lists.PURPOSES,
        "entity_kind": lists.ENTITY_KINDS,
        "name_kind": lists.NAME_KINDS,
        "status": lists.STATUSES,
        "state": lists.SHOWN_STATES,
        "action": lists.ACTIONS,
        "reliability": lists.RELIABILITIES,
        "assertion": lists.ASSERTIONS,
        "instrument": lists.INSTRUMENTS,
        "competent_instrument": lists.COMPETENT_INSTRUMENTS,
        "evidence_kind": lists.EVIDENCE_KINDS,
        "redress_route": lists.REDRESS_ROUTES,
        "person_status": lists.PERSON_STATUSES,
        "coercion_result": lists.COERCION_RESULTS,
        "coercion_role": lists.COERCION_ROLES,
        "measure": lists.MEASURES,
        "member_class": lists.MEMBER_CLASSES,
        "revocation_reason": lists.REVOCATION_REASONS,
        "erase_ground": lists.ERASE_GROUNDS,
        "retract_reason": lists.RETRACT_REASONS,
        "dispute_ground": lists.DISPUTE_GROUNDS,
        "dispute_stage": lists.DISPUTE_STAGES,
        "request_action": lists.REQUEST_ACTIONS,
        "answer": lists.ANSWERS,
        "decline_reason": lists.DECLINE_REASONS,
        "outcome": lists.OUTCOMES,
        "sighting": lists.SIGHTINGS,
        "relation": lists.RELATIONS,
        "handling": lists.HANDLING,
    }
    return {
        "version": VERSION,
        "typologies": [_typology(typology) for typology in sorted(TYPOLOGIES.values(), key=lambda one: one.number)],
        "roles": [{"code": code, "label": label} for code, label in lists.ROLE_LABELS.items()],
        "basis": [{"code": code, "confidence": level} for code, level in BASIS_CONFIDENCE.items()],
        "evidence_standard": list(lists.EVIDENCE_STANDARDS),
        "lists": {name: list[JsonValue](sorted(codes)) for name, codes in plain.items()},
    }


def _typology(typology: Typology) -> JsonValue:
    mappings: dict[str, JsonValue] = {scheme: [*words] for scheme, words in typology.mappings.items() if words}
    return {
        "code": typology.code,
        "number": typology.number,
        "broader": typology.broader,
        "label": typology.label,
        "mappings": mappings,
    }
