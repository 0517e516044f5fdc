"""Hostile input: every endpoint refuses it with a problem, nothing falls over, and the log does not grow (S-09, S-18, S-19)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx
import pytest

from tests.api.front import Front, routes_of
from tests.api.hostile import BODIES, SPELLINGS

TYPES = ("application/json", "application/sd-jwt", "text/plain", "")
OTHER_TYPES = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/x-ndjson",
    "text/csv",
)
WRITES = ("POST", "PUT", "PATCH")
OWNERS = ("/v1/watchlists", "/v1/webhooks", "/v1/policies", "/v1/events", "/v1/corrections", "/v1/receipts", "/compat/")
"""What only a client with a key may do: the body is read behind that door."""
EMPTY_LIST = ("/v1/watchlists", "object")
"""A list without name and items is a list."""
BODILESS = ("/test", "/rotate", "/stream")
"""Nothing is read there; they would send, change a secret, or go on without end."""
READ_NOWHERE = 7
"""Where no route reads a body, one in so many is tried."""

PARAMETERS = (
    ("/v1/screen", "id"),
    ("/v1/wallets", "id"),
    ("/v1/indicators", "id"),
    ("/v1/entities", "id"),
    ("/v1/entities", "q"),
    ("/v1/entities", "kind"),
    ("/v1/search", "q"),
    ("/v1/statements", "issuer"),
    ("/v1/statements", "kind"),
    ("/v1/statements", "cursor"),
    ("/v1/members", "cursor"),
    ("/readyz", "verbose"),
)


@pytest.mark.slow
async def test_hostile_bodies_are_refused_by_every_route(both_fronts: Front) -> None:
    """Each body, under each content type, at each route and method: only 4xx problems where a body is read, never 5xx, quickly."""
    front, before = both_fronts, both_fronts.node.own_log.size
    doors = await Doors.of(front)
    kept = await doors.kept()
    slowest = max([await _send_everywhere(front, name, doors) for name in BODIES])
    assert len(BODIES) >= 60
    assert front.node.own_log.size == before
    assert await doors.kept() == kept, "what is kept for a client is as it was"
    assert slowest < 2, slowest


@dataclass(frozen=True, slots=True)
class Doors:
    """Who may go through which door: a refusal at the door says nothing of what stands behind it."""

    public: httpx.AsyncClient
    operator: httpx.AsyncClient
    owner: httpx.AsyncClient
    names: dict[str, str]
    """Route -> the name of something of the owner's there."""

    @classmethod
    async def of(cls, front: Front) -> Doors:
        """A client of each class, and a watchlist, a webhook and a policy of the owner's."""
        owner = front.at(await front.key())
        watchlist = (await owner.post("/v1/watchlists", json={"name": "ours", "prefixes": ["3d56"]})).json()["id"]
        webhook = (await owner.post("/v1/webhooks", json={"url": "https://hooks.example/"})).json()["id"]
        made = await owner.put("/v1/policies/ours", json={"rules": [], "default": "pass"}, headers={"If-None-Match": "*"})
        assert made.status_code in (200, 201), made.text
        names = {"/v1/watchlists/{id}": watchlist, "/v1/webhooks/{id}": webhook, "/v1/policies/{name}": "ours"}
        return cls(front.at(), front.at(await front.key("", "operator")), owner, names)

    async def kept(self) -> list[str]:
        """What the owner has."""
        paths = (
            "/v1/watchlists",
            "/v1/webhooks",
            "/v1/policies",
            *(f"{route[: route.rindex('{')]}{name}" for route, name in self.names.items()),
        )
        return [(await self.owner.get(path)).text for path in paths]

    def path(self, route: str) -> str:
        """The path of something that is there, or of nothing."""
        for known, name in self.names.items():
            if route.startswith(known):
                route = known[: known.rindex("{")] + name + route.removeprefix(known)
        return route.replace("{", "x").replace("}", "x")

    def client(self, path: str) -> httpx.AsyncClient:
        """Who may go in there."""
        if "api-keys" in path:
            return self.operator
        return self.owner if path.startswith(OWNERS) else self.public


async def _send_everywhere(front: Front, name: str, doors: Doors) -> float:
    """The longest that one answer took, in seconds."""
    body, slowest = BODIES[name], 0.0
    is_sample = list(BODIES).index(name) % READ_NOWHERE == 0
    for route in routes_of(front.app):
        path = doors.path(route.path_format)
        for method in sorted(route.methods or ()):
            for kind in _kinds(method, path, is_sample) if (path, name) != EMPTY_LIST else ():
                client = doors.client(path)
                begun = time.perf_counter()
                answer = await client.request(method, path, content=body, headers={"Content-Type": kind} if kind else {})
                slowest = max(slowest, time.perf_counter() - begun)
                assert answer.status_code < 500, (name, method, path, kind, answer.text)
                if method in WRITES and not _is_harmless(path, kind, name):
                    assert 400 <= answer.status_code < 500 or _only_refused(answer.text), (name, method, path, kind, answer.text)
    return slowest


def _kinds(method: str, path: str, is_sample: bool) -> tuple[str, ...]:
    if path.endswith(BODILESS):
        return ()
    if method in WRITES and not (path.startswith(OWNERS) and not is_sample):
        return TYPES + OTHER_TYPES if is_sample else TYPES
    return TYPES[:1] if is_sample or method in WRITES else ()


def _is_harmless(path: str, kind: str, name: str) -> bool:
    """Strings that screening takes as rows: each is told `invalid`. Streams tell every row by itself, whatever it is. A dry run may ask for nothing."""
    if path.endswith("/dry-run"):
        return name in ("empty", "object")
    return path == "/v1/screen" and (kind != "application/json" or name == "long address")


def _only_refused(text: str) -> bool:
    """A batch answers 200 with a problem a row."""
    return bool(text) and all('"error":{' in line for line in text.splitlines())


@pytest.mark.slow
async def test_hostile_spellings_are_never_taken_for_an_address(both_fronts: Front) -> None:
    """As a parameter and as a row, to screening, records, search and filters: refused or `invalid`, on both engines alike."""
    front, before = both_fronts, both_fronts.node.own_log.size
    async with front.at(await front.key()) as client:
        for name, text in SPELLINGS.items():
            for path, parameter in PARAMETERS:
                answer = await client.get(path, params={parameter: text})
                assert answer.status_code < 500, (name, path, parameter, answer.text)
                if path == "/v1/screen" and answer.status_code == 200:
                    assert answer.json()["result"]["match"] == "invalid", (name, answer.text)
                if path == "/v1/wallets":
                    assert answer.status_code in (400, 422), (name, answer.text)
            narrowed = {"address": "0x1", "chain": text[:128], "tag": text[:128], "reference": text[:256]}
            for item in ({"address": text}, narrowed):
                answer = await client.post("/v1/screen", json={"items": [item]})
                assert answer.status_code in (200, 400, 422), (name, answer.text)
                if answer.status_code == 200:
                    assert {one["match"] for one in answer.json()["results"]} == {"invalid"}, (name, answer.text)
    assert front.node.own_log.size == before
