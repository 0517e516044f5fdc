"""The members of our items as other people's files spell them: one reader a member, from a cell or a JSON value to ours.

A cell is text; a JSON or YAML value may already be a list or a number. Lists in cells are parted by `;` or `|`. Nothing is
guessed: a spelling that is not read is a fault of its row. The closed lists themselves are judged by `domain/items`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from app.domain.canonical import JsonValue
from app.domain.errors import Fault, Schema

from .interface import Item

Reader = Callable[[str, JsonValue], JsonValue]

_integer = re.compile(r"0|[1-9][0-9]{0,8}").fullmatch
_parts = re.compile(r"[;|]").split


def _text(name: str, value: JsonValue) -> JsonValue:
    if not isinstance(value, str):
        raise bad_member(name, f"`{name}` is a text")
    return value.strip()


def _whole(name: str, value: JsonValue) -> JsonValue:
    if type(value) is int:
        return value
    if isinstance(value, str) and _integer(value.strip()):
        return int(value)
    raise bad_member(name, f"`{name}` is a whole number")


def _texts(name: str, value: JsonValue) -> JsonValue:
    """No empty texts, no repetitions, order kept."""
    found = _parts(value) if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise bad_member(name, f"`{name}` is a list of texts, in a cell parted by ; or |")
    return list(dict.fromkeys(one.strip() for one in found if isinstance(one, str) and one.strip()))


def _as_it_is(_name: str, value: JsonValue) -> JsonValue:
    return value


JUDGEMENT: Mapping[str, Reader] = {
    "typologies": _texts, "roles": _texts, "severity": _whole, "basis": _text, "reliability": _text, "credibility": _whole,
    "status": _text, "action": _text, "first_seen": _text, "last_seen": _text, "assets": _texts, "embargo_until": _text,
    "entity": _text, "vasp": _text, "designation": _as_it_is,
}  # fmt: skip
SUBJECT: Mapping[str, Reader] = {"address": _text, "id": _text, "chain": _text, "tag": _text, "kind": _text}
LINK: Mapping[str, Reader] = {
    "from": _text, "to": _text, "relation": _text, "tx": _text, "amount": _text, "asset": _text, "at": _text, "basis": _text, "confidence": _whole,
}  # fmt: skip
# What a mapping file may say once for all rows: judgements, the chain, and what the statement's context needs.
CONTEXT: Mapping[str, Reader] = {
    "purpose": _text, "legal_basis": _as_it_is, "assertion": _text, "evidence_standard": _text, "evidence_kind": _text,
    "review_by": _text, "redress": _as_it_is, "summary": _text, "coercion_screen": _as_it_is,
}  # fmt: skip
AGENCY_CONTEXT = ("review_by", "redress", "summary", "coercion_screen")

COLUMNS: Mapping[str, Reader] = {**LINK, **SUBJECT, **JUDGEMENT}
CONSTANTS: Mapping[str, Reader] = {**JUDGEMENT, **LINK, **CONTEXT, "chain": _text, "kind": _text}


def bad_member(name: str, detail: str) -> Schema:
    """A fault that points at one member of the row."""
    return Schema(detail, faults=(Fault(f"/{name}", "form", detail),))


def read_members(values: Mapping[str, JsonValue], readers: Mapping[str, Reader]) -> Item:
    """The members that `readers` know, read; empty ones are as if not there."""
    found: Item = {}
    for name, reader in readers.items():
        value = values.get(name)
        if value is None or value == "":
            continue
        read = reader(name, value)
        if read not in ("", []):
            found[name] = read
    return found
