"""Who is who: the node, its root documents, the vocabulary, members and their keys (schemas §4)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.api import examples as ex
from app.api import schemas as s
from app.api.callers import JSON, NO_STORE, SHORT, Publicly
from app.api.docs import answers
from app.api.log import check_open
from app.domain import vocabulary
from app.domain.answer import instant_text
from app.domain.canonical import JsonValue, read_decimal
from app.domain.errors import Malformed, NotFound

router = APIRouter(tags=["registry"])


@router.get(
    "/.well-known/cordon-node",
    operation_id="get_node",
    summary="Who this node is, which logs are its own, and what it speaks.",
    responses=answers("The node.", s.NodeCard, ex.NODE, "not_acceptable"),
)
async def get_node(visit: Publicly) -> Response:
    """Compare the root's digest with the one agreed out of band before trusting anything else."""
    node = visit.api.node
    identity, document = node.identity, node.documents[-1]
    return visit.answer(
        {
            "node": identity.node_id,
            "jurisdiction": identity.jurisdiction,
            "name": identity.name,
            "protocol": ["cordon/1"],
            "root": {"ver": document.version, "sha256": document.sha256, "url": f"/fed/v1/root/{document.version}"},
            "logs": [{"origin": log.origin, "url": log.url} for log in document.logs],
            "vocabulary": vocabulary.VERSION,
            "time": instant_text(node.clock()),
            "demonstration": identity.demonstration,
            "api": [{"version": "v1", "sunset": None}],
        }
    )


@router.get(
    "/fed/v1/root/{ver}",
    operation_id="get_root_document",
    summary="A root document, as signed.",
    responses=answers("RFC 7515 general JSON.", s.RootGeneral, ex.ROOT, "not_found not_acceptable"),
)
async def get_root_document(visit: Publicly, ver: str) -> Response:
    """Versions count from 1; each is signed by a threshold of the keys of the one before and of its own."""
    check_open(visit)
    try:
        document = visit.api.node.own_documents.find(read_decimal(ver))
    except Malformed:
        document = None
    if document is None:
        raise NotFound("no root document of this version: /.well-known/cordon-node names the newest")
    return await visit.stored_bytes(document, JSON, cache=SHORT if visit.api.chosen.log_public else NO_STORE)


@router.get(
    "/v1/vocabulary",
    operation_id="get_vocabulary",
    summary="The closed lists, with mappings to others' words.",
    responses=answers("The vocabulary.", s.Vocabulary, ex.VOCABULARY, "not_acceptable"),
)
async def get_vocabulary(visit: Publicly) -> Response:
    """A code that is not here is shown under its nearest known parent."""
    return await visit.stored(vocabulary.document(), cache=SHORT)


@router.get(
    "/v1/members",
    operation_id="list_members",
    summary="Members with their mandates.",
    responses=answers("A page, in order of the id.", s.Members, ex.MEMBERS, "schema invalid_cursor not_acceptable"),
)
async def list_members(visit: Publicly, asked: Annotated[s.Page, Query()]) -> Response:
    """As the registrar's statements stand now."""
    place = await visit.place(asked.cursor)
    after = str(place[0]) if place else ""
    members = [one for one in visit.api.node.consultation.members() if _id_of(one) > after]
    last = _id_of(members[asked.limit - 1]) if len(members) > asked.limit else None
    return await visit.stored(await visit.page(members[: asked.limit], None if last is None else [last]), cache=SHORT)


@router.get(
    "/v1/members/{id}",
    operation_id="get_member",
    summary="One member.",
    responses=answers("The member.", s.MemberRecord, ex.MEMBER, "not_found not_acceptable"),
)
async def get_member(visit: Publicly, id: str) -> Response:
    """With mandate and the log index of the statement that says so."""
    return await visit.stored(visit.api.node.consultation.member(id), cache=SHORT)


@router.get(
    "/v1/members/{id}/keys",
    operation_id="list_member_keys",
    summary="Every key that a member ever had.",
    responses=answers("The keys, in order of registration.", s.MemberKeys, ex.MEMBER_KEYS, "not_found not_acceptable"),
)
async def list_member_keys(visit: Publicly, id: str) -> Response:
    """With validity by log index and time; keys are never removed from history."""
    return await visit.stored({"items": visit.api.node.consultation.member_keys(id), "next": None}, cache=SHORT)


def _id_of(member: JsonValue) -> str:
    assert isinstance(member, dict)
    return str(member["id"])
