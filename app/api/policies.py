"""Screening policies: a member's own rules over what was said, kept here and evaluated in its answers (schemas §3, §4.2)."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from app.api import examples_policies as ex
from app.api import schemas as s
from app.api.bodies import as_model, read_body
from app.api.callers import JSON, NO_STORE, OwnPolicies, Visit
from app.api.docs import answers, takes
from app.domain.canonical import JsonValue
from app.domain.errors import BadRequest, Fault, NotFound, PreconditionFailed, Schema
from app.domain.permission import Action, permit
from app.domain.policy_rules import Policy
from app.services.policies import policy_of, policy_words

router = APIRouter(prefix="/v1/policies", tags=["screening"])

_PRECONDITIONS = "precondition_failed precondition_required"


async def policy_asked(visit: Visit, name: str | None) -> Policy | None:
    """The caller's policy of this name for an answer; Unauthenticated, Forbidden, Schema if he has none."""
    if name is None:
        return None
    permit(visit.caller, Action.OWN_POLICIES)
    found = await visit.api.node.policies.get(visit.caller.member, name)
    if found is None:
        raise Schema("you keep no policy of this name: PUT /v1/policies/{name} first", faults=(Fault("/policy", "unknown"),))
    return found


@router.get(
    "",
    operation_id="list_policies",
    summary="The caller's own policies.",
    responses=answers("All of them, by name.", s.PolicyRecords, ex.POLICIES, "not_acceptable"),
)
async def list_policies(visit: OwnPolicies) -> Response:
    """At most 100."""
    items: list[JsonValue] = [policy_words(one) for one in await visit.api.node.policies.list(visit.caller.member)]
    return await visit.stored({"items": items, "next": None}, cache=NO_STORE)


@router.get(
    "/{name}",
    operation_id="get_policy",
    summary="One policy.",
    responses=answers("The policy.", s.PolicyRecord, ex.POLICY, "not_found not_acceptable"),
)
async def get_policy(visit: OwnPolicies, name: str) -> Response:
    """Its ETag is what changing and deleting want."""
    return await visit.stored(policy_words(await _get(visit, name)), cache=NO_STORE)


@router.put(
    "/{name}",
    operation_id="put_policy",
    summary="Keep a policy, new or in place of the one that was seen.",
    openapi_extra=takes({JSON: ex.POLICY_REQUEST}, s.PolicyRequest),
    responses=answers(
        {200: "The policy, changed.", 201: "The policy, new."},
        s.PolicyRecord,
        ex.POLICY,
        f"bad_json unsupported_media_type schema not_acceptable {_PRECONDITIONS}",
    ),
)
async def put_policy(visit: OwnPolicies, name: str) -> Response:
    """A new one needs no `If-Match`, as there is nothing to have seen; with one, it is 412."""
    asked = as_model(read_body(visit.request, await visit.request.body()), s.PolicyRequest)
    _check(name, asked)
    policy = policy_of({**asked.model_dump(), "name": name})
    policies, owner = visit.api.node.policies, visit.caller.member
    seen = await policies.get(owner, name)
    if seen is not None:
        await visit.check_version(policy_words(seen))
    elif "if-match" in visit.request.headers:
        raise PreconditionFailed("there is no policy of this name any more: leave `If-Match` out to make it anew")
    await policies.put(owner, policy, seen=seen)
    await visit.told("put_policy", f"{owner}/{name}")
    stored = await visit.stored(policy_words(policy), cache=NO_STORE)
    stored.status_code = 200 if seen is not None else 201
    return stored


@router.delete(
    "/{name}",
    operation_id="delete_policy",
    summary="Delete a policy.",
    responses=answers({204: "It is gone."}, None, None, f"not_found {_PRECONDITIONS}"),
    status_code=204,
)
async def delete_policy(visit: OwnPolicies, name: str) -> Response:
    """`If-Match` names the version that was seen."""
    seen = await _get(visit, name)
    await visit.check_version(policy_words(seen))
    await visit.api.node.policies.drop(visit.caller.member, seen)
    await visit.told("delete_policy", f"{visit.caller.member}/{name}")
    return Response(status_code=204, headers={"Cache-Control": NO_STORE})


@router.post(
    "/{name}/dry-run",
    operation_id="dry_run_policy",
    summary="What a policy would have said to the rows of the last 30 days' receipts.",
    responses=answers("How often each outcome.", s.PolicyDryRun, ex.DRY_RUN, "not_found not_acceptable idempotency_mismatch in_progress"),
)
async def dry_run_policy(visit: OwnPolicies, name: str) -> Response:
    """Rows without a receipt are not remembered anywhere, so they are not in it."""
    body = await visit.request.body()
    if body:
        raise BadRequest("a dry run takes no body: it replays the kept policy of this name")

    async def work() -> Response:
        policy = await _get(visit, name)
        return visit.answer(await visit.api.node.policies.dry_run(visit.caller.member, policy))

    return await visit.once(body, work)


async def _get(visit: Visit, name: str) -> Policy:
    found = await visit.api.node.policies.get(visit.caller.member, name)
    if found is None:
        raise NotFound("no such policy for this caller")
    return found


def _check(name: str, asked: s.PolicyRequest) -> None:
    """Schema for what pydantic does not see: the name of the path, rules of one name."""
    as_model({"name": name, "rules": [], "default": "x"}, s.PolicyRequest)
    if asked.name not in (None, name):
        raise Schema("`name` differs from the one in the path: leave it out", faults=(Fault("/name", "name"),))
    names = [rule.name for rule in asked.rules]
    if len(set(names)) != len(names):
        raise Schema("two rules have one name: an answer names the rules that fired", faults=(Fault("/rules", "repeated"),))
