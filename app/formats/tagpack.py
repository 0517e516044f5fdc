"""GraphSense TagPacks: a header whose fields every tag inherits unless it has its own, and a list of tagged addresses.

The words of `category`, `abuse` and `concepts` are read through our vocabulary. A tag that accuses (it has a typology) is
listed; a tag that only names a service (an exchange, a miner) is benign: left out, or taken as a guard if asked for. The
wallet of a victim is never listed. `confidence` becomes `basis`, `reliability` and `credibility`. Labels stay behind: they are
free text, often a person's or a nickname.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from app.domain.address import read_chain
from app.domain.errors import InvalidAddress, Malformed, Refused
from app.domain.identifiers import read_indicator
from app.domain.vocabulary import BASIS_CONFIDENCE, GRAPHSENSE
from app.domain.vocabulary.lists import NEVER_LISTED_ROLE

from .interface import Context, Item, Options, Reason, Row, Source
from .judgement import Subject, admiralty, context_of, finished, guard, judged, reason_of, wallet_of_symbol, warnings_of
from .slugs import entity_id
from .yaml_reader import YamlMap, read_yaml

INHERITED = ("label", "source", "currency", "network", "confidence", "category", "abuse", "concepts", "actor", "lastmod")
_BENIGN_ROLES = frozenset({"service_benign", "cash_out_point"})
_day = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T].*)?").fullmatch
_NO_MEANING = Reason(
    "no_typology", "the tag's words accuse nobody in our vocabulary: give `typologies` as a constant to list it all the same"
)
_VICTIM = Reason("victim_wallet", "the wallet of a victim is never listed")
_BENIGN = Reason("benign", "a service that must not be blocked: ask for guards to protect it")


def read_tagpack(source: Source, options: Options) -> Iterator[Row]:
    """A row for each tag, numbered by its line. Raises Malformed if this is no TagPack."""
    pack = read_yaml(source.data, source.name)
    tags = pack.get("tags")
    if not isinstance(tags, list) or not isinstance(pack.get("title"), str):
        raise Malformed(f"{source.name} is no TagPack: it has no `title` or no list `tags`")
    of = _Pack(source, options, str(pack["title"])[:256], {name: pack[name] for name in INHERITED if name in pack})
    return map(of.row, tags)


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What the words of a tag say in our vocabulary, and what could not be read. Tags by the thousand share one."""

    typologies: list[str]
    roles: list[str]
    basis: Item
    context: Context
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Pack:
    """One TagPack: what its tags have in common."""

    source: Source
    options: Options
    title: str
    header: Mapping[str, object]
    meanings: dict[tuple[str, ...], _Meaning] = field(default_factory=dict)

    def row(self, tag: object) -> Row:
        if not isinstance(tag, YamlMap):
            return Row(self.source.name, 1, fault=Reason("schema", "a tag is a map"))
        fields = {**self.header, **tag}
        try:
            subject = _subject(fields)
            return self._judged(tag.line, fields, subject)
        except Refused as error:
            return Row(self.source.name, tag.line, fault=reason_of(error))

    def _judged(self, line: int, fields: Mapping[str, object], subject: Subject) -> Row:
        """Listed, taken as a guard, or left out."""
        meaning = self._meaning(fields)
        warnings = warnings_of(subject) + meaning.warnings
        if NEVER_LISTED_ROLE in meaning.roles:
            left_out = _VICTIM
        elif meaning.typologies or self.options.constants.get("typologies"):
            said = self._said(fields, meaning)
            item = judged(subject, said=said, options=self.options, otherwise=meaning.basis)
            return finished(self.source, line, item, meaning.context, warnings)
        elif "service_benign" not in meaning.roles:
            left_out = _NO_MEANING
        elif self.options.guards:
            return finished(self.source, line, guard(subject, roles=meaning.roles, basis=meaning.basis), meaning.context, warnings)
        else:
            left_out = _BENIGN
        return Row(self.source.name, line, left_out=left_out, warnings=warnings)

    def _said(self, fields: Mapping[str, object], meaning: _Meaning) -> Item:
        """The row's own members: an accused service is no benign one; its actor is an entity; a sanction names its entry."""
        said: Item = {"roles": [role for role in meaning.roles if role not in _BENIGN_ROLES]}
        if meaning.typologies:
            said["typologies"] = [*meaning.typologies]
        actor = _text(fields, "actor")
        if actor:
            said["entity"] = entity_id(self.options.member, actor)
        if "sanctions.listed" in meaning.typologies and "designation" not in self.options.constants:
            day = _day(_text(fields, "lastmod"))
            date = self.options.list_date or (day[1] if day else None)
            if date is not None:
                said["designation"] = {"list": self.title, "entry": (_text(fields, "label") or self.title)[:256], "date": date}
        return said

    def _meaning(self, fields: Mapping[str, object]) -> _Meaning:
        """Read `abuse`, `category` and `concepts`, the accusing field first; a word that we do not know is a warning."""
        concepts = fields.get("concepts")
        said = (_text(fields, "abuse"), _text(fields, "category"), *(map(str, concepts) if isinstance(concepts, list) else ()))
        key = (_text(fields, "confidence"), *said)
        if key not in self.meanings:
            self.meanings[key] = self._read_meaning(key[0], [word for word in said if word])
        return self.meanings[key]

    def _read_meaning(self, confidence: str, words: list[str]) -> _Meaning:
        readings = [GRAPHSENSE[word] for word in words if word in GRAPHSENSE]
        typologies = list(dict.fromkeys(code for reading in readings for code in reading.typologies))
        basis, notes = _basis(confidence)
        sanction = "sanctions.listed" in typologies
        context = context_of(
            self.source,
            self.options,
            purpose="sanctions_compliance" if sanction else "fraud_prevention",
            instrument="sanctions" if sanction else "industry_report",
            reference=self.title,
            evidence_standard="reasonable_grounds" if BASIS_CONFIDENCE[str(basis["basis"])] >= 60 else "suspicion",
            evidence_kind="sanctions_entry" if sanction else "list_entry",
        )
        return _Meaning(
            typologies=typologies,
            roles=list(dict.fromkeys(role for reading in readings for role in reading.roles)),
            basis=basis,
            context=context,
            warnings=(*notes, *(f"unknown concept `{word[:40]}`" for word in words if word not in GRAPHSENSE)),
        )


def _subject(fields: Mapping[str, object]) -> Subject:
    """The address or the transaction of a tag, on the chain that `network`, else `currency`, names."""
    symbol = _text(fields, "network") or _text(fields, "currency")
    address = _text(fields, "address")
    if address:
        if not symbol:
            raise InvalidAddress("unknown_chain", "the tag names neither `network` nor `currency`")
        return wallet_of_symbol(address, symbol)
    transaction = _text(fields, "tx_hash")
    if not transaction:
        raise InvalidAddress("empty", "the tag names neither `address` nor `tx_hash`")
    return read_indicator(f"tx:{read_chain(symbol).caip2}:{transaction}", kind="tx")


def _basis(confidence: str) -> tuple[Item, tuple[str, ...]]:
    if confidence in BASIS_CONFIDENCE:
        return {"basis": confidence, **admiralty(BASIS_CONFIDENCE[confidence])}, ()
    note = f"unknown confidence `{confidence[:40]}`" if confidence else "the tag states no confidence"
    return {"basis": "unknown", **admiralty(0)}, (note,)


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return value.strip() if isinstance(value, str) else ""
