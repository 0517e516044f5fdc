"""Vectors of algorithms that Cordon does not use are named here, so that nobody takes their absence for agreement."""

from __future__ import annotations

import pytest

from tests.paths import DATA, needs


@pytest.mark.parametrize("name", ["arrays", "french", "structures", "values"])
def test_canonical_json_is_not_on_the_wire(name: str) -> None:
    """RFC 8785 (JCS): Cordon signs bytes as sent and re-serialises nothing (protocol §1.3), so these are not run."""
    needs(DATA / "vectors" / "jcs" / "input" / f"{name}.json")
    pytest.skip(f"jcs/{name} is not run: no JSON is canonicalised on the wire")
