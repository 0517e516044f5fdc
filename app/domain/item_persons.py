"""Natural persons: only in the part `pii`, only by those who may, only with a status that is not a victim's.

The rest of `pii` is free, never indexed and never searched; but a person at any depth of it is a person, and the forbidden
member names hold there too (schemas §2 rule 4, trust-and-ops DP-02, NP-1, NP-2).
"""

from __future__ import annotations

from typing import NoReturn

from .canonical import JsonValue
from .errors import Fault, ProtectedPerson, ScopeDenied
from .item_forms import Item, check_entity_id, check_members, need_object
from .item_listing import check_entity_details, check_names
from .vocabulary import lists


def check_pii(value: JsonValue, at: str, *, persons: bool) -> bool:
    """One disclosure of `pii`: forbidden names at any depth, and every natural person in it. Whether there is one."""
    item = need_object(value, at)
    check_members(item, at, pii=True)
    found = False
    stack: list[tuple[JsonValue, str]] = [(item, at)]
    while stack:
        inner, where = stack.pop()
        if isinstance(inner, list):
            stack.extend((one, f"{where}/{number}") for number, one in enumerate(inner))
        elif isinstance(inner, dict):
            if inner.get("kind") == "person":
                found = True
                _check_person(inner, where, persons=persons)
            elif "person_status" in inner:
                _check_status(inner, where)
            stack.extend((one, f"{where}/{name}") for name, one in inner.items())
    return found


def _check_person(person: Item, at: str, *, persons: bool) -> None:
    if not persons:
        detail = "the mandate does not name persons: list wallets and indicators only"
        raise ScopeDenied(detail, faults=(Fault(f"{at}/kind", "scope_denied", detail),))
    _check_status(person, at)
    if "id" in person:
        check_entity_id(person["id"], f"{at}/id")
    if "names" in person:
        check_names(person, at)
    check_entity_details(person, at)


def _check_status(person: Item, at: str) -> None:
    status = person.get("person_status")
    if type(status) is not str or status not in lists.PERSON_STATUSES:
        _refuse_status(at, f"a person is listed as {', '.join(sorted(lists.PERSON_STATUSES))}, and nobody else is")
    if status == "designated" and not person.get("designations"):
        _refuse_status(at, "a designated person comes with the entry of the sanctions list in `designations`")


def _refuse_status(at: str, detail: str) -> NoReturn:
    raise ProtectedPerson(detail, faults=(Fault(f"{at}/person_status", "protected_person", detail),))
