"""Bearer and peer tokens: every claim is enforced, and every fault looks the same to a stranger."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.errors import Unauthenticated
from app.seal.bearer import body_digest, open_bearer, open_request, sign_request
from app.seal.jws import SigningKey, sign_token

NOW = 1_790_000_000
TYP = "cordon-access+jwt"
KEY = SigningKey.derive("zz.example#1", b"bearer")
OTHER = SigningKey.derive("yy.example#1", b"bearer")
KEYS = {key.kid: key.public for key in (KEY, OTHER)}
CLAIMS = {"iss": "zz.example", "sub": "zz.exchange", "aud": "zz.example", "iat": NOW, "exp": NOW + 900, "jti": "a1"}


def bearer(claims: dict[str, Any], *, now: int = NOW, typ: str = TYP) -> Any:
    """Open a bearer token of these claims."""
    token = sign_token(json.dumps(claims).encode(), KEY, typ=typ)
    return open_bearer(token, typ=TYP, find_key=KEYS.get, audience="zz.example", now=now)


def test_a_good_bearer_token() -> None:
    """All six claims come out."""
    read = bearer(CLAIMS)
    assert (read.issuer, read.subject, read.issued_at, read.expires_at, read.jti, read.kid) == (
        "zz.example", "zz.exchange", NOW, NOW + 900, "a1", KEY.kid,
    )  # fmt: skip


@pytest.mark.parametrize("name", list(CLAIMS))
@pytest.mark.parametrize("value", [..., None, "", True, [], {}, 1.5, "\n"])
def test_every_claim_is_needed(name: str, value: object) -> None:
    """Dropped, or of another type: refused."""
    claims = {**CLAIMS, name: value}
    if value is ...:
        del claims[name]
    with pytest.raises(Unauthenticated):
        bearer(claims)


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "yy.example"}, {"aud": ["zz.example"]}, {"exp": NOW}, {"exp": NOW + 86_401}, {"iat": NOW + 61, "exp": NOW + 900},
        {"iat": -1}, {"exp": NOW - 1}, {"jti": "x" * 129},
    ],
)  # fmt: skip
def test_wrong_claims(change: dict[str, Any]) -> None:
    """Another audience, a token that outlives a day or lies in the future, an endless jti."""
    with pytest.raises(Unauthenticated):
        bearer({**CLAIMS, **change})


def test_the_clock_has_sixty_seconds_of_leeway() -> None:
    """Not a second more, at either end."""
    assert bearer(CLAIMS, now=NOW - 60).jti == bearer(CLAIMS, now=NOW + 959).jti == "a1"
    for now in (NOW - 61, NOW + 960, NOW - 7200, NOW + 7200):
        with pytest.raises(Unauthenticated):
            bearer(CLAIMS, now=now)


def test_faults_of_the_token_are_unauthenticated_too() -> None:
    """Another type, another key, duplicate claims, more than 8 KiB: 401, not the code of a statement."""
    good = sign_token(json.dumps(CLAIMS).encode(), KEY, typ=TYP)
    large = sign_token(json.dumps({**CLAIMS, "x": "y" * 8192}).encode(), KEY, typ=TYP)
    unknown = sign_token(json.dumps(CLAIMS).encode(), SigningKey.derive("zz.nobody#1", b"x"), typ=TYP)
    details = set()
    for token in (large, unknown, good[:-4] + "AAAA", "", "x", good + ".", good.encode() + b"\xff"):
        with pytest.raises(Unauthenticated) as refused:
            open_bearer(token, typ=TYP, find_key=KEYS.get, audience="zz.example", now=NOW)
        details.add(refused.value.detail)
    assert len(details) == 1  # a stranger learns nothing from the text
    with pytest.raises(Unauthenticated):
        bearer(CLAIMS, typ="cordon-statement+sd-jwt")


REQUEST: dict[str, Any] = {"audience": "yy.example", "method": "POST", "url": "https://yy.example/fed/v1/nudge?x=1", "body": b"{}"}


def request_token(**changes: Any) -> str:
    """A peer token as zz.example makes it."""
    return sign_request(changes.pop("key", KEY), **{"node": "zz.example", **REQUEST, "now": NOW, "jti": "r1", **changes})


def test_a_good_request() -> None:
    """The node, its key and the jti to remember."""
    read = open_request(request_token(), find_key=KEYS.get, now=NOW + 60, **REQUEST)
    assert (read.node, read.kid, read.jti, read.issued_at) == ("zz.example", KEY.kid, "r1", NOW)


@pytest.mark.parametrize(
    "change",
    [{"audience": "xx.example"}, {"method": "GET"}, {"url": "https://yy.example/fed/v1/nudge"}, {"body": b""}, {"body": b"{ }"}],
)
def test_a_request_token_is_bound(change: dict[str, Any]) -> None:
    """To the node, the method, the whole URL and the body as sent."""
    with pytest.raises(Unauthenticated):
        open_request(request_token(), find_key=KEYS.get, now=NOW, **{**REQUEST, **change})


def test_nobody_speaks_for_another_node() -> None:
    """The kid must be a key of the node that `iss` names, and the moment within 60 s."""
    for token, now in (
        (request_token(key=OTHER), NOW),
        (request_token(node="yy.example"), NOW),
        (request_token(), NOW + 61),
        (request_token(), NOW - 61),
        (request_token(jti=""), NOW),
    ):
        with pytest.raises(Unauthenticated):
            open_request(token, find_key=KEYS.get, now=now, **REQUEST)


def test_an_empty_body_has_a_digest() -> None:
    """`bdg` of no body is that of nothing."""
    assert body_digest(b"") == "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
