"""A node with its HTTP floor for tests: keys for every class of caller, and a client that holds each answer to its documented model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.api import schemas
from app.main import create_app
from app.services.enroll import new_api_key
from app.services.node import Node
from app.settings import load
from app.storage.clients import Client
from tests.factories import Town, accept

WHY = {"Cordon-Purpose": "fraud_prevention", "Cordon-Case": "case-1"}
PLENTY = {"rate_public_per_minute": 1_000_000, "rate_client_per_minute": 1_000_000}
ALL_SCOPES = ("screen", "watch", "read", "request", "operate", "audit")


@dataclass
class Front:
    """An application whose node runs. `at(key)` gives a client; with `why` it says purpose and case."""

    app: FastAPI
    town: Town
    opened: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def node(self) -> Node:
        return self.app.state.api.node

    def at(self, key: str | None = None, *, why: bool = True, peer: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
        """A client that checks what it is told."""
        given = {**({"Authorization": f"Bearer {key}"} if key else {}), **(WHY if key and why else {}), **headers}
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=(peer, 4711)),
            base_url="http://127.0.0.1",
            headers=given,
            event_hooks={"response": [self._check]},
        )
        self.opened.append(client)
        return client

    async def key(
        self,
        member: str = "de.exchange",
        client_class: str = "vasp",
        *,
        scopes: tuple[str, ...] = ALL_SCOPES,
        tier: str = "green",
        quota: Mapping[str, int] | None = None,
        expires_ms: int | None = None,
        environment: str = "live",
    ) -> str:
        """An API key, made as the command line makes it."""
        new = new_api_key(environment=environment)
        one = Client(
            new.id,
            new.secret_sha256,
            environment,
            member,
            client_class,
            "test",
            scopes,
            tier,
            self.town.clock(),
            dict(quota or {}),
            expires_ms,
        )
        async with self.node.database.transaction() as tx:
            await tx.clients.put(one)
        return new.text()

    async def keys(self) -> dict[str, str | None]:
        """A key for each class of caller; `public` has none."""
        return {
            "public": None,
            "agency": await self.key("de.bka", "agency"),
            "agency_without_scopes": await self.key("de.bka", "agency", scopes=("watch",)),
            "other_agency": await self.key("de.lka", "agency"),
            "vasp": await self.key("de.exchange", "vasp"),
            "redress": await self.key("de.ombud", "redress"),
            "auditor": await self.key("", "auditor"),
            "operator": await self.key("", "operator"),
        }

    async def _check(self, response: httpx.Response) -> None:
        await response.aread()
        check_answer(self.app, response)

    async def close(self) -> None:
        for client in self.opened:
            await client.aclose()


@asynccontextmanager
async def open_front(town: Town, database_url: str, *, settle: bool = True, **settings: Any) -> AsyncIterator[Front]:
    """A running application of a founded jurisdiction, members enrolled unless told otherwise."""
    values = {"data_dir": town.data_dir, "database_url": database_url, "commit_window_ms": 1, **PLENTY, **settings}
    app = create_app(load(values, environment={}), clock=town.clock)
    async with app.router.lifespan_context(app):
        front = Front(app, town)
        if settle:
            await accept(front.node, *town.settled())
        yield front
        await front.close()


def routes_of(app: FastAPI) -> list[APIRoute]:
    """Every route that the application serves."""
    return [route for route in app.routes if isinstance(route, APIRoute)]


def check_answer(app: FastAPI, response: httpx.Response) -> None:
    """Every answer is what the API document says: a known model without further members, or a problem."""
    status, kind = response.status_code, response.headers.get("content-type", "")
    assert response.headers["x-request-id"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "cache-control" in response.headers
    assert status != 500, response.text
    if status >= 400 and "problem" in kind:
        problem = schemas.Problem.model_validate_json(response.content)
        assert problem.status == status
        assert problem.type == f"/problems/{problem.code}"
        assert problem.request_id == response.headers["x-request-id"]
        return
    model = model_of(app, response.request.method, response.request.url.path, status)
    if model is not None and kind == "application/json":
        model.model_validate_json(response.content)
    elif kind == "application/x-ndjson":
        path = response.request.url.path
        row = schemas.EntryLine if path.startswith("/fed/") else schemas.ScreenResult if path == "/v1/screen" else schemas.SubmissionRow
        for line in response.content.split(b"\n")[:-1]:
            (schemas.ScreenSummary if line.startswith(b'{"summary"') else row).model_validate_json(line)
    else:
        assert status < 400 or kind == "text/x.tlog.size", response.text


def model_of(app: FastAPI, method: str, path: str, status: int) -> type[BaseModel] | None:
    """The model that is documented for an answer."""
    for route in routes_of(app):
        if method in (route.methods or ()) and route.path_regex.match(path):
            content = route.responses.get(status, {}).get("content", {}).get("application/json")
            if content is None:
                return None
            name = content["schema"].get("$ref", "").rpartition("/")[2]
            if path == "/v1/entities" and name == "Hits":
                return None  # a page of hits, or with `id` the record: see test_subjects_api
            found: type[BaseModel] | None = getattr(schemas, name, None)
            return found
    raise AssertionError(f"no documented route for {method} {path}")


def problem(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, str(json.loads(response.content)["code"])
