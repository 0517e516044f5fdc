"""What an import changes: rows against what the node lists already (schemas §5). Equal, new, changed, vanished.

A statement lives and dies as a whole. So a changed row supersedes the statement it stands in, together with the rest of its
items; a vanished one is only reported, or with `sync` dropped the same way; a statement that would be left empty is retracted.
Pass only what came from the same list, else `sync` would drop the agency's other listings: the `reference` of a context's
legal basis tells the lists apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.domain.canonical import JsonValue

from .interface import Item, Row, subject_key


@dataclass(frozen=True, slots=True)
class Listed:
    """An item of an active listing of the importing agency."""

    sid: str
    item: Mapping[str, JsonValue]


@dataclass(slots=True)
class Replacement:
    """What supersedes one statement: the items kept as they are and the rows that changed. Nothing of both: retract it."""

    kept: list[Item] = field(default_factory=list)
    changed: list[Row] = field(default_factory=list)

    @property
    def retracts(self) -> bool:
        return not self.kept and not self.changed


@dataclass(frozen=True, slots=True)
class Plan:
    """`equal` and `added` rows, `replaced` statements by sid, `vanished` items (listed, no longer in the files)."""

    equal: tuple[Row, ...]
    added: tuple[Row, ...]
    replaced: Mapping[str, Replacement]
    vanished: tuple[Listed, ...]

    @property
    def changes_nothing(self) -> bool:
        return not self.added and not self.replaced


def compare(rows: Iterable[Row], listed: Iterable[Listed], *, sync: bool = False) -> Plan:
    """The plan of one import; rows without an item are passed over. Order of the rows is kept."""
    standing = list(listed)
    by_subject: dict[object, list[Listed]] = {}
    for one in standing:
        by_subject.setdefault(subject_key(one.item), []).append(one)
    equal, added, changed = [], [], {}
    for row in rows:
        if row.item is None:
            continue
        old = by_subject.get(subject_key(row.item))
        if old is None:
            added.append(row)
        elif any(_says(one.item) == _says(row.item) for one in old):
            equal.append(row)
        else:
            changed[subject_key(row.item)] = row
    named = {subject_key(row.item) for row in (*equal, *added, *changed.values()) if row.item is not None}
    vanished = tuple(one for one in standing if subject_key(one.item) not in named)
    gone = {subject_key(one.item) for one in vanished} if sync else set()
    return Plan(tuple(equal), tuple(added), _replacements(standing, changed, gone), vanished)


def _replacements(standing: list[Listed], changed: Mapping[object, Row], gone: set[object]) -> dict[str, Replacement]:
    """One for each statement that holds a changed or a dropped item. A subject listed twice is taken over once."""
    touched = {one.sid for one in standing if subject_key(one.item) in changed or subject_key(one.item) in gone}
    replaced: dict[str, Replacement] = {sid: Replacement() for sid in dict.fromkeys(one.sid for one in standing) if sid in touched}
    taken: set[object] = set()
    for one in standing:
        if one.sid not in replaced:
            continue
        key = subject_key(one.item)
        if key in changed:
            if key not in taken:
                taken.add(key)
                replaced[one.sid].changed.append(changed[key])
        elif key not in gone:
            replaced[one.sid].kept.append(dict(one.item))
    return replaced


def _says(item: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """The item without the day its list was fetched: a list that only grew older says nothing new."""
    plain: Item = dict(item)
    if isinstance(plain.get("designation"), dict):
        plain["designation"] = _undated(plain["designation"])
    if isinstance(plain.get("designations"), list):
        plain["designations"] = [_undated(one) for one in plain["designations"]]  # type: ignore[union-attr]
    return plain


def _undated(value: JsonValue) -> JsonValue:
    return {name: one for name, one in value.items() if name != "date"} if isinstance(value, dict) else value
