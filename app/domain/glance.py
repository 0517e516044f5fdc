"""What is asked of an item without opening it: a few small integers that stand beside its id in storage.

The view of a million ids is built from these. They say what `answer` and `viewing` say of the whole item, as they are made by the same
functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from .answer import epoch_ms, is_guard
from .canonical import JsonValue
from .view import MAX_SEVERITY
from .vocabulary import number_of

GUARD, TAGGED = 1, 2
"""Flags: it says that its id must not be blocked (`is_guard`); it is narrowed to a memo or destination tag."""

_number_of = lru_cache(maxsize=1024)(number_of)


class Glance(NamedTuple):
    """`severity` 0…4; `category`: of its first typology, 0 for none; `embargo_ms`: until when the public is not told, if it says so."""

    severity: int
    category: int
    flags: int
    embargo_ms: int | None


def glance(item: Mapping[str, JsonValue]) -> Glance:
    """The glance of a wallet, an indicator or an entity."""
    flags = GUARD if is_guard(item) else 0
    if "scope" in item and is_tagged(item):
        flags |= TAGGED
    embargo = item.get("embargo_until")
    return Glance(severity_of_item(item), category_of_item(item), flags, epoch_ms(embargo) if isinstance(embargo, str) else None)


def severity_of_item(item: Mapping[str, JsonValue]) -> int:
    """Its severity, 0 for none; what a peer says is kept within the scale."""
    said = item.get("severity")
    return min(max(said, 0), MAX_SEVERITY) if isinstance(said, int) else 0


def category_of_item(item: Mapping[str, JsonValue]) -> int:
    """The number of its first typology in bucket entries (schemas §1); 0 where there is none."""
    said = item.get("typologies")
    first = said[0] if isinstance(said, list) and said else None
    return _number_of(first) if isinstance(first, str) else 0


def is_tagged(item: Mapping[str, JsonValue]) -> bool:
    """Whether it is said of one memo or destination tag alone."""
    scope = item.get("scope")
    return isinstance(scope, dict) and isinstance(scope.get("tag"), str)
