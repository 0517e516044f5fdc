"""What the control statements of one log add up to: worked through in log order, against the root documents.

The working half of `seal/keyring`, which says the rules and answers questions. A statement that breaks a rule raises here; the
keyring carries it inert, the home gate refuses it. Every fact keeps two indexes: `own`, of the statement that says it, and
`since`, from which on it has effect (the same, unless it had to wait for an approval).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Generic, TypeVar

from ..domain.claims import CONTROL_KINDS, Kind
from ..domain.errors import Fault, Refused, Schema
from ..domain.labels import RANK, Tlp, at_least_as_visible
from ..domain.registry import (
    Group,
    KeyRevocation,
    Member,
    Policy,
    RootClaim,
    jurisdiction_of,
    node_of_origin,
    owner_of_kid,
    read_group,
    read_key_revoke,
    read_member,
    read_policy,
    read_root_claim,
)
from ..domain.statement import Stub
from .jws import PublicKey, public_key
from .roots import RootDocument

Reading = Member | Group | Policy | KeyRevocation | RootClaim
_Value = TypeVar("_Value")


class Effect(StrEnum):
    """What a statement does in this registry."""

    NONE = "none"  # no kind of ours
    EFFECTIVE = "effective"
    WAITING = "waiting"  # needs the approval of a second registrar key
    INERT = "inert"


@dataclass(frozen=True, slots=True)
class Fact(Generic[_Value]):
    """One version of something, said at index `own`, in effect for indexes above `since`."""

    own: int
    since: int
    value: _Value


@dataclass(frozen=True, slots=True)
class Term:
    """From when to when a key is good, epoch seconds."""

    not_before: int
    expires: int


@dataclass(slots=True)
class RegisteredKey:
    """A member key through its history."""

    owner: str
    public_key: PublicKey
    terms: list[Fact[Term]]


def newest(facts: Sequence[Fact[_Value]], before: int | None = None) -> _Value | None:
    """The value of the highest `own` index among those in effect at index `before` (None: now)."""
    if len(facts) == 1:  # as nearly always, and every statement asks several times
        return facts[0].value if before is None or facts[0].since < before else None
    chosen = max((fact for fact in facts if before is None or fact.since < before), key=lambda fact: fact.own, default=None)
    return None if chosen is None else chosen.value


def read_reading(stub: Stub, *, lenient: bool, index: int = -1) -> Reading:
    """What a control statement at log `index` says; Schema if its claims are not of its kind."""
    match stub.kind:
        case Kind.MEMBER:
            return read_member(stub.claims, lenient=lenient, index=index)
        case Kind.GROUP:
            return read_group(stub.claims, index=index)
        case Kind.POLICY:
            return read_policy(stub.claims, lenient=lenient)
        case Kind.KEY_REVOKE:
            return read_key_revoke(stub.claims)
        case _:
            return read_root_claim(stub.claims)


@lru_cache(maxsize=16_384)
def prebuilt(x: str, y: str) -> PublicKey:
    """The key of a point, built once however often the registry is worked through."""
    return public_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})


@dataclass(slots=True)
class RegistryState:
    """The registry after some prefix of the log; `documents` are the root documents by version."""

    origin: str
    documents: Mapping[int, RootDocument]
    members: dict[str, list[Fact[Member]]] = field(default_factory=dict)
    groups: dict[str, list[Fact[Group]]] = field(default_factory=dict)
    policies: list[Fact[Policy]] = field(default_factory=list)
    revocations: dict[str, list[Fact[KeyRevocation]]] = field(default_factory=dict)
    root_versions: list[Fact[int]] = field(default_factory=list)
    keys: dict[str, RegisteredKey] = field(default_factory=dict)
    kid_of: dict[str, str] = field(default_factory=dict)  # thumbprint -> kid of a member
    waiting: dict[str, tuple[int, Stub, Reading]] = field(default_factory=dict)
    effects: dict[str, Effect] = field(default_factory=dict)

    # --- root documents -----------------------------------------------------------------------------------------------

    def document_at(self, index: int) -> RootDocument | None:
        """The root document in force for a statement at `index`: the last one logged before, else the first that has this log."""
        version = newest(self.root_versions, index)
        if version is not None:
            return self.documents[version]
        ours = [version for version, document in self.documents.items() if document.find_log(self.origin)]
        return self.documents[min(ours or self.documents)] if self.documents else None

    def is_registrar_key(self, kid: str, index: int) -> bool:
        """Whether `kid` is a registrar key in force at `index`."""
        document = self.document_at(index)
        return document is not None and any(key.kid == kid for key in document.registrar_keys)

    # --- statements ---------------------------------------------------------------------------------------------------

    def step(self, index: int, stub: Stub) -> None:
        """Take one statement, the next in log order. Raises Schema if it is inert for its own fault."""
        if stub.kind == Kind.APPROVE:
            self._approve(index, stub)
            return
        self.effects[stub.sid] = Effect.INERT
        reading = read_reading(stub, lenient=True, index=index)
        self.check_signer(index, stub, reading)
        if stub.kind in self.needs2_at(index):
            self.waiting[stub.sid] = (index, stub, reading)
            self.effects[stub.sid] = Effect.WAITING
            return
        self._take_effect(index, index, stub.sid, reading)

    def needs2_at(self, index: int) -> Collection[str]:
        """The kinds that need a second key at `index`."""
        policy = newest(self.policies, index)
        return () if policy is None else policy.needs2

    def check_signer(self, index: int, stub: Stub, reading: Reading) -> None:
        """A control statement is for this log, by a registrar key in force, and as visible as its kind demands; else Schema."""
        document = self.document_at(index)
        if document is None or stub.origin != self.origin or stub.issuer != document.registrar:
            raise _fault("/iss", f"control statements of {self.origin} come from its registrar")
        named = self.documents.get(reading.version) if isinstance(reading, RootClaim) else None
        if not (self.is_registrar_key(stub.kid, index) or (named and any(key.kid == stub.kid for key in named.registrar_keys))):
            raise _fault("/kid", "this registrar key is not in force here: log the root document that names it first")
        clear_only = stub.kind in {Kind.KEY_REVOKE, Kind.POLICY}
        if RANK[stub.label.tlp] > RANK[Tlp.CLEAR if clear_only else Tlp.GREEN]:
            raise _fault("/tlp", "it acts on statements that others can read: make it as visible as they are")

    def check_rules(self, index: int, reading: Reading) -> None:
        """Whether what is said may stand beside what is registered; else Schema."""
        match reading:
            case Member():
                self._check_member(index, reading)
            case Group(id=group_id):
                if group_id.removeprefix("group:")[:2] != self._jurisdiction(index):
                    raise _fault("/id", "a registrar names groups of its own jurisdiction only")
            case RootClaim():
                self._check_root(index, reading)
            case KeyRevocation(kid=kid):
                owner = owner_of_kid(kid) or ""
                if owner in self._reserved(index):
                    raise _fault("/kid", "keys of the registrar and of nodes are changed by root documents, never by key-revoke")
            case Policy():
                pass

    # --- effects ------------------------------------------------------------------------------------------------------

    def _approve(self, index: int, stub: Stub) -> None:
        document = self.document_at(index)
        if document is None or stub.issuer != document.registrar or stub.origin != self.origin:
            return
        if not self.is_registrar_key(stub.kid, index):
            return
        for sid in stub.targets:
            if sid not in self.waiting:
                continue
            own, target, reading = self.waiting[sid]
            # The two-person rule is about keys: whoever holds the first cannot approve with it.
            if target.kid == stub.kid or not at_least_as_visible(stub.label, target.label):
                continue
            del self.waiting[sid]
            with suppress(Refused):  # what has become impossible meanwhile stays inert, the other targets do not suffer
                self._take_effect(own, index, sid, reading)

    def _take_effect(self, own: int, since: int, sid: str, reading: Reading) -> None:
        self.effects[sid] = Effect.INERT
        self.check_rules(since, reading)
        match reading:
            case Member():
                self._register(own, since, reading)
            case Group():
                self.groups.setdefault(reading.id, []).append(Fact(own, since, reading))
            case Policy():
                self.policies.append(Fact(own, since, reading))
            case KeyRevocation():
                self.revocations.setdefault(reading.kid, []).append(Fact(own, since, reading))
            case RootClaim():
                self.root_versions.append(Fact(own, since, reading.version))
        self.effects[sid] = Effect.EFFECTIVE

    def _register(self, own: int, since: int, member: Member) -> None:
        self.members.setdefault(member.id, []).append(Fact(own, since, member))
        for key in member.keys:
            built = prebuilt(key.jwk["x"], key.jwk["y"])
            registered = self.keys.setdefault(key.kid, RegisteredKey(member.id, built, []))
            registered.terms.append(Fact(own, since, Term(key.not_before, key.expires)))
            self.kid_of[built.thumbprint] = key.kid

    # --- rules --------------------------------------------------------------------------------------------------------

    def _check_member(self, index: int, member: Member) -> None:
        if jurisdiction_of(member.id) != self._jurisdiction(index):
            raise _fault("/id", "a registrar names members of its own jurisdiction only")
        if member.id in self._reserved(index):
            raise _fault("/id", "a member cannot be called like a node or the registrar")
        of_roots = {key.public_key.thumbprint for document in self._documents_up_to(index) for key in document.keys}
        for number, key in enumerate(member.keys):
            thumbprint = prebuilt(key.jwk["x"], key.jwk["y"]).thumbprint
            known = self.keys.get(key.kid)
            if known is not None and known.public_key.thumbprint != thumbprint:
                raise _fault(f"/keys/{number}/kid", "this kid has had another key: a kid is never reused, take a new one")
            if self.kid_of.get(thumbprint, key.kid) != key.kid or thumbprint in of_roots:
                raise _fault(f"/keys/{number}/jwk", "this key is registered under another kid: one key stands under one member, once")
        if len({(key.jwk["x"], key.jwk["y"]) for key in member.keys}) != len(member.keys):
            raise _fault("/keys", "one key stands under two kids: the rule of two persons counts keys")

    def _check_root(self, index: int, claim: RootClaim) -> None:
        document = self.documents.get(claim.version)
        if document is None or document.sha256 != claim.sha256:
            raise _fault("/sha256", "no verified root document has this version and digest")
        in_force = self.document_at(index)
        if in_force is not None and document.version < in_force.version:
            raise _fault("/ver", "a later root document is in force already")
        if any(key.public_key.thumbprint in self.kid_of for key in document.keys):
            raise _fault("/sha256", "a key of the root document is registered under a member")

    def _jurisdiction(self, index: int) -> str:
        document = self.document_at(index)
        return "" if document is None else document.jurisdiction

    def _reserved(self, index: int) -> set[str]:
        """Ids that no member may have: the registrar, the root, and every node of ours."""
        documents = self._documents_up_to(index)
        hosts = {node_of_origin(log.origin) for document in documents for log in document.logs}
        jurisdiction = self._jurisdiction(index)
        return hosts | {node_of_origin(self.origin), f"{jurisdiction}.registrar", f"{jurisdiction}.root"}

    def _documents_up_to(self, index: int) -> list[RootDocument]:
        in_force = self.document_at(index)
        return [] if in_force is None else [document for version, document in self.documents.items() if version <= in_force.version]


def matters(stub: Stub) -> bool:
    """Whether the registry takes notice of this kind at all."""
    return stub.kind in CONTROL_KINDS or stub.kind == Kind.APPROVE


def _fault(pointer: str, detail: str) -> Schema:
    return Schema(detail, faults=(Fault(pointer, "registry", detail),))
