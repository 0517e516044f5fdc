"""Records of wallets, indicators and entities, and search, over HTTP."""

from __future__ import annotations

from app.api.schemas import EntityRecord
from tests.api.front import Front, problem
from tests.factories import accept, entity, link, sid_in, wallet, wallet_id


def address(number: int) -> str:
    return wallet_id(number).rpartition(":")[2]


async def submit(front: Front, *items: dict, **more: object) -> str:
    wire = front.town.signer("de.bka#1").listing(*items, **more)
    await accept(front.node, wire)
    return sid_in(wire)


async def test_a_wallet_record_has_statements_links_and_history(both_fronts: Front) -> None:
    """By canonical id, by address and as `?id=`: the same record; an unknown wallet is `not_listed`, a text that is none 422."""
    front = both_fronts
    sid = await submit(front, wallet(1), wallet(2), link(wallet_id(1), wallet_id(2)))
    async with front.at(await front.key()) as client:
        record = (await client.get(f"/v1/wallets/{wallet_id(1)}")).json()
        assert (record["match"], record["family"], [one["sid"] for one in record["statements"]]) == ("listed", "evm", [sid])
        assert [(one["to"], one["sid"]) for one in record["links"]] == [(wallet_id(2), sid)]
        assert [(one["event"], one["sid"]) for one in record["history"]] == [("listed", sid)]
        assert (await client.get(f"/v1/wallets/{address(1)}")).json() == record
        assert (await client.get("/v1/wallets", params={"id": address(1)})).json() == record
        assert (await client.get(f"/v1/wallets/{address(9)}")).json()["match"] == "not_listed"
        assert problem(await client.get("/v1/wallets/0x123")) == (422, "invalid_address")
        assert problem(await client.get("/v1/wallets/scam.example")) == (422, "invalid_address")


async def test_indicators_are_found_in_every_spelling(both_fronts: Front) -> None:
    """A domain by id or text; a web address as a parameter; a wallet is sent to its own route."""
    front = both_fronts
    item = {**wallet("domain:scam.example"), "type": "indicator"}
    sid = await submit(front, item)
    async with front.at(await front.key()) as client:
        for path, params in (
            ("/v1/indicators/domain:scam.example", {}),
            ("/v1/indicators/scam.example", {}),
            ("/v1/indicators", {"id": "SCAM.example"}),
        ):
            record = (await client.get(path, params=params)).json()
            assert (record["id"], record["kind"], record["match"]) == ("domain:scam.example", "domain", "listed"), path
            assert [one["sid"] for one in record["statements"]] == [sid]
        answer = await client.get("/v1/indicators", params={"id": "https://scam.example/a?b=c"})
        assert (answer.json()["kind"], answer.json()["match"]) == ("url", "not_listed")
        assert problem(await client.get(f"/v1/indicators/{address(1)}")) == (422, "invalid_address")


async def test_entities_are_listed_by_name_and_told_side_by_side(both_fronts: Front) -> None:
    """Search by words of a name, page by page; the record keeps each agency's claim; an unknown id is not found."""
    front = both_fronts
    for slug in ("golden-sun", "golden-moon", "silver-sun"):
        await submit(front, entity(slug))
    async with front.at(await front.key()) as client:
        seen, url = [], "/v1/entities?q=golden&limit=1"
        while url:
            page = (await client.get(url)).json()
            seen += [one["label"] for one in page["items"]]
            url = page["next"]
        assert seen == ["Golden Moon", "Golden Sun"]
        record = (await client.get("/v1/entities/entity:de.bka:golden-sun")).json()
        assert [claim["names"][0]["name"] for claim in record["claims"]] == ["Golden Sun"]
        by_query = await client.get("/v1/entities", params={"id": "entity:de.bka:golden-sun"})
        EntityRecord.model_validate_json(by_query.content)
        assert by_query.json() == record
        assert problem(await client.get("/v1/entities", params={"id": "entity:de.bka:golden-sun", "q": "x"})) == (422, "schema")
        assert problem(await client.get("/v1/entities/entity:de.bka:nobody")) == (404, "not_found")
        assert (await client.get("/v1/entities?kind=company&country=KH")).json()["items"] == []


async def test_search_says_what_it_took_the_text_for(front: Front) -> None:
    """An address exactly, else names."""
    await submit(front, wallet(1), entity("golden-sun"))
    async with front.at(await front.key()) as client:
        found = (await client.get("/v1/search", params={"q": address(1)})).json()
        assert (found["read_as"], found["items"][0]["id"], found["items"][0]["match"]) == ("EVM address", wallet_id(1), "listed")
        named = (await client.get("/v1/search", params={"q": "golden"})).json()
        assert (named["read_as"], [one["label"] for one in named["items"]]) == ("name", ["Golden Sun"])
        assert problem(await client.get("/v1/search")) == (422, "schema")


async def test_the_public_sees_a_row_once_its_delay_is_over(front: Front) -> None:
    """CLEAR rows younger than the delay are absent for callers without a key, in every answer."""
    await submit(front, wallet(1), entity("golden-sun"), tlp="CLEAR")
    paths = (f"/v1/screen/{address(1)}", f"/v1/wallets/{address(1)}", "/v1/entities?q=golden", "/v1/search?q=golden")
    async with front.at() as client:
        before = [(await client.get(path)).text for path in paths]
        front.town.clock.advance(hours=73)
        after = [(await client.get(path)).text for path in paths]
    assert not any("de.bka" in text for text in before)
    assert all("de.bka" in text for text in after)
