"""A jurisdiction for tests in a few lines: founded from a seed, its members and their keys, statements of every kind, a running node.

Everything is real: keys, signatures, the gate, the database. Only the clock is ours. Keys are functions of their kid, so the same
test signs with the same keys in every process.

    town = Town.found(tmp_path / "de", clock=Clock())
    async with town.open(database_url) as node:
        await node.gate.submit(town.founding())
        bka = town.signer("de.bka#1")
        await node.gate.submit([bka.listing(wallet(1))])
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.domain.canonical import JsonValue
from app.domain.errors import CordonError
from app.domain.labels import Label, Reader, ReaderClass, Tlp
from app.domain.merkle import leaf_hash
from app.domain.note import KeyType
from app.domain.registry import Mandate, Member, MemberClass
from app.domain.statement import Kind, ohash_of, sid_of
from app.seal.disclosure import build_statement
from app.seal.jws import SigningKey
from app.seal.notes import Receipt, Verifier, read_vkeys, verify_receipt
from app.seal.roots import read_document
from app.services.admit import Admitted, Result
from app.services.enroll import Founding, Registrar, default_kinds, first_policy, found, member_key, read_key, read_root_documents
from app.settings import load

if TYPE_CHECKING:
    from app.services.node import Node

START_MS = 1_790_000_000_000
DAY_S = 86_400
SEED = b"tests only, protects nothing"

CONTEXT: dict[str, JsonValue] = {
    "type": "context",
    "purpose": "fraud_prevention",
    "legal_basis": {"instrument": "criminal_investigation"},
    "assertion": "assessment",
    "evidence_standard": "reasonable_grounds",
    "evidence": [{"sha256": "00" * 32, "kind": "victim_statement", "held_by": "issuer"}],
    "review_by": "2027-03-01",
    "redress": {"contact": "redress desk, PO box 1", "route": "direct"},
    "neutrality": True,
}
JUDGEMENT: dict[str, JsonValue] = {
    "typologies": ["fraud.investment"],
    "roles": ["collection"],
    "severity": 3,
    "basis": "authority_data",
    "reliability": "B",
    "credibility": 2,
    "status": "suspected",
    "action": "review",
}
GUARD: dict[str, JsonValue] = {"roles": ["service_benign"], "action": "do_not_block", "severity": 0}


# --- values --------------------------------------------------------------------------------------------------------


class Clock:
    """The clock of a node and of those who sign for it, in milliseconds; stands still until told."""

    def __init__(self, ms: int = START_MS) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return self.ms

    def advance(self, *, s: float = 0, hours: float = 0, days: float = 0) -> None:
        """Let time pass."""
        self.ms += int((s + 3600 * hours + DAY_S * days) * 1000)


def wallet_id(number: int) -> str:
    """The id of an Ethereum wallet, one for each number."""
    return "eip155:0:0x" + hashlib.sha256(b"wallet %d" % number).hexdigest()[:40]


def wallet(subject: int | str, **members: Any) -> dict[str, JsonValue]:
    """A wallet item, by number or id."""
    return {"type": "wallet", "id": wallet_id(subject) if isinstance(subject, int) else subject, **JUDGEMENT, **members}


def link(source: str, target: str, relation: str = "transfers_to", **members: Any) -> dict[str, JsonValue]:
    """A link item between two ids."""
    return {"type": "link", "from": source, "to": target, "relation": relation, "basis": "ledger_immanent", "confidence": 100, **members}


def entity(slug: str, *, member: str = "de.bka", **members: Any) -> dict[str, JsonValue]:
    """An entity item, a company with one name."""
    name: JsonValue = {"name": slug.replace("-", " ").title(), "lang": "en", "kind": "primary"}
    return {"type": "entity", "id": f"entity:{member}:{slug}", "kind": "company", "names": [name], **members}


def sid_in(wire: str) -> str:
    """The sid of a statement in wire form."""
    return sid_of(wire.split("~", 1)[0])


def entry_of(wire: str, accepted_ms: int) -> bytes:
    """The log entry that a receipt proves."""
    return f"{accepted_ms} {wire.split('~', 1)[0]}".encode("ascii")


PUBLIC = Reader(ReaderClass.PUBLIC)


def agency_reader(member: str = "de.bka", node: str = "de.example") -> Reader:
    """An agency user of its node."""
    return Reader(ReaderClass.NODE, member, ids=frozenset({node}))


def vasp_reader(member: str = "de.exchange", node: str = "de.example") -> Reader:
    """A VASP that is a client of a node."""
    return Reader(ReaderClass.VASP, member, node_ids=frozenset({node}))


# --- those who sign ------------------------------------------------------------------------------------------------


def key_of(kid: str) -> SigningKey:
    """The key of a kid, the same in every run."""
    return SigningKey.derive(kid, SEED + kid.encode("ascii"))


@dataclass(frozen=True, slots=True)
class Signer:
    """One key of a member: makes statements for one log at the time of its clock."""

    key: SigningKey
    origin: str
    clock: Callable[[], int]

    @property
    def now(self) -> int:
        """Seconds."""
        return self.clock() // 1000

    def say(self, kind: str, claims: Mapping[str, Any] | None = None, parts: Mapping[str, Sequence[Any]] | None = None, **more: Any) -> str:
        """Any statement; `aud`, `jti`, `tlp`, `iat` … may be given or overridden."""
        common = {"v": 1, "iss": self.key.kid.partition("#")[0], "org": self.origin, "knd": str(kind), "iat": self.now, "tlp": "GREEN"}
        return build_statement({**common, **(claims or {}), **more}, parts or {}, self.key)

    def listing(
        self,
        *items: Mapping[str, Any],
        days: float = 300,
        context: Mapping[str, Any] = CONTEXT,
        others: Mapping[str, Any] | None = None,
        labels: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> str:
        """A listing of `items`; `others`: further parts (ctx, pii); `labels`: what each part is for, else as the stub."""
        claims: dict[str, Any] = {"exp": self.now + int(days * DAY_S)}
        if labels is not None:
            claims["parts"] = dict(labels)
        return self.say(Kind.LISTING, claims, {"core": [*items, dict(context)], **(others or {})}, **more)

    def renew(self, *sids: str, days: float = 600, **more: Any) -> str:
        """Move the expiry of listings."""
        return self.say(Kind.RENEW, {"t": list(sids), "exp": self.now + int(days * DAY_S)}, **more)

    def retract(self, *sids: str, **more: Any) -> str:
        """Withdraw statements."""
        return self.say(Kind.RETRACT, {"t": list(sids)}, **more)

    def erase(self, *sids: str, parts: Sequence[str] = ("core",), **more: Any) -> str:
        """Destroy parts of statements."""
        return self.say(Kind.ERASE, {"t": list(sids), "del": list(parts), "ground": "court_order"}, **more)

    def approve(self, *sids: str, **more: Any) -> str:
        """Be the second key."""
        return self.say(Kind.APPROVE, {"t": list(sids)}, **more)

    def reaffirm(self, *sids: str, **more: Any) -> str:
        """Stand by statements of a key that was revoked."""
        return self.say(Kind.REAFFIRM, {"t": list(sids)}, **more)

    def dispute(self, *sids: str, stage: str | None = None, ground: str = "wrong_person", **more: Any) -> str:
        """Object to statements of this log."""
        item = {"ground": ground} if stage is None else {"ground": ground, "stage": stage}
        return self.say(Kind.DISPUTE, {"t": [f"{ohash_of(self.origin)}/{sid}" for sid in sids]}, {"core": [item]}, **more)

    def endorse(self, *sids: str, **more: Any) -> str:
        """Support statements of this log."""
        return self.say(Kind.ENDORSE, {"t": [f"{ohash_of(self.origin)}/{sid}" for sid in sids]}, **more)

    def freeze_request(self, *subjects: str, aud: Sequence[str] = ("de.exchange",), hours: float = 48, **more: Any) -> str:
        """Ask VASPs to freeze."""
        item = {
            "action": "freeze",
            "subjects": list(subjects),
            "legal_basis": {"instrument": "court_order", "reference": "12 Gs 3/26"},
            "deadline": _instant(self.now + 6 * 3600),
            "expires_at": _instant(self.now + int(hours * 3600)),
            "contact": "freeze desk, extension 7",
        }
        return self.say(Kind.REQUEST, {"aud": list(aud)}, {"core": [item]}, tlp="AMBER", **more)


def _instant(seconds: int) -> str:
    from app.domain.answer import instant_text

    return instant_text(seconds * 1000)


# --- a jurisdiction ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Town:
    """A founded jurisdiction: its data directory, its registrar keys, and the keys by which others verify its log."""

    data_dir: Path
    code: str
    clock: Callable[[], int]
    origin: str
    log_keys: tuple[Verifier, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def found(
        cls,
        data_dir: Path,
        *,
        code: str = "de",
        clock: Callable[[], int] | None = None,
        registrar_keys: int = 2,
        public_url: str = "http://127.0.0.1:8000",
        **settings: Any,
    ) -> Town:
        """Found it; keys come from a fixed seed."""
        ticking = clock or Clock()
        node = f"{code}.example"
        founding = Founding(code, node, code.upper(), public_url, registrar_keys=registrar_keys, seed=SEED)
        data_dir.mkdir(parents=True, exist_ok=True)
        found(data_dir, founding, now=ticking() // 1000)
        return cls.at(data_dir, code=code, clock=ticking, **settings)

    @classmethod
    def at(cls, data_dir: Path, *, code: str = "de", clock: Callable[[], int], **settings: Any) -> Town:
        """One that was founded before, perhaps by another process."""
        document = read_document(read_root_documents(data_dir)[-1]).document
        verifiers = [one for entry in document.logs for one in read_vkeys(entry.vkeys)]
        keys = tuple(one for one in verifiers if one.key.type == KeyType.ED25519)
        return cls(data_dir, code, clock, f"{code}.example/log", keys, settings)

    # --- who signs ---------------------------------------------------------------------------------------------

    def signer(self, kid: str) -> Signer:
        """The holder of a member's key, enrolled or not."""
        if kid.partition("#")[0] == f"{self.code}.registrar":
            return Signer(read_key(self.data_dir / "keys" / f"registrar-{kid.partition('#')[2]}.jwk"), self.origin, self.clock)
        return Signer(key_of(kid), self.origin, self.clock)

    def registrar(self, number: int = 1) -> Registrar:
        """The registrar, with one of its keys, now."""
        return Registrar(self.origin, read_key(self.data_dir / "keys" / f"registrar-{number}.jwk"), self.clock() // 1000)

    def founding(self, **policy: Any) -> list[str]:
        """The first statements: root, and a policy by which registrar acts need one key (unless `policy` says otherwise)."""
        document = read_document(read_root_documents(self.data_dir)[-1]).document
        return [self.registrar().root(document), self.policy(**policy)]

    def policy(self, **changes: Any) -> str:
        """A policy statement: nothing needs two keys, persons need four eyes; `changes` on top."""
        return self.registrar().policy({**first_policy(1), **changes})

    def member(
        self,
        member_id: str,
        *,
        member_class: MemberClass = MemberClass.AGENCY,
        keys: Sequence[str] = ("1", "2"),
        categories: tuple[str, ...] = ("fraud",),
        tlp_max: Tlp = Tlp.RED,
        quota: int = 1_000_000,
        persons: bool = False,
        lives_s: int = 2 * 365 * DAY_S,
        **changes: Any,
    ) -> str:
        """A member statement."""
        mandate = Mandate(default_kinds(member_class), categories, tlp_max, quota, persons)
        now = self.clock() // 1000
        registered = tuple(
            member_key(f"{member_id}#{label}", key_of(f"{member_id}#{label}").public_jwk, now=now, lives_s=lives_s) for label in keys
        )
        member = Member(member_id, changes.pop("name", member_id.upper()), member_class, mandate, registered)
        return self.registrar().member(replace(member, **changes))

    def settled(self, **policy: Any) -> list[str]:
        """Everything with which most tests begin: two agencies with two keys each, a VASP and a redress member."""
        return [
            *self.founding(**policy),
            self.member(f"{self.code}.bka", persons=True, country="DE"),
            self.member(f"{self.code}.lka"),
            self.member(f"{self.code}.exchange", member_class=MemberClass.VASP, keys=("1",), categories=()),
            self.member(f"{self.code}.ombud", member_class=MemberClass.REDRESS, keys=("1",), categories=()),
        ]

    # --- its node ----------------------------------------------------------------------------------------------

    def build(self, database_url: str, **settings: Any) -> Node:
        """A node of this jurisdiction on a database with the newest schema; not started."""
        from app.main import build

        chosen = {"data_dir": self.data_dir, "database_url": database_url, "commit_window_ms": 1, **self.settings, **settings}
        return build(load(chosen, environment={}), clock=self.clock)

    @asynccontextmanager
    async def open(self, database_url: str, **settings: Any) -> AsyncIterator[Node]:
        """A running node."""
        node = self.build(database_url, **settings)
        await node.start()
        try:
            yield node
        finally:
            await node.stop()

    def check_receipt(self, wire: str, admitted: Admitted) -> Receipt:
        """Verify a receipt offline, with nothing but the statement and the vkeys of the root document."""
        assert admitted.receipt is not None
        assert admitted.accepted_ms is not None
        leaf = leaf_hash(entry_of(wire, admitted.accepted_ms))
        receipt = verify_receipt(admitted.receipt, leaf, origin=self.origin, log_keys=self.log_keys)
        assert receipt.index == admitted.index
        assert receipt.extra == f"{admitted.accepted_ms} {admitted.sid}".encode()
        return receipt


# --- what a gate answered ------------------------------------------------------------------------------------------


def words(results: Sequence[Result]) -> list[str]:
    """One word a result: accepted, known, held, or the slug of the problem."""
    return [result.slug if isinstance(result, CordonError) else str(result.status) for result in results]


async def submit(node: Node, *wires: str) -> list[Result]:
    """Submit in one go."""
    return await node.gate.submit(wires)


async def accept(node: Node, *wires: str) -> list[Admitted]:
    """Submit what must be accepted."""
    results = await node.gate.submit(wires)
    wrong = [(place, r.slug, r.detail, r.faults) for place, r in enumerate(results) if isinstance(r, CordonError)]
    assert not wrong, wrong
    accepted = [r for r in results if isinstance(r, Admitted)]
    assert {str(one.status) for one in accepted} == {"accepted"}, words(results)
    return accepted


async def refuse(node: Node, wire: str, slug: str) -> CordonError:
    """Submit one that must be refused with this problem code."""
    (result,) = await node.gate.submit([wire])
    assert isinstance(result, CordonError), result
    assert result.slug == slug, (result.slug, result.detail)
    return result


AMBER_HERE = Label(Tlp.AMBER, frozenset({"de.example"}))
