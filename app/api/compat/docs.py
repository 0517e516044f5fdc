"""How these routes are described: their answers and errors are in the imitated system's shape, not in ours (domain §2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.api.docs import JSON, reference
from app.api.problems import dialect_status

_SLUGS = "bad_request unauthenticated forbidden too_large schema quota internal unavailable not_acceptable"


def told(
    meaning: str, model: type[BaseModel], example: object, error: type[BaseModel], slugs: str, *, errors: Mapping[str, object]
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route. `error`: the model of its errors; `errors`: their exact bodies where the system has its own words."""
    found: dict[int | str, dict[str, Any]] = {200: {"description": meaning, "content": {JSON: _content(model, example)}}}
    (member,) = error.model_fields
    for slug in dict.fromkeys(f"{_SLUGS} {slugs}".split()):
        status = dialect_status(slug)
        body = errors.get(slug, {member: "what is wrong and what to do"})
        found.setdefault(status, {"description": f"{status}: {slug}", "content": {JSON: _content(error, body)}})
    return found


def _content(model: type[BaseModel], example: object) -> dict[str, Any]:
    return {"schema": reference(model), "example": example}
