"""The log in public: checkpoint, hash tiles and entry bundles as C2SP tlog-tiles wants them (protocol §1.2, §3.8)."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from app.api import examples as ex
from app.api.callers import BYTES, NO_STORE, PRIVATE, TEXT, PubliclyBytes, PubliclyText, Visit
from app.api.docs import BytesResponse, TextResponse, answers
from app.domain.errors import Malformed, NotFound, Unauthenticated
from app.domain.tiles import TILE_WIDTH, parse_tile_path

router = APIRouter(prefix="/log", tags=["log"])

FOREVER = "public, max-age=31536000, immutable"
GROWING = "public, max-age=60"


@router.get(
    "/checkpoint",
    operation_id="get_checkpoint",
    summary="The newest signed checkpoint.",
    response_class=TextResponse,
    responses=answers("A signed note.", None, ex.CHECKPOINT, "log_frozen not_acceptable", media=TEXT),
)
async def get_checkpoint(visit: PubliclyText) -> Response:
    """Signed anew at least once a minute, whether or not the log has grown."""
    check_open(visit)
    published = await visit.api.node.publisher.checkpoint()
    return await visit.stored_bytes(published.note.encode("utf-8"), TEXT, cache=NO_STORE)


@router.get(
    "/tile/{path:path}",
    operation_id="get_tile",
    summary="A hash tile, or a bundle of entries.",
    response_class=BytesResponse,
    responses=answers(
        "Hashes of 32 bytes, or entries each after its length.", None, "", "not_found log_frozen not_acceptable", media=BYTES
    ),
)
async def get_tile(visit: PubliclyBytes, path: str) -> Response:
    """`<level>/<N>`, `<level>/<N>.p/<W>`, `entries/<N>…`. A bundle with an entry above the caller is not found: ask for its hash tile."""
    return await serve_tile(visit, path)


async def serve_tile(visit: Visit, path: str, ohash: str | None = None) -> Response:
    """A tile or a bundle of the own log, or of the one of this hash."""
    try:
        tile = parse_tile_path(f"tile/{path}")
    except Malformed as error:
        raise NotFound(error.detail) from error
    if tile.level == "entries":
        bundle = await visit.api.node.publisher.bundle(tile, visit.caller.reader, ohash)
        await visit.told("read_bundle", path if ohash is None else f"{ohash}/{path}")
        return await visit.stored_bytes(bundle, BYTES, cache=NO_STORE if visit.caller.actor else PRIVATE)
    check_open(visit)
    data = await visit.api.node.publisher.tile(tile, ohash)
    cache = FOREVER if tile.width == TILE_WIDTH else GROWING
    return await visit.stored_bytes(data, BYTES, cache=cache if visit.api.chosen.log_public else PRIVATE)


def check_open(visit: Visit) -> None:
    """An operator may keep checkpoint, hash tiles and root chain to holders of a key."""
    if not visit.api.chosen.log_public and not visit.caller.actor:
        raise Unauthenticated("this node keeps its log to holders of an API key: send `Authorization: Bearer cordon_…`")
