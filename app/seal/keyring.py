"""Keys, members, groups and policy of one origin, as a function of its log and its root documents.

A `Keyring` is given the control statements of one log, each under its index, and the verified root documents. What it answers
depends on that set alone, not on the order of arrival: whatever comes late makes it work through everything again, in log
order. Rules (protocol §3.2, decisions 26-28; schemas §2):

- A statement takes effect at its own index, or, where the policy in force there wants two keys for its kind, at the index of an
  `approve` by another registrar key. It counts for statements at higher indexes only, so a log that grows never changes the past.
- Registrar keys come from root documents: those of the first are good from index 0, later ones from the `root` statement that
  names their version; a key left out ends with that statement. `key-revoke` does not touch them.
- Member keys are added, never dropped from history. One key under one member only, a kid never reused. A registrar names only
  members and groups of its own jurisdiction, and no member that is called like a node.
- Revocation is by index: the lowest counts, `superseded` counts from its own index, and there is no un-revoke.

A statement that breaks a rule is carried inert; `check_control` is the same rules as refusals, for the home gate. Callers
verify signatures first, and give no statement whose `must` they do not understand.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..domain.claims import CONTROL_KINDS
from ..domain.errors import Fault, KeyNotValid, Refused, Schema, UnknownKid
from ..domain.registry import Group, KeyRevocation, Member, Policy, RevocationReason, check_control
from ..domain.statement import Kind, Stub
from .jws import PublicKey
from .registry_state import Effect, Fact, RegistryState, matters, newest, read_reading
from .roots import RootDocument

__all__ = ["Effect", "KeyRecord", "Keyring"]

_NO_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A member key as it stands now: times in epoch seconds, positions as log indexes (`GET /v1/members/{id}/keys`)."""

    kid: str
    member: str
    public_key: PublicKey
    registered_index: int
    not_before: int
    expires: int
    revoked_from: int | None
    reason: RevocationReason | None


