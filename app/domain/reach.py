"""Reach: for whom a listing could be at all, in words short enough to file it under.

A lookup must not take longer on an id that is listed for others only (H-1). So an index files each listing under the classes of its
reach, and looks for a reader in the classes he may read. A class is wider than `can_read`, never narrower: who reads a listing has one
of its classes among his own; what he then may see of it is decided on the exact record. The public delay and embargoes are no part of it.

    CLEAR, GREEN    one class each, by the stricter of the labels of stub and `core`
    AMBER and up    one class for every id in the audience, and one for the issuer, who sees what he said
"""

from __future__ import annotations

from collections.abc import Iterable

from .labels import RANK, Label, Reader, ReaderClass, Tlp

CLEAR, GREEN = "clear", "green"
_MARK = "@"


def reach_of(label: Label, core: Label, issuer: str) -> tuple[str, ...]:
    """The classes of a listing, sorted; `core`: the label of its content."""
    stricter = core if RANK[core.tlp] >= RANK[label.tlp] else label
    if stricter.tlp is Tlp.CLEAR:
        return (CLEAR,)
    if stricter.tlp is Tlp.GREEN:
        return (GREEN,)
    return tuple(sorted({_MARK + one for one in (*stricter.aud, issuer)}))


def classes_of(reader: Reader) -> tuple[str, ...]:
    """The classes that a reader may read, wherever a listing stands. Not for ReaderClass.ALL, who reads every class there is."""
    if reader.reader_class is ReaderClass.ALL:
        raise ValueError("who reads everything has no classes")
    own = {_MARK + one for one in _ids(reader) if one}
    if reader.reader_class is ReaderClass.PUBLIC:
        return (CLEAR, *sorted(own))
    return (CLEAR, GREEN, *sorted(own))


def _ids(reader: Reader) -> Iterable[str]:
    return (reader.id, *reader.ids, *reader.node_ids, *(one.group for one in reader.memberships))


def write_reach(classes: Iterable[str]) -> str:
    """The classes as one text, parted by line feeds, which no id holds."""
    return "\n".join(one.replace("\n", " ") for one in classes)


def read_reach(text: str) -> tuple[str, ...]:
    """The classes in such a text; none in an empty one."""
    return tuple(text.split("\n")) if text else ()
