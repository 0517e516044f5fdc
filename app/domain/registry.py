"""Who may speak: members, their mandates and keys, groups, policy, key revocations; as read from registrar statements.

Protocol §3.1, §3.2 and schemas §2. Everything here is a pure value. A reader takes the claims of a stub as signed and refuses
with `Schema` what it would not write itself; claims that belong to every statement are not its business. `lenient` is for
copies from a peer: members of a newer version are read over, values that are known must still be right.
What depends on the rest of the log (a key under two members, a kid used again) is judged in `seal/keyring`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NoReturn, TypeVar

from .canonical import MAX_SAFE_INT, JsonValue, b64u_decode
from .claims import CONTROL_KINDS, KINDS, NODE_KINDS, REDRESS_KINDS, VASP_KINDS, Kind, is_kid, is_member_id, is_node_id
from .errors import Fault, Malformed, Schema
from .labels import Tlp

_AGENCY_KINDS = KINDS - CONTROL_KINDS - NODE_KINDS
_GROUP_ID = re.compile(r"group:[a-z]{2}\.[a-z0-9-]{1,64}")
_CATEGORY = re.compile(r"[a-z0-9_]{1,40}(?:\.[a-z0-9_]{1,40}){0,4}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_LEI = re.compile(r"[A-Z0-9]{18}[0-9]{2}")
_DAY = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_DAY_OR_INSTANT = re.compile(rf"{_DAY}(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{{1,6}})?Z)?")
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_ACTIONS = frozenset({"block", "hold_and_report", "review", "monitor", "do_not_block", "freeze", "preserve", "inform"})
_FOUR_EYES = frozenset({"person", "hold", "clear"})

# The curve P-256 (SEC 2 §2.4.2): enough arithmetic to say whether a point lies on it.
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


class MemberClass(StrEnum):
    """What a member is; decides which kinds a mandate may name."""

    AGENCY = "agency"
    VASP = "vasp"
    REDRESS = "redress"


KINDS_OF_CLASS: Mapping[MemberClass, frozenset[str]] = MappingProxyType(
    {
        MemberClass.AGENCY: _AGENCY_KINDS,
        MemberClass.VASP: VASP_KINDS,
        MemberClass.REDRESS: REDRESS_KINDS,
    }
)


class RevocationReason(StrEnum):
    """Why a key ended; `SUPERSEDED` counts from the index of the revocation itself (protocol §3.2.5)."""

    COMPROMISED = "compromised"
    SUPERSEDED = "superseded"
    UNSPECIFIED = "unspecified"


@dataclass(frozen=True, slots=True)
class Mandate:
    """What a member may say: kinds, typology codes (a code covers its narrower ones), the narrowest label, how much an hour."""

    kinds: frozenset[str]
    categories: tuple[str, ...]
    tlp_max: Tlp
    quota_per_hour: int = 1000
    persons: bool = False


@dataclass(frozen=True, slots=True)
class MemberKey:
    """A key as registered: valid for what is accepted from `not_before` up to, not including, `expires` (epoch seconds)."""

    kid: str
    jwk: Mapping[str, str]
    not_before: int
    expires: int


@dataclass(frozen=True, slots=True)
class Member:
    """One version of a member: the statement at log `index` (−1 while it is not logged)."""

    id: str
    name: str
    member_class: MemberClass
    mandate: Mandate
    keys: tuple[MemberKey, ...]
    country: str | None = None
    url: str | None = None
    contact: str | None = None
    lei: str | None = None
    licence: Mapping[str, str] | None = None
    index: int = -1


@dataclass(frozen=True, slots=True)
class KeyRevocation:
    """The end of a key: what it signed at `from_index` and above is inert."""

    kid: str
    reason: RevocationReason
    from_index: int

    def counts_from(self, own_index: int) -> int:
        """The first index whose statements fall, given the index of the revocation itself."""
        return own_index if self.reason is RevocationReason.SUPERSEDED else self.from_index


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one log: kinds that need a second key, cases that need four eyes, delays and terms."""

    needs2: frozenset[str] = frozenset()
    four_eyes: frozenset[str] = frozenset()
    public_delay_h: int = 72
    review_months: int = 12
    freeze_days: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    neutrality: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """A sharing group: `members` are node or member ids, never other groups."""

    id: str
    name: str
    owner: str
    members: tuple[str, ...]
    releasability: str | None = None
    index: int = -1


@dataclass(frozen=True, slots=True)
class RootClaim:
    """What a `root` statement says: the version of a root document and the hex SHA-256 of its decoded payload."""

    version: int
    sha256: str


