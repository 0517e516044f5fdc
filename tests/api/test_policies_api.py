"""Clients' own policies over HTTP: kept per member, changed with the version that was seen, evaluated in answers, tried on receipts."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import httpx

from tests.api.front import Front, problem
from tests.factories import GUARD, accept, wallet, wallet_id
from tests.index.addresses import evm, tron

RULES: list[dict[str, Any]] = [
    {"name": "severe", "severity_min": 4, "outcome": "hold"},
    {"name": "confirmed-fraud", "typologies": ["fraud"], "status": ["confirmed"], "countries": ["DE"], "outcome": "review"},
    {"name": "any-fraud", "typologies": ["fraud"], "roles": ["collection"], "outcome": "look"},
]
POLICY = {"rules": RULES, "default": "pass"}


async def lists(front: Front, *items: dict, **more: Any) -> None:
    await accept(front.node, front.town.signer("de.bka#1").listing(*items, **more))


async def judged(client: httpx.AsyncClient, *texts: str, **more: Any) -> list[Any]:
    body = {"items": [{"address": text} for text in texts], "policy": "default", **more}
    answer = await client.post("/v1/screen", json=body)
    assert answer.status_code == 200, answer.text
    return [one["policy"] for one in answer.json()["results"]]


async def test_a_policy_is_kept_changed_and_deleted_by_who_has_seen_it(both_fronts: Front) -> None:
    """201, then 428 without If-Match, 412 with an old one, 200 with the newest; the same for DELETE; then 404."""
    front = both_fronts
    client = front.at(await front.key())
    made = await client.put("/v1/policies/default", json={"default": "pass", "rules": []})
    assert (made.status_code, made.json()) == (201, {"name": "default", "rules": [], "default": "pass"})
    read = await client.get("/v1/policies/default")
    assert read.headers["etag"] == made.headers["etag"]
    assert (await client.get("/v1/policies/default", headers={"If-None-Match": made.headers["etag"]})).status_code == 304
    assert problem(await client.put("/v1/policies/default", json=POLICY)) == (428, "precondition_required")
    changed = await client.put("/v1/policies/default", json=POLICY, headers={"If-Match": made.headers["etag"]})
    assert (changed.status_code, [one["name"] for one in changed.json()["rules"]]) == (200, ["severe", "confirmed-fraud", "any-fraud"])
    stale = {"If-Match": made.headers["etag"]}
    assert problem(await client.put("/v1/policies/default", json=POLICY, headers=stale)) == (412, "precondition_failed")
    assert problem(await client.delete("/v1/policies/default", headers=stale)) == (412, "precondition_failed")
    assert problem(await client.delete("/v1/policies/default")) == (428, "precondition_required")
    assert [one["name"] for one in (await client.get("/v1/policies")).json()["items"]] == ["default"]
    newest = {"If-Match": changed.headers["etag"]}
    assert (await client.delete("/v1/policies/default", headers=newest)).status_code == 204
    assert problem(await client.get("/v1/policies/default")) == (404, "not_found")
    assert problem(await client.put("/v1/policies/default", json=POLICY, headers=newest)) == (412, "precondition_failed")


async def test_a_policy_is_its_members_alone(front: Front) -> None:
    """Another member sees none of it and keeps one of the same name; the public and operators keep none."""
    client, other = front.at(await front.key()), front.at(await front.key("de.fiu", "vasp"))
    await client.put("/v1/policies/default", json=POLICY)
    assert problem(await other.get("/v1/policies/default")) == (404, "not_found")
    assert (await other.get("/v1/policies")).json()["items"] == []
    assert (await other.put("/v1/policies/default", json={"rules": [], "default": "go"})).status_code == 201
    assert (await front.at(await front.key()).get("/v1/policies/default")).json()["default"] == "pass"
    assert problem(await front.at().get("/v1/policies")) == (401, "unauthenticated")
    assert problem(await front.at(await front.key("", "operator")).get("/v1/policies")) == (403, "forbidden")


async def test_an_answer_says_what_the_policy_makes_of_it(front: Front) -> None:
    """The first rule that fires decides, all are named; what is not listed, related or protected has the default, an unreadable row nothing."""
    await lists(front, wallet(1, status="confirmed", typologies=["fraud.investment.ponzi"]), wallet(2, severity=4, roles=[]))
    await lists(front, wallet(3, status="confirmed"))
    await lists(front, wallet(3, **GUARD))
    client = front.at(await front.key())
    await client.put("/v1/policies/default", json=POLICY)
    for more in ({}, {"receipt": True}):
        found = await judged(client, wallet_id(1), wallet_id(2), wallet_id(3), wallet_id(4), "0x123", **more)
        assert found == [
            {"name": "default", "outcome": "review", "rules": ["confirmed-fraud", "any-fraud"]},
            {"name": "default", "outcome": "hold", "rules": ["severe"]},
            {"name": "default", "outcome": "pass", "rules": []},
            {"name": "default", "outcome": "pass", "rules": []},
            None,
        ]


async def test_a_rule_never_sees_what_its_owner_may_not(front: Front) -> None:
    """Two clients with one policy: a statement for one of them alone fires for him alone."""
    await lists(front, wallet(1, severity=4), tlp="AMBER", aud=["de.exchange"])
    for member, outcome in (("de.exchange", "hold"), ("de.stranger", "pass")):
        client = front.at(await front.key(member, "vasp"))
        await client.put("/v1/policies/default", json=POLICY)
        assert [one["outcome"] for one in await judged(client, wallet_id(1))] == [outcome]


async def test_what_is_no_policy_is_refused(front: Front) -> None:
    """Unknown codes, members and names, rules of one name: 422 with a pointer; a policy that is not kept cannot be asked for."""
    client = front.at(await front.key())
    for rule in (
        {"typologies": ["fruad"]},
        {"roles": ["boss"]},
        {"status": ["listed"]},
        {"countries": ["de"]},
        {"severity_min": 5},
        {"outcome": ""},
        {"score": 1},
    ):
        answer = await client.put("/v1/policies/p", json={"rules": [{"name": "r", "outcome": "x", **rule}], "default": "pass"})
        assert problem(answer) == (422, "schema"), rule
        assert answer.json()["errors"][0]["pointer"].startswith("/rules/0/"), rule
    twice = {"rules": [{"name": "r", "outcome": "x"}] * 2, "default": "pass"}
    assert problem(await client.put("/v1/policies/p", json=twice)) == (422, "schema")
    assert problem(await client.put("/v1/policies/p", json={**POLICY, "name": "q"})) == (422, "schema")
    assert problem(await client.put("/v1/policies/a:b", json=POLICY)) == (422, "schema")
    asked = await client.post("/v1/screen", json={"items": [{"address": wallet_id(1)}], "policy": "p"})
    assert (problem(asked), asked.json()["errors"][0]["pointer"]) == ((422, "schema"), "/policy")


async def test_a_dry_run_replays_the_members_own_receipts(both_fronts: Front) -> None:
    """Each row of the last 30 days counts once under what the policy makes of it; rows that a receipt does not tell apart are `unclear`."""
    front = both_fronts
    await lists(front, wallet(1, status="confirmed"))
    await lists(front, wallet(2), wallet(3))
    await lists(front, wallet(4), wallet(5, severity=4))
    client, other = front.at(await front.key()), front.at(await front.key("de.fiu", "vasp"))
    await client.put("/v1/policies/default", json={"rules": [], "default": "pass"})
    ask = {"receipt": True, "policy": None}
    for caller in (client, other):
        body = {"items": [{"address": wallet_id(n)} for n in (1, 2, 4, 9)] + [{"address": "0x123"}], **ask}
        assert (await caller.post("/v1/screen", json=body)).status_code == 200
    await client.put("/v1/policies/new", json=POLICY)
    said = (await client.post("/v1/policies/new/dry-run")).json()
    assert (said["receipts"], said["rows"], said["unclear"], said["truncated"]) == (1, 4, 1, False)
    assert said["outcomes"] == {"look": 1, "pass": 1, "review": 1}
    assert said["rules"] == {"severe": 0, "confirmed-fraud": 1, "any-fraud": 2}
    front.town.clock.advance(days=31)
    assert (await client.post("/v1/policies/new/dry-run")).json()["rows"] == 0
    assert problem(await client.post("/v1/policies/none/dry-run")) == (404, "not_found")


async def test_a_stream_is_judged_as_a_body_of_json_is(front: Front) -> None:
    """Each form, hits alone and every row: also what is not listed has an outcome, what cannot be read has none."""
    await lists(front, wallet(1, severity=4), wallet(2), wallet(3, **GUARD))
    client = front.at(await front.key())
    await client.put("/v1/policies/default", json=POLICY)
    texts = [wallet_id(n).rpartition(":")[2] for n in (1, 2, 3)] + [evm(9), "x", tron(7)]
    want = await judged(client, *texts)
    assert [one and one["outcome"] for one in want] == ["hold", "look", "pass", "pass", None, "pass"]
    body = {"items": [{"address": text} for text in texts], "policy": "default"}
    results = (await client.post("/v1/screen", json=body)).json()["results"]
    forms = {
        "text/plain": "\n".join(texts),
        "application/x-ndjson": "".join(f'{{"address":"{text}"}}\n' for text in texts),
        "text/csv": "address,chain,tag,direction,reference\n" + "".join(f"{text},,,,\n" for text in texts),
    }
    for include in ("all", "hits"):
        rows = [one for one in results if include == "all" or one["match"] != "not_listed"]
        for kind, content in forms.items():
            path = f"/v1/screen?include={include}&policy=default"
            answer = await client.post(path, content=content, headers={"Content-Type": kind})
            assert answer.status_code == 200, answer.text
            if kind == "text/csv":
                cells = [(row["id"], row["policy"]) for row in csv.DictReader(io.StringIO(answer.text))]
                assert cells == [(one["id"] or "", one["policy"]["outcome"] if one["policy"] else "") for one in rows]
            else:
                told = [json.loads(line) for line in answer.text.splitlines()]
                assert [one for one in told if "summary" not in one] == rows


async def test_a_stream_names_a_policy_of_ones_own(front: Front) -> None:
    """Of another's, or of none, is a problem before a row is read; a body of JSON names it itself."""
    client = front.at(await front.key())
    plain = {"Content-Type": "text/plain"}
    assert problem(await client.post("/v1/screen?policy=mine", content="x", headers=plain)) == (422, "schema")
    assert problem(await front.at().post("/v1/screen?policy=mine", content="x", headers=plain)) == (401, "unauthenticated")
    assert problem(await client.post("/v1/screen?policy=mine", json={"items": []})) == (422, "schema")
