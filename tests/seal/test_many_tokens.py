"""Many tokens at once: each has the answer that it has alone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.canonical import b64u_encode
from app.domain.errors import CordonError, Refused
from app.seal.jws import SigningKey, Token, open_token, open_tokens, sign_token

KEY = SigningKey.derive("zz.police#1", b"many")
STRANGER = SigningKey.derive("zz.police#9", b"stranger")
TYP = "x+jwt"


def spoilt(token: str, segment: int, value: str) -> str:
    """The token with one segment replaced."""
    return ".".join(value if place == segment else text for place, text in enumerate(token.split(".")))


GOOD = sign_token(b'{"a":1}', KEY, typ=TYP)
OTHER = sign_token(b'{"b":[2]}', KEY, typ=TYP)
TOKENS: list[str | bytes] = [
    GOOD, OTHER, GOOD.encode(), sign_token(b"{}", STRANGER, typ=TYP), sign_token(b"{}", KEY, typ="y+jwt"), "", "a.b", "é.b.c", "x" * 70_000,
    spoilt(GOOD, 1, b64u_encode(b'{"a":2}')), spoilt(GOOD, 2, OTHER.split(".")[2]), spoilt(GOOD, 2, "AA"), spoilt(GOOD, 2, ""),
    spoilt(GOOD, 0, b64u_encode(b'{"alg":"none"}')), spoilt(GOOD, 0, b64u_encode(b"{")), spoilt(GOOD, 1, "A"), GOOD + "=",
]  # fmt: skip


def alone(token: str | bytes) -> Token | tuple[type[CordonError], str]:
    """What one token comes to."""
    try:
        return open_token(token, typ=TYP, find_key={KEY.kid: KEY.public}.get)
    except Refused as error:
        return type(error), error.detail


@settings(max_examples=40)
@given(st.lists(st.sampled_from(TOKENS), max_size=8))
def test_many_tokens_are_opened_as_one_by_one(tokens: list[str | bytes]) -> None:
    """The same tokens, the same refusals, in order; a bad one changes nothing for its neighbours."""
    together = open_tokens(tokens, typ=TYP, find_key={KEY.kid: KEY.public}.get)
    assert [(type(one), one.detail) if isinstance(one, CordonError) else one for one in together] == [alone(token) for token in tokens]
