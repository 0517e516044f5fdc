"""A signed statement as we read it, and the checks that need no more than the statement and what the log knows of it.

`read_stub` turns verified claims into a `Stub`; `check_origin`, `check_times`, `check_mandate_kind` and `check_edges` are
the next steps of the home gate, each with its own problem code, in the order of schemas §2 ("Order at home"). All are
pure: clock, registry and log come in as arguments (protocol §3.3-3.5).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from . import claims as c
from .canonical import JsonValue, b64u_encode
from .claims import CONTROL_KINDS, FOREIGN_EDGE_KINDS, IMMUTABLE_KINDS, KINDS, KNOWN_CLAIMS, NODE_KINDS, STATE_EDGE_KINDS, Kind
from .errors import (
    ClockSkew,
    EdgeNotAuthorised,
    EdgeVisibility,
    Fault,
    ScopeDenied,
    TargetNotEarlier,
    UnknownKind,
    Validity,
    WrongOrigin,
)
from .labels import RANK, Label, at_least_as_visible
from .registry import Member, MemberClass, check_control

__all__ = [
    "CONTROL_KINDS",
    "FOREIGN_EDGE_KINDS",
    "KNOWN_CLAIMS",
    "NODE_KINDS",
    "STATE_EDGE_KINDS",
    "TYP",
    "Disclosure",
    "Envelope",
    "Kind",
    "Stub",
    "Target",
    "check_edges",
    "check_mandate_kind",
    "check_origin",
    "check_renewal",
    "check_times",
    "ohash_of",
    "read_stub",
    "sid_of",
    "understands",
]

TYP = "cordon-statement+sd-jwt"
OLDEST_S = 24 * 3600
AHEAD_S = 300
LONGEST_S = 730 * 86_400  # "two years" of every listing and renewal (vectors, decision 16)
CEILING_S = 5 * 365 * 86_400  # a listing is renewed up to five years in all (trust-and-ops DP-05)


@dataclass(frozen=True, slots=True)
class Stub:
    """The claims of one signed stub, read and judged on their own.

    Times are seconds; `parts` gives each part its effective label (audience of the stub where it names none); `targets`
    are sids, or `ohash/sid` for the kinds that point at any log; `claims` are all claims as signed.
    """

    issuer: str
    origin: str
    kind: str
    kid: str
    sid: str
    issued_at: int
    expires_at: int | None
    label: Label
    parts: Mapping[str, Label]
    targets: tuple[str, ...]
    jti: str | None
    handling: tuple[str, ...]
    licence: str | None
    must: tuple[str, ...]
    digests: tuple[str, ...]
    claims: Mapping[str, JsonValue]


class Disclosure(NamedTuple):
    """One disclosure: `text` as sent, `digest` of it, and what it says: `<part>.<number>` and the value.

    A named tuple, as they come by the hundred and building a frozen dataclass costs as much as reading the value.
    """

    text: str
    digest: str
    salt: str
    name: str
    part: str
    number: int
    value: JsonValue
    body: bytes | None = None
    """The value as written, where it is written as we would: then it need not be written again."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A statement with what came beside it; `wire` is byte for byte what was sent."""

    jws: str
    sid: str
    kid: str
    stub: Stub
    disclosures: tuple[Disclosure, ...]
    wire: str


@dataclass(frozen=True, slots=True)
class Target:
    """What an edge points at, as the log knows it; `index` is None for a statement that is held outside the log."""

    origin: str
    index: int | None
    sid: str
    issuer: str
    kid: str
    kind: str
    label: Label


def sid_of(jws: str) -> str:
    """base64url(SHA-256(ASCII(`header.payload`))): a retry that signs the same payload again has the same sid (protocol §3.1)."""
    return b64u_encode(hashlib.sha256(jws.rpartition(".")[0].encode("ascii")).digest())


def ohash_of(origin: str) -> str:
    """Lower-case hex SHA-256 of an origin: its name in paths and in `t` (protocol §3.1)."""
    return hashlib.sha256(origin.encode("utf-8")).hexdigest()


