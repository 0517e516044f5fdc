"""jws_strict.json: every token and every key is taken or refused exactly as the vectors say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.errors import Refused, Schema
from app.domain.statement import TYP, sid_of
from app.seal.jws import open_token, public_key, read_kid
from tests.paths import VECTORS, needs

DOCUMENT: dict[str, Any] = json.loads(needs(VECTORS / "jws_strict.json").read_bytes())
KEYS = {kid: public_key(jwk) for kid, jwk in DOCUMENT["keys"].items()}
TOKENS = [case for case in DOCUMENT["cases"] if case["kind"] == "token"]
JWKS = [case for case in DOCUMENT["cases"] if case["kind"] == "jwk"]


def test_every_case_is_run() -> None:
    """No kind of case is passed over."""
    assert len(TOKENS) + len(JWKS) == len(DOCUMENT["cases"]) == 75


@pytest.mark.parametrize("as_bytes", [False, True], ids=["text", "bytes"])
@pytest.mark.parametrize("case", TOKENS, ids=[case["name"] for case in TOKENS])
def test_tokens(case: dict[str, Any], as_bytes: bool) -> None:
    """kid, payload bytes and sid of good tokens; the exact problem code of bad ones."""
    token = case["token"].encode() if as_bytes else case["token"]
    expected = case["expected"]
    if not expected["ok"]:
        with pytest.raises(Refused) as refused:
            open_token(token, typ=TYP, find_key=KEYS.get)
        assert refused.value.slug == expected["error"]
        return
    opened = open_token(token, typ=TYP, find_key=KEYS.get)
    assert (opened.kid, opened.payload.decode(), opened.sid) == (expected["kid"], expected["payload"], expected["sid"])
    assert opened.claims == json.loads(expected["payload"])
    assert opened.jws == case["token"]
    assert sid_of(opened.jws) == opened.sid
    assert read_kid(token, typ=TYP) == opened.kid


@pytest.mark.parametrize("case", JWKS, ids=[case["name"] for case in JWKS])
def test_keys(case: dict[str, Any]) -> None:
    """Only exact P-256 keys can be registered; the thumbprint is that of RFC 7638."""
    if case["expected"]["ok"]:
        assert public_key(case["jwk"]).thumbprint == case["expected"]["thumbprint"]
    else:
        with pytest.raises(Schema):
            public_key(case["jwk"])
