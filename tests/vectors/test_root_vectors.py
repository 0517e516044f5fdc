"""root.json: every chain of root documents gives the state the vectors say, or is refused for the reason and at the document they name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.errors import Refused
from app.seal.roots import read_root_chain
from tests.paths import VECTORS, needs

CASES: list[dict[str, Any]] = json.loads(needs(VECTORS / "root.json").read_bytes())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_chains_of_root_documents(case: dict[str, Any]) -> None:
    """Version, root kids, threshold and expiry of the last document; or a refusal whose fault names document and rule."""
    documents = [json.dumps(document).encode() for document in case["chain"]]
    expected = case["expected"]
    if not expected["ok"]:
        with pytest.raises(Refused) as refused:
            read_root_chain(case["pin"], documents, now=case["now"], persisted=case.get("persisted") or ())
        fault = refused.value.faults[0]
        at = expected["at_document"]
        assert (fault.code, fault.pointer) == (expected["reason"], "" if at is None else f"/{at - 1}")
        return
    last = read_root_chain(case["pin"], documents, now=case["now"], persisted=case.get("persisted") or ())[-1]
    assert last.version == expected["ver"]
    assert [key.kid for key in last.root_keys] == expected["root_kids"]
    assert (last.threshold, last.expires_at) == (expected["threshold"], expected["exp"])
