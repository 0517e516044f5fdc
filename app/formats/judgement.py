"""From a subject and what is said of it to a whole item: defaults, precedence, and the last check before the gate's own.

A default is cautious: what a file does not say is `unknown`, `suspected`, for `review`. Severity follows the first typology
and is the importing agency's to change by a constant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache

from app.domain.address import read_chain, read_wallet
from app.domain.address.model import WARNINGS, Wallet
from app.domain.canonical import JsonValue
from app.domain.errors import InvalidAddress, Refused, Schema
from app.domain.identifiers import EntityId, Indicator, read_indicator, read_subject
from app.domain.item_context import carries_strong_actions
from app.domain.item_listing import ITEM_CHECKS, Findings
from app.domain.statement import Disclosure
from app.domain.vocabulary.lists import INFORMATIVE_ACTIONS, INFORMATIVE_ROLES

from .interface import Context, Item, Options, Reason, Row, Source
from .members import JUDGEMENT, bad_member

UNJUDGED: Mapping[str, JsonValue] = {"basis": "unknown", "reliability": "F", "credibility": 6, "status": "suspected", "action": "review"}
SEVERITY = {"sanctions": 4, "trafficking": 4, "extortion": 3, "theft": 3, "fraud": 3, "laundering": 2, "enabling": 2, "other": 2}
# Contracts live on one chain; whoever holds a key holds it on all of them (domain.md, decision 2).
CONTRACT_ROLES = frozenset({"drainer_contract", "token_contract", "bridge"})
TOKENS = frozenset("USDT USDC USDE DAI BUSD TUSD PYUSD FDUSD EURC".split())

Subject = Wallet | Indicator

# How far a source may be trusted, from the confidence that its basis carries (domain.md §3): Admiralty letter and digit.
_ADMIRALTY = ((90, "A", 2), (60, "B", 2), (50, "C", 3), (20, "D", 4), (0, "F", 6))


def admiralty(confidence: int) -> Item:
    """`reliability` and `credibility` for a confidence of 0 to 100; F and 6 say that it cannot be judged."""
    letter, digit = next((letter, digit) for least, letter, digit in _ADMIRALTY if confidence >= least)
    return {"reliability": letter, "credibility": digit}


def subject_of(text: str, *, chain: str | None = None, tag: str | None = None, kind: str | None = None) -> Subject:
    """Read a subject in any spelling. Raises InvalidAddress."""
    if kind is not None:
        return read_indicator(text, kind=kind)
    if chain is not None or tag is not None:
        return read_wallet(text, chain=chain, tag=tag)
    found = read_subject(text)
    if isinstance(found, EntityId):
        raise InvalidAddress("unknown_kind", "the id of an entity is no subject of a list")
    return found


def wallet_of_symbol(text: str, symbol: str) -> Wallet:
    """Read an address by the asset symbol beside it (XBT, ETH, BEP20, USDT). Raises InvalidAddress.

    A symbol that is a chain fixes the chain. A stablecoin stands on several, so the form of the address decides. Any other
    symbol is taken for a token of an EVM chain, and only an address that says so by its form is read.
    """
    try:
        chain = read_chain(symbol)
    except InvalidAddress:
        if symbol.upper() not in TOKENS and not text.startswith(("0x", "0X")):
            raise
        return read_wallet(text)
    return read_wallet(text, chain="eip155:0" if chain.family == "evm" else chain.caip2)


def subject_item(subject: Subject) -> Item:
    """`type`, `id` and the tag, if any."""
    if isinstance(subject, Indicator):
        return {"type": "indicator", "id": subject.id}
    item: Item = {"type": "wallet", "id": subject.id}
    if subject.tag is not None:
        item["scope"] = {"tag": subject.tag}
    return item


def warnings_of(subject: Subject) -> tuple[str, ...]:
    """What was lenient in reading it, in words for the report."""
    return tuple(WARNINGS.get(key, key) for key in subject.warnings) if isinstance(subject, Wallet) else ()


def judged(subject: Subject, *, said: Mapping[str, JsonValue], options: Options, otherwise: Mapping[str, JsonValue]) -> Item:
    """The whole item: `said` by the row, else by the caller's constants, else by the format. Raises Schema without a typology."""
    constants = {name: value for name, value in options.constants.items() if name in JUDGEMENT}
    judgement: Item = {"typologies": [], "roles": [], **UNJUDGED, **otherwise, **constants, **said}
    typologies = judgement.get("typologies")
    if not isinstance(typologies, list) or (not typologies and judgement["action"] not in INFORMATIVE_ACTIONS):
        raise bad_member("typologies", "no typology: give one in the row, or as a constant of the mapping file")
    judgement.setdefault("severity", SEVERITY.get(str(typologies[0]).partition(".")[0], 2) if typologies else 0)
    item = subject_item(subject) | {name: judgement[name] for name in JUDGEMENT if name in judgement}
    if isinstance(subject, Wallet) and subject.scope_chain is not None and not CONTRACT_ROLES.isdisjoint(_roles(item)):
        item["scope"] = {**_scope(item), "chains": [subject.scope_chain]}
    return item


