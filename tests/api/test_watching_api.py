"""Watching over HTTP: lists, webhooks, events as pages and as a stream, corrections; each its owner's alone."""

from __future__ import annotations

import pytest

from app.api import watching
from tests.api.front import Front, open_front, problem
from tests.factories import Town, accept, sid_in, wallet, wallet_id


async def test_a_listing_reaches_page_and_stream_and_nobody_else(both_fronts: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same event with the same id; another member sees neither list nor events, and a cursor of others is none."""
    front = both_fronts
    monkeypatch.setattr(watching, "STREAM_S", 0.2)
    client, stranger = front.at(await front.key()), front.at(await front.key("de.lka", "agency"))
    made = await client.post("/v1/watchlists", json={"name": "ours", "items": [{"id": wallet_id(1).upper()[11:], "reference": "c-1"}]})
    assert made.status_code == 201, made.text
    wire = front.town.signer("de.bka#1").listing(wallet(1))
    await accept(front.node, wire)
    await front.node.notify.tick()
    (event,) = (await client.get("/v1/events")).json()["items"]
    assert (event["type"], event["urgent"]) == ("listing.added.v1", False)
    assert event["data"] == {
        "sid": sid_in(wire),
        "origin": front.town.origin,
        "subject": wallet_id(1),
        "watchlist": made.json()["id"],
        "reference": "c-1",
        "previous_sid": None,
        "url": f"/v1/statements/{sid_in(wire)}",
    }
    assert (await client.get("/v1/events", params={"cursor": event["id"]})).json() == {"items": [], "next": None}
    streamed = await client.get("/v1/events/stream", headers={"Last-Event-ID": event["id"]})
    assert streamed.text == f"id: {event['id']}\n: events\n\n", "a stream begins with its place"
    assert (await stranger.get("/v1/events")).json()["items"] == []
    assert (await stranger.get(f"/v1/watchlists/{made.json()['id']}")).status_code == 404
    assert problem(await stranger.get("/v1/events", params={"cursor": event["id"]}))[1] == "malformed"
    await accept(front.node, front.town.signer("de.bka#1").retract(sid_in(wire)))
    await front.node.notify.tick()
    streamed = await client.get("/v1/events/stream", params={"cursor": event["id"]})
    assert f'event: listing.withdrawn.v1\ndata: {{"id":"{event["id"][:-1]}2"' in streamed.text


async def test_a_list_is_changed_by_whoever_has_seen_it(front: Front) -> None:
    """Items come and go under the ETag; what cannot be read is named by its place and changes nothing."""
    client = front.at(await front.key())
    made = (await client.post("/v1/watchlists", json={"prefixes": ["3d56"]})).json()
    path = f"/v1/watchlists/{made['id']}"
    etag = (await client.get(path)).headers["etag"]
    assert problem(await client.patch(path, json={"add": []}))[0] == 428
    change = {"name": "new", "add": [{"id": wallet_id(1)}, {"id": "scam.example"}], "remove": ["3d56"]}
    changed = await client.patch(path, json=change, headers={"If-Match": etag})
    assert changed.json()["name"] == "new"
    held = (await client.get(f"{path}/items")).json()["items"]
    assert len(held) == 2
    assert wallet_id(1) in [one["id"] for one in held]
    wrong = await client.post("/v1/watchlists", json={"items": [{"id": wallet_id(1)}, {"id": "0x12"}]})
    assert (problem(wrong), wrong.json()["errors"][0]["pointer"]) == ((422, "schema"), "/items/1/id")
    assert problem(await client.post("/v1/watchlists", json={"prefixes": ["3D56"]}))[0] == 422
    assert len((await client.get("/v1/watchlists")).json()["items"]) == 1
    etag = (await client.get(path)).headers["etag"]
    assert (await client.delete(path, headers={"If-Match": etag})).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_a_webhook_shows_its_secret_once(front: Front) -> None:
    """Made, listed without it, rotated to another one, ended; addresses inside a network are refused."""
    client = front.at(await front.key())
    made = await client.post("/v1/webhooks", json={"url": "https://hooks.example/in"})
    assert (made.status_code, made.json()["secret"][:6], made.json()["public_key"][:5]) == (201, "whsec_", "whpk_")
    path = f"/v1/webhooks/{made.json()['id']}"
    assert "secret" not in (await client.get(path)).json()
    rotated = (await client.post(f"{path}/rotate")).json()
    assert rotated["secret"] != made.json()["secret"]
    for url in ("http://hooks.example/in", "https://127.0.0.1/in", "https://10.0.0.1/in", "https://hooks.example:22/"):
        assert problem(await client.post("/v1/webhooks", json={"url": url}))[0] == 400
    assert problem(await client.post("/v1/webhooks", json={"url": "https://hooks.example/", "events": ["person.*"]}))[0] == 422
    assert problem(await client.post("/v1/webhooks", json={"url": "https://hooks.example/", "watchlists": ["wl_x"]}))[0] == 422
    etag = (await client.get(path)).headers["etag"]
    changed = await client.patch(path, json={"events": ["listing.withdrawn.v1"], "state": "active"}, headers={"If-Match": etag})
    assert changed.json()["events"] == ["listing.withdrawn.v1"]
    assert (await client.get(f"{path}/dead-letters")).json() == {"items": [], "next": None, "waiting": 0}
    assert (await client.delete(path, headers={"If-Match": changed.headers["etag"]})).status_code == 204
    assert (await client.get("/v1/webhooks")).json()["items"] == []


async def test_who_looked_up_is_corrected_until_he_acknowledges(front: Front) -> None:
    """A hit by HTTP, a withdrawal, one correction; the cursor of the acknowledgement comes back and does not go backwards."""
    client = front.at(await front.key())
    wire = front.town.signer("de.bka#1").listing(wallet(1))
    await accept(front.node, wire)
    assert (await client.get(f"/v1/screen/{wallet_id(1)}")).json()["result"]["match"] == "listed"
    await front.node.notify.tick()
    await accept(front.node, front.town.signer("de.bka#1").retract(sid_in(wire)))
    await front.node.notify.tick()
    page = (await client.get("/v1/corrections")).json()
    assert [(one["type"], one["urgent"], one["data"]["subject"]) for one in page["items"]] == [("listing.corrected.v1", True, wallet_id(1))]
    assert page["acknowledged"] is None
    cursor = page["items"][0]["id"]
    future = cursor[:-1] + "9"
    assert problem(await client.post("/v1/corrections/acknowledge", json={"cursor": future}))[1] == "malformed"
    assert (await client.post("/v1/corrections/acknowledge", json={"cursor": cursor})).json() == {"acknowledged": cursor}
    assert (await client.get("/v1/corrections")).json()["acknowledged"] == cursor


async def test_a_replay_sends_again_what_has_arrived(town: Town, sqlite_migrated_url: str) -> None:
    """Everything after the cursor that the webhook chose, under its old id."""
    async with open_front(town, sqlite_migrated_url, allow_loopback=True) as front:
        client = front.at(await front.key())
        await client.post("/v1/watchlists", json={"items": [{"id": wallet_id(1)}]})
        for jti in ("a", "b", "c"):
            await accept(front.node, front.town.signer("de.bka#1").listing(wallet(1), jti=jti))
        await front.node.notify.tick()
        first = (await client.get("/v1/events")).json()["items"][0]["id"]
        hook = (await client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/in"})).json()["id"]
        answer = await client.post(f"/v1/webhooks/{hook}/replay", json={"cursor": first})
        assert answer.json() == {"events": 2}
