"""Fork evidence against the protocol vectors."""

from __future__ import annotations

import json

import pytest

from app.domain.errors import InvalidProof, Malformed
from app.domain.fork import parse_evidence
from app.seal.notes import read_vkeys, verify_fork
from tests.paths import VECTORS, needs

CASES = json.loads(needs(VECTORS / "fork.json").read_bytes())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_fork_evidence(case):
    """Two signed histories of one log are evidence; honest growth, altered paths and lax texts never are."""
    expected, keys = case["expected"], read_vkeys(case["log_vkeys"])
    if not expected["valid"]:
        with pytest.raises(Malformed if expected["reason"] == "malformed" else InvalidProof):
            verify_fork(case["evidence"], case["origin"], log_keys=keys)
        return
    a, b = verify_fork(case["evidence"], case["origin"], log_keys=keys)
    assert (a.size, b.size) == (expected["size_a"], expected["size_b"])
    assert parse_evidence(case["evidence"]).text() == case["evidence"]
