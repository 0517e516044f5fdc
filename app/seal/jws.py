"""The fence around python-jose: ES256 tokens over exact bytes, and nothing else (protocol §2.2-2.4, trust-and-ops S-03, S-06).

The only module that imports `jose`. The library verifies a signature here and does nothing more; what it would let through
is refused before or after it:

- strict base64url and strict JSON, so that one token has one spelling; ids hash `header.payload`, never signature bits;
- a protected header of exactly {alg, kid, typ}: no `crit`, `jwk`, `jku`, `x5u`, `b64`; `typ` separates the domains;
- the key is looked up by `kid` and handed over as a prebuilt object of one curve: no key bytes, no JWK set, no guessing;
- the list of algorithms has one element; the backend is asserted, as the library falls back to pure Python without a word.

Checks come in the order of §2.4: `too_large`, `malformed`, header `bad_json`, `bad_header`, `unknown_kid`, `bad_signature`,
payload `bad_json`, `schema`. What the claims say is for others to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256, sha512
from typing import NamedTuple, ParamSpec, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec
from jose import backends, jws
from jose.backends.base import Key
from jose.backends.cryptography_backend import CryptographyECKey

from ..domain.canonical import JsonValue, b64u_decode, b64u_encode, read_json, write_json
from ..domain.errors import BadHeader, BadSignature, CordonError, Malformed, Refused, Schema, TooLarge, UnknownKid
from ..domain.registry import owner_of_kid, read_jwk

P = ParamSpec("P")
T = TypeVar("T")

ALGORITHM = "ES256"
MAX_TOKEN_BYTES = 60_000
"""The limit of a stub (protocol §3.3); tokens of other types are smaller."""

_HEADER_MEMBERS = {"alg", "kid", "typ"}
_CURVE = ec.SECP256R1()
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_CACHED_HEADER_CHARS = 512  # headers longer than any of ours are read each time, so that nobody fills the memory with them


def assert_backend() -> None:
    """Stop the start unless python-jose signs with `cryptography`: its silent fallback is slow and leaks timing (CVE-2024-23342)."""
    name: str = backends.ECKey.__module__
    if not name.endswith("cryptography_backend"):
        raise RuntimeError(f"python-jose runs on {name}: install python-jose[cryptography]")


# --- keys -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A registered P-256 key, prebuilt. Two are equal when their RFC 7638 thumbprints are."""

    thumbprint: str
    jwk: Mapping[str, str] = field(compare=False, repr=False)
    _key: Key = field(compare=False, repr=False)


