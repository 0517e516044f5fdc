"""Judging one statement, in the order of schemas §2 ("Order at home"); one fault is reported, the first.

`prepare` does what needs no database and may be done while a batch waits; `judge` does the rest against the facts of the log as
it stands in the open transaction. What `prepare` found wrong is kept with its place in the order and raised when its turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.domain.errors import CordonError, EdgeNotAuthorised, JtiConflict, KeyNotValid, Quota, Refused, ScopeDenied, UnknownKid
from app.domain.items import CheckedItems, check_categories, check_embargo, check_items, four_eyes_reason
from app.domain.registry import Member, node_of_origin
from app.domain.statement import (
    NODE_KINDS,
    TYP,
    Disclosure,
    Kind,
    Stub,
    check_edges,
    check_mandate_kind,
    check_origin,
    check_renewal,
    check_times,
    read_stub,
)
from app.seal.disclosure import read_disclosures, split_wire
from app.seal.jws import Token, open_tokens
from app.seal.keyring import Keyring
from app.services.admit.facts import Facts, Known
from app.services.admit.outcome import HeldReason
from app.services.admit.prepared import Prepared
from app.storage.held import Held


@dataclass(frozen=True, slots=True)
class ToLog:
    """To be appended. `reason` is needs2 for what is logged but inert until approved."""

    prepared: Prepared
    stub: Stub
    reason: HeldReason | None = None
    released: tuple[str, ...] = ()
    """Sids of held statements that this approval brings into the log, before itself."""


@dataclass(frozen=True, slots=True)
class ToHold:
    """To be kept outside the log until another key of the same issuer approves."""

    prepared: Prepared
    stub: Stub
    reason: HeldReason


@dataclass(slots=True)
class _Draft:
    """A statement on its way to being prepared; the first `fault` ends it. `is_late`: its stub was good."""

    wire: str
    jws: str = ""
    texts: tuple[str, ...] = ()
    token: Token | None = None
    stub: Stub | None = None
    member: Member | None = None
    disclosures: tuple[Disclosure, ...] = ()
    items: CheckedItems | None = None
    fault: CordonError | None = None
    is_late: bool = False

    def outcome(self, version: int) -> Prepared | CordonError:
        """What `prepare_all` answers."""
        if self.token is None:
            assert self.fault is not None
            return self.fault
        early, late = (None, self.fault) if self.is_late else (self.fault, None)
        return Prepared(self.wire, self.token, self.stub, self.disclosures, self.items, early, late, version)


def _take(drafts: Sequence[_Draft], step: Callable[[_Draft], None]) -> None:
    """One step of all that stand."""
    for one in drafts:
        if one.fault is None:
            try:
                step(one)
            except Refused as error:
                one.fault = error


def _split(one: _Draft) -> None:
    one.jws, one.texts = split_wire(one.wire)


def _disclose(one: _Draft) -> None:
    assert one.stub is not None
    one.disclosures = read_disclosures(one.stub, one.texts, home=True)


class Judge:
    """The rules of one home log. `protected` says whether an id is on the local list."""

    def __init__(self, *, origin: str, jurisdiction: str, keyring: Keyring, protected: Callable[[str], bool]) -> None:
        self._origin = origin
        self._registrar = f"{jurisdiction}.registrar"
        self._node = node_of_origin(origin)
        self._keyring = keyring
        self._protected = protected

    def prepare(self, wire: str) -> Prepared:
        """Split, verify, read. Raises what the fence refuses (protocol §2.4); everything later is kept for its turn."""
        (prepared,) = self.prepare_all([wire])
        if isinstance(prepared, CordonError):
            raise prepared
        return prepared

    def prepare_all(self, wires: Sequence[str]) -> list[Prepared | CordonError]:
        """`prepare` of each, or what that would raise.

        Step by step over all of them, not one after the other: with the code and the tables of a step at hand sixteen statements
        of one wallet take two thirds of the time (ADR 0008).
        """
        version = self._keyring.version
        drafts = [_Draft(wire) for wire in wires]
        _take(drafts, _split)
        whole = [one for one in drafts if one.fault is None]
        tokens = open_tokens([one.jws for one in whole], typ=TYP, find_key=self._keyring.public_key)
        for one, token in zip(whole, tokens, strict=True):
            if isinstance(token, CordonError):
                one.fault = token
            else:
                one.token = token
        _take(drafts, self._read_stub)
        for one in drafts:
            one.is_late = one.fault is None
        for step in (self._find_mandate, _disclose, self._check_items):
            _take(drafts, step)
        return [one.outcome(version) for one in drafts]

    def _read_stub(self, one: _Draft) -> None:
        assert one.token is not None
        one.stub = read_stub(one.token.claims, kid=one.token.kid, sid=one.token.sid)
        check_origin(one.stub, self._origin)

    def _find_mandate(self, one: _Draft) -> None:
        assert one.stub is not None
        one.member = self._member(one.stub)
        if one.stub.issuer == self._node:
            self._check_node(one.stub)
        else:
            check_mandate_kind(one.stub, one.member)

    def _check_items(self, one: _Draft) -> None:
        assert one.stub is not None
        one.items = check_items(one.stub, one.disclosures, member=one.member, policy=self._keyring.policy_at())
        check_categories(one.items, one.member)

    def is_stale(self, prepared: Prepared) -> bool:
        """Whether the registry has changed since it was prepared."""
        return prepared.keyring_version != self._keyring.version

    def judge(self, prepared: Prepared, facts: Facts, *, index: int, accepted_ms: int) -> ToLog | ToHold | Known | Held:
        """What becomes of it at this place of the log; raises the first fault that is found."""
        known = facts.known.get(prepared.sid)
        if known is not None:
            return known
        held = facts.held.get(prepared.sid)
        if held is not None:
            return held
        if prepared.early is not None:
            raise prepared.early
        stub = prepared.stub
        assert stub is not None
        check_times(stub, now=facts.now_ms // 1000)
        self._keyring.check_key(stub.kid, index=index, accepted_s=accepted_ms // 1000, kind=stub.kind, at_home=True)
        if prepared.late is not None:
            raise prepared.late
        self._keyring.check_control(stub, index=index)
        items = prepared.items
        assert items is not None
        self._check_against_log(stub, items, facts)
        self._check_quota(stub, facts)
        return self._hold_or_log(prepared, stub, items, facts)

    def recheck_held(self, held: Held, facts: Facts, *, index: int, accepted_ms: int) -> ToLog:
        """A held statement whose approval has come: its own key must still be good, its targets still there."""
        prepared = self.prepare(held.wire)
        fault = prepared.early or prepared.late
        if fault is not None:
            raise fault
        stub, items = prepared.stub, prepared.items
        assert stub is not None
        assert items is not None
        self._keyring.check_key(stub.kid, index=index, accepted_s=accepted_ms // 1000, kind=stub.kind, at_home=True)
        self._check_against_log(stub, items, facts)
        return ToLog(prepared, stub)

    def _check_against_log(self, stub: Stub, items: CheckedItems, facts: Facts) -> None:
        """What the log may have made wrong since a statement was signed, or held."""
        self._check_edges(stub, facts)
        self._check_jti(stub, facts)
        check_embargo(items, facts.open_freezes.get(stub.issuer, ()))

    def _check_node(self, stub: Stub) -> None:
        """A node says by itself what it found (evidence), what it answered (anchor), and nothing (pad); with a key of the newest root."""
        if stub.kind not in NODE_KINDS:
            raise ScopeDenied(f"a node signs nothing but {', '.join(sorted(NODE_KINDS))}")
        newest = self._keyring.newest_document
        if newest is None or all(key.kid != stub.kid for key in newest.node_keys):
            raise KeyNotValid("the newest root document does not name this key of the node")

    def _member(self, stub: Stub) -> Member | None:
        """The member who speaks; None for the registrar of this node, and for the node itself."""
        if stub.issuer in (self._registrar, self._node):
            return None
        member = self._keyring.member(stub.issuer)
        if member is None:
            raise UnknownKid("this key belongs to no member of this node: ask the registrar to enrol you")
        return member

    def _check_edges(self, stub: Stub, facts: Facts) -> None:
        check_edges(stub, facts.targets.get, registrar=self._registrar)
        if stub.kind == Kind.RENEW:
            for sid in stub.targets:
                check_renewal(stub, listed_at=facts.listed_at[sid])

    def _check_jti(self, stub: Stub, facts: Facts) -> None:
        if stub.jti is None:
            return
        other = facts.jtis.get((stub.issuer, stub.jti))
        if other is not None and other != stub.sid:
            raise JtiConflict("this `jti` names another statement of yours: take a new one, or send the first again as it was")

    def _check_quota(self, stub: Stub, facts: Facts) -> None:
        member = self._keyring.member(stub.issuer)
        if member is not None and facts.counts.get(stub.issuer, 0) >= member.mandate.quota_per_hour:
            raise Quota(f"the mandate allows {member.mandate.quota_per_hour} statements an hour: send the rest later", retry_after_s=600)

    def _hold_or_log(self, prepared: Prepared, stub: Stub, items: CheckedItems, facts: Facts) -> ToLog | ToHold:
        if stub.kind == Kind.APPROVE:
            return ToLog(prepared, stub, released=tuple(sid for sid in stub.targets if sid in facts.held))
        # To say that a protected id is benign is no attack on it.
        if any(subject in facts.guarded or self._protected(subject) for subject in items.subjects if subject not in items.guards):
            return ToHold(prepared, stub, HeldReason.PROTECTED)
        policy = self._keyring.policy_at()
        if four_eyes_reason(items, policy) is not None:
            return ToHold(prepared, stub, HeldReason.FOUR_EYES)
        return ToLog(prepared, stub, HeldReason.NEEDS2 if stub.kind in policy.needs2 else None)


def refuse_self_approval(approval: Stub, held: Held) -> None:
    """Raises EdgeNotAuthorised if `approval` is by the key that signed what is held: the same key twice is no second pair of eyes."""
    if approval.kid == held.kid:
        raise EdgeNotAuthorised("the key that signed a statement cannot approve it: another key of the same issuer must")
