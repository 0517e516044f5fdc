"""The description of every route, made from the routes: what is served as `/openapi.json` and kept in the repository."""

from __future__ import annotations

from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, RootModel
from pydantic.json_schema import models_json_schema

from app.api import schemas
from app.api.callers import Asks
from app.api.mount import mount
from app.domain.errors import Refused
from app.domain.permission import PUBLIC_CALLER, Action, permit
from app.domain.vocabulary.lists import PURPOSES

TITLE = "Cordon"
VERSION = "0.1.0"
SUMMARY = "Signed statements about scam wallets: submit, look up, prove."
DESCRIPTION = """Errors are RFC 9457 problems; `code` is stable, one section each in `openapi/problems.md`. Rules that hold on every route
stand in `openapi/README.md`."""

_BASES = (schemas.Asked, schemas.Told, schemas.Lenient, RootModel)
_BY_PEERS = frozenset({Action.FOLLOW, Action.GOSSIP})
_WITH_REASON = frozenset({Action.SCREEN, Action.READ, Action.FOLLOW})


@cache
def document() -> dict[str, Any]:
    """The whole description; made when it is first asked for, as it takes longer than the rest of a start."""
    app = FastAPI(title=TITLE, version=VERSION)
    mount(app)
    described = get_openapi(title=TITLE, version=VERSION, summary=SUMMARY, description=DESCRIPTION, routes=app.routes)
    for route in app.routes:
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                _finish(described["paths"][route.path_format][method.lower()], route, method)
    components = described.setdefault("components", {})
    components["schemas"] = dict(sorted({**components.get("schemas", {}), **_schemas()}.items()))
    components["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "cordon_live_… or cordon_test_…"},
        "compatKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "compatBasic": {"type": "http", "scheme": "basic", "description": "The key as user name, as password, or as both."},
        "peerToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT of type cordon-peer+jwt, signed for one request"},
    }
    return described


def asks_of(route: APIRoute) -> Asks | None:
    """What a route asks of its caller; None would be a route that forgot to ask."""
    return next((one.call for one in route.dependant.dependencies if isinstance(one.call, Asks)), None)


def _finish(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    asks = asks_of(route)
    assert asks is not None, f"{route.path} asks nobody who he is"
    for status, response in route.responses.items():
        # The framework drops what is null, and with it members that an answer always has.
        operation["responses"][str(status)] |= {"content": response["content"]} if "content" in response else {}
    operation["security"] = _security_of(asks)
    operation["x-action"] = str(asks.action)
    parameters = operation.setdefault("parameters", [])
    if asks.action in _WITH_REASON:
        parameters.append(_header("Cordon-Purpose", "Why an agency reads.", {"enum": sorted(PURPOSES)}))
        parameters.append(_header("Cordon-Case", "An agency's own reference.", {"maxLength": 128}))
    if method == "POST":
        parameters.append(
            _header("Idempotency-Key", "The same request under the same key has one effect, for 24 hours.", {"maxLength": 64})
        )
    if method in ("PUT", "DELETE"):
        parameters.append(_header("If-Match", "The ETag of the version that was seen.", {}))
    if not parameters:
        del operation["parameters"]


def _security_of(asks: Asks) -> list[dict[str, list[str]]]:
    """Nobody's, a key's, a peer's: whatever of them may do it."""
    action = asks.action
    nobody: list[dict[str, list[str]]] = [{}] if _is_public(action) else []
    key: list[dict[str, list[str]]] = [] if action is Action.GOSSIP else [{scheme: []} for scheme in asks.schemes]
    peer: list[dict[str, list[str]]] = [{"peerToken": []}] if action in _BY_PEERS else []
    return [*nobody, *key, *peer]


def _is_public(action: Action) -> bool:
    try:
        permit(PUBLIC_CALLER, action)
    except Refused:
        return False
    return True


def _header(name: str, meaning: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": meaning, "schema": {"type": "string", **schema}}


def _schemas() -> dict[str, Any]:
    models = [
        one
        for one in vars(schemas).values()
        if isinstance(one, type) and issubclass(one, schemas.Asked | schemas.Told | schemas.Lenient | RootModel) and one not in _BASES
    ]
    pairs: list[tuple[type[BaseModel], Any]] = [(one, "validation") for one in models]
    found: dict[str, Any] = models_json_schema(pairs, ref_template="#/components/schemas/{model}")[1]["$defs"]
    return found
