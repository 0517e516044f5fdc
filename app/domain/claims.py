"""The claims of a signed stub: which belong to which kind, and how the value of each must look.

Tables first, then one reader per value. Nothing here knows keys, clocks or logs. The home node refuses a claim that the
kind does not have; a peer reads over it (protocol §3.3, §3.4, schemas §2). A fault of a label is `tlp`, personal data is
`personal_data_in_stub`, all else is `schema`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from .errors import Fault, PersonalDataInStub, Schema, TlpFault
from .labels import RANK, Label, Tlp
from .personal import personal_data_in_stub

MAX_TARGETS = 256
MAX_DISCLOSURES = 256
MAX_AUDIENCE = 256


class Kind(StrEnum):
    """What a statement does (protocol §3.4)."""

    LISTING = "listing"
    RENEW = "renew"
    RETRACT = "retract"
    ERASE = "erase"
    DISPUTE = "dispute"
    ENDORSE = "endorse"
    APPROVE = "approve"
    REAFFIRM = "reaffirm"
    MEMBER = "member"
    KEY_REVOKE = "key-revoke"
    GROUP = "group"
    POLICY = "policy"
    ROOT = "root"
    REQUEST = "request"
    RESPONSE = "response"
    OUTCOME = "outcome"
    EVIDENCE = "evidence"
    SIGHTING = "sighting"
    ANCHOR = "anchor"
    PAD = "pad"


KINDS: frozenset[str] = frozenset(kind.value for kind in Kind)
CONTROL_KINDS: frozenset[str] = frozenset({Kind.MEMBER, Kind.KEY_REVOKE, Kind.GROUP, Kind.POLICY, Kind.ROOT})
NODE_KINDS: frozenset[str] = frozenset({Kind.EVIDENCE, Kind.ANCHOR, Kind.PAD})
# A registrar says who may speak and corrects; it never asserts anything about a wallet (vectors, decision 22).
REGISTRAR_KINDS: frozenset[str] = CONTROL_KINDS | {Kind.RETRACT, Kind.ERASE, Kind.APPROVE, Kind.REAFFIRM}
VASP_KINDS: frozenset[str] = frozenset({Kind.RESPONSE, Kind.SIGHTING, Kind.OUTCOME})
REDRESS_KINDS: frozenset[str] = frozenset({Kind.DISPUTE, Kind.OUTCOME})
# Kinds whose `t` changes state: own origin, bound by `edge_visibility`.
STATE_EDGE_KINDS: frozenset[str] = frozenset({Kind.LISTING, Kind.RENEW, Kind.RETRACT, Kind.ERASE, Kind.APPROVE, Kind.REAFFIRM})
# Kinds whose `t` points at any log as `ohash/sid` and changes nothing.
FOREIGN_EDGE_KINDS: frozenset[str] = frozenset({Kind.DISPUTE, Kind.ENDORSE, Kind.RESPONSE, Kind.OUTCOME, Kind.SIGHTING})
# What retract and erase cannot undo: undoing an undoing would bring dead listings back.
IMMUTABLE_KINDS: frozenset[str] = CONTROL_KINDS | {Kind.RETRACT, Kind.ERASE, Kind.RENEW, Kind.APPROVE, Kind.REAFFIRM}

COMMON: frozenset[str] = frozenset({"v", "iss", "org", "knd", "iat", "tlp", "aud", "parts", "_sd_alg", "_sd", "jti", "hc", "lic", "must"})
REQUIRED: dict[str, frozenset[str]] = {
    Kind.LISTING: frozenset({"parts"}),
    Kind.RENEW: frozenset({"t"}),
    Kind.RETRACT: frozenset({"t"}),
    Kind.ERASE: frozenset({"t", "del", "ground"}),
    Kind.DISPUTE: frozenset({"t"}),
    Kind.ENDORSE: frozenset({"t"}),
    Kind.APPROVE: frozenset({"t"}),
    Kind.REAFFIRM: frozenset({"t"}),
    Kind.MEMBER: frozenset({"id", "name", "class", "mandate", "keys"}),
    Kind.KEY_REVOKE: frozenset({"kid", "reason", "from_index"}),
    Kind.GROUP: frozenset({"id", "name", "owner", "members"}),
    Kind.POLICY: frozenset({"needs2", "four_eyes"}),
    Kind.ROOT: frozenset({"ver", "sha256"}),
    Kind.REQUEST: frozenset({"parts", "aud"}),
    Kind.RESPONSE: frozenset({"t", "parts"}),
    Kind.OUTCOME: frozenset({"parts"}),
    Kind.SIGHTING: frozenset({"parts"}),
    Kind.EVIDENCE: frozenset({"form", "sha256"}),
    Kind.ANCHOR: frozenset(),
    Kind.PAD: frozenset(),
}
OPTIONAL: dict[str, frozenset[str]] = {
    Kind.LISTING: frozenset({"exp", "t"}),  # a missing `exp` is the problem `validity`, judged with the clock
    Kind.RENEW: frozenset({"exp"}),
    Kind.MEMBER: frozenset({"country", "url", "contact", "lei", "licence"}),
    Kind.GROUP: frozenset({"releasability"}),
    Kind.POLICY: frozenset({"public_delay_h", "review_months", "freeze_days", "neutrality"}),
    Kind.REQUEST: frozenset({"exp"}),
    Kind.OUTCOME: frozenset({"t"}),
    Kind.SIGHTING: frozenset({"t"}),
}
CLAIMS_OF: dict[str, frozenset[str]] = {kind: COMMON | REQUIRED[kind] | OPTIONAL.get(kind, frozenset()) for kind in Kind}
KNOWN_CLAIMS: frozenset[str] = frozenset().union(*CLAIMS_OF.values())

# Names of parts by kind; the first is the one that must stand among them, if any must.
PARTS_OF: dict[str, frozenset[str]] = {
    Kind.LISTING: frozenset({"core", "ctx", "pii"}),
    Kind.RETRACT: frozenset({"ctx"}),
    Kind.DISPUTE: frozenset({"core"}),
    Kind.ENDORSE: frozenset({"core"}),
    Kind.REQUEST: frozenset({"core", "ctx"}),
    Kind.RESPONSE: frozenset({"core"}),
    Kind.OUTCOME: frozenset({"core"}),
    Kind.SIGHTING: frozenset({"core"}),
    Kind.EVIDENCE: frozenset({"ctx"}),
}
NEEDS_CORE: frozenset[str] = frozenset({Kind.LISTING, Kind.REQUEST, Kind.RESPONSE, Kind.OUTCOME, Kind.SIGHTING})
STANDARD_PARTS: frozenset[str] = frozenset({"core", "ctx", "pii"})
EVIDENCE_FORMS: frozenset[str] = frozenset({"fork", "bad_entry", "withheld_head", "receipt"})

# 32 bytes are 43 characters of base64url whose last carries two zero bits: one spelling only.
_SID = r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"
_is_sid = re.compile(_SID).fullmatch
_is_foreign_target = re.compile(rf"[0-9a-f]{{64}}/{_SID}").fullmatch
_is_member_id = re.compile(r"[a-z]{2}\.[a-z0-9-]{1,32}").fullmatch
_HOST = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){0,9}(?::[1-9][0-9]{0,4})?"
_is_node_id = re.compile(_HOST).fullmatch
_is_origin = re.compile(rf"{_HOST}/log(?:/[1-9][0-9]{{0,8}})?").fullmatch
_is_audience = re.compile(rf"(?:group:[a-z]{{2}}\.[a-z0-9-]{{1,64}}|{_HOST})").fullmatch
_is_kid = re.compile(r"[a-z0-9.:-]{1,255}#[A-Za-z0-9._-]{1,64}").fullmatch
_is_part_name = re.compile(r"[a-z][a-z0-9_-]{0,31}").fullmatch
_is_ground = re.compile(r"[a-z0-9_-]{1,32}").fullmatch
_is_hex_digest = re.compile(r"[0-9a-f]{64}").fullmatch

TLPS: dict[object, Tlp] = {tlp.value: tlp for tlp in Tlp}
_AMBER = RANK[Tlp.AMBER]


def is_member_id(text: str) -> bool:
    """Whether `text` is a member id such as `de.bka` (protocol §3.1)."""
    return _is_member_id(text) is not None


@lru_cache(maxsize=4096)  # the same few issuers and logs stand in every statement
def is_node_id(text: str) -> bool:
    """Whether `text` can be a node id: the host part of an origin, with its port if it has one."""
    return len(text) <= 253 and _is_node_id(text) is not None


@lru_cache(maxsize=4096)
def is_origin(text: str) -> bool:
    """Whether `text` names a log: `<host>/log` or `<host>/log/<n>` (protocol §3.1)."""
    return len(text) <= 255 and _is_origin(text) is not None


def is_kid(text: str) -> bool:
    """Whether `text` is `<agency>#<label>` (protocol §3.1)."""
    return _is_kid(text) is not None


def fault(name: str, code: str, detail: str) -> Schema:
    """A `schema` refusal that points at one claim."""
    return Schema(detail, faults=(Fault(f"/{name}", code, detail),))


def check_names(claims: Mapping[str, object], kind: str) -> None:
    """Home only: no claim that the kind does not have. Raises PersonalDataInStub for one named like a part, else Schema."""
    extra = claims.keys() - CLAIMS_OF[kind]
    if not extra:
        return
    declared = claims.get("parts")
    names = STANDARD_PARTS | (declared.keys() if isinstance(declared, dict) else frozenset())
    for name in sorted(extra):
        if name.partition(".")[0] in names:
            detail = "a claim of the stub is named like a part: content belongs into a disclosure, as the stub is never erased"
            raise PersonalDataInStub(detail)
    name = min(extra)
    raise fault("", "unknown_claim", f"a `{kind}` has no claim `{name[:32]}`: leave it out")


def check_required(claims: Mapping[str, object], kind: str) -> None:
    """Every claim that the kind must have, named in the fault if it is missing (schemas §2)."""
    missing = REQUIRED[kind] - claims.keys()
    if missing:
        name = min(missing)
        raise fault(name, "missing", f"a `{kind}` needs the claim `{name}`")


def read_text(claims: Mapping[str, object], name: str, *, longest: int) -> str:
    """A printable text of 1 to `longest` characters."""
    value = claims.get(name)
    if value is None and name not in claims:
        raise fault(name, "missing", f"the claim `{name}` is missing")
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise fault(name, "form", f"`{name}` is a printable text of 1 to {longest} characters")
    return value


def read_texts(claims: Mapping[str, object], name: str, *, longest: int = 64, most: int = 32) -> tuple[str, ...]:
    """A list of different printable texts, empty if the claim is absent."""
    if name not in claims:
        return ()
    values = claims[name]
    if not isinstance(values, list) or not 0 < len(values) <= most:
        raise fault(name, "form", f"`{name}` is a list of 1 to {most} texts, or absent")
    for value in values:
        if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
            raise fault(name, "form", f"`{name}` holds printable texts of 1 to {longest} characters")
    if len(set(values)) != len(values):
        raise fault(name, "repeated", f"`{name}` names something twice")
    return tuple(values)


def read_seconds(claims: Mapping[str, object], name: str) -> int:
    """Integer seconds since 1970. A bool is no integer, though Python takes True for 1."""
    if name not in claims:
        raise fault(name, "missing", f"the claim `{name}` is missing")
    value = claims[name]
    if type(value) is not int or value < 0:
        raise fault(name, "form", f"`{name}` is a whole number of seconds since 1970")
    return value


def read_issuer(claims: Mapping[str, object], kid: str) -> str:
    """`iss`: the agency of the kid, and nobody else (vectors, decision 11)."""
    issuer = read_text(claims, "iss", longest=253)
    if issuer != kid.partition("#")[0]:
        raise fault("iss", "issuer", "`iss` is the agency before the # of the kid")
    if not is_node_id(issuer):
        raise fault("iss", "form", "`iss` is a member id such as de.bka, or the id of a node")
    return issuer


def read_origin(claims: Mapping[str, object]) -> str:
    """`org`: the origin of the one log that the statement is for."""
    origin = read_text(claims, "org", longest=255)
    if not is_origin(origin):
        raise fault("org", "form", "`org` is an origin such as de.example/log, without a scheme")
    return origin


def read_targets(claims: Mapping[str, object], kind: str) -> tuple[str, ...]:
    """`t`: 1 to 256 different sids, or `ohash/sid` for the kinds that point at any log (protocol §3.3)."""
    if "t" not in claims:
        return ()
    targets = claims["t"]
    if not isinstance(targets, list) or not 0 < len(targets) <= MAX_TARGETS:
        raise fault("t", "form", f"`t` is a list of 1 to {MAX_TARGETS} targets")
    foreign = kind in FOREIGN_EDGE_KINDS
    matches = _is_foreign_target if foreign else _is_sid
    for target in targets:
        if not isinstance(target, str) or matches(target) is None:
            form = "<ohash>/<sid>: the SHA-256 of the origin in hex, a slash, a sid" if foreign else "a sid of 43 characters"
            raise fault("t", "form", f"each target of a `{kind}` is {form}")
    if len(set(targets)) != len(targets):
        raise fault("t", "repeated", "`t` names a target twice")
    return tuple(targets)


def read_digests(claims: Mapping[str, object]) -> tuple[str, ...]:
    """`_sd`, which comes with `parts` and `_sd_alg` or not at all: sorted, unique, SHA-256 (vectors, decision 13)."""
    present = [name for name in ("parts", "_sd_alg", "_sd") if name in claims]
    if not present:
        return ()
    if len(present) != 3:
        raise fault(present[0], "incomplete", "`parts`, `_sd_alg` and `_sd` come together or not at all")
    if claims["_sd_alg"] != "sha-256":
        raise fault("_sd_alg", "form", "`_sd_alg` is sha-256")
    digests = claims["_sd"]
    if not isinstance(digests, list) or not 0 < len(digests) <= MAX_DISCLOSURES:
        raise fault("_sd", "form", f"`_sd` is a list of 1 to {MAX_DISCLOSURES} digests")
    before = ""
    for digest in digests:
        if not isinstance(digest, str) or _is_sid(digest) is None:
            raise fault("_sd", "form", "each digest is 43 characters of base64url")
        if digest <= before:
            raise fault("_sd", "order", "`_sd` is sorted and names no digest twice: the order must tell nothing")
        before = digest
    return tuple(digests)


def _audience(owner: Mapping[str, object], where: str) -> frozenset[str] | None:
    if "aud" not in owner:
        return None
    ids = owner["aud"]
    if not isinstance(ids, list) or not 0 < len(ids) <= MAX_AUDIENCE:
        raise _label_fault(where, f"`aud` is a list of 1 to {MAX_AUDIENCE} ids of nodes, groups or members")
    for one in ids:
        if not isinstance(one, str) or len(one) > 255 or _is_audience(one) is None:
            raise _label_fault(where, "each id of `aud` is a node (fr.example), a group (group:fr.<slug>) or a member (fr.police)")
    audience = frozenset(ids)
    if len(audience) != len(ids):
        raise _label_fault(where, "`aud` names an id twice")
    return audience


def _label_fault(where: str, detail: str) -> TlpFault:
    return TlpFault(detail, faults=(Fault(where, "tlp", detail),))


def _word(owner: Mapping[str, object], where: str) -> Tlp:
    word = owner.get("tlp")
    tlp = TLPS.get(word) if isinstance(word, str) else None
    if tlp is None:
        raise _label_fault(f"{where}/tlp", "`tlp` is one of CLEAR, GREEN, AMBER, AMBER+STRICT, RED, written exactly so")
    return tlp


def read_label(claims: Mapping[str, object], kind: str) -> Label:
    """The label of the stub; control statements are for all who must obey them (protocol §3.4)."""
    tlp = _word(claims, "")
    audience = _audience(claims, "/aud")
    if RANK[tlp] >= _AMBER and audience is None:
        raise _label_fault("/aud", "from AMBER up a stub names its audience in `aud`")
    if kind in CONTROL_KINDS:
        if tlp is not Tlp.CLEAR and kind in (Kind.KEY_REVOKE, Kind.POLICY):
            raise _label_fault("/tlp", f"a `{kind}` is CLEAR, as it acts on statements that everybody can read")
        if RANK[tlp] > RANK[Tlp.GREEN]:
            raise _label_fault("/tlp", "control statements are CLEAR or GREEN")
    return Label(tlp, audience or frozenset())


def read_parts(claims: Mapping[str, object], kind: str, stub: Label, *, lenient: bool) -> dict[str, Label]:
    """{name of part: its effective label}: no wider than the stub, its audience the stub's where it names none."""
    if "parts" not in claims:
        return {}
    parts = claims["parts"]
    if not isinstance(parts, dict) or not parts or len(parts) > 16:
        raise fault("parts", "form", "`parts` is an object of part names with their labels")
    allowed = PARTS_OF.get(kind, frozenset())
    labels = {}
    for name, owner in parts.items():
        if not lenient and name not in allowed:
            have = ", ".join(sorted(allowed)) or "no parts"
            raise fault("parts", "unknown_part", f"a `{kind}` has {have}: put the content there or leave it out")
        if _is_part_name(name) is None or name == "decoy":
            raise fault("parts", "form", "a part has a lower-case name, and `decoy` is none")
        labels[name] = _part_label(owner, f"/parts/{name}", stub, lenient=lenient)
    if kind in NEEDS_CORE and "core" not in labels:
        raise fault("parts", "missing", f"a `{kind}` has a part `core`")
    return labels


