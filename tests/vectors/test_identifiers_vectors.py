"""The protocol's vectors of ids: keys, buckets, near twins, and what is refused before hashing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.errors import InvalidAddress
from app.domain.identifiers import bucket_of, id_key, read_id
from tests.paths import VECTORS, needs

CASES: list[dict[str, Any]] = json.loads(needs(VECTORS / "identifiers.json").read_text("utf-8"))["cases"]
GOOD = [case for case in CASES if case["expected"]["ok"]]
TWINS = [case for case in GOOD if case["name"].startswith("other-")]
CANONICAL = [case for case in GOOD if not case["name"].startswith("other-")]


def names(cases: list[dict[str, Any]]) -> list[str]:
    return [ascii(case["name"]) for case in cases]


@pytest.mark.parametrize("case", GOOD, ids=names(GOOD))
def test_key_and_bucket(case: dict[str, Any]):
    """The text is hashed as it stands; the bucket is the first four hex digits of the key."""
    key = id_key(case["id"])
    assert key.hex() == case["expected"]["key"]
    assert f"{bucket_of(key):04x}" == case["expected"]["bucket"]


@pytest.mark.parametrize("case", [case for case in CASES if not case["expected"]["ok"]], ids=lambda case: case["name"])
def test_refused_before_hashing(case: dict[str, Any]):
    """Neither a key nor a subject comes of a text with white space, without content or not in NFC."""
    with pytest.raises(InvalidAddress):
        id_key(case["id"])
    with pytest.raises(InvalidAddress):
        read_id(case["id"])


@pytest.mark.parametrize("case", CANONICAL, ids=names(CANONICAL))
def test_the_ids_of_the_vectors_are_canonical(case: dict[str, Any]):
    """Every id the vectors print is one that statements may carry."""
    assert read_id(case["id"]).id == case["id"]


@pytest.mark.parametrize("case", TWINS, ids=names(TWINS))
def test_near_twins_are_not(case: dict[str, Any]):
    """Their key is another, so as ids they are refused."""
    with pytest.raises(InvalidAddress):
        read_id(case["id"])


def test_the_vectors_are_there():
    """Nothing above passes by being empty."""
    assert (len(CANONICAL), len(TWINS), len(CASES) - len(GOOD)) == (31, 5, 5)
