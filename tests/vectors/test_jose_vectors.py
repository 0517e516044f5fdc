"""Wycheproof and the JOSE cookbook: ES256 agrees case by case, and every other algorithm is refused or named as not run.

The files know nothing of `typ`, which every token of ours carries; so ES256 cases go through the fence in two halves, its
segments and signature check (must agree) and the whole (must refuse, for want of a `typ`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.domain.canonical import b64u_decode, b64u_encode
from app.domain.errors import Refused, Schema
from app.domain.statement import TYP
from app.seal import jws
from app.seal.jws import open_token, public_key
from app.seal.root_claims import read_root_claims
from tests.paths import DATA, needs
from tests.seal.registries import root_claims

WYCHEPROOF = needs(DATA / "vectors" / "wycheproof")
JOSE = needs(DATA / "vectors" / "jose")
MEMBERS = ("kty", "crv", "x", "y")
ANY_KEY = public_key(
    {"kty": "EC", "crv": "P-256", "x": "N9D5BOoPnEom2gos1sL7rzvxr4lGgGwr-3NfC4ReWu8", "y": "r-oEqUc_w6zA_YDe0nVHwI7OO_5TFAYvHGsNu2BVsEM"}
)


def load(path: Path) -> Any:
    """A vector file."""
    return json.loads(path.read_bytes())


def cases(name: str) -> list[Any]:
    """One parameter a case: (group, test)."""
    groups = load(WYCHEPROOF / name)["testGroups"]
    return [
        pytest.param(group, test, id=f"{test['tcId']}-{group.get('comment', group['type'])}-{test['comment']}".replace(" ", "-"))
        for group in groups
        for test in group["tests"]
    ]


def sole_ec_key(group: dict[str, Any]) -> dict[str, Any] | None:
    """The public EC key of a JWS or JWK group that has exactly one key of kty EC on P-256; else None."""
    holder = group.get("public") or group["private"]
    keys = holder.get("keys", [holder])
    return keys[0] if len(keys) == 1 and keys[0].get("crv") == "P-256" else None


def fence_agrees(token: str, jwk: dict[str, Any]) -> bool:
    """Segments and signature of a compact token as the fence judges them, the shape of its header apart."""
    try:
        _, segments = jws._split(token, jws.MAX_TOKEN_BYTES)
        if not all(segments):
            return False
        header, _, signature = (b64u_decode(segment) for segment in segments)
        if set(json.loads(header)) - {"alg", "kid", "typ"}:
            return False
        body, key = token.rpartition(".")[0].encode("ascii"), public_key({name: jwk[name] for name in MEMBERS})
        jws._verify(jws._Fenced(token, body, "", key, b"", signature))
    except Refused:
        return False
    return True


def may_sign(jwk: dict[str, Any]) -> bool:
    """What a JWK says of itself: these files mark keys for encryption, which no registry of ours would take."""
    return jwk.get("kty") == "EC" and jwk.get("use", "sig") == "sig" and "verify" in jwk.get("key_ops", ["verify"])


@pytest.mark.parametrize(("group", "test"), cases("ecdsa_secp256r1_sha256_p1363_test.json"))
def test_es256_signatures(group: dict[str, Any], test: dict[str, Any]) -> None:
    """r‖s over P-256 and SHA-256: valid is taken, invalid refused, over the very bytes of the case."""
    point = bytes.fromhex(group["publicKey"]["uncompressed"])
    key = public_key({"kty": "EC", "crv": "P-256", "x": b64u_encode(point[1:33]), "y": b64u_encode(point[33:])})
    signature = bytes.fromhex(test["sig"])
    taken = len(signature) == 64 and key._key.verify(bytes.fromhex(test["msg"]), signature)
    assert test["result"] == "acceptable" or taken == (test["result"] == "valid")


@pytest.mark.parametrize("name", ["json_web_signature_test.json", "json_web_key_test.json"])
def test_the_es256_cases_are_there(name: str) -> None:
    """So that the agreement below is about something."""
    own = [case for case in cases(name) if sole_ec_key(case.values[0])]
    assert len(own) >= (20 if "signature" in name else 3)


@pytest.mark.parametrize(
    ("group", "test"),
    [case for name in ("json_web_signature_test.json", "json_web_key_test.json") for case in cases(name) if sole_ec_key(case.values[0])],
)
def test_es256_tokens(group: dict[str, Any], test: dict[str, Any]) -> None:
    """Valid tokens verify; every abuse of encoding, header, key use or point is refused."""
    jwk = sole_ec_key(group)
    assert jwk is not None
    assert (may_sign(jwk) and fence_agrees(test["jws"], jwk)) == (test["result"] == "valid")


@pytest.mark.parametrize(
    ("group", "test"), [case for name in ("json_web_signature_test.json", "json_web_key_test.json") for case in cases(name)]
)
def test_no_foreign_token_passes_the_fence(group: dict[str, Any], test: dict[str, Any]) -> None:
    """HS, RS, PS, ES384, ES512 and ES256 without our `typ`: refused whole, before a key could be misused."""
    jwk = sole_ec_key(group)
    try:
        key = public_key({name: jwk[name] for name in MEMBERS}) if jwk else ANY_KEY
    except Schema:
        key = ANY_KEY
    with pytest.raises(Refused):
        open_token(test["jws"], typ=TYP, find_key=lambda _: key)


@pytest.mark.parametrize(("group", "test"), [case for case in cases("json_web_key_test.json") if case.values[1]["result"] == "invalid"])
def test_no_abused_key_is_registered(group: dict[str, Any], test: dict[str, Any]) -> None:
    """Wrong use, wrong type, a point off the curve, RSA and symmetric keys: no member key and no node key."""
    holder = group.get("public") or group["private"]
    for jwk in holder["keys"]:
        with pytest.raises(Schema):
            public_key(jwk)
    if sole_ec_key(group):
        with pytest.raises(Schema):
            read_root_claims(node_with(holder["keys"][0]))


def node_with(jwk: dict[str, Any]) -> bytes:
    """Claims of a root document, right but for the key of its node."""
    node = {"url": "https://zz.example", "jwks": {"keys": [{**jwk, "kid": "zz.example#1"}]}}
    return json.dumps(root_claims(node=node)).encode()


def test_a_signing_key_may_be_a_node_key() -> None:
    """The control of the test above: the key of the valid cases, with its `alg` and `use`, is taken."""
    keys = [sole_ec_key(case.values[0]) for case in cases("json_web_signature_test.json") if case.values[1]["tcId"] == 18]
    assert [read_root_claims(node_with(key or {})).node_keys[0].kid for key in keys] == ["zz.example#1"]


@pytest.mark.parametrize("path", sorted(JOSE.glob("*.json")), ids=lambda path: path.stem)
def test_the_cookbook_is_refused(path: Path) -> None:
    """ES512, HS256, EdDSA tokens and P-521 or symmetric keys are not of this protocol."""
    example = load(path)
    jwk = example.get("input", {}).get("key", example)
    with pytest.raises(Schema):
        public_key(jwk)
    output = example.get("output", {})
    for token in (output.get("compact"), json.dumps(output.get("json"))):
        if token is not None:
            with pytest.raises(Refused):
                open_token(token, typ=TYP, find_key=lambda _: ANY_KEY)


@pytest.mark.parametrize(("group", "test"), cases("ecdsa_secp256r1_sha256_test.json"))
def test_der_signatures_are_refused(group: dict[str, Any], test: dict[str, Any]) -> None:
    """A DER signature is none of ours, valid or not: JOSE has r‖s."""
    point = bytes.fromhex(group["publicKey"]["uncompressed"])
    key = public_key({"kty": "EC", "crv": "P-256", "x": b64u_encode(point[1:33]), "y": b64u_encode(point[33:])})
    signature = bytes.fromhex(test["sig"])
    assert not (len(signature) == 64 and key._key.verify(bytes.fromhex(test["msg"]), signature))


@pytest.mark.parametrize(("name", "why"), [
    ("ecdsa_secp256k1_sha256_bitcoin_test.json", "no key of this protocol lies on secp256k1"),
    ("hmac_sha256_test.json", "tokens are never MACs"),
    ("ed25519_test.json", "Ed25519 is for signed notes, not for tokens"),
])  # fmt: skip
def test_files_that_are_not_run_here(name: str, why: str) -> None:
    """Named in the output, so that nobody takes them for covered by the fence."""
    needs(WYCHEPROOF / name)
    pytest.skip(f"{name} is not run against the fence: {why}")
