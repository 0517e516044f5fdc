"""The sandbox: each answer and each address error on demand with a `test` key, and nothing of it for a live one."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from app.domain.sandbox import ADDRESSES, AMBIGUOUS, DEGRADED, ERRORS
from tests.api.front import Front
from tests.factories import accept, wallet, wallet_id

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sandbox.md").read_text("utf-8")


async def asked(client: httpx.AsyncClient, text: str) -> list[dict]:
    """The answers of the three roads: by path, by query and as JSON, brought to one form."""
    found = []
    if text.isascii():
        found.append((await client.get(f"/v1/screen/{text}")).json())
    found.append((await client.get("/v1/screen", params={"id": text})).json())
    many = (await client.post("/v1/screen", json={"items": [{"address": text}]})).json()
    found.append({**{name: value for name, value in many.items() if name != "results"}, "result": many["results"][0]})
    assert all(one == found[0] for one in found)
    return found


@pytest.mark.parametrize("word", ADDRESSES)
async def test_each_word_has_an_address(front: Front, word: str) -> None:
    """With a test key it gives the word, on each road; with a live key, and for the public, it is not listed."""
    test = front.at(await front.key(environment="test"))
    for answer in await asked(test, ADDRESSES[word]):
        assert answer["result"]["match"] == ("not_listed" if word == DEGRADED else word)
        assert answer["degraded"] == (word == DEGRADED)
        assert bool(answer["result"]["statements"]) == (word == "listed")
    for client in (front.at(await front.key()), front.at()):
        for answer in await asked(client, ADDRESSES[word]):
            assert (answer["result"]["match"], answer["degraded"]) == ("not_listed", False)


@pytest.mark.parametrize("code", ERRORS)
async def test_each_error_has_a_text(front: Front, code: str) -> None:
    """Any key gets it: nothing about it is made up."""
    for client in (front.at(await front.key(environment="test")), front.at()):
        for answer in await asked(client, ERRORS[code]):
            assert (answer["result"]["match"], answer["result"]["error"]["code"]) == ("invalid", code)


async def test_every_error_of_the_list_has_one(front: Front) -> None:
    """The closed list of address errors, with the one that needs a chain beside the address; the page names each text."""
    text, chain = AMBIGUOUS
    answer = (await front.at().get(f"/v1/screen/{text}?chain={chain}")).json()
    assert answer["result"]["error"]["code"] == "ambiguous_chain"
    closed = "checksum mixed_case unknown_chain length alphabet confusable transaction_hash name_not_address uri testnet private_key"
    assert set(ERRORS) == set(closed.split())
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| `([^`]+)`", PAGE, re.MULTILINE))
    assert rows == {**ADDRESSES, **ERRORS, "ambiguous_chain": text}


async def test_the_rest_is_the_live_list(front: Front) -> None:
    """A test key sees what a live key of its tier sees; hits are in the access log, those of the sandbox are not."""
    await accept(front.node, front.town.signer("de.bka#1").listing(wallet(1)))
    test = front.at(await front.key(environment="test"))
    await asked(test, ADDRESSES["listed"])
    await front.node.access_log.settle()
    async with front.node.database.reading() as tx:
        assert await tx.audit.page() == []
    assert {one["result"]["match"] for one in await asked(test, wallet_id(1))} == {"listed"}
    await front.node.access_log.settle()
    async with front.node.database.reading() as tx:
        assert {row.entry.subject for row in await tx.audit.page()} == {wallet_id(1)}


async def test_a_receipt_never_speaks_of_it(front: Front) -> None:
    """It would contradict the signed view: with `receipt` a test key gets the truth."""
    test = front.at(await front.key(environment="test"))
    body = {"items": [{"address": ADDRESSES["listed"]}], "receipt": True}
    assert (await test.post("/v1/screen", json=body)).json()["results"][0]["match"] == "not_listed"