# --- ids --------------------------------------------------------------------------------------------------------------


def is_group_id(text: str) -> bool:
    """Whether `text` is spelt as a group id: `group:de.north`."""
    return _GROUP_ID.fullmatch(text) is not None


def owner_of_kid(kid: str) -> str | None:
    """The id before the `#` of a kid spelt as `<member or node id>#<label>`; None for any other spelling."""
    return kid.partition("#")[0] if is_kid(kid) else None


def jurisdiction_of(member_id: str) -> str:
    """The two letters before the dot of a member or registrar id."""
    return member_id[:2]


def node_of_origin(origin: str) -> str:
    """The node id of an origin: its host (`de.example` of `de.example/log`)."""
    return origin.partition("/")[0]


# --- readers ----------------------------------------------------------------------------------------------------------


def read_jwk(value: JsonValue, pointer: str = "/jwk") -> Mapping[str, str]:
    """A public key as it may be registered: exactly `kty`, `crv`, `x`, `y`, a point of P-256 (protocol §3.2); else Schema."""
    if not isinstance(value, dict) or value.keys() != {"kty", "crv", "x", "y"}:
        _refuse(pointer, "a key has exactly kty, crv, x and y: leave every other member out, the private one above all")
    if value["kty"] != "EC" or value["crv"] != "P-256":
        _refuse(pointer, "only keys with kty EC on the curve P-256 are taken")
    x, y = (_read_coordinate(value[name], f"{pointer}/{name}") for name in ("x", "y"))
    if not (x < _P and y < _P and (y * y - (x * x * x - 3 * x + _B)) % _P == 0):
        _refuse(pointer, "x and y are no point of P-256: export the public key again")
    return MappingProxyType({"kty": "EC", "crv": "P-256", "x": str(value["x"]), "y": str(value["y"])})


def read_member(claims: Mapping[str, JsonValue], *, lenient: bool = False, index: int = -1) -> Member:
    """The member that the claims of a `member` statement describe; else Schema."""
    member_id = _read_id(claims, "id", is_member_id, "a member id such as de.bka")
    if member_id[3:] in {"registrar", "root"}:
        _refuse("/id", "registrar and root keys stand in the root document, never in a member statement")
    member_class = _read_word(claims, "class", MemberClass)
    keys = tuple(
        _read_member_key(entry, member_id, f"/keys/{number}", lenient=lenient) for number, entry in enumerate(_read_list(claims, "keys"))
    )
    if not keys or len({key.kid for key in keys}) != len(keys):
        _refuse("/keys", "a member has at least one key and each kid once")
    return Member(
        id=member_id,
        name=_read_text(claims, "name", maximum=200),
        member_class=member_class,
        mandate=_read_mandate(claims.get("mandate"), member_class, lenient=lenient),
        keys=keys,
        country=_read_optional(claims, "country", _COUNTRY, "two capital letters of ISO 3166-1"),
        url=_read_optional_text(claims, "url", maximum=2048),
        contact=_read_optional_text(claims, "contact", maximum=500),
        lei=_read_optional(claims, "lei", _LEI, "a legal entity identifier of 20 characters"),
        licence=_read_licence(claims.get("licence"), lenient=lenient) if "licence" in claims else None,
        index=index,
    )


def read_key_revoke(claims: Mapping[str, JsonValue]) -> KeyRevocation:
    """The revocation that the claims of a `key-revoke` statement describe; else Schema."""
    kid = _read_text(claims, "kid", maximum=400)
    if owner_of_kid(kid) is None:
        _refuse("/kid", "a kid is spelt <id>#<label>")
    return KeyRevocation(
        kid=kid, reason=_read_word(claims, "reason", RevocationReason), from_index=_read_int(claims, "from_index", minimum=0)
    )


def read_policy(claims: Mapping[str, JsonValue], *, lenient: bool = False) -> Policy:
    """The policy that the claims of a `policy` statement describe; terms left out take their defaults; else Schema."""
    needs2 = _read_words(claims, "needs2")
    if not lenient and not needs2 <= (_AGENCY_KINDS | CONTROL_KINDS) - {Kind.APPROVE}:
        _refuse("/needs2", "needs2 names kinds of statements; an approval cannot itself wait for an approval")
    four_eyes = _read_words(claims, "four_eyes")
    if not lenient and not four_eyes <= _FOUR_EYES:
        _refuse("/four_eyes", "four_eyes takes person, hold and clear")
    if claims.get("neutrality") is not True:
        _refuse("/neutrality", "neutrality must be true: the attestation of every policy")
    return Policy(
        needs2=needs2 - {Kind.APPROVE},
        four_eyes=four_eyes & _FOUR_EYES,
        public_delay_h=_read_int(claims, "public_delay_h", minimum=0, maximum=8760) if "public_delay_h" in claims else 72,
        review_months=_read_int(claims, "review_months", minimum=1, maximum=12) if "review_months" in claims else 12,
        freeze_days=_read_freeze_days(claims["freeze_days"], lenient=lenient) if "freeze_days" in claims else MappingProxyType({}),
    )


