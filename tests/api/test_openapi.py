"""`openapi.json`: what is kept is what is served, and it says what a caller needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api import schemas
from app.api.description import document
from app.api.openapi import text
from app.api.problems import STATUS
from tests.api.front import Front

KEPT = Path(__file__).resolve().parents[2] / "openapi" / "openapi.json"
LATER = re.compile(r"/v1/(trace|requests|disputes|statistics)|/ssf")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_kept_description_is_the_code() -> None:
    """`make openapi` writes it; a change is read in its difference."""
    assert KEPT.read_bytes() == text(), "run `make openapi` and look at the difference"


async def test_the_served_description_is_the_kept_one(front: Front) -> None:
    """One document, whoever asks."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(front.app), base_url="http://127.0.0.1") as client:
        assert (await client.get("/openapi.json")).json() == json.loads(KEPT.read_bytes())


def test_every_operation_has_a_name_of_its_own() -> None:
    """snake_case, unique, stable."""
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []


def test_every_operation_tells_its_problems_and_security() -> None:
    """4xx and 5xx with the problem model and an example of each code; who may call; a summary."""
    for path, method, operation in operations():
        statuses = set(operation["responses"])
        assert {"400", "401", "500"} <= statuses, path
        assert "security" in operation, path
        assert operation["summary"], path
        for status, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                assert "example" in content or content["examples"], (path, method, status, kind)
                if kind == "application/problem+json":
                    assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                    for slug, example in content["examples"].items():
                        assert STATUS[slug] == int(status) == example["value"]["status"]


def test_every_example_is_one() -> None:
    """An example of an answer or a request is held to its model."""
    checked = 0
    for path, _, operation in operations():
        bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
        for content in (content for body in bodies for kind, content in body.get("content", {}).items() if kind == "application/json"):
            model = getattr(schemas, content["schema"].get("$ref", "").rpartition("/")[2], None)
            if model is not None:
                model.model_validate(content["example"], strict=True)
                checked += 1
            else:
                assert content["schema"] == {"type": "string"}, path
    assert checked >= 25


def test_no_answer_to_a_lookup_judges() -> None:
    """No property named block, deny, verdict or decision, nor a score without its reasons, in any model (DP-07)."""
    for name, schema in document()["components"]["schemas"].items():
        assert not {"block", "blocked", "deny", "denied", "verdict", "decision", "risk_score"} & set(schema.get("properties", {})), name


@pytest.mark.parametrize("model", ["Said", "ScreenResult", "ScreenOne", "SubjectRecord"])
def test_answers_to_lookups_hold_nothing_else(model: str) -> None:
    """Their key sets are frozen: `additionalProperties` is false."""
    assert document()["components"]["schemas"][model]["additionalProperties"] is False


def test_what_comes_later_is_absent() -> None:
    """Routes of cases are not there as long as nothing stands behind them."""
    assert [path for path, _, _ in operations() if LATER.match(path)] == []
