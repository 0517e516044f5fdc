"""GraphSense ActorPacks: services and organisations as entities, with their names, jurisdictions and websites.

An actor's id becomes the slug of the entity, so that TagPack tags, which name it, point at the same entity. What the
categories do not show to be an organisation may be a person and is left out: natural persons are not put into `core`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.domain.canonical import JsonValue
from app.domain.errors import InvalidAddress, Malformed
from app.domain.vocabulary import GRAPHSENSE_ENTITY_KINDS
from app.domain.vocabulary.lists import COUNTRIES

from .interface import Context, Item, Options, Reason, Row, Source
from .judgement import context_of, finished, reason_of
from .slugs import entity_id
from .yaml_reader import YamlMap, read_yaml

# Categories that only an organisation has, besides those with an entity kind of their own.
_ORGANISATIONS = frozenset(
    "organization service defi defi_dex defi_dex_pair defi_lending defi_derivative defi_derivatives defi_staking defi_dao gambling mining_service faucet index "
    "collectible filesharing search_engine nameservice vpn".split()
)
_CRIMINAL = frozenset("ransomware phishing hacking service_hack".split())
_MAYBE_PERSON = Reason("natural_person", "nothing shows that this is an organisation: give `kind` as a constant to take it all the same")


def read_actorpack(source: Source, options: Options) -> Iterator[Row]:
    """A row for each actor, numbered by its line. Raises Malformed if this is no ActorPack."""
    pack = read_yaml(source.data, source.name)
    actors = pack.get("actors")
    if not isinstance(actors, list):
        raise Malformed(f"{source.name} is no ActorPack: it has no list `actors`")
    context = context_of(source, options, reference=str(pack.get("title", ""))[:256] or source.name)
    return (_row(source, actor, options, context) for actor in actors)


def _row(source: Source, actor: object, options: Options, context: Context) -> Row:
    if not isinstance(actor, YamlMap):
        return Row(source.name, 1, fault=Reason("schema", "an actor is a map"))
    label, slug = actor.get("label"), actor.get("id")
    if not isinstance(label, str) or not isinstance(slug, str) or not label.strip():
        return Row(source.name, actor.line, fault=Reason("schema", "an actor has a text `id` and a text `label`"))
    kind = _kind(_texts(actor.get("categories")), options)
    if kind is None:
        return Row(source.name, actor.line, left_out=_MAYBE_PERSON)
    try:
        id_ = entity_id(options.member, slug)
    except InvalidAddress as error:
        return Row(source.name, actor.line, fault=reason_of(error))
    countries = _texts(actor.get("jurisdictions"))
    known = [country for country in countries if country in COUNTRIES]
    warnings = tuple(f"unknown country `{country[:8]}`" for country in countries if country not in COUNTRIES)
    item: Item = {"type": "entity", "id": id_, "kind": kind, "names": _names(label.strip(), actor)}
    if known:
        item["jurisdictions"] = [*known]
    uri = actor.get("uri")
    if isinstance(uri, str) and 0 < len(uri.strip()) <= 256:
        item["identifiers"] = [{"scheme": "website", "value": uri.strip()}]
    return finished(source, actor.line, item, context, warnings)


def _kind(categories: list[str], options: Options) -> str | None:
    said = options.constants.get("kind")
    if isinstance(said, str):
        return said
    for category in categories:
        if category in GRAPHSENSE_ENTITY_KINDS and category != "perpetrator":
            return GRAPHSENSE_ENTITY_KINDS[category]
    if not _CRIMINAL.isdisjoint(categories):
        return "criminal_organisation"
    return "company" if not _ORGANISATIONS.isdisjoint(categories) else None


def _names(label: str, actor: Mapping[str, object]) -> list[JsonValue]:
    context = actor.get("context")
    legal = context.get("legal_name") if isinstance(context, Mapping) else None
    aliases = [*_texts(actor.get("aliases")), *([legal.strip()] if isinstance(legal, str) and legal.strip() else [])]
    names: list[JsonValue] = [{"name": label, "kind": "primary"}]
    names.extend({"name": name, "kind": "alias"} for name in dict.fromkeys(aliases) if name != label)
    return names


def _texts(value: object) -> list[str]:
    return [one.strip() for one in value if isinstance(one, str) and one.strip()] if isinstance(value, list) else []