def read_stub(payload: Mapping[str, JsonValue], *, kid: str, sid: str, lenient: bool = False) -> Stub:
    """Read the claims of a verified stub signed by `kid`.

    At home (`lenient` False) an unknown kind, an unknown claim, or personal data is refused; a peer reads over unknown
    claims and kinds, which the fold keeps inert. Raises UnknownKind, Schema, TlpFault, PersonalDataInStub.
    """
    kind = _read_kind(payload, lenient=lenient)
    version = payload.get("v")
    if type(version) is not int or version != 1:
        raise c.fault("v", "version", "`v` is the number 1")
    known = kind in KINDS
    if known and not lenient:
        c.check_names(payload, kind)
    issuer = c.read_issuer(payload, kid)
    origin = c.read_origin(payload)
    issued_at = c.read_seconds(payload, "iat")
    label = c.read_label(payload, kind)
    if known:
        c.check_required(payload, kind)
    parts = c.read_parts(payload, kind, label, lenient=lenient)
    stub = Stub(
        issuer=issuer,
        origin=origin,
        kind=kind,
        kid=kid,
        sid=sid,
        issued_at=issued_at,
        expires_at=c.read_seconds(payload, "exp") if "exp" in payload else None,
        label=label,
        parts=parts,
        targets=c.read_targets(payload, kind) if known else (),
        jti=c.read_text(payload, "jti", longest=64) if "jti" in payload else None,
        handling=c.read_texts(payload, "hc"),
        licence=c.read_text(payload, "lic", longest=64) if "lic" in payload else None,
        must=c.read_texts(payload, "must"),
        digests=c.read_digests(payload),
        claims=payload,
    )
    _check_claims_of_kind(stub)
    if not lenient:
        _check_home_only(stub)
    return stub


def _read_kind(payload: Mapping[str, JsonValue], *, lenient: bool) -> str:
    kind = payload.get("knd")
    if not isinstance(kind, str):
        raise c.fault("knd", "form" if "knd" in payload else "missing", "`knd` is the kind of the statement")
    if kind not in KINDS and not lenient:
        detail = f"there is no kind of this name: use one of {', '.join(Kind)}"
        raise UnknownKind(detail, faults=(Fault("/knd", "unknown_kind", detail),))
    return kind


def _check_claims_of_kind(stub: Stub) -> None:
    if stub.kind == Kind.ERASE:
        c.check_erase(stub.claims)
    elif stub.kind == Kind.EVIDENCE:
        c.check_evidence(stub.claims)


def _check_home_only(stub: Stub) -> None:
    check_control(stub.kind, stub.claims)
    c.check_stub_is_bare(stub.claims)
    if not understands(stub):
        raise c.fault("must", "unknown_claim", "`must` names a claim that this version does not know: such a statement would be inert")


def understands(stub: Stub) -> bool:
    """Whether every claim that `must` names is one we know; otherwise the statement is carried inert (vectors, decision 31)."""
    return KNOWN_CLAIMS.issuperset(stub.must)


def check_origin(stub: Stub, origin: str) -> None:
    """The statement is for this log and no other, else WrongOrigin: it cannot be logged twice elsewhere."""
    if stub.origin != origin:
        detail = f"`org` names another log: this one is {origin}"
        raise WrongOrigin(detail, faults=(Fault("/org", "wrong_origin", detail),))


def check_times(stub: Stub, *, now: int) -> None:
    """`iat` within now - 24 h … now + 300 s (ClockSkew), then iat < exp <= iat + 730 days where there is one (Validity)."""
    if not now - OLDEST_S <= stub.issued_at <= now + AHEAD_S:
        detail = "`iat` is more than 24 hours old or more than 300 seconds ahead: set the clock, sign again"
        raise ClockSkew(detail, faults=(Fault("/iat", "clock_skew", detail),))
    if stub.expires_at is None:
        if stub.kind in (Kind.LISTING, Kind.RENEW):
            raise _validity(f"a `{stub.kind}` needs `exp`: nothing is listed for ever")
    elif not stub.issued_at < stub.expires_at <= stub.issued_at + LONGEST_S:
        raise _validity("`exp` lies after `iat` and at most 730 days after it")


def check_renewal(stub: Stub, *, listed_at: int) -> None:
    """A `renew` ends at most five years after the `iat` of the listing it renews, `listed_at` in seconds; else Validity."""
    if stub.expires_at is not None and stub.expires_at > listed_at + CEILING_S:
        raise _validity("a listing lives at most five years, renewals counted: list it anew on fresh evidence")


