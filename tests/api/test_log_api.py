"""The log over HTTP: checkpoint, tiles, bundles; open to all or to key holders."""

from __future__ import annotations

from app.domain.checkpoint import parse_checkpoint
from app.domain.merkle import leaf_hash
from app.domain.tiles import parse_bundle
from app.seal.notes import open_note
from tests.api.front import Front, open_front, problem
from tests.factories import Town, accept, wallet


async def test_checkpoint_and_tiles_prove_the_log(both_fronts: Front) -> None:
    """A signed note under the log's key; the hash tile holds the leaf hashes of the bundle, byte for byte."""
    front = both_fronts
    async with front.at() as client:
        note = await client.get("/log/checkpoint")
        checkpoint = parse_checkpoint(open_note(note.text, front.town.log_keys).text)
        assert (checkpoint.origin, checkpoint.size) == ("de.example/log", 6)
        tile = await client.get("/log/tile/0/000.p/6")
        bundle = await client.get("/log/tile/entries/000.p/6")
    assert tile.headers["content-type"] == "application/octet-stream"
    assert tile.content == b"".join(leaf_hash(entry) for entry in parse_bundle(bundle.content, 6))


async def test_what_is_beyond_the_signed_size_is_not_found(front: Front) -> None:
    """Tiles that are not there, and every other spelling of those that are: 404."""
    async with front.at() as client:
        for path in (
            "0/000",
            "0/000.p/7",
            "1/000",
            "0/001",
            "0/0",
            "0/x000/000",
            "0/000.p/0",
            "0/000.p/256",
            "entries/001",
            "64/000",
            "-1/000",
            "a/b",
        ):
            assert problem(await client.get(f"/log/tile/{path}")) == (404, "not_found"), path


async def test_full_tiles_are_kept_for_ever_and_partial_ones_are_not(front: Front) -> None:
    """A full tile never changes: caches may keep it; a partial one a minute; an ETag spares the bytes."""
    bka = front.town.signer("de.bka#1")
    await accept(front.node, *[bka.listing(wallet(n), tlp="CLEAR", jti=f"j{n}") for n in range(260)])
    async with front.at() as client:
        full = await client.get("/log/tile/0/000")
        partial = await client.get("/log/tile/0/001.p/5")
        assert full.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert partial.headers["cache-control"] == "public, max-age=60"
        again = await client.get("/log/tile/0/000", headers={"If-None-Match": full.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_the_short_way_of_a_full_tile_keeps_the_rules_of_the_route(front: Front) -> None:
    """Full tiles are answered before the application: key, query, `Accept`, quota and unknown tiles as everywhere; the same bytes twice."""
    bka = front.town.signer("de.bka#1")
    await accept(front.node, *[bka.listing(wallet(n), tlp="CLEAR", jti=f"j{n}") for n in range(256)])
    path = "/log/tile/0/000"
    async with front.at() as client, front.at("cordon_live_wrong") as wrong, front.at(await front.key()) as vasp:
        first, second = await client.get(path), await vasp.get(path)
        assert first.content == second.content != b""
        assert first.headers["etag"] == second.headers["etag"]
        assert {"ratelimit", "x-request-id", "x-content-type-options", "content-security-policy"} <= first.headers.keys()
        assert problem(await wrong.get(path)) == (401, "unauthenticated")
        assert problem(await client.get(f"{path}?a=1")) == (422, "schema")
        assert problem(await client.get(path, headers={"Accept": "application/json"})) == (406, "not_acceptable")
        assert problem(await client.get("/log/tile/0/007")) == (404, "not_found")
        assert problem(await client.get(f"/mirror/{'0' * 64}/tile/0/000")) == (404, "not_found")
        assert (await client.post(path)).status_code == 405


async def test_a_bundle_with_one_entry_above_the_caller_is_not_found(front: Front) -> None:
    """Hash tiles go to all, entries only where every stub may be read."""
    await accept(front.node, front.town.signer("de.bka#1").listing(wallet(1), tlp="AMBER", aud=["de.example"]))
    async with front.at() as public, front.at(await front.key("de.bka", "agency")) as agency:
        assert (await public.get("/log/tile/0/000.p/7")).status_code == 200
        assert problem(await public.get("/log/tile/entries/000.p/7")) == (404, "not_found")
        assert (await public.get("/log/tile/entries/000.p/6")).status_code == 200
        assert (await agency.get("/log/tile/entries/000.p/7")).status_code == 200


async def test_an_operator_may_keep_the_log_to_key_holders(town: Town, sqlite_migrated_url: str) -> None:
    """LOG_PUBLIC=false: checkpoint, hash tiles and root chain want a key; nothing of them is cached in common."""
    async with open_front(town, sqlite_migrated_url, log_public=False) as front, front.at() as public, front.at(await front.key()) as vasp:
        for path in ("/log/checkpoint", "/log/tile/0/000.p/6", "/fed/v1/root/1"):
            assert problem(await public.get(path)) == (401, "unauthenticated")
            answer = await vasp.get(path)
            assert answer.status_code == 200
            assert "public" not in answer.headers["cache-control"]