def read_group(claims: Mapping[str, JsonValue], *, index: int = -1) -> Group:
    """The group that the claims of a `group` statement describe; else Schema."""
    members = _read_list(claims, "members")
    for number, entry in enumerate(members):
        if not isinstance(entry, str) or not (is_member_id(entry) or is_node_id(entry)):
            _refuse(f"/members/{number}", "members of a group are node or member ids, not groups")
    if len({str(entry) for entry in members}) != len(members):
        _refuse("/members", "an id stands twice in the group: keep one")
    return Group(
        id=_read_id(claims, "id", is_group_id, "a group id such as group:de.north"),
        name=_read_text(claims, "name", maximum=200),
        owner=_read_id(claims, "owner", is_member_id, "the member id of the owner"),
        members=tuple(str(entry) for entry in members),
        releasability=_read_optional_text(claims, "releasability", maximum=500),
        index=index,
    )


def read_root_claim(claims: Mapping[str, JsonValue]) -> RootClaim:
    """What a `root` statement says of a root document; else Schema."""
    sha256 = _read_text(claims, "sha256", maximum=64)
    if _SHA256_HEX.fullmatch(sha256) is None:
        _refuse("/sha256", "sha256 is 64 lower-case hex digits")
    return RootClaim(version=_read_int(claims, "ver", minimum=1), sha256=sha256)


def check_control(kind: str, claims: Mapping[str, JsonValue]) -> None:
    """The claims of a control statement as the home node takes them, strict; other kinds pass. Raises Schema."""
    match kind:
        case Kind.MEMBER:
            read_member(claims)
        case Kind.KEY_REVOKE:
            read_key_revoke(claims)
        case Kind.GROUP:
            read_group(claims)
        case Kind.POLICY:
            read_policy(claims)
        case Kind.ROOT:
            read_root_claim(claims)
        case _:
            return


# --- pieces -----------------------------------------------------------------------------------------------------------


def _read_mandate(value: JsonValue, member_class: MemberClass, *, lenient: bool) -> Mandate:
    claims = _read_members(value, "/mandate", {"kinds", "categories", "tlp_max"}, {"quota_per_hour", "persons"}, lenient=lenient)
    kinds = _read_words(claims, "kinds", "/mandate")
    allowed = KINDS_OF_CLASS[member_class]
    if not lenient and not kinds <= allowed:
        _refuse("/mandate/kinds", f"a member of class {member_class} may hold only: {', '.join(sorted(allowed))}")
    categories = _read_list(claims, "categories", "/mandate")
    for number, code in enumerate(categories):
        if not isinstance(code, str) or _CATEGORY.fullmatch(code) is None:
            _refuse(f"/mandate/categories/{number}", "categories are typology codes such as fraud.investment")
    if not isinstance(claims.get("persons", False), bool):
        _refuse("/mandate/persons", "persons is true or false")
    return Mandate(
        # What a class may not hold gives no right, whoever logged it.
        kinds=kinds & allowed,
        categories=tuple(str(code) for code in categories),
        tlp_max=_read_word(claims, "tlp_max", Tlp, "/mandate"),
        quota_per_hour=_read_int(claims, "quota_per_hour", "/mandate", minimum=0) if "quota_per_hour" in claims else 1000,
        persons=claims.get("persons", False) is True,
    )


def _read_member_key(value: JsonValue, member_id: str, pointer: str, *, lenient: bool) -> MemberKey:
    claims = _read_members(value, pointer, {"kid", "jwk", "nbf", "exp"}, set(), lenient=lenient)
    kid = _read_text(claims, "kid", pointer, maximum=400)
    if owner_of_kid(kid) != member_id:
        _refuse(f"{pointer}/kid", f"the kid of a key of {member_id} is spelt {member_id}#<label>")
    not_before, expires = (_read_int(claims, name, pointer, minimum=0) for name in ("nbf", "exp"))
    if not_before >= expires:
        _refuse(f"{pointer}/exp", "exp must be later than nbf")
    return MemberKey(kid=kid, jwk=read_jwk(claims["jwk"], f"{pointer}/jwk"), not_before=not_before, expires=expires)


