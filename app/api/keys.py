"""API keys: an operator makes and ends them, their owner sees his own (schemas §4.6). The secret is shown once and never kept."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from app.api import examples as ex
from app.api import schemas as s
from app.api.bodies import as_model, read_body
from app.api.callers import JSON, NO_STORE, ManagingKeys, ReadingKeys, Visit
from app.api.docs import answers, takes
from app.domain.answer import epoch_ms, instant_text
from app.domain.canonical import JsonValue
from app.domain.errors import Fault, Gone, NotFound, Schema
from app.domain.permission import Action, CallerClass, permit
from app.services.enroll import new_api_key
from app.storage.clients import Client
from app.storage.database import Transaction

router = APIRouter(prefix="/v1/api-keys", tags=["api keys"])

_WRITE_PROBLEMS = "bad_json too_large unsupported_media_type schema forbidden not_acceptable idempotency_mismatch in_progress"


@router.post(
    "",
    operation_id="create_api_key",
    summary="Make an API key for a member.",
    openapi_extra=takes({JSON: ex.NEW_API_KEY_REQUEST}, s.NewKeyRequest),
    responses=answers({201: "The key, shown this once."}, s.NewApiKeyRecord, ex.NEW_API_KEY, _WRITE_PROBLEMS),
    status_code=201,
)
async def create_api_key(visit: ManagingKeys) -> Response:
    """The key's class is the member's. Operators' and auditors' keys are made on the host alone."""
    body = await visit.request.body()
    asked = as_model(read_body(visit.request, body), s.NewKeyRequest)
    node = visit.api.node
    member = node.keyring.member(asked.member)
    if member is None:
        raise Schema("no member of this id: the registrar enters it first", faults=(Fault("/member", "unknown"),))
    now_ms = node.clock()
    expires_ms = epoch_ms(asked.expires_at) if asked.expires_at else None
    if expires_ms is not None and expires_ms <= now_ms:
        raise Schema("`expires_at` lies behind: such a key would open nothing", faults=(Fault("/expires_at", "past"),))

    async def work() -> Response:
        key = new_api_key()
        one = Client(
            id=key.id,
            secret_sha256=key.secret_sha256,
            environment="live",
            member=asked.member,
            client_class=str(member.member_class),
            name=asked.name,
            scopes=tuple(dict.fromkeys(asked.scopes)),
            tier=asked.tier,
            created_ms=now_ms,
            quota={name: value for name, value in asked.quota.model_dump().items() if value is not None},
            expires_ms=expires_ms,
        )

        async def put(tx: Transaction) -> None:
            await tx.clients.put(one)

        await node.database.run(put)
        await visit.told("create_api_key", f"{one.member}/{one.id}")
        return visit.answer({"key": key.text(), **_words(one)}, status=201)

    return await visit.once(body, work)


@router.get(
    "",
    operation_id="list_api_keys",
    summary="Keys without their secrets: an operator's view of all, everybody else's of his own.",
    responses=answers("All of them, oldest first.", s.ApiKeys, ex.API_KEYS, "not_acceptable"),
)
async def list_api_keys(visit: ReadingKeys) -> Response:
    """Ended keys stay in the list."""
    async with visit.api.node.database.reading() as tx:
        found = await tx.clients.list(None if _sees_all(visit) else visit.caller.member)
    items: list[JsonValue] = [_words(one) for one in found if _sees_all(visit) or _is_own(visit, one)]
    return await visit.stored({"items": items, "next": None}, cache=NO_STORE)


@router.get(
    "/{id}",
    operation_id="get_api_key",
    summary="One key without its secret.",
    responses=answers("The key.", s.ApiKeyRecord, ex.API_KEY, "not_found not_acceptable"),
)
async def get_api_key(visit: ReadingKeys, id: str) -> Response:
    """Its ETag is what `DELETE` wants."""
    return await visit.stored(_words(await _get(visit, id)), cache=NO_STORE)


@router.delete(
    "/{id}",
    operation_id="end_api_key",
    summary="End a key at once.",
    responses=answers(
        {204: "It opens nothing any more."}, None, None, "forbidden not_found gone precondition_failed precondition_required"
    ),
    status_code=204,
)
async def end_api_key(visit: ManagingKeys, id: str) -> Response:
    """`If-Match` names the version that was seen."""
    node = visit.api.node
    one = await _get(visit, id)
    await visit.check_version(_words(one))
    if one.revoked_ms is not None:
        raise Gone("this key was ended before")

    async def end(tx: Transaction) -> bool:
        return await tx.clients.end(id, node.clock())

    if not await node.database.run(end):
        raise Gone("this key was ended before")
    node.recognition.forget()
    await visit.told("end_api_key", f"{one.member}/{one.id}")
    return Response(status_code=204, headers={"Cache-Control": NO_STORE})


async def _get(visit: Visit, client_id: str) -> Client:
    """The very row that is then judged: nothing is looked up twice."""
    async with visit.api.node.database.reading() as tx:
        one = await tx.clients.get(client_id)
    if one is None:
        raise NotFound("no such thing for this caller")
    if not _is_own(visit, one):
        permit(visit.caller, Action.READ_KEYS, owner=one.member or "-")
    return one


def _sees_all(visit: Visit) -> bool:
    return visit.caller.caller_class is CallerClass.OPERATOR


def _is_own(visit: Visit, one: Client) -> bool:
    """A member's keys belong to all holders of its keys; a key without a member to its holder alone."""
    if visit.caller.member:
        return one.member == visit.caller.member
    return visit.caller.actor.rpartition("/")[2] == one.id


def _words(one: Client) -> dict[str, JsonValue]:
    return {
        "id": one.id,
        "member": one.member,
        "class": one.client_class,
        "name": one.name,
        "scopes": [*one.scopes],
        "tier": one.tier,
        "environment": one.environment,
        "quota": dict(one.quota),
        "created_at": instant_text(one.created_ms),
        "expires_at": instant_text(one.expires_ms) if one.expires_ms is not None else None,
        "ended_at": instant_text(one.revoked_ms) if one.revoked_ms is not None else None,
    }