class Keyring:
    """The registry of one origin in memory."""

    def __init__(self, origin: str, documents: Iterable[RootDocument] = ()) -> None:
        self.origin = origin
        self._documents = {document.version: document for document in documents}
        self._entries: list[tuple[int, str, Stub]] = []  # (index, sid, stub) in log order
        self._indexes: dict[str, int] = {}  # sid -> the lower of its indexes counts
        self._state = RegistryState(origin, self._documents)
        self._version = 0
        self._root_keys: dict[str, PublicKey] = {}  # registrar and node keys of every version
        self._rebuild()

    # --- what is known ------------------------------------------------------------------------------------------------

    def add_root(self, document: RootDocument) -> None:
        """Take one more verified version of the root document (`roots.read_root_chain` has judged the chain)."""
        self._documents[document.version] = document
        self._rebuild()

    def apply(self, index: int, stub: Stub) -> Effect:
        """Take the verified statement at log `index`; kinds that do not matter here pass. Never raises: what is wrong is inert."""
        if not matters(stub):
            return Effect.NONE
        known = self._indexes.get(stub.sid)
        if known is not None and known <= index:
            return self.effect_of(stub.sid)
        in_order = known is None and (not self._entries or index > self._entries[-1][0])
        if known is not None:
            self._entries = [entry for entry in self._entries if entry[1] != stub.sid]
        self._indexes[stub.sid] = index
        insort(self._entries, (index, stub.sid, stub), key=lambda entry: entry[:2])
        if in_order:
            self._step(index, stub)
        else:
            self._rebuild()
        return self.effect_of(stub.sid)

    @property
    def version(self) -> int:
        """A number that moves with every statement and document taken in: an answer got under another one may be stale."""
        return self._version

    def copy(self, *, before: int | None = None) -> Keyring:
        """One that can go its own way: a batch tries its control statements on it, and only a commit makes them ours.

        `before`: only with what stands below this index. Past a fork, or the end of a retired log, control statements wait.
        """
        other = Keyring(self.origin, self._documents.values())
        other._entries = [entry for entry in self._entries if before is None or entry[0] < before]
        other._indexes = {sid: index for index, sid, _ in other._entries}
        other._rebuild()
        return other

    def check_control(self, stub: Stub, *, index: int) -> None:
        """Refuse with Schema what would be inert at `index`: the home gate logs no control statement that does nothing.

        For after the mandate check, which has its own code for statements that are not the registrar's; the form of the
        claims alone is `registry.check_control`.
        """
        if stub.kind not in CONTROL_KINDS:
            return
        check_control(stub.kind, stub.claims)
        reading = read_reading(stub, lenient=False)
        self._state.check_signer(index, stub, reading)
        self._state.check_rules(index, reading)
        if isinstance(reading, KeyRevocation) and reading.kid not in self._state.keys:
            detail = "no member key of this kid is registered here: there is nothing to revoke"
            raise Schema(detail, faults=(Fault("/kid", "registry", detail),))

    def check_carried_control(self, stub: Stub, *, index: int) -> None:
        """Schema if a peer's control statement breaks a rule at `index`, so that it is carried inert; members of a newer version pass."""
        if stub.kind in CONTROL_KINDS:
            reading = read_reading(stub, lenient=True)
            self._state.check_signer(index, stub, reading)
            self._state.check_rules(index, reading)

    # --- keys ---------------------------------------------------------------------------------------------------------

    def public_key(self, kid: str) -> PublicKey | None:
        """The key of a kid that was ever registered: member, registrar or node key, good or not. What `open_token` asks."""
        registered = self._state.keys.get(kid)
        return self._root_keys.get(kid) if registered is None else registered.public_key

    def key(self, kid: str) -> KeyRecord | None:
        """A member key with its history, as it stands now."""
        registered = self._state.keys.get(kid)
        term = None if registered is None else newest(registered.terms)
        if registered is None or term is None:
            return None
        first = self._first_revocation(kid)
        return KeyRecord(
            kid=kid,
            member=registered.owner,
            public_key=registered.public_key,
            registered_index=min(fact.own for fact in registered.terms),
            not_before=term.not_before,
            expires=term.expires,
            revoked_from=None if first is None else first.value.counts_from(first.own),
            reason=None if first is None else first.value.reason,
        )

    def keys_of(self, member_id: str) -> tuple[KeyRecord, ...]:
        """Every key that a member ever had, in the order of registration."""
        kids = [kid for kid, registered in self._state.keys.items() if registered.owner == member_id]
        records = (self.key(kid) for kid in kids)
        return tuple(sorted((record for record in records if record is not None), key=lambda record: (record.registered_index, record.kid)))

    def check_key(self, kid: str, *, index: int, accepted_s: int, kind: str | None = None, at_home: bool = False) -> None:
        """Whether `kid` may sign what is logged at `index` and accepted at `accepted_s`; else UnknownKid or KeyNotValid.

        A registrar key that the newest root document names may sign its own `root` statement (`kind`) before it is in force;
        `at_home` also refuses one that the newest document has dropped, as soon as it is known.
        """
        registered = self._state.keys.get(kid)
        if registered is None:
            self._check_root_key(kid, index, kind=kind, at_home=at_home)
            return
        term = newest(registered.terms, index)
        if term is None:
            raise UnknownKid("the key was registered later in the log than this statement")
        first = self._first_revocation(kid)
        if first is not None and index >= first.value.counts_from(first.own):
            raise KeyNotValid("the key was revoked from an index at or below this one: sign with another key")
        if not term.not_before <= accepted_s < term.expires:
            raise KeyNotValid("the key is not valid at the moment of acceptance: see nbf and exp of its registration")

    def check_carried_key(self, kid: str, *, index: int, accepted_s: int, kind: str | None = None) -> None:
        """Whether `kid` was registered, and in its time, for what a peer logged at `index`; else UnknownKid or KeyNotValid.

        Revocations are left to the fold, which knows of reaffirmations: so the answer depends on what stands below `index` alone,
        whatever came later and whenever we were told of it.
        """
        registered = self._state.keys.get(kid)
        if registered is not None:
            term = newest(registered.terms, index)
            if term is None:
                raise UnknownKid("the key was registered later in the log than this statement")
            if not term.not_before <= accepted_s < term.expires:
                raise KeyNotValid("the key is not valid at the moment of acceptance: see nbf and exp of its registration")
            return
        if kid not in self._root_keys:
            raise UnknownKid("no key of this kid is registered here")
        in_force = self._state.document_at(index)
        for document in self._documents.values():
            is_registrar = any(key.kid == kid for key in document.registrar_keys)
            if is_registrar and (document is in_force or kind == Kind.ROOT):
                return
            # Of a document that is not logged yet the node's key is good already, as at home.
            is_node = any(key.kid == kid for key in document.node_keys)
            if is_node and (in_force is None or document.version >= in_force.version):
                return
        raise KeyNotValid("no root document in force at this index names this key")

    def revoked_from(self, kid: str) -> int | None:
        """The index from which on what `kid` signed is inert, the lowest of all revocations; None if it is not revoked."""
        first = self._first_revocation(kid)
        return None if first is None else first.value.counts_from(first.own)

    @property
    def documents(self) -> tuple[RootDocument, ...]:
        """Every version of the root document that is known, in order."""
        return tuple(self._documents[version] for version in sorted(self._documents))

    @property
    def newest_document(self) -> RootDocument | None:
        """The root document of the highest version; None before any is known."""
        return self._newest_document if self._documents else None

    @property
    def registrar(self) -> str | None:
        """The id of the registrar; None before any root document is known."""
        return self._newest_document.registrar if self._documents else None

    @property
    def registrar_kids(self) -> frozenset[str]:
        """Every kid that was ever a registrar key, for the fold."""
        return frozenset(key.kid for document in self._documents.values() for key in document.registrar_keys)

    # --- members, groups, policy --------------------------------------------------------------------------------------

    def member_of(self, kid: str) -> Member | None:
        """The member, as it stands now, whose key `kid` is; None for registrar and node keys, and for unknown ones."""
        registered = self._state.keys.get(kid)
        return None if registered is None else self.member(registered.owner)

    def member(self, member_id: str, *, before: int | None = None) -> Member | None:
        """The newest version of a member, or the one in effect for a statement at index `before`."""
        return newest(self._state.members.get(member_id, ()), before)

    def members(self) -> tuple[Member, ...]:
        """All members as they stand now, by id."""
        return tuple(member for member_id in sorted(self._state.members) if (member := self.member(member_id)) is not None)

    def group(self, group_id: str, *, before: int | None = None) -> Group | None:
        """The newest version of a group, or the one in effect for a statement at index `before`."""
        return newest(self._state.groups.get(group_id, ()), before)

    def groups(self) -> tuple[Group, ...]:
        """All groups as they stand now, by id."""
        return tuple(group for group_id in sorted(self._state.groups) if (group := self.group(group_id)) is not None)

    def groups_of(self, ids: Collection[str], index: int | None = None) -> frozenset[str]:
        """Groups to which one of `ids` belongs for a statement at `index`: then, and still today (schemas §2)."""
        wanted = frozenset(ids)
        return frozenset(
            group_id
            for group_id in self._state.groups
            if (today := self.group(group_id)) is not None
            and not wanted.isdisjoint(today.members)
            and (then := self.group(group_id, before=index)) is not None
            and not wanted.isdisjoint(then.members)
        )

    def membership_spans(self, who: str) -> tuple[tuple[str, int, int | None], ...]:
        """(group, first, end) for each group that names `who` today: the stretches of log indexes, `end` excluded, for which it did."""
        return tuple(
            (group_id, first, end)
            for group_id, facts in sorted(self._state.groups.items())
            if (today := newest(facts)) is not None and who in today.members
            for first, end in _spans(facts, who)
        )

    def policy_at(self, index: int | None = None) -> Policy:
        """The last policy in effect before `index` (None: now); the defaults where there is none."""
        return newest(self._state.policies, index) or _NO_POLICY

    @property
    def stated_policy(self) -> Policy | None:
        """The policy in effect now; None as long as no `policy` statement was made."""
        return newest(self._state.policies)

    def needs2_at(self, index: int) -> frozenset[str]:
        """The kinds that need a second key at `index`."""
        return self.policy_at(index).needs2

    # --- statements ---------------------------------------------------------------------------------------------------

    def effect_of(self, sid: str) -> Effect:
        """What became of a control statement; NONE for anything else."""
        return self._state.effects.get(sid, Effect.NONE)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Sids of control statements that wait for a second registrar key, in log order."""
        return tuple(sid for sid, _ in sorted(self._state.waiting.items(), key=lambda item: item[1][0]))

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _newest_document(self) -> RootDocument:
        return self._documents[max(self._documents)]

    def _rebuild(self) -> None:
        self._state = RegistryState(self.origin, self._documents)
        self._root_keys = {
            key.kid: key.public_key for document in self._documents.values() for key in (*document.registrar_keys, *document.node_keys)
        }
        self._version += 1
        for index, _, stub in self._entries:
            self._step(index, stub)

    def _step(self, index: int, stub: Stub) -> None:
        self._version += 1
        with suppress(Refused):  # carried inert: `effects` says so
            self._state.step(index, stub)

    def _first_revocation(self, kid: str) -> Fact[KeyRevocation] | None:
        facts = self._state.revocations.get(kid, ())
        return min(facts, key=lambda fact: fact.value.counts_from(fact.own), default=None)

    def _check_root_key(self, kid: str, index: int, *, kind: str | None, at_home: bool) -> None:
        if kid not in self._root_keys:
            raise UnknownKid("no key of this kid is registered here")
        newest_document = self._newest_document
        in_force = self._state.document_at(index)
        node_kids = {key.kid for document in (newest_document, in_force) if document for key in document.node_keys}
        if kid in node_kids:
            return
        in_newest = any(key.kid == kid for key in newest_document.registrar_keys)
        if not in_newest and at_home:
            raise KeyNotValid("the newest root document no longer names this registrar key")
        if not (self._state.is_registrar_key(kid, index) or (in_newest and kind == Kind.ROOT)):
            raise KeyNotValid("this registrar key is not in force at this index: a `root` statement says from when on")


def _spans(facts: Sequence[Fact[Group]], who: str) -> Iterator[tuple[int, int | None]]:
    """Stretches of indexes at which the version in effect names `who`; the last one is open."""
    begun: int | None = None
    for index in sorted({fact.since + 1 for fact in facts}):
        version = newest(facts, index)
        named = version is not None and who in version.members
        if named and begun is None:
            begun = index
        elif not named and begun is not None:
            yield begun, index
            begun = None
    if begun is not None:
        yield begun, None
