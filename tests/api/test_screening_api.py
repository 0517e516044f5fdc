"""Screening over HTTP: one and many, and the fast road beside the ordinary one."""

from __future__ import annotations

import httpx

from app.api.edge import Edge
from tests.api.front import WHY, Front, problem
from tests.factories import GUARD, sid_in, wallet, wallet_id


def address(number: int) -> str:
    return wallet_id(number).rpartition(":")[2]


async def listed(front: Front, *items: dict, **more: object) -> str:
    wire = front.town.signer("de.bka#1").listing(*items, **more)
    await front.node.gate.submit([wire])
    return sid_in(wire)


async def test_one_address_says_what_was_said_and_by_whom(both_fronts: Front) -> None:
    """Listed with provenance and suggestion; an unknown one is `not_listed`; a text that is no address is `invalid`, and says why."""
    front = both_fronts
    sid = await listed(front, wallet(1))
    async with front.at(await front.key()) as client:
        hit = (await client.get(f"/v1/screen/{address(1)}")).json()["result"]
        miss = (await client.get(f"/v1/screen/{address(2)}")).json()["result"]
        bad = (await client.get("/v1/screen/0x123")).json()["result"]
    assert (hit["match"], hit["id"], hit["human_review"]) == ("listed", wallet_id(1), "required")
    assert [(one["sid"], one["issuer"], one["suggested_action"]) for one in hit["statements"]] == [(sid, "de.bka", "review")]
    assert (miss["match"], miss["statements"], miss["human_review"]) == ("not_listed", [], None)
    assert (bad["match"], bad["id"], bad["error"]["code"]) == ("invalid", None, "length")


async def test_a_chain_and_a_tag_narrow_the_question(front: Front) -> None:
    """`chain` by common name; a listing for one chain only is `related` on another; the `?id=` form answers alike."""
    await listed(front, wallet(1, scope={"chains": ["eip155:56"]}))
    async with front.at(await front.key()) as client:
        here = (await client.get(f"/v1/screen/{address(1)}?chain=bsc")).json()["result"]
        there = (await client.get(f"/v1/screen/{address(1)}?chain=ethereum")).json()["result"]
        by_query = (await client.get("/v1/screen", params={"id": address(1), "chain": "ethereum"})).json()["result"]
    assert here["match"] == "listed"
    assert (there["match"], there["related"][0]["relation"]) == ("related", "other_chain")
    assert by_query == there


async def test_texts_that_are_no_path_segment_go_as_a_parameter(front: Front) -> None:
    """A web address is asked as `?id=`; in a path it is refused with that advice."""
    async with front.at() as client:
        answer = await client.get("/v1/screen", params={"id": "https://scam.example/login?x=1"})
        assert answer.json()["result"]["id"].startswith("url:")
        refused = await client.get("/v1/screen/https%3A%2F%2Fscam.example")
        assert problem(refused) == (400, "bad_request")
        assert "`id`" in refused.json()["detail"]


async def test_the_fast_road_gives_the_same_bytes_as_the_ordinary_route(front: Front) -> None:
    """`GET /v1/screen/{address}` is answered before FastAPI is entered: body, status and headers are those of the documented route."""
    await listed(front, wallet(1), wallet(3, **GUARD))
    key = await front.key(quota={"requests_per_minute": 1000, "addresses_per_day": 1000})
    agency = await front.key("de.bka", "agency")
    paths = [
        *(f"/v1/screen/{text}" for text in (address(1), address(2), address(3), "0x123", "bitcoin", "scam.example", "%3A")),
        *(
            f"/v1/screen/{address(1)}?{query}"
            for query in ("chain=bsc", "chain=nowhere", "tag=7", "chain=a&chain=b", "x=1", "chain=%00", "chain=%ff", "=")
        ),
    ]
    edge = front.app.middleware_stack or front.app.build_middleware_stack()
    assert isinstance(edge, Edge)
    slow = Edge(edge._app, requests=edge._requests, callsigns=edge.callsigns, is_https=False)
    for headers in (
        {},
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"Bearer {agency}"},
        {"Authorization": f"Bearer {agency}", **WHY},
        {"Authorization": "Bearer nonsense"},
        {"Accept": "text/html"},
    ):
        for path in paths:
            answers = []
            for app in (front.app, slow):
                async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
                    if app is slow:
                        _give_state(client, front)
                    answers.append(await client.get(path, headers={**headers, "X-Request-Id": "the-same-request"}))
            fast, ordinary = answers
            assert (fast.status_code, fast.content) == (ordinary.status_code, ordinary.content) or _same_refusal(fast, ordinary), path
            for name in ("content-type", "cache-control", "vary", "content-security-policy", "ratelimit-policy"):
                assert fast.headers.get(name) == ordinary.headers.get(name), (path, name)


def _give_state(client: httpx.AsyncClient, front: Front) -> None:
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    inner = transport.app

    async def with_app(scope, receive, send):
        scope["app"] = front.app
        await inner(scope, receive, send)

    transport.app = with_app


