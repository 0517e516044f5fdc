"""Answers in other systems' shapes: who may ask and how, and what is never told in them. Their exact forms: test_compat_recordings.py."""

from __future__ import annotations

import importlib
import importlib.util
from base64 import b64encode
from hashlib import sha256
from typing import Any

import httpx
import pytest

from tests.api.front import Front, problem
from tests.factories import GUARD, accept, entity, link, sid_in, wallet, wallet_id

CHAINALYSIS = "/compat/chainalysis/api/v1/address/"
SANCTIONS = "/compat/trm/public/v1/sanctions/screening"
WALLETS = "/compat/trm/public/v2/screening/addresses"


def address(number: int) -> str:
    return wallet_id(number).rpartition(":")[2]


def plain(number: int) -> str:
    return sha256(wallet_id(number).encode()).hexdigest().upper()


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


async def lists(front: Front, *items: dict, **more: Any) -> str:
    wire = front.town.signer("de.bka#1").listing(*items, **more)
    await accept(front.node, wire)
    return sid_in(wire)


async def hits(client: httpx.AsyncClient, number: int) -> dict[str, bool]:
    """Whether each of the systems tells something of a wallet."""
    one, prefix = address(number), plain(number)[:4]
    query = {"queries": {"q": {"schema": "CryptoWallet", "properties": {"publicKey": [one]}}}}
    matches = (await client.post("/compat/yente/match/default", json=query)).json()["responses"]["q"]["results"]
    found = (await client.get("/compat/yente/search/default", params={"q": one})).json()["results"]
    lines = (await client.get(f"/compat/hibp/range/{prefix}")).text.split("\r\n")
    counts = dict(line.split(":") for line in lines)
    return {
        "chainalysis": bool((await client.get(CHAINALYSIS + one)).json()["identifications"]),
        "sanctions": (await client.post(SANCTIONS, json=[{"address": one}])).json()[0]["isSanctioned"],
        "wallets": bool((await client.post(WALLETS, json=[{"address": one}])).json()[0]["addressRiskIndicators"]),
        "match": bool(matches),
        "search": bool(found),
        "entities": (await client.get(f"/compat/yente/entities/{wallet_id(number)}")).status_code == 200,
        "range": counts.get(plain(number)[4:], "0") != "0",
    }


async def test_only_what_is_confirmed_is_told(both_fronts: Front) -> None:
    """A suspicion is told by no system; with status confirmed it is told by all, until it is withdrawn."""
    front = both_fronts
    await lists(front, wallet(1))
    sid = await lists(front, wallet(2, status="confirmed"))
    client = front.at(await front.key())
    assert set((await hits(client, 1)).values()) == {False}
    assert set((await hits(client, 2)).values()) == {True}
    assert set((await hits(client, 3)).values()) == {False}
    await accept(front.node, front.town.signer("de.bka#1").retract(sid))
    assert set((await hits(client, 2)).values()) == {False}


async def test_labels_and_the_public_delay_hold(front: Front) -> None:
    """Without a key only CLEAR is told, and not before its delay; AMBER for others is told to nobody, and is in no range at all."""
    said = {"status": "confirmed"}
    await lists(front, wallet(1, **said), tlp="CLEAR")
    await lists(front, wallet(2, **said))
    await lists(front, wallet(3, **said), tlp="AMBER", aud=["de.lka"])
    vasp, public, lka = front.at(await front.key()), front.at(), front.at(await front.key("de.lka", "agency"))
    assert [set((await hits(vasp, n)).values()) for n in (1, 2, 3)] == [{True}, {True}, {False}]
    assert [set((await hits(public, n)).values()) for n in (1, 2, 3)] == [{False}, {False}, {False}]
    own = await hits(lka, 3)
    assert {name for name, told in own.items() if not told} == {"range"}
    front.town.clock.advance(hours=72)
    assert [set((await hits(public, n)).values()) for n in (1, 2, 3)] == [{True}, {False}, {False}]


@pytest.mark.parametrize(
    ("item", "more"),
    [
        ({"roles": ["cash_out_point"], "action": "monitor", "vasp": "de.exchange"}, {}),
        ({"roles": ["token_contract"], "action": "monitor"}, {}),
        ({}, {"hc": ["NO-AUTOMATED-ACTION"]}),
        ({}, {"hc": ["INTEL-ONLY"]}),
    ],
)
async def test_what_no_client_may_block_on_is_not_told(front: Front, item: dict, more: dict) -> None:
    """Places where money only passes, and what its issuer wants no machine to act on: these shapes could not say so."""
    await lists(front, wallet(1, status="confirmed", **item), **more)
    client = front.at(await front.key())
    assert (await client.get(f"/v1/screen/{address(1)}")).json()["result"]["match"] == "listed"
    assert set((await hits(client, 1)).values()) == {False}


