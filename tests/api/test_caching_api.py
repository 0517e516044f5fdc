"""Entity tags and caching."""

from __future__ import annotations

import pytest

from tests.api.front import Front
from tests.factories import accept, entity, sid_in, wallet, wallet_id


@pytest.fixture
async def sid(front: Front) -> str:
    wire = front.town.signer("de.bka#1").listing(wallet(1), entity("golden-sun"))
    await accept(front.node, wire)
    return sid_in(wire)


def stored(sid: str) -> list[str]:
    """Every GET of a stored thing."""
    return [
        f"/v1/statements/{sid}",
        f"/v1/statements/{sid}/proof",
        "/v1/statements?kind=listing",
        f"/v1/wallets/{wallet_id(1)}",
        "/v1/indicators/domain:scam.example",
        "/v1/entities/entity:de.bka:golden-sun",
        "/v1/entities?q=golden",
        "/v1/search?q=golden",
        "/v1/members",
        "/v1/members/de.bka",
        "/v1/members/de.bka/keys",
        "/v1/vocabulary",
        "/v1/api-keys",
        "/fed/v1/root/1",
        "/log/checkpoint",
        "/log/tile/0/000.p/6",
    ]


async def test_what_was_seen_is_not_sent_again(front: Front, sid: str) -> None:
    """If-None-Match with the tag, or with `*`: 304 without a body; with another tag the whole thing."""
    async with front.at(await front.key()) as client:
        for path in stored(sid):
            answer = await client.get(path)
            assert answer.status_code == 200, path
            tag = answer.headers["etag"]
            for asked in (tag, f'"other", {tag}', "*", tag.removeprefix("W/")):
                again = await client.get(path, headers={"If-None-Match": asked})
                assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag), path
            assert (await client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_a_tag_changes_with_its_thing_and_not_with_the_clock(front: Front, sid: str) -> None:
    """Time alone changes no record; a dispute does."""
    async with front.at(await front.key()) as client:
        path = f"/v1/wallets/{wallet_id(1)}"
        first = (await client.get(path)).headers["etag"]
        front.town.clock.advance(s=5)
        assert (await client.get(path)).headers["etag"] == first
        await accept(front.node, front.town.signer("de.ombud#1").dispute(sid, ground="not_mine"))
        assert (await client.get(path)).headers["etag"] != first


async def test_a_tag_means_nothing_to_another_caller(front: Front, sid: str) -> None:
    """The tag of one is not the tag of the next, even for the same bytes: no probing across audiences (S-25)."""
    keys = [await front.key(), await front.key("de.lka", "agency")]
    tags = []
    for key in keys:
        async with front.at(key) as client:
            tags.append((await client.get("/v1/entities/entity:de.bka:golden-sun")).headers["etag"])
    assert tags[0] != tags[1]


async def test_hits_are_kept_briefly_and_narrow_ones_not_at_all(front: Front, sid: str) -> None:
    """CP-5: hits `private, max-age=60`; AMBER and above, misses, and all that a known caller reads in records: no-store."""
    await accept(front.node, front.town.signer("de.bka#1").listing(wallet(2), tlp="AMBER", aud=["de.example"]))
    async with front.at(await front.key()) as client:
        caches = {n: (await client.get(f"/v1/screen/{wallet_id(n)}")).headers["cache-control"] for n in (1, 2, 3)}
        assert caches == {1: "private, max-age=60", 2: "no-store", 3: "no-store"}
        both = await client.post("/v1/screen", json={"items": [{"address": wallet_id(1)}, {"address": wallet_id(2)}]})
        assert both.headers["cache-control"] == "no-store"
        for path in stored(sid)[:8]:
            assert (await client.get(path)).headers["cache-control"] == "no-store", path


async def test_no_answer_about_content_is_public(front: Front, sid: str) -> None:
    """A shared cache never holds what one caller was told."""
    for key in (None, await front.key()):
        async with front.at(key) as client:
            for path in [*stored(sid)[:8], f"/v1/screen/{wallet_id(1)}", "/v1/api-keys", "/v1/held"]:
                assert "public" not in (await client.get(path)).headers["cache-control"], path