def _roles(item: Item) -> list[JsonValue]:
    roles = item.get("roles")
    return roles if isinstance(roles, list) else []


def _scope(item: Item) -> Item:
    scope = item.get("scope")
    return scope if isinstance(scope, dict) else {}


def guard(subject: Subject, *, roles: Collection[str], basis: Mapping[str, JsonValue]) -> Item:
    """An item that protects its subject instead of accusing it (schemas §2, rule 3)."""
    return subject_item(subject) | {
        "typologies": [],
        "roles": [role for role in roles if role in INFORMATIVE_ROLES],
        "severity": 0,
        **basis,
        "status": "confirmed",
        "action": "do_not_block",
    }


@lru_cache(maxsize=64)
def _strong(context: Context) -> bool:
    return carries_strong_actions(context.item())


def finished(source: Source, number: int, item: Item, context: Context, warnings: tuple[str, ...] = ()) -> Row:
    """The row of an item, judged by the rules of the home gate on one item; what it would refuse is a fault here already."""
    found = Findings(_strong(context), clear=False, rows=[], links=[], typologies=set(), guards=[], unembargoed=[])
    try:
        ITEM_CHECKS[str(item["type"])](item, Disclosure("", "", "", "core.0", "core", 0, item), "", found)
    except Refused as error:
        return Row(source.name, number, fault=reason_of(error), warnings=warnings)
    if found.screen_for is not None:
        warnings = (*warnings, "a person may stand behind this: the statement needs a coercion_screen")
    return Row(source.name, number, item=item, context=context, warnings=warnings)


def reason_of(error: Refused) -> Reason:
    """A refusal as a line of the report: the code of the address error or of the first fault, and what to do."""
    if isinstance(error, InvalidAddress):
        return Reason(error.code, error.detail)
    if isinstance(error, Schema) and error.faults:
        fault = error.faults[0]
        return Reason(error.slug, f"{fault.pointer.lstrip('/')}: {fault.detail or error.detail}" if fault.pointer else error.detail)
    return Reason(error.slug, error.detail)


def context_of(source: Source, options: Options, **otherwise: str) -> Context:
    """What the file says for the context of its statements; constants of the caller come before the format's own words."""

    def word(name: str, default: str) -> str:
        said = options.constants.get(name)
        return said if isinstance(said, str) else otherwise.get(name, default)

    legal_basis = options.constants.get("legal_basis")
    basis = legal_basis if isinstance(legal_basis, dict) else {"instrument": legal_basis} if isinstance(legal_basis, str) else {}
    reference = basis.get("reference", otherwise.get("reference"))
    return Context(
        purpose=word("purpose", "fraud_prevention"),
        instrument=str(basis.get("instrument") or otherwise.get("instrument", "industry_report")),
        assertion=word("assertion", "assessment"),
        evidence_standard=word("evidence_standard", "suspicion"),
        evidence_sha256=source.sha256,
        evidence_kind=word("evidence_kind", "list_entry"),
        reference=reference if isinstance(reference, str) else None,
    )
