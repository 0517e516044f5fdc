"""How a route is described for `openapi.json`: what it answers, with an example; what it takes; its problems, each with its code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from app.api.problems import MEDIA_TYPE, STATUS

JSON = "application/json"
EVERYWHERE = "bad_request unauthenticated forbidden too_large schema quota internal unavailable"


class BytesResponse(Response):
    """Bytes, for the description."""

    media_type = "application/octet-stream"


class EventsResponse(Response):
    """Server-sent events, for the description."""

    media_type = "text/event-stream"


class TextResponse(PlainTextResponse):
    """Text, for the description."""


def answers(
    ok: str | Mapping[int, str],
    model: type[BaseModel] | None,
    example: object,
    problems: str,
    *,
    media: str = JSON,
    others: Mapping[str, object] | None = None,
    everywhere: str = EVERYWHERE,
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route. `ok`: what a success means, by status; `problems`: slugs besides those of every route."""
    schema: dict[str, Any] = reference(model) if model is not None else {"type": "string"}
    content: dict[str, Any] = {media: {"schema": schema, "example": example}}
    content |= {kind: {"schema": {"type": "string"}, "example": text} for kind, text in (others or {}).items()}
    stated = {200: ok} if isinstance(ok, str) else ok
    found = _problems(f"{everywhere} {problems}".split())
    for status, meaning in stated.items():
        found[status] = {"description": meaning} if status in (202, 204) and not example else {"description": meaning, "content": content}
    return found


def _problems(slugs: list[str]) -> dict[int | str, dict[str, Any]]:
    by_status: dict[int, list[str]] = {}
    for slug in dict.fromkeys(slugs):
        by_status.setdefault(STATUS[slug], []).append(slug)
    return {status: _problem(status, of_status) for status, of_status in sorted(by_status.items())}


def _problem(status: int, slugs: list[str]) -> dict[str, Any]:
    examples = {slug: {"value": example_problem(slug)} for slug in slugs}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}}
    return {"description": f"{status}: {', '.join(slugs)}", "content": content}


def example_problem(slug: str) -> dict[str, Any]:
    """The problem document of a slug."""
    return {
        "type": f"/problems/{slug}",
        "title": slug.replace("_", " ").capitalize(),
        "status": STATUS[slug],
        "code": slug,
        "detail": "what is wrong and what to do",
        "instance": "/v1/statements",
        "request_id": "5f2c9a7be01d4468a3c1",
        "errors": [],
    }


def takes(
    examples: Mapping[str, object], model: type[BaseModel] | None = None, *, others: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its body itself: an example for each media type; `others` are texts."""
    schema: dict[str, Any] = reference(model) if model is not None else {"type": "string"}
    content = {kind: {"schema": schema, "example": example} for kind, example in examples.items()}
    content |= {kind: {"schema": {"type": "string"}, "example": text} for kind, text in (others or {}).items()}
    return {"requestBody": {"required": True, "content": content}}


def reference(model: type[BaseModel]) -> dict[str, Any]:
    """Where the schema of a model stands."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}