def _read_licence(value: JsonValue, *, lenient: bool) -> Mapping[str, str]:
    claims = _read_members(value, "/licence", {"register", "number", "checked_at"}, set(), lenient=lenient)
    licence = {name: _read_text(claims, name, "/licence", maximum=200) for name in ("register", "number", "checked_at")}
    if _DAY_OR_INSTANT.fullmatch(licence["checked_at"]) is None:
        _refuse("/licence/checked_at", "checked_at is a date, or an instant with Z")
    return MappingProxyType(licence)


def _read_freeze_days(value: JsonValue, *, lenient: bool) -> Mapping[str, int]:
    if not isinstance(value, dict):
        _refuse("/freeze_days", "freeze_days is an object {action: days}")
    if not lenient and not value.keys() <= _ACTIONS:
        _refuse("/freeze_days", "freeze_days names actions of the vocabulary or of a request")
    return MappingProxyType({action: _read_int(value, action, "/freeze_days", minimum=1, maximum=3660) for action in value})


def _read_coordinate(value: JsonValue, pointer: str) -> int:
    if not isinstance(value, str) or len(value) != 43:
        _refuse(pointer, "a coordinate is base64url of exactly 32 bytes")
    try:
        return int.from_bytes(b64u_decode(value), "big")
    except Malformed as error:
        raise Schema(error.detail, faults=(Fault(pointer, "form", error.detail),)) from error


def _read_members(value: JsonValue, pointer: str, required: set[str], optional: set[str], *, lenient: bool) -> Mapping[str, JsonValue]:
    if not isinstance(value, dict):
        _refuse(pointer, "an object is missing here")
    if not required <= value.keys():
        _refuse(pointer, f"missing: {', '.join(sorted(required - value.keys()))}")
    if not lenient and not value.keys() <= required | optional:
        _refuse(pointer, f"unknown: {', '.join(sorted(value.keys() - required - optional))}")
    return value


def _read_id(claims: Mapping[str, JsonValue], name: str, is_spelt: Callable[[str], bool], form: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not is_spelt(value):
        _refuse(f"/{name}", f"{name} must be {form}")
    return value


def _read_text(claims: Mapping[str, JsonValue], name: str, pointer: str = "", *, maximum: int) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= maximum or not value.isprintable():
        _refuse(f"{pointer}/{name}", f"{name} is one line of 1 to {maximum} printable characters")
    return value


def _read_optional_text(claims: Mapping[str, JsonValue], name: str, *, maximum: int) -> str | None:
    return _read_text(claims, name, maximum=maximum) if name in claims else None


def _read_optional(claims: Mapping[str, JsonValue], name: str, pattern: re.Pattern[str], form: str) -> str | None:
    if name not in claims:
        return None
    return _read_id(claims, name, lambda text: pattern.fullmatch(text) is not None, form)


def _read_int(claims: Mapping[str, JsonValue], name: str, pointer: str = "", *, minimum: int, maximum: int = MAX_SAFE_INT) -> int:
    value = claims.get(name)
    # True is an int in Python and a number in no JSON.
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        _refuse(f"{pointer}/{name}", f"{name} is an integer from {minimum} to {maximum}")
    return value


def _read_list(claims: Mapping[str, JsonValue], name: str, pointer: str = "") -> list[JsonValue]:
    value = claims.get(name)
    if not isinstance(value, list):
        _refuse(f"{pointer}/{name}", f"{name} is a list")
    return value


def _read_words(claims: Mapping[str, JsonValue], name: str, pointer: str = "") -> frozenset[str]:
    words = _read_list(claims, name, pointer)
    read = frozenset(word for word in words if isinstance(word, str))
    if len(read) != len(words):
        _refuse(f"{pointer}/{name}", f"{name} is a list of words, each once")
    return read


_Word = TypeVar("_Word", bound=StrEnum)


def _read_word(claims: Mapping[str, JsonValue], name: str, closed_list: type[_Word], pointer: str = "") -> _Word:
    value = claims.get(name)
    if not isinstance(value, str) or value not in list(closed_list):
        _refuse(f"{pointer}/{name}", f"{name} is one of {', '.join(closed_list)}")
    return closed_list(value)


def _refuse(pointer: str, detail: str) -> NoReturn:
    raise Schema(detail, faults=(Fault(pointer, "form", detail),))
