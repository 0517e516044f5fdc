"""Two independent implementations say the same: joserfc of our tokens, sd-jwt of our statements, and we of theirs."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws as joserfc_jws
from joserfc.jwk import ECKey
from jwcrypto.jwk import JWK
from sd_jwt.verifier import SDJWTVerifier

from app.domain.canonical import write_json
from app.domain.errors import Refused
from app.domain.statement import TYP, read_stub
from app.seal.disclosure import build_statement, join_wire, read_disclosures, split_wire
from app.seal.jws import SigningKey, open_token, sign_token

KEY = SigningKey.derive("zz.police#1", b"differential")
THEIR_PRIVATE = ECKey.import_key({name: value for name, value in KEY.to_jwk().items() if name != "kid"})
THEIR_PUBLIC = ECKey.import_key(dict(KEY.public_jwk))
HEADER = {"alg": "ES256", "kid": KEY.kid, "typ": TYP}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6)  # fmt: skip
# sd-jwt knows two more reserved names than our items do: `_sd` and `...`.
ITEMS = st.dictionaries(TEXT.filter(lambda name: not name.startswith(("_sd", "..."))), st.integers(0, 9) | TEXT, max_size=4)
CLAIMS = {"v": 1, "iss": "zz.police", "org": "zz.example/log", "knd": "listing", "iat": 1_790_000_000, "exp": 1_790_000_900, "tlp": "GREEN"}


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_joserfc_opens_our_tokens(claims: dict[str, Any]) -> None:
    """The same payload bytes and the same header."""
    payload = write_json(claims)
    theirs = joserfc_jws.deserialize_compact(sign_token(payload, KEY, typ=TYP), THEIR_PUBLIC, algorithms=["ES256"])
    assert (theirs.payload, theirs.headers()) == (payload, HEADER)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_we_open_tokens_of_joserfc(claims: dict[str, Any]) -> None:
    """A station that uses another library is understood."""
    payload = write_json(claims)
    token = joserfc_jws.serialize_compact(dict(HEADER), payload, THEIR_PRIVATE, algorithms=["ES256"])
    ours = open_token(token, typ=TYP, find_key={KEY.kid: KEY.public}.get)
    assert (ours.payload, ours.claims) == (payload, claims)


@settings(max_examples=300)
@given(st.data())
def test_what_we_take_joserfc_takes(data: st.DataObject) -> None:
    """The fence is narrower than the oracle, never wider: over random damage to a token."""
    token = list(sign_token(b'{"v":1,"x":[1,"\xc3\xbc"]}', KEY, typ=TYP))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(token) - 1))
        token[position] = data.draw(st.sampled_from(["", "A", "Q", "w", "-", "_", "=", ".", "+", "/", token[position]]))
    damaged = "".join(token)
    try:
        ours = open_token(damaged, typ=TYP, find_key={KEY.kid: KEY.public}.get)
    except Refused:
        return
    theirs = joserfc_jws.deserialize_compact(damaged, THEIR_PUBLIC, algorithms=["ES256"])
    assert theirs.payload == ours.payload


def their_reading(wire: str) -> dict[str, Any]:
    """What the sd-jwt package makes of a presentation."""
    public = JWK.from_json(json.dumps(dict(KEY.public_jwk)))
    return SDJWTVerifier(wire, lambda _issuer, _header: public).get_verified_payload()


@settings(max_examples=40)
@given(st.lists(ITEMS, min_size=1, max_size=4), st.lists(ITEMS, max_size=2), st.integers(0, 2), st.data())
def test_sd_jwt_reads_our_statements(core: list[Any], pii: list[Any], decoys: int, data: st.DataObject) -> None:
    """Full, redacted and stub-only forms: the same values under the same names, the rest withheld."""
    parts = {"core": core, **({"pii": pii} if pii else {})}
    jws, texts = split_wire(build_statement(CLAIMS, parts, KEY, decoys=decoys))
    token = open_token(jws, typ=TYP, find_key={KEY.kid: KEY.public}.get)
    stub = read_stub(token.claims, kid=token.kid, sid=token.sid)
    ours = read_disclosures(stub, texts, home=True)
    assert {disclosure.name: disclosure.value for disclosure in ours} == {
        f"{part}.{number}": value for part, values in parts.items() for number, value in enumerate(values)
    }
    kept = [disclosure for disclosure in ours if data.draw(st.booleans())]
    wire = join_wire(jws, (disclosure.text for disclosure in kept))
    theirs = their_reading(wire)
    names = {disclosure.name: disclosure.value for disclosure in kept}
    assert {name: value for name, value in theirs.items() if "." in name} == names
    assert {name: theirs[name] for name in CLAIMS} == CLAIMS
    assert {disclosure.name: disclosure.value for disclosure in read_disclosures(stub, split_wire(wire)[1], home=False)} == names