def thumbprint(jwk: Mapping[str, str]) -> str:
    """RFC 7638 thumbprint of an EC key, base64url."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return b64u_encode(sha256(write_json(members)).digest())


def public_key(jwk: Mapping[str, JsonValue]) -> PublicKey:
    """The key of a JWK of exactly `kty`, `crv`, `x`, `y` on P-256; anything else is Schema."""
    members = read_jwk(dict(jwk) if isinstance(jwk, Mapping) else jwk)
    x, y = (int.from_bytes(b64u_decode(members[name]), "big") for name in ("x", "y"))
    key = ec.EllipticCurvePublicNumbers(x, y, _CURVE).public_key()
    return PublicKey(thumbprint=thumbprint(members), jwk=members, _key=CryptographyECKey(key, ALGORITHM))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private P-256 key and its kid. `public_jwk` may be shown; the rest never shows itself in a `repr`.

    An HSM or KMS takes the place of `_key` with a subclass of `jose.backends.base.Key` that has `sign()`.
    """

    kid: str
    public_jwk: Mapping[str, str] = field(compare=False, repr=False)
    _key: Key = field(compare=False, repr=False)

    @classmethod
    def generate(cls, kid: str) -> SigningKey:
        """A new random key."""
        return cls._of(kid, ec.generate_private_key(_CURVE))

    @classmethod
    def derive(cls, kid: str, seed: bytes) -> SigningKey:
        """The key of a fixed seed: for demonstrations and tests, whose keys protect nothing."""
        scalar = int.from_bytes(sha512(seed).digest(), "big") % (_ORDER - 1) + 1
        return cls._of(kid, ec.derive_private_key(scalar, _CURVE))

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, JsonValue]) -> SigningKey:
        """The key of a private JWK file: exactly `kid`, `kty`, `crv`, `x`, `y`, `d`, the public half belonging to `d`; else Schema."""
        public = {name: value for name, value in jwk.items() if name not in {"kid", "d"}}
        kid, secret = jwk.get("kid"), jwk.get("d")
        expected = read_jwk(public)
        if not isinstance(kid, str) or not isinstance(secret, str) or len(secret) != 43:
            raise Schema("a private key file is a JWK with kid, kty, crv, x, y and d")
        try:
            scalar = int.from_bytes(b64u_decode(secret), "big")
        except Malformed as error:
            raise Schema("d of a private key file is base64url of 32 bytes") from error
        if not 1 <= scalar < _ORDER:
            raise Schema("d of a private key file is no scalar of P-256")
        key = cls._of(kid, ec.derive_private_key(scalar, _CURVE))
        if dict(key.public_jwk) != dict(expected):
            raise Schema("x and y of a private key file do not belong to its d: the file is damaged")
        return key

    def to_jwk(self) -> dict[str, str]:
        """The private JWK: keep it in a file of mode 0600."""
        private = self._key.prepared_key if isinstance(self._key, CryptographyECKey) else None
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise Schema("the private half of this key is held by a device: there is nothing to write")
        secret = private.private_numbers().private_value.to_bytes(32, "big")
        return {"kid": self.kid, **self.public_jwk, "d": b64u_encode(secret)}

    @property
    def public(self) -> PublicKey:
        """The public half, as a registry holds it."""
        return public_key(dict(self.public_jwk))

    @classmethod
    def _of(cls, kid: str, private: ec.EllipticCurvePrivateKey) -> SigningKey:
        if owner_of_kid(kid) is None:
            raise Schema("a kid is spelt <id>#<label>, such as de.bka#1")
        point = private.public_key().public_numbers()
        x, y = (b64u_encode(number.to_bytes(32, "big")) for number in (point.x, point.y))
        jwk = read_jwk({"kty": "EC", "crv": "P-256", "x": x, "y": y})
        return cls(kid=kid, public_jwk=jwk, _key=CryptographyECKey(private, ALGORITHM))


# --- tokens -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Token:
    """A verified token: `payload` are the bytes as signed, `claims` what they say, `sid` the id that no signature bit changes."""

    kid: str
    payload: bytes
    claims: dict[str, JsonValue]
    sid: str
    jws: str


FindKey = Callable[[str], PublicKey | None]


def sign_token(payload: bytes, key: SigningKey, *, typ: str) -> str:
    """The compact JWS over exactly these bytes. A payload that the fence would refuse is refused here: BadJson or Schema."""
    if not isinstance(read_json(payload), dict):
        raise Schema("the payload of a token is a JSON object")
    token: str = jws.sign(payload, key._key, headers={"kid": key.kid, "typ": typ}, algorithm=ALGORITHM)  # noqa: SLF001 - the fence owns its keys
    return token


def open_token(token: str | bytes, *, typ: str, find_key: FindKey, max_bytes: int = MAX_TOKEN_BYTES) -> Token:
    """Verify a compact JWS of type `typ` under the key that `find_key` knows for its `kid`; the order of checks is §2.4.

    Raises TooLarge, Malformed, BadJson, BadHeader, UnknownKid, BadSignature, BadJson, Schema.
    """
    return _read_claims(_verify(_fence(token, typ, find_key, max_bytes)))


def open_tokens(
    tokens: Sequence[str | bytes], *, typ: str, find_key: FindKey, max_bytes: int = MAX_TOKEN_BYTES
) -> list[Token | CordonError]:
    """`open_token` of each, or what that would raise.

    All signatures in one loop: one after the other, with the tables of the curve at hand, they take two thirds of the time
    that they take between other work (ADR 0008).
    """
    fenced = [_or_refusal(_fence, token, typ, find_key, max_bytes) for token in tokens]
    verified = [one if isinstance(one, CordonError) else _or_refusal(_verify, one) for one in fenced]
    return [one if isinstance(one, CordonError) else _or_refusal(_read_claims, one) for one in verified]


