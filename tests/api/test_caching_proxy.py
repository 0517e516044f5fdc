"""A shared cache in front of the node, as strict as RFC 9111 and no stricter: what one caller was told is never told to another (S-25)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from app.domain.identifiers import bucket_of, id_key
from app.domain.view import bucket_text
from tests.api.front import WHY, Front
from tests.factories import accept, entity, sid_in, wallet, wallet_id

HHHH = bucket_text(bucket_of(id_key(wallet_id(1))))


@dataclass
class SharedCache(httpx.AsyncBaseTransport):
    """Keeps what it may by Cache-Control and Authorization, tells answers apart by Vary, asks again by ETag; knows nothing of the node."""

    behind: httpx.AsyncBaseTransport
    kept: dict[str, list[tuple[tuple[str, ...], httpx.Headers, bytes]]] = field(default_factory=dict)
    hits: int = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        key = str(request.url)
        if request.method == "GET":
            for named, headers, body in self.kept.get(key, []):
                if named == self._named(headers, request):
                    self.hits += 1
                    if request.headers.get("if-none-match") == headers["etag"]:
                        return httpx.Response(304, headers=headers)
                    return httpx.Response(200, headers=headers, content=body)
        answer = await self.behind.handle_async_request(request)
        body = await answer.aread()
        if request.method == "GET" and answer.status_code == 200 and self._may_keep(request, answer):
            self.kept.setdefault(key, []).append((self._named(answer.headers, request), answer.headers, body))
        return httpx.Response(answer.status_code, headers=answer.headers, content=body)

    @staticmethod
    def _may_keep(request: httpx.Request, answer: httpx.Response) -> bool:
        said = {word.strip().partition("=")[0] for word in answer.headers.get("cache-control", "").split(",")}
        if said & {"no-store", "private"} or answer.headers.get("vary") == "*" or not re.search("max-age=[1-9]", str(answer.headers)):
            return False
        return "public" in said or "authorization" not in request.headers

    @staticmethod
    def _named(headers: httpx.Headers, request: httpx.Request) -> tuple[str, ...]:
        return tuple(request.headers.get(name.strip(), "") for name in headers.get("vary", "").split(","))


def paths(sid: str) -> list[str]:
    """What callers of different rights are told differently, and the views."""
    return [
        f"/v1/screen/{wallet_id(1)}",
        f"/v1/screen/{wallet_id(2)}",
        f"/v1/screen/{wallet_id(3)}",
        f"/v1/wallets/{wallet_id(1)}",
        f"/v1/statements/{sid}",
        "/v1/statements",
        "/v1/search?q=golden",
        "/v1/entities?q=golden",
        "/v1/members",
        "/v1/vocabulary",
        "/v1/held",
        "/v1/api-keys",
        f"/v1/view/clear/bucket/{HHHH}",
        f"/v1/view/green/bucket/{HHHH}",
        f"/v1/view/clear/segment/{HHHH[:2]}",
        f"/v1/view/green/segment/{HHHH[:2]}",
        "/v1/view/policy",
        "/v1/view/green/head",
    ]


async def told(client: httpx.AsyncClient, path: str) -> tuple[Any, ...]:
    """What a caller learns: status, bytes (a problem's own id apart), how he may keep it."""
    answer = await client.get(path)
    kind = answer.headers["content-type"]
    body = answer.json()["code"] if "problem" in kind else re.sub(rb'"as_of":"[^"]*"', b"", answer.content)
    return answer.status_code, body, kind, answer.headers["cache-control"]


async def test_a_shared_cache_never_mixes_callers(front: Front) -> None:
    """Three callers of different rights behind one cache, in both orders, twice: each is told what he is told without it."""
    bka = front.town.signer("de.bka#1")
    narrow = bka.listing(wallet(3), tlp="AMBER", aud=["de.example"])
    await accept(front.node, bka.listing(wallet(1), entity("golden-sun")), bka.listing(wallet(2), tlp="CLEAR"), narrow)
    await front.node.views.refresh()
    keys = {"public": None, "vasp": await front.key(), "agency": await front.key("de.bka", "agency"), "poor": await front.key(tier="clear")}
    asked = paths(sid_in(narrow))
    direct = {name: [await told(front.at(key), path) for path in asked] for name, key in keys.items()}
    for order in (list(keys), list(reversed(keys))):
        cache = SharedCache(httpx.ASGITransport(front.app))
        for name in order * 2:
            headers = {"Authorization": f"Bearer {keys[name]}", **WHY} if keys[name] else {}
            client = httpx.AsyncClient(transport=cache, base_url="http://127.0.0.1", headers=headers)
            for path, expected in zip(asked, direct[name], strict=True):
                assert await told(client, path) == expected, (name, path)
        assert cache.hits > 0
        shared = {url.removeprefix("http://127.0.0.1") for url in cache.kept}
        assert shared == {f"/v1/view/clear/bucket/{HHHH}", f"/v1/view/clear/segment/{HHHH[:2]}", "/v1/view/policy"} | (
            shared & {"/v1/members", "/v1/vocabulary"}
        )


@pytest.mark.parametrize(
    "name", ["X-Forwarded-Host", "X-Host", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-HTTP-Method-Override"]
)
async def test_a_header_that_is_no_part_of_a_caches_key_changes_nothing(front: Front, name: str) -> None:
    """Nobody poisons the cache by a header that it does not tell apart: it is not read."""
    poison = {"Forwarded": "host=evil.example;proto=https", "X-HTTP-Method-Override": "DELETE"}.get(name, "evil.example/v1/held")
    await front.node.views.refresh()
    for path in (
        "/v1/view/policy",
        f"/v1/view/clear/bucket/{HHHH}",
        "/v1/members",
        "/v1/vocabulary",
        "/.well-known/cordon-node",
        "/nowhere",
    ):
        plain, poisoned = await told(front.at(), path), await told(front.at(**{name: poison}), path)
        assert plain == poisoned
        assert b"evil" not in (poisoned[1] if isinstance(poisoned[1], bytes) else poisoned[1].encode())


async def test_a_tag_of_one_caller_is_no_key_to_the_answer_of_another(front: Front) -> None:
    """If-None-Match with the tag of the green view does not tell a caller of the clear one that it is still so."""
    await front.node.views.refresh()
    path = f"/v1/view/green/bucket/{HHHH}"
    tag = (await front.at(await front.key()).get(path)).headers["etag"]
    for key in (None, await front.key(tier="clear")):
        answer = await front.at(key).get(path, headers={"If-None-Match": tag})
        assert answer.status_code in (401, 403)
    other = await front.at(await front.key()).get(path, headers={"If-None-Match": tag})
    assert (other.status_code, other.headers["etag"] == tag) == (200, False)
