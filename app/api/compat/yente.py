"""`/compat/yente`: match, search, entities and catalog of the OpenSanctions API server (domain §2.7).

Wallets are FtM `CryptoWallet`s by exact address (score 1.0); entities are found by the words of their names, and score the share of words
that both names have. `weights`, `config` and `algorithm` are read and have no effect. Datasets are the logs: `default` is all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.api import examples_compat as ex
from app.api import schemas as s
from app.api.bodies import as_model, read_body
from app.api.callers import JSON, Visit
from app.api.compat import ftm
from app.api.compat.callers import Looking, Openly, Searching, answer, note
from app.api.compat.docs import told
from app.api.docs import takes
from app.domain.answer import Moment, instant_text
from app.domain.canonical import JsonValue
from app.domain.confirmed import Recalled
from app.domain.errors import BadRequest, InvalidAddress, NotFound
from app.domain.identifiers import read_id
from app.domain.sources import is_degraded

router = APIRouter(prefix="/compat/yente", tags=["compatible"])

_NO_ENTITY = {"not_found": {"detail": "No such entity!"}}
_ADDRESS_PROPERTIES = ("publicKey", "cryptoAddress")
_NAMED = frozenset({"Thing", "LegalEntity", "Organization", "Company", "PublicBody"})


@router.post(
    "/match/{dataset}",
    operation_id="compat_yente_match",
    summary="yente match: up to 100 queries, each a wallet by its address or an organisation by its name.",
    openapi_extra=takes({JSON: ex.YENTE_QUERIES}, s.YenteQueries),
    responses=told(
        "One response a query. `status` 400: an address in it cannot be read.",
        s.YenteMatches,
        ex.YENTE_MATCHES,
        s.YenteError,
        "bad_json unsupported_media_type not_found idempotency_mismatch in_progress",
        errors={},
    ),
)
async def compat_yente_match(visit: Looking, dataset: str, how: Annotated[s.YenteMatchQuery, Query()]) -> Response:
    """`match` is whether the score reaches `threshold`; what stays below `cutoff` is left out."""
    body = await visit.request.body()
    asked = as_model(read_body(visit.request, body), s.YenteQueries)
    if len(asked.queries) > s.YENTE_QUERIES:
        raise BadRequest(f"Too many queries in one batch (limit: {s.YENTE_QUERIES})")
    within = ftm.datasets_named(dataset, visit.api.node.recall.now())

    async def work() -> Response:
        moment = visit.api.node.recall.now()
        visit.spend_addresses(sum(len(_addresses(query)) or 1 for query in asked.queries.values()))
        found: dict[str, JsonValue] = {}
        for name, query in asked.queries.items():
            found[name] = await _matched(visit, query, how, within, moment)
        return answer(visit, {"responses": found, "limit": how.limit}, moment, **{"x-batch-size": str(len(asked.queries))})

    return await visit.once(body, work)


async def _matched(
    visit: Visit, query: s.YenteExample, how: s.YenteMatchQuery, within: frozenset[str] | None, moment: Moment
) -> dict[str, JsonValue]:
    echo: dict[str, JsonValue] = {
        **({"id": query.id} if query.id is not None else {}),
        "schema": query.schema_,
        "properties": {name: [*values] for name, values in query.properties.items()},
    }
    try:
        wallets = [ftm.scored(one, 1.0, ftm.EXACT) for one in await _wallets(visit, _addresses(query), moment)]
    except InvalidAddress:
        return {"status": 400, "results": [], "total": {"value": 0, "relation": "eq"}, "query": echo}
    named = [] if query.schema_ not in _NAMED else await _by_names(visit, query.properties.get("name", []), moment)
    results = sorted([*wallets, *named], key=lambda one: (-one.score, one.entity.id))
    kept = [one for one in results if one.score >= how.cutoff and _passes(one.entity, how, within)]
    words: list[JsonValue] = [one.words(threshold=how.threshold) for one in kept[: how.limit]]
    return {"status": 200, "results": words, "total": {"value": len(kept), "relation": "eq"}, "query": echo}


@router.get(
    "/search/{dataset}",
    operation_id="compat_yente_search",
    summary="yente search: a wallet by its address, entities by the words of their names.",
    responses=told("What was found.", s.YenteFound, ex.YENTE_FOUND, s.YenteError, "not_found", errors={}),
)
async def compat_yente_search(visit: Searching, dataset: str, asked: Annotated[s.YenteSearchQuery, Query()]) -> Response:
    """`filter` takes topics, countries, datasets and schema; any other field is refused, as leaving it out would find too much."""
    moment = visit.api.node.recall.now()
    within = ftm.datasets_named(dataset, moment)
    wanted = ftm.read_filters(asked.filter)
    try:
        found = await _wallets(visit, [asked.q], moment) if asked.q.strip() else []
    except InvalidAddress:
        found = []
    if not found:
        found = [ftm.of_entity(one, moment) for one in await visit.api.node.recall.entities(asked.q, visit.caller.reader)]
        if found:
            await visit.told("search", "entities", [sid for one in found for sid in one.sids])
    kept = [
        one
        for one in found
        if _passes(one, asked, within)
        and ftm.is_a(one.schema, asked.schema_)
        and (not asked.countries or not set(map(str.lower, asked.countries)).isdisjoint(one.properties.get("country", ())))
        and ftm.passes(one, wanted, every=asked.filter_op == "AND")
    ]
    page: list[JsonValue] = [one.words() for one in kept[asked.offset : asked.offset + asked.limit]]
    frame: dict[str, JsonValue] = {"results": page, "facets": ftm.facets(kept), "total": {"value": len(kept), "relation": "eq"}}
    return answer(visit, {**frame, "limit": asked.limit, "offset": asked.offset}, moment)


@router.get(
    "/entities/{id}",
    operation_id="compat_yente_entity",
    summary="yente entities: a wallet or an entity by its id.",
    responses=told("The entity.", s.YenteEntity, ex.YENTE_ENTITY, s.YenteError, "not_found", errors=_NO_ENTITY),
)
async def compat_yente_entity(visit: Searching, id: str) -> Response:
    """Ids are those that match and search give. Nothing is ever merged, so nothing is redirected."""
    moment = visit.api.node.recall.now()
    if id.startswith("entity:"):
        entity = await visit.api.node.recall.entity(id, visit.caller.reader)
        if entity is None:
            raise NotFound("No such entity!")
        one = ftm.of_entity(entity, moment)
        await visit.told("read", id, one.sids)
        return answer(visit, one.words(), moment)
    try:
        read_id(id)
        found = await _wallets(visit, [id], moment)
    except InvalidAddress as error:
        raise NotFound("No such entity!") from error
    if not found:
        raise NotFound("No such entity!")
    return answer(visit, found[0].words(), moment)


@router.get(
    "/catalog",
    operation_id="compat_yente_catalog",
    summary="yente catalog: the logs that are searched.",
    responses=told("Always current: nothing is indexed in advance.", s.YenteCatalog, ex.YENTE_CATALOG, s.YenteError, "", errors={}),
)
async def compat_yente_catalog(visit: Openly) -> Response:
    """`index_stale` is our `degraded`."""
    moment = visit.api.node.recall.now()
    now = instant_text(moment.now_ms)
    version = "".join(c for c in now if c.isdigit()) + "-crd"
    names = ftm.logs_of(moment)

    def dataset(name: str, title: str, children: Sequence[str]) -> JsonValue:
        dated: dict[str, JsonValue] = {"version": version, "updated_at": ftm.stamp(moment.now_ms), "index_version": version}
        files: dict[str, JsonValue] = {"entities_url": None, "delta_url": None, "index_current": True}
        return {"name": name, "title": title, **dated, **files, "children": [*children]}

    every = dataset(ftm.ALL, "Statements of status confirmed, of all logs", sorted(names))
    logs = [dataset(name, f"The log {origin}", []) for name, origin in sorted(names.items())]
    current: list[JsonValue] = [ftm.ALL, *sorted(names)]
    stale = is_degraded(moment.sources, moment.now_s)
    return answer(visit, {"datasets": [every, *logs], "current": current, "outdated": [], "index_stale": stale}, moment)


@router.get(
    "/healthz",
    operation_id="compat_yente_healthz",
    summary="yente healthz: the process turns.",
    responses=told("It does.", s.YenteStatus, {"status": "ok"}, s.YenteError, "", errors={}),
)
async def compat_yente_healthz(visit: Openly) -> Response:
    """See `/livez` and `/readyz` for more."""
    return answer(visit, {"status": "ok"}, visit.api.node.recall.now())


# --- what is found -------------------------------------------------------------------------------------------------------


def _addresses(query: s.YenteExample) -> list[str]:
    return [value for name in _ADDRESS_PROPERTIES for value in query.properties.get(name, [])]


async def _wallets(visit: Visit, texts: Sequence[str], moment: Moment) -> list[ftm.Entity]:
    """The listed ones among these addresses, each once; InvalidAddress for a text that is none."""
    recall = visit.api.node.recall
    rows: dict[str, Recalled] = {}
    for text in texts:
        try:
            row = await recall.one(text, visit.caller.reader, moment)
        except InvalidAddress:
            await note(visit, [], moment, invalid=1)
            raise
        rows[row.subject.id] = row
    await note(visit, list(rows.values()), moment)
    return [ftm.of_subject(row, moment) for row in rows.values() if row.statements]


async def _by_names(visit: Visit, names: Sequence[str], moment: Moment) -> list[ftm.Scored]:
    best: dict[str, ftm.Scored] = {}
    for name in names:
        for entity in await visit.api.node.recall.entities(name, visit.caller.reader):
            score, called = ftm.likeness(name, entity.names)
            one = ftm.scored(ftm.of_entity(entity, moment), score, (ftm.NAME_FEATURE, called))
            if entity.id not in best or best[entity.id].score < score:
                best[entity.id] = one
    if best:
        await visit.told("search", "entities", [sid for one in best.values() for sid in one.entity.sids])
    return list(best.values())


def _passes(one: ftm.Entity, asked: s.YenteFilters, within: frozenset[str] | None) -> bool:
    if within is not None and within.isdisjoint(one.datasets):
        return False
    if asked.topics and set(asked.topics).isdisjoint(one.properties.get("topics", ())):
        return False
    if one.id in asked.exclude_entity_ids:
        return False
    return asked.changed_since is None or one.last_change >= asked.changed_since.removesuffix("Z")
