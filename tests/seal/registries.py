"""Builders for registry tests: keys from fixed seeds, signed root documents, stubs as the gate would hand them on."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from app.domain.canonical import b64u_decode
from app.domain.labels import Label, Tlp
from app.domain.statement import Stub
from app.seal.jws import SigningKey
from app.seal.roots import RootDocument, draft, read_root_chain, rotate, sign_root

NOW = 1_790_000_000
ORIGIN = "zz.example/log"
FOREVER = 4_000_000_000


def key(kid: str, seed: str = "") -> SigningKey:
    """The test key of a kid; another `seed` gives the same kid another key."""
    return SigningKey.derive(kid, f"{kid}/{seed}".encode())


def named(signing_key: SigningKey) -> dict[str, Any]:
    """A key as root documents list it."""
    return {"kid": signing_key.kid, "jwk": dict(signing_key.public_jwk)}


def root_claims(**changes: Any) -> dict[str, Any]:
    """Claims of version 1: three root keys of which two must sign, two registrar keys, one log, one node key."""
    node = key("zz.example#1")
    return {
        "v": 1,
        "jur": "zz",
        "ver": 1,
        "exp": FOREVER,
        "root": {"keys": [named(key(f"zz.root#{n}")) for n in (1, 2, 3)], "threshold": 2},
        "registrar": {"keys": [named(key(f"zz.registrar#{n}")) for n in (1, 2)]},
        "logs": [{"origin": ORIGIN, "vkeys": ["vkey"], "url": "https://zz.example/log", "from": 1}],
        "node": {"url": "https://zz.example", "jwks": {"keys": [{**node.public_jwk, "kid": node.kid}]}},
        "view": {"vkeys": []},
        "contact": "ops@zz.example",
        "licence": "CC-BY-4.0",
        **changes,
    }


def signed(document: bytes, *kids: str) -> bytes:
    """`document` with signatures of the test keys of these kids."""
    for kid in kids:
        document = sign_root(document, key(kid))
    return document


def root_chain(*changes: dict[str, Any]) -> tuple[RootDocument, ...]:
    """Version 1, and one version more for each of `changes`, all signed by the first two root keys."""
    documents = [signed(draft(root_claims()), "zz.root#1", "zz.root#2")]
    chain = chain_of(documents)
    for change in changes:
        documents.append(signed(rotate(chain[-1], change), "zz.root#1", "zz.root#2"))
        chain = chain_of(documents)
    return chain


def chain_of(documents: list[bytes], **options: Any) -> tuple[RootDocument, ...]:
    """Read a chain whose pin is right."""
    return read_root_chain(pin_of(documents[0]), documents, now=options.pop("now", NOW), **options)


def pin_of(document: bytes) -> str:
    """The digest of the decoded payload of a document."""
    payload = json.loads(document)["payload"]
    return hashlib.sha256(b64u_decode(payload)).hexdigest()


def stub(kind: str, kid: str = "zz.registrar#1", /, *, sid: str, t: tuple[str, ...] = (), tlp: str = "CLEAR", **claims: Any) -> Stub:
    """A stub as `read_stub` would make it, of a verified statement."""
    return Stub(
        issuer=kid.partition("#")[0],
        origin=claims.pop("org", ORIGIN),
        kind=kind,
        kid=kid,
        sid=sid,
        issued_at=NOW,
        expires_at=None,
        label=Label(Tlp(tlp)),
        parts={},
        targets=t,
        jti=None,
        handling=(),
        licence=None,
        must=(),
        digests=(),
        claims=claims,
    )


def member(sid: str, member_id: str = "zz.police", *keys: SigningKey, by: str = "zz.registrar#1", **changes: Any) -> Stub:
    """A `member` statement; without keys the member gets `<id>#1`."""
    terms = {"nbf": changes.pop("nbf", 0), "exp": changes.pop("exp", FOREVER)}
    claims = {
        "id": member_id,
        "name": "Police",
        "class": "agency",
        "mandate": {"kinds": ["listing"], "categories": ["fraud"], "tlp_max": "RED"},
        "keys": [{**named(one), **terms} for one in keys or (key(f"{member_id}#1"),)],
        **changes,
    }
    return stub("member", by, sid=sid, **claims)


def policy(sid: str, *needs2: str, by: str = "zz.registrar#1") -> Stub:
    """A `policy` statement that wants two keys for these kinds."""
    return stub("policy", by, sid=sid, needs2=list(needs2), four_eyes=[], neutrality=True)


def approve(sid: str, *targets: str, by: str = "zz.registrar#2", tlp: str = "CLEAR") -> Stub:
    """An `approve` statement."""
    return stub("approve", by, sid=sid, t=targets, tlp=tlp)


def revoke(sid: str, kid: str, from_index: int, reason: str = "compromised", **changes: Any) -> Stub:
    """A `key-revoke` statement: the kid it names is a claim, like `from_index`."""
    by = changes.pop("by", "zz.registrar#1")
    made = stub("key-revoke", by, sid=sid, reason=reason, from_index=from_index, **changes)
    made.claims["kid"] = kid  # type: ignore[index]
    return made


def logged_root(sid: str, document: RootDocument, by: str = "zz.registrar#1") -> Stub:
    """A `root` statement that logs `document`."""
    return stub("root", by, sid=sid, ver=document.version, sha256=document.sha256)
