"""Clients' own policies: kept, changed by whoever has seen the version at hand, and tried on what the client was told (schemas §4.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from app.domain.answer import Listing, Match, instant_text, is_guard
from app.domain.canonical import JsonValue, b64u_decode, read_json, write_json
from app.domain.errors import PreconditionFailed, TooLarge
from app.domain.policy_rules import Outcome, Policy, Rule, evaluate
from app.domain.screening_receipt import ScreeningReceipt, read_claims
from app.storage.database import Database, Transaction

MOST_POLICIES = 100
DRY_RUN_MS = 30 * 86_400_000
MOST_RECEIPTS = 10_000
_MOVED = "it has changed since: read it again, then decide"


class Policies:
    """The policies of this node's clients, each of one member."""

    def __init__(self, database: Database, *, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock

    async def get(self, owner: str, name: str) -> Policy | None:
        """One policy."""
        body = await self._database.quick.policies.get(owner, name)
        return _read(body) if body is not None else None

    async def list(self, owner: str) -> list[Policy]:
        """All of a member, by name."""
        async with self._database.reading() as tx:
            return [_read(body) for body in await tx.policies.list(owner)]

    async def put(self, owner: str, policy: Policy, *, seen: Policy | None) -> None:
        """Keep it in place of `seen` (None: there was none); PreconditionFailed if something else is there, TooLarge if there are too many."""

        async def work(tx: Transaction) -> bool:
            if seen is not None:
                return await tx.policies.replace(owner, policy.name, _write(policy), seen=_write(seen))
            if len(await tx.policies.list(owner)) >= MOST_POLICIES:
                raise TooLarge(f"a member keeps at most {MOST_POLICIES} policies: delete one first")
            return await tx.policies.add(owner, policy.name, _write(policy))

        if not await self._database.run(work):
            raise PreconditionFailed(_MOVED)

    async def drop(self, owner: str, seen: Policy) -> None:
        """Take it away; PreconditionFailed if something else is there."""

        async def work(tx: Transaction) -> bool:
            return await tx.policies.drop(owner, seen.name, seen=_write(seen))

        if not await self._database.run(work):
            raise PreconditionFailed(_MOVED)

    async def dry_run(self, owner: str, policy: Policy) -> dict[str, JsonValue]:
        """What it would have said to every row of the member's receipts of the last 30 days.

        A receipt does not say which id was asked, only which statements were told. Where a statement lists several ids for which the
        policy has different outcomes, or was erased since, the row is counted as `unclear`.
        """
        since_ms = self._clock() - DRY_RUN_MS
        async with self._database.reading() as tx:
            kept = await tx.receipts.since(owner, since_ms, limit=MOST_RECEIPTS + 1)
            receipts = [_claims(token) for _, token in kept[:MOST_RECEIPTS]]
            items = await _items(tx, receipts)
        outcomes, fired, unclear = Counter[str](), Counter[str](), 0
        for receipt in receipts:
            for number, match in enumerate(receipt.matches):
                if match == Match.INVALID:
                    continue
                told = {(hit.origin, hit.sid) for hit in receipt.hits if hit.question == number} if match == Match.LISTED else set()
                found = _possible(policy, [items.get(one, ()) for one in told]) if told else {evaluate(policy, ())}
                if len(found) != 1:
                    unclear += 1
                    continue
                (outcome,) = found
                outcomes[outcome.outcome] += 1
                fired.update(outcome.rules)
        return {
            "policy": policy.name,
            "since": instant_text(since_ms),
            "receipts": len(receipts),
            "rows": sum(outcomes.values()) + unclear,
            "outcomes": dict(sorted(outcomes.items())),
            "rules": {rule.name: fired[rule.name] for rule in policy.rules},
            "unclear": unclear,
            "truncated": len(kept) > MOST_RECEIPTS,
        }


def _possible(policy: Policy, statements: Sequence[Sequence[Listing]]) -> set[Outcome]:
    """The outcomes for each id that all of these statements list."""
    subjects = set.intersection(*({one.subject for one in statement} for statement in statements))
    return {
        evaluate(policy, [one for statement in statements for one in statement if one.subject == subject and not is_guard(one.item)])
        for subject in subjects
    }


async def _items(tx: Transaction, receipts: Sequence[ScreeningReceipt]) -> dict[tuple[str, str], list[Listing]]:
    """What the statements that were told say, item by item, entities left out."""
    by_origin: dict[str, set[str]] = {}
    for hit in (hit for receipt in receipts for hit in receipt.hits):
        by_origin.setdefault(hit.origin, set()).add(hit.sid)
    found: dict[tuple[str, str], list[Listing]] = {}
    for origin, sids in by_origin.items():
        for one in await tx.subjects.listings_of_sids(origin, sorted(sids)):
            if one.item.get("type") != "entity":
                found.setdefault((origin, one.sid), []).append(one)
    return found


def _claims(token: str) -> ScreeningReceipt:
    """The claims of a receipt that we have signed ourselves."""
    claims = read_json(b64u_decode(token.split(".")[1]))
    assert isinstance(claims, dict)
    return read_claims(claims)


def policy_words(policy: Policy) -> dict[str, JsonValue]:
    """As it is told and kept."""
    rules: list[JsonValue] = [{name: [*v] if isinstance(v, tuple) else v for name, v in asdict(rule).items()} for rule in policy.rules]
    return {"name": policy.name, "rules": rules, "default": policy.default}


def policy_of(words: Mapping[str, JsonValue]) -> Policy:
    """The policy of such words, which were checked before."""
    rules = words["rules"]
    assert isinstance(rules, list)
    return Policy(str(words["name"]), tuple(_rule(one) for one in rules if isinstance(one, dict)), str(words["default"]))


def _rule(words: Mapping[str, JsonValue]) -> Rule:
    def texts(name: str) -> tuple[str, ...]:
        value = words.get(name)
        return tuple(map(str, value)) if isinstance(value, list) else ()

    severity = words.get("severity_min")
    return Rule(
        name=str(words["name"]),
        outcome=str(words["outcome"]),
        typologies=texts("typologies"),
        status=texts("status"),
        countries=texts("countries"),
        roles=texts("roles"),
        severity_min=severity if isinstance(severity, int) else 0,
    )


def _write(policy: Policy) -> bytes:
    return write_json(policy_words(policy))


def _read(body: bytes) -> Policy:
    words = read_json(body)
    assert isinstance(words, dict)
    return policy_of(words)
