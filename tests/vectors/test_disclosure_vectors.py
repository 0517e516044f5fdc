"""statements.json, as far as fence and disclosures go: what they accept has the parts of the vectors, what they refuse has the code.

The whole gate has its own run of these vectors; here each case goes through wire, fence, stub and disclosures alone.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.errors import Refused
from app.domain.statement import TYP, read_stub
from app.seal.disclosure import digest_of, join_wire, read_disclosures, split_wire
from app.seal.jws import open_token, public_key
from tests.paths import VECTORS, needs

DOCUMENT: dict[str, Any] = json.loads(needs(VECTORS / "statements.json").read_bytes())
OURS = {"malformed", "too_large", "bad_json", "bad_header", "disclosure_mismatch", "weak_salt", "unknown_kid", "bad_signature"}
CASES = [case for case in DOCUMENT["cases"] if case["expected"]["ok"] or case["expected"]["error"] in OURS or "disclosure" in case["name"]]
KEYS = {
    key["kid"]: public_key(key["jwk"])
    for holder in (DOCUMENT["context"]["registrar"], *DOCUMENT["context"]["members"].values())
    for key in holder["keys"]
}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_wire_fence_and_disclosures(case: dict[str, Any]) -> None:
    """sid, stub length, payload, and digest, name and value of each disclosure in wire order, decoys apart."""
    expected = case["expected"]
    home = case["mode"] == "home"
    if not expected["ok"]:
        with pytest.raises(Refused) as refused:
            read(case["wire"], home=home)
        assert refused.value.slug == expected["error"]
        return
    token, stub, disclosures = read(case["wire"], home=home)
    assert (token.sid, len(token.jws), token.payload.decode()) == (expected["sid"], expected["stub_bytes"], expected["payload"])
    listed = [entry for entry in expected["disclosures"] if not entry["name"].startswith("decoy.")]
    assert [(one.digest, one.name, one.value) for one in disclosures] == [(one["digest"], one["name"], one["value"]) for one in listed]
    assert all(one.name == f"{one.part}.{one.number}" and digest_of(one.text) == one.digest for one in disclosures)
    if not home:
        assert len(stub.digests) - len(disclosures) == expected["withheld"]
    assert join_wire(*split_wire(case["wire"])) == case["wire"]


def read(wire: str, *, home: bool) -> Any:
    """Token, stub and disclosures of a wire form."""
    jws, texts = split_wire(wire)
    token = open_token(jws, typ=TYP, find_key=KEYS.get)
    stub = read_stub(token.claims, kid=token.kid, sid=token.sid, lenient=not home)
    return token, stub, read_disclosures(stub, texts, home=home)


def test_enough_cases_are_run() -> None:
    """All good forms and all faults of wire, fence and disclosures."""
    assert len(CASES) >= 50
