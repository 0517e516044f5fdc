"""Who is who, over HTTP."""

from __future__ import annotations

import hashlib

from app.domain.canonical import b64u_decode
from app.services.enroll import read_root_documents
from tests.api.front import Front, problem


async def test_the_node_introduces_itself(both_fronts: Front) -> None:
    """Identity, logs and the digest of the newest root document, which is served under the url given."""
    async with both_fronts.at() as client:
        card = (await client.get("/.well-known/cordon-node")).json()
        document = await client.get(card["root"]["url"])
    assert (card["node"], card["jurisdiction"], card["protocol"]) == ("de.example", "de", ["cordon/1"])
    assert [log["origin"] for log in card["logs"]] == ["de.example/log"]
    assert document.content == read_root_documents(both_fronts.town.data_dir)[0]
    assert hashlib.sha256(b64u_decode(document.json()["payload"])).hexdigest() == card["root"]["sha256"]


async def test_unknown_root_versions_are_not_found(front: Front) -> None:
    """Also in every foreign spelling of a number."""
    async with front.at() as client:
        for version in ("0", "2", "01", "+1", "1.0", "x", "99999999999999999999"):
            assert problem(await client.get(f"/fed/v1/root/{version}")) == (404, "not_found"), version


async def test_members_and_their_keys_are_public(both_fronts: Front) -> None:
    """In pages, by id, with mandate and keys by log index."""
    front = both_fronts
    async with front.at() as client:
        seen, url = [], "/v1/members?limit=3"
        while url:
            page = (await client.get(url)).json()
            seen += [(one["id"], one["class"]) for one in page["items"]]
            url = page["next"]
        assert seen == [("de.bka", "agency"), ("de.exchange", "vasp"), ("de.lka", "agency"), ("de.ombud", "redress")]
        assert (await client.get("/v1/members/de.bka")).json()["mandate"]["tlp_max"] == "RED"
        keys = (await client.get("/v1/members/de.bka/keys")).json()["items"]
        assert [key["kid"] for key in keys] == ["de.bka#1", "de.bka#2"]
        assert keys[0]["jwk"] == dict(front.town.signer("de.bka#1").key.public_jwk)
        assert problem(await client.get("/v1/members/de.nobody")) == (404, "not_found")
        assert problem(await client.get("/v1/members/de.nobody/keys")) == (404, "not_found")


async def test_the_vocabulary_is_served_with_numbers_and_mappings(front: Front) -> None:
    """Every typology with its number; the closed lists by name."""
    async with front.at() as client:
        words = (await client.get("/v1/vocabulary")).json()
    assert {one["code"]: one["number"] for one in words["typologies"]}["fraud.investment.pig_butchering"] == 2
    assert "fraud_prevention" in words["lists"]["purpose"]