def _validity(detail: str) -> Validity:
    return Validity(detail, faults=(Fault("/exp", "validity", detail),))


_KINDS_BY_CLASS = {MemberClass.VASP: c.VASP_KINDS, MemberClass.REDRESS: c.REDRESS_KINDS}


def check_mandate_kind(stub: Stub, member: Member | None) -> None:
    """Whether its issuer may make such a statement: kind and TLP. `member` None is the registrar of the node. Raises ScopeDenied."""
    if member is None:
        if stub.kind not in c.REGISTRAR_KINDS:
            raise _scope("/knd", "a registrar signs control statements, retract, erase, approve and reaffirm, and nothing else")
        return
    if stub.kind in CONTROL_KINDS:
        raise _scope("/knd", "control statements are signed by the registrar")
    if stub.kind in NODE_KINDS:
        raise _scope("/knd", "statements of this kind are made by the node itself")
    by_class = _KINDS_BY_CLASS.get(member.member_class)
    if by_class is not None and stub.kind not in by_class:
        raise _scope("/knd", f"a member of class {member.member_class} makes only: {', '.join(sorted(by_class))}")
    if stub.kind not in member.mandate.kinds:
        raise _scope("/knd", f"the mandate does not name `{stub.kind}`: ask the registrar to widen it")
    ceiling = RANK[member.mandate.tlp_max]
    for where, label in (("/tlp", stub.label), *((f"/parts/{name}/tlp", label) for name, label in stub.parts.items())):
        if RANK[label.tlp] > ceiling:
            raise _scope(where, f"the mandate goes up to {member.mandate.tlp_max}")


def _scope(where: str, detail: str) -> ScopeDenied:
    return ScopeDenied(detail, faults=(Fault(where, "scope_denied", detail),))


def check_edges(stub: Stub, find_target: Callable[[str], Target | None], *, registrar: str) -> None:
    """Every target of a state-changing kind: in the log before, open to this issuer, and no more visible than the edge.

    `find_target` gives what the own log (or, for `approve`, the shelf of held statements) knows of a sid; `registrar` is
    the registrar id of the origin. Raises TargetNotEarlier, EdgeNotAuthorised, EdgeVisibility (protocol §3.4, §3.5).
    """
    if stub.kind not in STATE_EDGE_KINDS:
        return  # `ohash/sid` edges change no state, may point at any log, and may be less visible than their target
    for number, sid in enumerate(stub.targets):
        where = f"/t/{number}"
        target = find_target(sid)
        if target is None or target.origin != stub.origin or (target.index is None and stub.kind != Kind.APPROVE):
            detail = "a target is not in this log: submit it first, or drop it from `t`"
            raise TargetNotEarlier(detail, faults=(Fault(where, "target_not_earlier", detail),))
        reason = _why_not(stub, target, registrar)
        if reason:
            raise EdgeNotAuthorised(reason, faults=(Fault(where, "edge_not_authorised", reason),))
        if not at_least_as_visible(stub.label, target.label):
            detail = "somebody who sees a target would not see this statement: give it the TLP and the audience of the target, or wider"
            raise EdgeVisibility(detail, faults=(Fault(where, "edge_visibility", detail),))


def _why_not(stub: Stub, target: Target, registrar: str) -> str | None:
    """Why this edge is not open to its issuer, or None (vectors, decisions 22 and 27)."""
    same = target.issuer == stub.issuer
    if stub.kind in (Kind.LISTING, Kind.RENEW):
        if target.kind != Kind.LISTING:
            return "only a listing can be superseded or renewed"
        return None if same else "only its own issuer supersedes or renews a listing"
    if stub.kind == Kind.APPROVE:
        if not same:
            return "an approval comes from another key of the same issuer"
        return "the key that signed a statement cannot approve it" if target.kid == stub.kid else None
    if not same and stub.issuer != registrar:
        return "only its own issuer or the registrar may do this to a statement"
    if stub.kind == Kind.REAFFIRM:
        return None
    return f"a `{target.kind}` cannot be retracted or erased: make a new statement" if target.kind in IMMUTABLE_KINDS else None
