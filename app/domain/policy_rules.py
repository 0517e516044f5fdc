"""A client's own policy over what was said of an id: named rules over typology, status, jurisdiction, role and severity (schemas §4.2).

The outcomes are the client's words, and so is the judgement; nothing here is ours. A rule fires if one listing that makes the id `listed`
has everything that it asks for: an empty list asks for nothing, a typology covers its narrower codes. The outcome is that of the first
rule that fires, else the policy's default; all that fire are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .answer import Listing
from .canonical import JsonValue
from .vocabulary import covers


@dataclass(frozen=True, slots=True)
class Rule:
    """What one listing must have, all of it; `countries` are those of the issuers."""

    name: str
    outcome: str
    typologies: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    severity_min: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules in the order in which they decide."""

    name: str
    rules: tuple[Rule, ...]
    default: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy makes of an id: its word, and the names of the rules that fired, in their order."""

    outcome: str
    rules: tuple[str, ...]

    def words(self, policy: Policy) -> dict[str, JsonValue]:
        """As it stands in an answer."""
        return {"name": policy.name, "outcome": self.outcome, "rules": [*self.rules]}


def evaluate(policy: Policy, listings: Sequence[Listing]) -> Outcome:
    """The outcome for an id of which these listings say that it is listed; none of them: the default."""
    fired = [rule for rule in policy.rules if any(fires(rule, listing) for listing in listings)]
    return Outcome(fired[0].outcome if fired else policy.default, tuple(rule.name for rule in fired))


def fires(rule: Rule, listing: Listing) -> bool:
    """Whether one listing has everything that a rule asks for."""
    item = listing.item
    severity = item.get("severity")
    return (
        (severity if isinstance(severity, int) else 0) >= rule.severity_min
        and (not rule.status or item.get("status") in rule.status)
        and (not rule.countries or listing.country in rule.countries)
        and (not rule.roles or not set(rule.roles).isdisjoint(_texts(item.get("roles"))))
        and (not rule.typologies or any(covers(one, code) for one in rule.typologies for code in _texts(item.get("typologies"))))
    )


def _texts(value: JsonValue) -> Iterable[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else ()
