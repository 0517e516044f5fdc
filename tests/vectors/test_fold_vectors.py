"""All cases of fold.json: histories and the state they add up to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.folding import ActiveListing, Destroyed, Event, OriginState, fold
from app.domain.labels import Label, Reader, ReaderClass, Tlp
from tests.paths import VECTORS, needs

CASES = json.loads(needs(VECTORS / "fold.json").read_text())["cases"]


def label(of: dict[str, Any], default: tuple[str, ...] = ()) -> Label:
    return Label(Tlp(of["tlp"]), frozenset(of.get("aud", default)))


def event(e: dict[str, Any]) -> Event:
    return Event(
        origin=e["origin"],
        index=e["index"],
        sid=e["sid"],
        kind=e["kind"],
        issuer=e["iss"],
        kid=e["kid"],
        label=label(e),
        parts={name: label(part, tuple(e.get("aud", ()))) for name, part in e.get("parts", {}).items()},
        targets=tuple(e.get("t", ())),
        expires_at=e.get("exp"),
        must=tuple(e.get("must", ())),
        erased_parts=tuple(e.get("del", ())),
        kid_target=e.get("kid_target"),
        from_index=e.get("from_index"),
        reason=e.get("reason"),
        branch=e.get("branch"),
        bad=e.get("bad", False),
    )


def reader(r: dict[str, Any]) -> Reader:
    return Reader(ReaderClass(r["class"]), r.get("id", ""), frozenset(r.get("groups", ())), frozenset(r.get("node_ids", ())))


def test_the_file_has_all_its_cases() -> None:
    """A shortened file would make every other test here weaker without notice."""
    assert len(CASES) == 87


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_fold(case: dict[str, Any]) -> None:
    """The fold gives exactly the active listings and the destroyed parts of the vector."""
    folded = fold(
        [event(e) for e in case["events"]],
        vector={origin: OriginState(**state) for origin, state in case["vector"].items()},
        reader=reader(case["reader"]),
        as_of=case["as_of"],
        registrar_kids=case["registrar_kids"],
        needs2=case.get("needs2", ()),
    )
    assert folded.active == tuple(
        ActiveListing(a["origin"], a["sid"], a["exp"], a["contested"], tuple(a["disputed_by"]), tuple(a["endorsed_by"]))
        for a in case["expected"]["active"]
    )
    assert folded.destroyed == tuple(Destroyed(**d) for d in case["expected"]["destroyed"])
