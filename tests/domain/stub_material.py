"""Good claims of every kind, and targets for edges: what the tests of stubs bend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.domain.labels import Label, Tlp
from app.domain.registry import Mandate, Member, MemberClass
from app.domain.statement import Kind, Stub, Target, read_stub

NOW = 1_790_000_000
ORIGIN = "de.example/log"
DIGEST = "O_1lYRp0J0PYLa_kuUIDqldSco12HKvAUcRi6l6fksM"
OTHER = "c8o0xQOdEvVOSBH6Z_NTv5uERvI-XEchShGmJlfrHg0"
FOREIGN = f"{'ab' * 32}/{DIGEST}"
KID = "de.bka#1"

WITH_PARTS: dict[str, Any] = {"parts": {"core": {"tlp": "GREEN"}}, "_sd_alg": "sha-256", "_sd": [DIGEST, OTHER]}
OWN: dict[str, dict[str, Any]] = {
    "listing": {**WITH_PARTS, "exp": NOW + 86_400},
    "renew": {"t": [DIGEST], "exp": NOW + 86_400},
    "retract": {"t": [DIGEST]},
    "erase": {"t": [DIGEST], "del": ["pii"], "ground": "gdpr-17"},
    "dispute": {"t": [FOREIGN]},
    "endorse": {"t": [FOREIGN]},
    "approve": {"t": [DIGEST]},
    "reaffirm": {"t": [DIGEST]},
    "key-revoke": {"kid": "de.bka#9", "reason": "compromised", "from_index": 3, "tlp": "CLEAR"},
    "group": {"id": "group:de.north", "name": "North", "owner": "de.bka", "members": ["fr.example"]},
    "policy": {"needs2": [], "four_eyes": ["person"], "neutrality": True, "tlp": "CLEAR"},
    "root": {"ver": 1, "sha256": "ab" * 32},
    "request": {**WITH_PARTS, "aud": ["kr.exchange"]},
    "response": {**WITH_PARTS, "t": [FOREIGN]},
    "outcome": {**WITH_PARTS},
    "sighting": {**WITH_PARTS},
    "evidence": {"form": "fork", "sha256": "ab" * 32},
    "anchor": {},
    "pad": {},
}


def claims(kind: str = "listing", **changes: Any) -> dict[str, Any]:
    """Good claims of a kind, with changes; a value of `...` takes the claim away."""
    base = {"v": 1, "iss": "de.bka", "org": ORIGIN, "knd": kind, "iat": NOW, "tlp": "GREEN", **OWN.get(kind, {}), **changes}
    return {name: value for name, value in base.items() if value is not ...}


def read(kind: str = "listing", *, lenient: bool = False, kid: str = KID, **changes: Any) -> Stub:
    return read_stub(claims(kind, **changes), kid=kid, sid=OTHER, lenient=lenient)


def member(member_class: MemberClass = MemberClass.AGENCY, *, kinds: frozenset[str] | None = None, tlp_max: Tlp = Tlp.RED) -> Member:
    mandate = Mandate(kinds=frozenset(Kind) if kinds is None else kinds, categories=("fraud",), tlp_max=tlp_max)
    return Member(id="de.bka", name="BKA", member_class=member_class, mandate=mandate, keys=())


def target(kind: str = "listing", *, issuer: str = "de.bka", kid: str = KID, tlp: Tlp = Tlp.GREEN, **changes: Any) -> Target:
    fields: dict[str, Any] = {"origin": ORIGIN, "index": 3, "sid": DIGEST, "label": Label(tlp), **changes}
    return Target(issuer=issuer, kid=kid, kind=kind, **fields)


def finds(*targets: Target) -> Callable[[str], Target | None]:
    return {one.sid: one for one in targets}.get
