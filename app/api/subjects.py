"""Wallets, indicators, entities and search: records as one caller may see them (schemas §4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.api import examples as ex
from app.api import schemas as s
from app.api.callers import Reading, Visit
from app.api.docs import answers
from app.api.statements import cache_of
from app.domain.canonical import JsonValue
from app.domain.errors import Schema

router = APIRouter(tags=["subjects"])

_RECORD_PROBLEMS = "invalid_address schema not_acceptable"


@router.get(
    "/v1/wallets/{id}",
    operation_id="get_wallet",
    summary="What is known of a wallet, in any spelling.",
    responses=answers("The record; `not_listed` if nothing is known.", s.WalletRecord, ex.WALLET, _RECORD_PROBLEMS),
)
async def get_wallet(visit: Reading, id: str) -> Response:
    """Statements with their context, siblings of the same key, links, history."""
    return await _record(visit, await visit.api.node.consultation.wallet(id, visit.caller.reader))


@router.get(
    "/v1/wallets",
    operation_id="get_wallet_by_query",
    summary="The same for a text that is no path segment.",
    responses=answers("The record.", s.WalletRecord, ex.WALLET, _RECORD_PROBLEMS),
)
async def get_wallet_by_query(visit: Reading, asked: Annotated[s.IdQuery, Query()]) -> Response:
    """See `get_wallet`."""
    return await get_wallet(visit, asked.id)


@router.get(
    "/v1/indicators/{id}",
    operation_id="get_indicator",
    summary="What is known of an indicator.",
    responses=answers("The record; `not_listed` if nothing is known.", s.IndicatorRecord, ex.INDICATOR, _RECORD_PROBLEMS),
)
async def get_indicator(visit: Reading, id: str) -> Response:
    """A canonical id (`domain:scam.example`) or a text that reads as one."""
    return await _record(visit, await visit.api.node.consultation.indicator(id, visit.caller.reader))


@router.get(
    "/v1/indicators",
    operation_id="get_indicator_by_query",
    summary="The same for a text that is no path segment: a web address, a handle.",
    responses=answers("The record.", s.IndicatorRecord, ex.INDICATOR, _RECORD_PROBLEMS),
)
async def get_indicator_by_query(visit: Reading, asked: Annotated[s.IdQuery, Query()]) -> Response:
    """See `get_indicator`."""
    return await get_indicator(visit, asked.id)


@router.get(
    "/v1/entities/{id}",
    operation_id="get_entity",
    summary="What each agency says of an entity, side by side.",
    responses=answers("The record.", s.EntityRecord, ex.ENTITY, "not_found not_acceptable"),
)
async def get_entity(visit: Reading, id: str) -> Response:
    """Claims are never merged; where they differ, `disagreements` says so."""
    words = await visit.api.node.consultation.entity(id, visit.caller.reader)
    await visit.told("read", id, _sids(words["claims"]))
    return await visit.stored(words, cache=cache_of(visit))


@router.get(
    "/v1/entities",
    operation_id="list_entities",
    summary="Entities by name, kind, country and programme.",
    responses=answers("A page, in order of the id.", s.Hits, ex.HITS, "schema invalid_cursor not_found not_acceptable"),
)
async def list_entities(visit: Reading, asked: Annotated[s.EntitiesPage, Query()]) -> Response:
    """With `id` alone: the record of that entity."""
    if asked.id is not None:
        if visit.request.query_params.keys() != {"id"}:
            raise Schema("`id` stands alone: leave the filters out")
        return await get_entity(visit, asked.id)
    place = await visit.place(asked.cursor)
    items, after = await visit.api.node.consultation.entities(
        visit.caller.reader,
        text=asked.q or "",
        kind=asked.kind,
        country=asked.country,
        programme=asked.programme,
        after=str(place[0]) if place else "",
        limit=asked.limit,
    )
    if items:
        await visit.told("search", "entities")
    return await visit.stored(await visit.page(items, [after] if after is not None else None), cache=cache_of(visit))


@router.get(
    "/v1/search",
    operation_id="search",
    summary="Paste anything: says what the text was taken for, then what is known of that.",
    responses=answers("What was found.", s.SearchAnswer, ex.SEARCH, "schema not_acceptable"),
)
async def search(visit: Reading, asked: Annotated[s.SearchQuery, Query()]) -> Response:
    """An address or indicator exactly, else entities of that name."""
    words = await visit.api.node.consultation.search(asked.q, visit.caller, limit=asked.limit)
    if words["items"]:
        await visit.told("search", "search")
    return await visit.stored(words, cache=cache_of(visit))


async def _record(visit: Visit, words: dict[str, JsonValue]) -> Response:
    sids = _sids(words["statements"])
    if sids:
        await visit.told("read", str(words["id"]), sids)
    return await visit.stored(words, cache=cache_of(visit))


def _sids(items: JsonValue) -> list[str]:
    return [str(one["sid"]) for one in items if isinstance(one, Mapping)] if isinstance(items, list) else []