async def test_a_guard_and_a_suspension_silence_them(front: Front) -> None:
    """A protected id gives nothing, nor does a listing that redress has suspended, nor a relation to a protected id."""
    await lists(front, wallet(1, status="confirmed"))
    client = front.at(await front.key())
    sid = await lists(front, wallet(2, status="confirmed"), link(wallet_id(3), wallet_id(2)))
    assert (await hits(client, 3))["wallets"]
    assert not (await hits(client, 3))["sanctions"]
    await lists(front, wallet(1, status="confirmed", **GUARD))
    await accept(front.node, front.town.signer("de.ombud#1").dispute(sid, stage="upheld"))
    assert set((await hits(client, 1)).values()) == {False}
    assert set((await hits(client, 2)).values()) == {False}
    assert set((await hits(client, 3)).values()) == {False}


async def test_a_key_comes_as_their_clients_send_it(front: Front) -> None:
    """X-API-Key, Basic with the key on either side or on both, or Bearer; wrong and contradicting ones are 401 in the system's words."""
    await lists(front, wallet(1, status="confirmed"))
    key, other = await front.key(), await front.key()
    for headers in (
        {"X-API-Key": key},
        {"Authorization": basic(key, key)},
        {"Authorization": basic(key, "")},
        {"Authorization": basic("", key)},
        {"Authorization": f"Bearer {key}"},
    ):
        answer = await front.at(**headers).get(CHAINALYSIS + address(1))
        assert answer.json()["identifications"], headers
        assert "X-API-Key" in ",".join(answer.headers.get_list("vary"))
    for headers in (
        {"X-API-Key": "nonsense"},
        {"X-API-Key": key, "Authorization": f"Bearer {key}"},
        {"Authorization": basic(key, other)},
        {"Authorization": "Basic ???"},
        {"Authorization": "Token " + key},
    ):
        answer = await front.at(**headers).get(CHAINALYSIS + address(1))
        assert (answer.status_code, answer.json()) == (401, {"message": "Invalid API Key"}), headers


async def test_elsewhere_these_credentials_open_nothing(front: Front) -> None:
    """On native routes X-API-Key is not looked at and Basic is 401."""
    await lists(front, wallet(1))
    key = await front.key()
    assert (await front.at(**{"X-API-Key": key}).get(f"/v1/screen/{address(1)}")).json()["result"]["match"] == "not_listed"
    assert problem(await front.at(Authorization=basic(key, key)).get(f"/v1/screen/{address(1)}")) == (401, "unauthenticated")


async def test_limits_quotas_and_reasons_are_those_of_every_route(front: Front) -> None:
    """429 with Retry-After where they have 403; addresses count one by one; an agency says why; an auditor may not ask."""
    key = await front.key(quota={"requests_per_minute": 2, "addresses_per_day": 3})
    client = front.at(key)
    assert (await client.post(SANCTIONS, json=[{"address": address(1)}] * 3)).status_code == 200
    over = await client.post(SANCTIONS, json=[{"address": address(1)}])
    assert (over.status_code, [*over.json()]) == (429, ["reason"])
    assert int(over.headers["retry-after"]) > 0
    assert (await client.get(CHAINALYSIS + address(1))).status_code == 429
    silent = front.at(await front.key("de.bka", "agency"), why=False)
    assert (await silent.get(CHAINALYSIS + address(1))).status_code == 422
    auditor = front.at(await front.key("", "auditor"))
    assert (await auditor.get(CHAINALYSIS + address(1))).status_code == 403
    assert (await auditor.get("/compat/yente/catalog")).status_code == 200


async def test_hits_are_in_the_access_log_and_misses_are_not(both_fronts: Front) -> None:
    """Who was told which statements, by whichever system; the public leaves no row."""
    front = both_fronts
    sid = await lists(front, wallet(1, status="confirmed"), entity("golden-sun"))
    client = front.at(await front.key())
    for caller in (client, front.at()):
        await caller.get(CHAINALYSIS + address(1))
        await caller.post(WALLETS, json=[{"address": address(1)}, {"address": address(2)}])
        await caller.get("/compat/yente/entities/entity:de.bka:golden-sun")
        await caller.get("/compat/yente/search/default", params={"q": "golden"})
    await front.node.access_log.settle()
    async with front.node.database.reading() as tx:
        rows = await tx.audit.page()
    told = [(row.entry.action, row.entry.subject, row.entry.sids) for row in rows]
    named = ("read", "entity:de.bka:golden-sun", (sid,)), ("search", "entities", (sid,))
    assert told == [("screen", wallet_id(1), (sid,)), ("screen", wallet_id(1), (sid,)), *named]


