"""Tokens that stand for a caller: bearer tokens, and the request tokens by which nodes know each other (protocol §3.8).

Both are JWS behind the fence of `seal/jws`, at most 8 KiB, with 60 s of leeway for clocks (trust-and-ops S-03, S-05). Every
claim is enforced here; whatever is wrong is `unauthenticated`, with one text, so that a stranger learns nothing from it.
Replay (`kid`, `jti`) is for the caller to keep: a pure reader cannot remember.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from ..domain.canonical import JsonValue, b64u_encode, write_json
from ..domain.errors import Refused, Unauthenticated
from .jws import FindKey, SigningKey, Token, open_token, sign_token

MAX_BEARER_BYTES = 8192
LEEWAY_S = 60
PEER_TYP = "cordon-peer+jwt"
_LONGEST_LIFE_S = 24 * 3600
_MAX_JTI = 128


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who holds the token: `subject` as vouched for by `issuer`; times in epoch seconds; `jti` for the replay window."""

    kid: str
    issuer: str
    subject: str
    issued_at: int
    expires_at: int
    jti: str
    claims: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class PeerRequest:
    """A verified request of another node: its id, the key, and the `jti` that must not come again within the window."""

    kid: str
    node: str
    issued_at: int
    jti: str


def open_bearer(token: str | bytes, *, typ: str, find_key: FindKey, audience: str, now: int) -> Bearer:
    """Read a bearer token for `audience` at `now` (epoch seconds): exp, iat, aud, iss, sub and jti are all required.

    `aud` is exactly one text; a token lives at most a day. Raises Unauthenticated for every fault.
    """
    opened = _open(token, typ=typ, find_key=find_key)
    claims = opened.claims
    issuer, subject, jti = (_read_text(claims, name) for name in ("iss", "sub", "jti"))
    issued_at, expires_at = (_read_seconds(claims, name) for name in ("iat", "exp"))
    if claims.get("aud") != audience:
        raise _refused()
    if not (issued_at < expires_at <= issued_at + _LONGEST_LIFE_S and issued_at - LEEWAY_S <= now < expires_at + LEEWAY_S):
        raise _refused()
    return Bearer(kid=opened.kid, issuer=issuer, subject=subject, issued_at=issued_at, expires_at=expires_at, jti=jti, claims=claims)


def sign_request(key: SigningKey, *, node: str, audience: str, method: str, url: str, body: bytes, now: int, jti: str) -> str:
    """The token of one request of `node` to the node `audience`: `url` is the whole URL with its query, `body` as sent."""
    claims = {"iss": node, "aud": audience, "htm": method, "htu": url, "iat": now, "jti": jti, "bdg": body_digest(body)}
    return sign_token(write_json(claims), key, typ=PEER_TYP)


def open_request(token: str | bytes, *, find_key: FindKey, audience: str, method: str, url: str, body: bytes, now: int) -> PeerRequest:
    """Read the token of a peer's request: bound to this node, method, URL and body, issued within 60 s; else Unauthenticated."""
    opened = _open(token, typ=PEER_TYP, find_key=find_key)
    claims = opened.claims
    node, jti, digest = (_read_text(claims, name) for name in ("iss", "jti", "bdg"))
    issued_at = _read_seconds(claims, "iat")
    bound = {"aud": audience, "htm": method, "htu": url}
    if opened.kid.partition("#")[0] != node or any(claims.get(name) != value for name, value in bound.items()):
        raise _refused()
    if abs(now - issued_at) > LEEWAY_S or not hmac.compare_digest(digest.encode(), body_digest(body).encode()):
        raise _refused()
    return PeerRequest(kid=opened.kid, node=node, issued_at=issued_at, jti=jti)


def body_digest(body: bytes) -> str:
    """`bdg`: base64url of SHA-256 over the body as sent, of nothing for no body."""
    return b64u_encode(sha256(body).digest())


def _open(token: str | bytes, *, typ: str, find_key: FindKey) -> Token:
    try:
        return open_token(token, typ=typ, find_key=find_key, max_bytes=MAX_BEARER_BYTES)
    except Refused as error:
        raise _refused() from error


def _read_text(claims: Mapping[str, JsonValue], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= (_MAX_JTI if name == "jti" else 512) or not value.isprintable():
        raise _refused()
    return value


def _read_seconds(claims: Mapping[str, JsonValue], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _refused()
    return value


def _refused() -> Unauthenticated:
    return Unauthenticated("the token is not good here and now: ask for a new one, and check clock, audience and address")
