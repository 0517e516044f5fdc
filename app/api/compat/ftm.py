"""FollowTheMoney entities made of confirmed listings, as the routes of yente give them (domain §2.7).

A wallet is a `CryptoWallet` whose `publicKey` is the address; FtM has no better place for it. What our statements say beyond FtM's
properties is left out; `sourceUrl` leads to them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.domain.address import Wallet
from app.domain.answer import Listing, Moment, instant_text
from app.domain.canonical import JsonValue
from app.domain.confirmed import Recalled
from app.domain.errors import BadRequest, NotFound
from app.domain.vocabulary import TYPOLOGIES, nearest_known
from app.services.recall import RecalledEntity, same_words, share_of_words

ALL = "default"
EXACT = ("crypto_wallet_address", "the same address")
NAME_FEATURE = "name_word_overlap"
_FILTERS = frozenset({"topics", "countries", "country", "datasets", "schema"})
_KINDS = {
    **dict.fromkeys(("company", "vasp", "payment_processor", "money_exchange_house"), "Company"),
    **dict.fromkeys(("website", "mobile_app", "messaging_channel", "token", "location", "hosting_provider"), "Thing"),
    **dict.fromkeys(("social_account", "phone_number", "email", "bank_account"), "Thing"),
}
_PARENTS = {"Company": "Organization", "Organization": "LegalEntity", "LegalEntity": "Thing", "CryptoWallet": "Thing"}


@dataclass(frozen=True, slots=True)
class Entity:
    """One FtM entity; instants without zone, in UTC, as yente writes them."""

    id: str
    caption: str
    schema: str
    properties: Mapping[str, Sequence[str]]
    datasets: frozenset[str]
    first_seen: str
    last_seen: str
    last_change: str
    sids: tuple[str, ...]
    """Of the statements behind it; not told."""

    def words(self) -> dict[str, JsonValue]:
        """As yente gives it."""
        return {
            "id": self.id,
            "caption": self.caption,
            "schema": self.schema,
            "properties": {name: [*values] for name, values in self.properties.items() if values},
            "datasets": [*sorted(self.datasets)],
            "referents": [],
            "target": True,
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
            "last_change": self.last_change,
        }


@dataclass(frozen=True, slots=True)
class Scored:
    """An entity, how well it fits, and why: the name of a feature and a text."""

    entity: Entity
    score: float
    why: tuple[str, str]

    def words(self, *, threshold: float) -> dict[str, JsonValue]:
        """As match gives it."""
        feature, detail = self.why
        explanations: dict[str, JsonValue] = {feature: {"score": self.score, "detail": detail}}
        return {**self.entity.words(), "score": self.score, "explanations": explanations, "match": self.score >= threshold}


def scored(entity: Entity, score: float, why: tuple[str, str]) -> Scored:
    """`score` from 0 to 1."""
    return Scored(entity, score, why)


def likeness(name: str, others: Sequence[str]) -> tuple[float, str]:
    """How near a name is to the nearest of others (the share of their words that both have), and which that is."""
    score, other = max(((share_of_words(name, other), other) for other in others), default=(0.0, ""))
    return (1.0 if same_words(name, other) else round(score, 3)), other


def of_subject(row: Recalled, moment: Moment) -> Entity:
    """A listed wallet or indicator."""
    subject = row.subject
    is_wallet = isinstance(subject, Wallet)
    address = subject.address if isinstance(subject, Wallet) else subject.id
    properties = _common(row.statements)
    if isinstance(subject, Wallet):
        properties |= {"publicKey": list(dict.fromkeys((subject.address, subject.display))), "blockchain": [subject.family]}
        properties |= {"managingExchange": _texts(row.statements, "vasp"), "currencySymbol": _texts(row.statements, "assets")}
    else:
        properties |= {"name": [subject.display]}
    schema = "CryptoWallet" if is_wallet else "Thing"
    return _entity(subject.id, row.statements, moment, caption=address, schema=schema, properties=properties)


def of_entity(found: RecalledEntity, moment: Moment) -> Entity:
    """An entity of ours, all confirmed claims side by side."""
    kinds = [str(kind) for kind in found.said("kind")]
    schema = _KINDS.get(kinds[0], "Organization") if kinds else "LegalEntity"
    properties = _common(found.claims) | {
        "name": found.names,
        "country": [str(code).lower() for code in found.said("jurisdictions")],
        "summary": [str(text) for text in found.said("summary")],
        "program": [str(one["programme"]) for one in found.said("designations") if isinstance(one, dict) and one.get("programme")],
    }
    if properties["program"] or found.said("designations"):
        properties["topics"] = list(dict.fromkeys([*properties["topics"], "sanction"]))
    caption = found.names[0] if found.names else found.id
    return _entity(found.id, found.claims, moment, caption=caption, schema=schema, properties=properties)


def _entity(
    id_: str, said: Sequence[Listing], now: Moment, *, caption: str, schema: str, properties: Mapping[str, Sequence[str]]
) -> Entity:
    times = [one.accepted_ms for one in said]
    return Entity(
        id=id_,
        caption=caption,
        schema=schema,
        properties=properties,
        datasets=frozenset(dataset_of(one.origin) for one in said),
        first_seen=stamp(min(times)),
        last_seen=stamp(now.now_ms),
        last_change=stamp(max(times)),
        sids=tuple(dict.fromkeys(one.sid for one in said)),
    )


def _common(said: Sequence[Listing]) -> dict[str, list[str]]:
    publishers = [one.issuer_name for one in said if "NO-ATTRIBUTION" not in one.handling]
    return {"topics": topics_of(said), "publisher": list(dict.fromkeys(publishers))}


def topics_of(said: Iterable[Listing]) -> list[str]:
    """OpenSanctions' topics for the typologies, the best first."""
    found: list[str] = []
    for code in (code for one in said for code in _codes(one)):
        known = nearest_known(code)
        found += TYPOLOGIES[known].mappings["opensanctions"] if known else ()
    return list(dict.fromkeys(found))