async def test_who_was_told_is_known_when_it_ends(front: Front) -> None:
    """A hit told in another system's shape stands in the told-index like any other; a relation only where the shape tells of it."""
    await lists(front, wallet(1, status="confirmed"), link(wallet_id(2), wallet_id(1)))
    client = front.at(await front.key())
    for told, path in ((0, SANCTIONS), (1, WALLETS), (1, WALLETS)):
        await client.post(path, json=[{"address": address(2)}])
        await front.node.access_log.settle()
        async with front.node.database.reading() as tx:
            found = await tx.audit.page()
        assert bool(found) == bool(told), path
    assert len(front.node.access_log._noted) == 1


async def test_a_range_hides_which_address_was_meant(front: Front) -> None:
    """Four digits, in either case; more would name the address and are refused. Bodies come in steps of 1,024 bytes, with or without a hit."""
    await lists(front, wallet(1, status="confirmed"))
    await lists(front, wallet(1, status="confirmed"))
    client = front.at(await front.key())
    prefix, rest = plain(1)[:4], plain(1)[4:]
    hit, empty = await client.get(f"/compat/hibp/range/{prefix.lower()}"), await client.get("/compat/hibp/range/0000")
    assert {len(hit.content) + 2, len(empty.content) + 2} == {1024}
    assert [line for line in hit.text.split("\r\n") if not line.endswith(":0")] == [f"{rest}:2"]
    assert hit.text.split("\r\n") == sorted(hit.text.split("\r\n"))
    for longer in (plain(1)[:5], plain(1)):
        refused = await client.get(f"/compat/hibp/range/{longer}")
        assert problem(refused) == (400, "bad_request")
        assert "name the address" in refused.json()["detail"]
    for wrong in ("000", "00g0", "+000"):
        assert problem(await client.get(f"/compat/hibp/range/{wrong}")) == (400, "bad_request")


async def test_answers_say_when_and_how_sure(front: Front) -> None:
    """Their shapes have no place for it: `Cordon-As-Of` and `Cordon-Degraded` are header fields, and nothing is kept."""
    for path in (CHAINALYSIS + address(1), "/compat/hibp/range/0000", "/compat/yente/catalog"):
        answer = await front.at().get(path)
        assert (answer.headers["cordon-degraded"], answer.headers["cache-control"]) == ("false", "no-store")
        assert answer.headers["cordon-as-of"].endswith("Z")


async def test_a_repeated_post_has_one_effect(front: Front) -> None:
    """`Idempotency-Key` gives the first answer again and takes no further addresses."""
    await lists(front, wallet(1, status="confirmed"))
    client = front.at(await front.key(quota={"addresses_per_day": 1}), **{"Idempotency-Key": "one"})
    first = await client.post(SANCTIONS, json=[{"address": address(1)}])
    again = await client.post(SANCTIONS, json=[{"address": address(1)}])
    assert (first.status_code, again.content) == (200, first.content)


async def test_search_narrows_as_it_is_told(front: Front) -> None:
    """Schema, country, topics, offset and exclusion; a dataset or a filter that there is not is refused, never left out."""
    company = {"kind": "company", "jurisdictions": ["KH"]}
    await lists(front, wallet(1, status="confirmed"), entity("golden-sun", **company), entity("golden-moon"))
    client = front.at(await front.key())

    async def ids(**query: object) -> list[str]:
        found = (await client.get("/compat/yente/search/default", params={"q": "golden", **query})).json()
        return [one["id"].rpartition(":")[2] for one in found["results"]]

    assert await ids() == ["golden-moon", "golden-sun"]
    assert await ids(countries="kh") == ["golden-sun"]
    assert await ids(filter="country:kh") == ["golden-sun"]
    assert await ids(filter=["country:kh", "schema:Company"], filter_op="OR") == ["golden-moon", "golden-sun"]
    assert await ids(offset=1) == ["golden-sun"]
    assert await ids(exclude_entity_ids="entity:de.bka:golden-sun") == ["golden-moon"]
    assert await ids(schema="CryptoWallet") == []
    assert await ids(topics="sanction") == []
    assert await ids(changed_since="2099-01-01") == []
    refused = await client.get("/compat/yente/search/default", params={"q": "golden", "filter": "birthDate:1970"})
    assert (refused.status_code, [*refused.json()]) == (400, ["detail"])
    assert (await client.get("/compat/yente/search/sanctions?q=golden")).status_code == 404


YENTE_CLIENT = "yente"


def test_the_answers_fit_yentes_own_models() -> None:
    """The recordings of yente, read by the models of its own package where that is installed."""
    if importlib.util.find_spec(YENTE_CLIENT) is None:
        pytest.skip("yente is not installed: `.venv/bin/python -m pip install yente`, then run this file again")
    models: Any = importlib.import_module("yente.data.common")
    from app.api.examples_compat import YENTE_FOUND, YENTE_MATCHES

    assert models.EntityMatchResponse.model_validate(YENTE_MATCHES).responses["q1"].results[0].match
    assert models.SearchResponse.model_validate(YENTE_FOUND).total.value == 1
