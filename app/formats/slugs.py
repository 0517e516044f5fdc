"""Ids of entities that come from other people's lists: the same source id gives the same entity id at every import."""

from __future__ import annotations

import re

from app.domain.errors import InvalidAddress

_gap = re.compile(r"[^a-z0-9]+").sub


def entity_id(member: str, name: str) -> str:
    """`entity:<member>:<slug>`; raises InvalidAddress if nothing of `name` can stand in a slug."""
    slug = _gap("-", name.lower()).strip("-")
    if not slug:
        raise InvalidAddress("empty", "the name of the entity has no letter or digit of ASCII: give it an id")
    return f"entity:{member}:{slug}"