def _same_refusal(fast: httpx.Response, ordinary: httpx.Response) -> bool:
    """Both refuse the query with 422; the framework words it its own way."""
    return fast.status_code == ordinary.status_code >= 400 and fast.json()["code"] == ordinary.json()["code"]


async def test_many_addresses_are_answered_in_their_order(both_fronts: Front) -> None:
    """One bad row never fails the others; `include: hits` leaves the misses out and keeps the row numbers."""
    front = both_fronts
    await listed(front, wallet(1))
    items = [
        {"address": address(2)},
        {"address": "nonsense!", "reference": "r1"},
        {"address": address(1), "chain": "ethereum", "reference": "r2"},
    ]
    async with front.at(await front.key()) as client:
        every = (await client.post("/v1/screen", json={"items": items})).json()["results"]
        hits = (await client.post("/v1/screen", json={"items": items, "include": "hits"})).json()["results"]
    assert [(one["row"], one["match"], one["reference"]) for one in every] == [
        (0, "not_listed", None),
        (1, "invalid", "r1"),
        (2, "listed", "r2"),
    ]
    assert [one["row"] for one in hits] == [1, 2]


async def test_what_is_not_offered_yet_is_refused(front: Front) -> None:
    """A policy without a key is 401, unknown members 422, other types 415, never silently left out; a receipt is for holders of a key (test_receipts_api)."""
    rows = [{"address": address(1)}]
    async with front.at() as client:
        for body in (
            {"items": rows, "extra": 1},
            {},
            {"items": [{}]},
            [],
        ):
            assert problem(await client.post("/v1/screen", json=body)) == (422, "schema"), body
        named = await client.post("/v1/screen", json={"items": rows, "policy": "default"})
        assert problem(named) == (401, "unauthenticated")
        for kind in ("application/xml", "application/csv", "text/html"):
            answer = await client.post("/v1/screen", content=b"x", headers={"Content-Type": kind})
            assert problem(answer) == (415, "unsupported_media_type")
        pointed = (await client.post("/v1/screen", json={"items": [{"address": 7}]})).json()
        assert pointed["errors"][0]["pointer"] == "/items/0/address"


async def test_ten_thousand_rows_and_not_one_more(front: Front) -> None:
    """The largest request passes; one row more is 413."""
    rows = [{"address": address(n % 50)} for n in range(10_001)]
    async with front.at(await front.key()) as client:
        full = await client.post("/v1/screen", json={"items": rows[:-1], "include": "hits"})
        assert (full.status_code, full.json()["results"]) == (200, [])
        assert problem(await client.post("/v1/screen", json={"items": rows})) == (413, "too_large")


async def test_hits_of_known_callers_are_in_the_access_log_before_the_answer(both_fronts: Front) -> None:
    """Client, purpose, case, id and statements of a hit are kept; misses and the public leave no row; the chain verifies."""
    front = both_fronts
    sid = await listed(front, wallet(1))
    agency = await front.key("de.bka", "agency")
    async with front.at(agency) as client, front.at() as public:
        await client.get(f"/v1/screen/{address(1)}")
        await client.get(f"/v1/screen/{address(2)}")
        await client.get(f"/v1/wallets/{address(1)}")
        await client.get(f"/v1/statements/{sid}")
        await public.get(f"/v1/screen/{address(1)}")
    await front.node.access_log.settle()
    async with front.node.database.reading() as tx:
        rows = await tx.audit.page()
        await tx.audit.verify()
    told = [(row.entry.action, row.entry.subject, row.entry.sids, row.entry.purpose, row.entry.case) for row in rows]
    why = ("fraud_prevention", "case-1")
    assert told == [("screen", wallet_id(1), (sid,), *why), ("read", wallet_id(1), (sid,), *why), ("read", sid, (sid,), *why)]
    assert {row.entry.actor.partition("/")[0] for row in rows} == {"de.bka"}


async def test_an_agency_says_why_it_reads(front: Front) -> None:
    """Without purpose or case, or with words of its own, an agency or redress reader gets 422; a VASP is not asked."""
    for member, client_class in (("de.bka", "agency"), ("de.ombud", "redress")):
        key = await front.key(member, client_class)
        async with front.at(key, why=False) as client:
            for path in (f"/v1/screen/{address(1)}", f"/v1/wallets/{address(1)}", "/v1/statements", "/v1/search?q=x", "/v1/entities"):
                for headers in (
                    {},
                    {"Cordon-Purpose": "fraud_prevention"},
                    {"Cordon-Case": "1"},
                    {**WHY, "Cordon-Purpose": "curiosity"},
                    {**WHY, "Cordon-Case": " "},
                ):
                    assert problem(await client.get(path, headers=headers)) == (422, "schema"), (path, headers)
                assert (await client.get(path, headers=WHY)).status_code == 200
            assert (await client.get("/v1/members")).status_code == 200
    async with front.at(await front.key(), why=False) as vasp:
        assert (await vasp.get(f"/v1/screen/{address(1)}")).status_code == 200