def _part_label(owner: object, where: str, stub: Label, *, lenient: bool) -> Label:
    if not isinstance(owner, dict):
        raise _label_fault(where, 'a part has a label: {"tlp": …, "aud"?: […]}')
    if not lenient and not owner.keys() <= {"tlp", "aud"}:
        raise _label_fault(where, "the label of a part has `tlp` and `aud` and nothing else")
    tlp = _word(owner, where)
    own = _audience(owner, f"{where}/aud")
    if RANK[tlp] < RANK[stub.tlp]:
        raise _label_fault(f"{where}/tlp", "a part is at least as strict as its stub")
    if own is not None and stub.aud and not own <= stub.aud:
        raise _label_fault(f"{where}/aud", "the audience of a part is within that of its stub")
    audience = stub.aud if own is None else own
    if RANK[tlp] >= _AMBER and not audience:
        raise _label_fault(f"{where}/aud", "from AMBER up the part or the stub names an audience")
    return Label(tlp, audience)


def check_erase(claims: Mapping[str, object]) -> None:
    """`del` and `ground` of an `erase`: the parts to destroy, and why (schemas §1)."""
    for name in read_texts(claims, "del", longest=32):
        if _is_part_name(name) is None or name == "decoy":
            raise fault("del", "form", "`del` holds names of parts, such as pii")
    ground = claims["ground"]
    if not isinstance(ground, str) or _is_ground(ground) is None:
        raise fault("ground", "form", "`ground` is a short word such as gdpr-17 or court_order: a-z, 0-9, - and _, at most 32")


def check_evidence(claims: Mapping[str, object]) -> None:
    """`form` and `sha256` of an `evidence` statement."""
    form = claims["form"]
    if not isinstance(form, str) or form not in EVIDENCE_FORMS:
        raise fault("form", "unknown_code", f"`form` is one of {', '.join(sorted(EVIDENCE_FORMS))}")
    digest = claims["sha256"]
    if not isinstance(digest, str) or _is_hex_digest(digest) is None:
        raise fault("sha256", "form", "`sha256` is 64 lower-case hex digits")


def check_stub_is_bare(claims: Mapping[str, object]) -> None:
    """Home only: nothing personal and no indicator in the claims that are free text (protocol §3.3, vectors decision 18)."""
    for name in ("jti", "hc", "lic", "must", "ground"):
        value = claims.get(name)
        if value is None:
            continue
        for text in value if isinstance(value, list) else (value,):
            found = personal_data_in_stub(text) if isinstance(text, str) else None
            if found:
                detail = f"`{name}` holds {found}: the stub is never erased, so it may not name anybody or anything"
                raise PersonalDataInStub(detail, faults=(Fault(f"/{name}", "personal_data", detail),))