class _Fenced(NamedTuple):
    """A token that may go to the library: its form is checked, its key known, nothing in it is believed yet."""

    text: str
    body: bytes
    kid: str
    key: PublicKey
    payload: bytes
    signature: bytes


def _fence(token: str | bytes, typ: str, find_key: FindKey, max_bytes: int) -> _Fenced:
    text, (header, body, signature) = _split(token, max_bytes)
    for segment in (header, body, signature):
        if not segment:
            raise Malformed("a token has three non-empty segments: detached and unsigned forms are not taken")
    header_bytes, payload, signature_bytes = b64u_decode(header), b64u_decode(body), b64u_decode(signature)
    kid = _read_cached(header, typ) if len(header) <= _CACHED_HEADER_CHARS else _read_header(header_bytes, typ)
    key = find_key(kid)
    if key is None:
        raise UnknownKid("no key of this kid is registered here: ask the registrar, or check the spelling")
    return _Fenced(text, text[: -len(signature) - 1].encode("ascii"), kid, key, payload, signature_bytes)


def _verify(fenced: _Fenced) -> _Fenced:
    if len(fenced.signature) != 64:
        raise BadSignature("an ES256 signature is 64 bytes, r and s, never DER")
    # The key object of python-jose, not `jws.verify`: that would read the header again, and by its own rules (§2.2).
    if not fenced.key._key.verify(fenced.body, fenced.signature):  # noqa: SLF001 - the fence owns its keys
        raise BadSignature("the signature does not verify under the registered key: sign exactly the bytes you send")
    return fenced


def _read_claims(verified: _Fenced) -> Token:
    claims = read_json(verified.payload)
    if not isinstance(claims, dict):
        raise Schema("the payload of a token is a JSON object")
    sid = b64u_encode(sha256(verified.body).digest())
    return Token(kid=verified.kid, payload=verified.payload, claims=claims, sid=sid, jws=verified.text)


def _or_refusal(step: Callable[P, T], *args: P.args, **named: P.kwargs) -> T | CordonError:
    try:
        return step(*args, **named)
    except Refused as error:
        return error


def read_kid(token: str | bytes, *, typ: str, max_bytes: int = MAX_TOKEN_BYTES) -> str:
    """The `kid` that a token claims, its form checked and its signature not: good for looking something up, for nothing else."""
    _, (header, _, _) = _split(token, max_bytes)
    return _read_header(b64u_decode(header), typ)


def _split(token: str | bytes, max_bytes: int) -> tuple[str, list[str]]:
    if not isinstance(token, str | bytes):
        raise Malformed("a token is text")  # the library raises AttributeError for None
    if len(token) > max_bytes:
        raise TooLarge(f"a token of more than {max_bytes} bytes: split the statement")
    try:
        text = token.decode("ascii") if isinstance(token, bytes) else token
    except UnicodeDecodeError as error:
        raise Malformed("a token is ASCII") from error
    segments = text.split(".")
    if len(segments) != 3:
        raise Malformed("a token has three segments: <header>.<payload>.<signature>")
    return text, segments


def _read_header(data: bytes, typ: str) -> str:
    """The `kid` of a header of exactly {alg: ES256, kid, typ}; BadJson, else BadHeader."""
    header = read_json(data)
    if not isinstance(header, dict) or header.keys() != _HEADER_MEMBERS:
        raise BadHeader("the protected header has exactly alg, kid and typ")
    kid = header["kid"]
    if header["alg"] != ALGORITHM or header["typ"] != typ or not isinstance(kid, str):
        raise BadHeader(f"the protected header says alg {ALGORITHM}, typ {typ}, and the kid as text")
    return kid


@lru_cache(maxsize=1024)
def _read_cached(segment: str, typ: str) -> str:
    # One key signs many statements under one and the same header; faults are raised, and so never cached.
    return _read_header(b64u_decode(segment), typ)