def _codes(listing: Listing) -> list[str]:
    codes = listing.item.get("typologies")
    return [str(code) for code in codes] if isinstance(codes, list) else []


def _texts(said: Iterable[Listing], name: str) -> list[str]:
    found: list[str] = []
    for value in (one.item.get(name) for one in said):
        found += [str(one) for one in (value if isinstance(value, list) else [value]) if one is not None]
    return list(dict.fromkeys(found))


def stamp(ms: int) -> str:
    """An instant as yente writes it."""
    return instant_text(ms).removesuffix("Z")


# --- datasets, filters, facets ----------------------------------------------------------------------------------------------


def dataset_of(origin: str) -> str:
    """The name of a log as a dataset: `de.example/log` is `de_example_log`."""
    return "".join(c if c.isalnum() else "_" for c in origin.lower())


def logs_of(moment: Moment) -> dict[str, str]:
    """Dataset name -> origin, of the own log and those followed."""
    return {dataset_of(origin): origin for origin in (moment.own_origin, *(source.origin for source in moment.sources))}


def datasets_named(name: str, moment: Moment) -> frozenset[str] | None:
    """The datasets behind a name, None for all; NotFound."""
    if name == ALL:
        return None
    if name in logs_of(moment):
        return frozenset({name})
    raise NotFound(f"No such dataset: ask /catalog, or use `{ALL}`")


def read_filters(texts: Sequence[str]) -> list[tuple[str, str]]:
    """`field:value` each; BadRequest for a field that is not filtered by."""
    found = []
    for text in texts:
        field, colon, value = text.partition(":")
        if not colon or field not in _FILTERS:
            raise BadRequest(f"a filter is field:value, the field one of {', '.join(sorted(_FILTERS))}")
        found.append((field, value))
    return found


def passes(one: Entity, wanted: Sequence[tuple[str, str]], *, every: bool) -> bool:
    """Whether an entity has every one, or any, of these values."""
    if not wanted:
        return True
    return (all if every else any)(value in _values(one, field) for field, value in wanted)


def _values(one: Entity, field: str) -> Iterable[str]:
    if field == "datasets":
        return one.datasets
    if field == "schema":
        return (one.schema,)
    return one.properties.get("country" if field == "countries" else field, ())


def is_a(schema: str, wanted: str) -> bool:
    """Whether a schema is another or a narrower one."""
    while schema != wanted and schema in _PARENTS:
        schema = _PARENTS[schema]
    return schema == wanted


def facets(found: Sequence[Entity]) -> dict[str, JsonValue]:
    """How often each topic, country and dataset stands in what was found."""
    return {
        field: {"label": field.capitalize(), "values": _counted(value for one in found for value in _values(one, field))}
        for field in ("countries", "topics", "datasets")
    }


def _counted(values: Iterable[str]) -> list[JsonValue]:
    counts = sorted(Counter(values).items(), key=lambda one: (-one[1], one[0]))
    return [{"name": name, "label": name, "count": count} for name, count in counts]
