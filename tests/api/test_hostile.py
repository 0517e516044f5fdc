"""Hostile input: every endpoint refuses it with a problem, nothing falls over, and the log does not grow (S-09, S-18, S-19)."""

from __future__ import annotations

import time

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
    async with front.at(await front.key("", "operator")) as operator, front.at() as public:
        slowest = max([await _send_everywhere(front, name, operator, public) for name in BODIES])
    assert len(BODIES) >= 60
    assert front.node.own_log.size == before
    assert slowest < 2, slowest


async def _send_everywhere(front: Front, name: str, operator: httpx.AsyncClient, public: httpx.AsyncClient) -> float:
    """The longest that one answer took, in seconds."""
    body, slowest = BODIES[name], 0.0
    is_sample = list(BODIES).index(name) % READ_NOWHERE == 0
    for route in routes_of(front.app):
        path = route.path_format.replace("{", "x").replace("}", "x")
        for method in sorted(route.methods or ()):
            for kind in _kinds(method, is_sample):
                client = operator if "api-keys" in path else public
                begun = time.perf_counter()
                answer = await client.request(method, path, content=body, headers={"Content-Type": kind} if kind else {})
                slowest = max(slowest, time.perf_counter() - begun)
                assert answer.status_code < 500, (name, method, path, kind, answer.text)
                if method == "POST" and not _is_harmless(path, kind, name):
                    assert 400 <= answer.status_code < 500 or _only_refused(answer.text), (name, method, path, kind, answer.text)
    return slowest


def _kinds(method: str, is_sample: bool) -> tuple[str, ...]:
    if method == "POST":
        return TYPES + OTHER_TYPES if is_sample else TYPES
    return TYPES[:1] if is_sample else ()


def _is_harmless(path: str, kind: str, name: str) -> bool:
    """Strings that screening takes as rows: each is told `invalid`. Streams tell every row by itself, whatever it is."""
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
