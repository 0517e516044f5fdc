"""Who may call what (S-01): made from the mounted routes, each with each class of caller, and compared with the table kept beside.

A route without an entry fails here, as does one whose answer changes: the table is changed by hand, by somebody who means it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.api import federation, watching
from app.api.description import asks_of
from app.domain.api_key import read_api_key
from app.domain.statement import ohash_of
from tests.api.front import routes_of
from tests.api.peers import Federating
from tests.factories import accept, entity, sid_in, wallet, wallet_id

OWN = ohash_of("de.example/log")
QUERIES = {
    "/fed/v1/entries": f"?o={OWN}&from=0&to=1",
    "/fed/v1/parts": f"?o={OWN}&ids=0",
    "/v1/search": "?q=golden",
}
TABLE = Path(__file__).parent / "permissions.json"


async def ask(federating: Federating) -> dict[str, dict[str, int]]:
    """Every route, by every class of caller, with ids of things that exist and belong to somebody else."""
    front = federating.front
    hidden = front.town.signer("de.lka#1").listing(
        wallet(1, status="confirmed"), entity("golden-sun", member="de.lka"), tlp="RED", aud=["de.lka"]
    )
    await accept(front.node, hidden)
    stranger = read_api_key(await front.key("de.fiu", "vasp"))
    assert stranger is not None
    others = await front.node.watching.create_list("de.fiu/green", "", [])
    hook = await front.node.watching.create_hook("de.fiu/green", "https://hooks.example/in", events=["*"], watchlists=[])
    ids = {
        "sid": sid_in(hidden),
        "address": wallet_id(1),
        "ver": "1",
        "path": "0/000.p/6",
        "ohash": OWN,
        "tier": "green",
        "hhhh": "3d56",
        "hh": "3d",
        "root": "A" * 43,
        "rid": "A" * 22,
        "name": "no-such-policy",
        "dataset": "default",
        "prefix": "3d56",
    }
    by_prefix = {
        "/v1/wallets": wallet_id(1),
        "/v1/indicators": "scam.example",
        "/v1/entities": "entity:de.lka:golden-sun",
        "/v1/members": "de.lka",
        "/v1/api-keys": stranger.id,
        "/v1/watchlists": others.id,
        "/v1/webhooks": hook.id,
        "/compat/yente/entities": "entity:de.lka:golden-sun",
    }
    bodies: dict[str, dict[str, Any]] = {
        "/v1/screen": {"json": {"items": [{"address": wallet_id(1)}]}},
        "/v1/api-keys": {"json": {"member": "de.exchange", "scopes": ["screen"]}},
        "/compat/trm/public/v1/sanctions/screening": {"json": [{"address": wallet_id(1)}]},
        "/compat/trm/public/v2/screening/addresses": {"json": [{"address": wallet_id(1)}]},
        "/compat/yente/match/{dataset}": {"json": {"queries": {"q": {"schema": "Company", "properties": {"name": ["golden"]}}}}},
        "/v1/watchlists": {"json": {"items": [{"id": wallet_id(1)}]}},
        "/v1/webhooks": {"json": {"url": "https://hooks.example/in"}},
        "/v1/webhooks/{id}/replay": {"json": {"cursor": "5f2c9a7be01d-1"}},
        "/v1/corrections/acknowledge": {"json": {"cursor": "5f2c9a7be01d-1"}},
        "/fed/v1/nudge": {"json": {"o": OWN, "size": 1}},
        "/fed/v1/acks": {"json": {"o": OWN, "size": 1, "sids": [sid_in(hidden)]}},
        "/fed/v1/evidence": {"content": "cordon-fork/v1\n", "headers": {"Content-Type": "text/plain"}},
        "/witness/add-checkpoint": {"content": "old 0\n"},
        "/v1/statements": {"content": hidden, "headers": {"Content-Type": "application/sd-jwt"}},
    }
    found: dict[str, dict[str, int]] = {}
    callers = {name: front.at(key) for name, key in (await front.keys()).items()} | {"peer": federating.at()}
    for name, caller in callers.items():
        async with caller as client:
            for route in routes_of(front.app):
                for method in sorted(route.methods or ()):
                    path = route.path_format
                    for prefix, id_ in by_prefix.items():
                        if path.startswith(prefix + "/{id}"):
                            path = path.replace("{id}", id_)
                    for parameter, value in ids.items():
                        path = path.replace("{" + parameter + "}", value)
                    if method == "GET" and route.path in ("/v1/wallets", "/v1/indicators", "/v1/screen"):
                        path += f"?id={wallet_id(1) if 'indicators' not in path else 'scam.example'}"
                    path += QUERIES.get(route.path, "")
                    options = bodies.get(route.path, {}) if method == "POST" else {"json": {}} if method == "PATCH" else {}
                    answer = await client.request(method, path, **options)
                    found.setdefault(f"{method} {route.path}", {})[name] = answer.status_code
    return found


async def test_the_table_is_the_one_that_was_agreed(federating: Federating, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each route has a row, each class a status: what exists for somebody else is 404, what a class may not do 403, and 401 without a key."""
    monkeypatch.setattr(federation, "STREAM_S", 0.0)  # a stream that ends at once
    monkeypatch.setattr(watching, "STREAM_S", 0.0)
    found = await ask(federating)
    agreed = json.loads(TABLE.read_text("utf-8"))
    assert set(found) == set(agreed), "a route without an entry: decide who may call it, and write it down"
    assert {route: row for route, row in found.items() if agreed[route] != row} == {}


def test_every_route_declares_its_action() -> None:
    """Default deny: there is no route that does not ask who calls."""
    from fastapi import FastAPI

    from app.api.mount import mount

    app = FastAPI()
    mount(app)
    assert [route.path for route in routes_of(app) if asks_of(route) is None] == []


def test_the_table_denies_by_default() -> None:
    """What an auditor or operator may read of intelligence is nothing, and nobody without a key reaches a key or a held statement."""
    agreed = json.loads(TABLE.read_text("utf-8"))
    content = [
        route
        for route in agreed
        if route.split(" /v1/")[-1].split("/")[0].split("?")[0] in ("screen", "wallets", "indicators", "entities", "search")
        or (" /compat/" in route and not route.endswith(("/catalog", "/healthz")))
    ]
    assert len(content) == 17
    for route in content:
        assert {agreed[route][name] for name in ("auditor", "operator", "agency_without_scopes")} == {403}, route
        assert agreed[route]["peer"] in (401, 403), route  # the hot path knows API keys alone
    for route in (route for route in agreed if "api-keys" in route or "held" in route):
        assert agreed[route]["public"] == 401
    for route in ("GET /fed/v1/stream", "POST /fed/v1/nudge", "POST /fed/v1/evidence", "POST /fed/v1/acks"):
        assert {name for name, status in agreed[route].items() if status < 400} == {"peer"}, route
