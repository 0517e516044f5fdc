"""How an event of the fold is kept in one column: compact JSON, without what has a column of its own.

Short names, and only what is not empty: most events are a hundred bytes. Labels are written as [tlp, audience…].
"""

from __future__ import annotations

from typing import Any

import orjson

from app.domain.folding import Event
from app.domain.labels import Label, Tlp
from app.storage.records import Labels

_PLAIN = {tlp.value: Label(tlp) for tlp in Tlp}
_MOST_LABELS = 1_024
_LONGEST_LABELS = 512
_labels: dict[bytes, Labels] = {}


def pack_label(label: Label) -> list[str]:
    """[tlp, audience…], sorted so that equal labels are equal bytes."""
    return [label.tlp.value, *sorted(label.aud)] if label.aud else [label.tlp.value]


def unpack_label(packed: list[str]) -> Label:
    """The label; without an audience the same object every time."""
    if len(packed) == 1:
        return _PLAIN[packed[0]]
    return Label(Tlp(packed[0]), frozenset(packed[1:]))


def pack_event(event: Event, handling: tuple[str, ...] = ()) -> bytes:
    """The column `event` of a statement."""
    label, parts = event.label, event.parts
    packed: dict[str, Any] = {"l": pack_label(label)}
    if parts:
        packed["p"] = {name: packed["l"] if part is label else pack_label(part) for name, part in parts.items()}
    if event.targets:
        packed["t"] = event.targets
    if event.expires_at is not None:
        packed["x"] = event.expires_at
    if handling:
        packed["h"] = handling
    if event.bad or event.kid_target is not None or event.erased_parts or event.must or event.branch is not None:
        packed.update(_rare(event))
    return orjson.dumps(packed)


def _rare(event: Event) -> dict[str, Any]:
    every = {
        "m": event.must,
        "d": event.erased_parts,
        "k": event.kid_target,
        "f": event.from_index,
        "r": event.reason,
        "b": event.branch,
        "bad": event.bad,
    }
    # By identity: an index of 0 says something, and equals False.
    return {name: value for name, value in every.items() if value is not None and value is not False and value != ()}


def read_packed(event: bytes) -> dict[str, Any]:
    """The packed form, for those who want one member of it."""
    packed: dict[str, Any] = orjson.loads(event)
    return packed


def unpack_labels(event: bytes) -> Labels:
    """The labels alone. They stand first in the packed form; most statements of a log have the same, which are read once."""
    # Within a JSON text no quote stands bare, so neither separator can be part of a name.
    key = event.partition(b',"t":')[0].partition(b',"x":')[0]
    found = _labels.get(key)
    if found is None:
        packed = read_packed(event)
        parts = packed.get("p", {})
        found = Labels(unpack_label(packed["l"]), {name: unpack_label(label) for name, label in parts.items()})
        if len(_labels) >= _MOST_LABELS:
            _labels.clear()
        if len(key) <= _LONGEST_LABELS:
            _labels[key] = found
    return found


def unpack_event(place: tuple[str, int, str, str, str, str], event: bytes) -> Event:
    """The event; `place`: origin, index, sid, kind, issuer, kid."""
    packed = read_packed(event)
    origin, index, sid, kind, issuer, kid = place
    return Event(
        origin=origin,
        index=index,
        sid=sid,
        kind=kind,
        issuer=issuer,
        kid=kid,
        label=unpack_label(packed["l"]),
        parts={name: unpack_label(label) for name, label in packed.get("p", {}).items()},
        targets=tuple(packed.get("t", ())),
        expires_at=packed.get("x"),
        must=tuple(packed.get("m", ())),
        erased_parts=tuple(packed.get("d", ())),
        kid_target=packed.get("k"),
        from_index=packed.get("f"),
        reason=packed.get("r"),
        branch=packed.get("b"),
        bad=packed.get("bad", False),
    )


def clean(text: str) -> str:
    """`text`, or a word of a closed list, as plain text for either engine: a peer's NUL is carried inert and must not stop the sync."""
    return str(text).replace("\0", "\ufffd")
