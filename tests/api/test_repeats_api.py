"""`Idempotency-Key`."""

from __future__ import annotations

import asyncio

from tests.api.front import Front, problem
from tests.factories import wallet, wallet_id

KEY = {"Idempotency-Key": "b1f7a8c0-5a1e-4b57-9d0e-2f6d8f0c1a11"}
REQUEST = {"member": "de.exchange", "scopes": ["screen"]}


async def test_the_same_request_has_one_effect_and_one_answer(both_fronts: Front) -> None:
    """A key is made once; the second answer is the first one, secret included; another body under the key is 422."""
    front = both_fronts
    async with front.at(await front.key("", "operator")) as client:
        first = await client.post("/v1/api-keys", json=REQUEST, headers=KEY)
        again = await client.post("/v1/api-keys", json=REQUEST, headers=KEY)
        assert (first.status_code, first.content) == (again.status_code, again.content)
        assert again.headers["idempotency-replayed"] == "true"
        assert len((await client.get("/v1/api-keys")).json()["items"]) == 2
        other = await client.post("/v1/api-keys", json={**REQUEST, "name": "other"}, headers=KEY)
        assert problem(other) == (422, "idempotency_mismatch")
        front.town.clock.advance(hours=25)
        later = await client.post("/v1/api-keys", json=REQUEST, headers=KEY)
        assert later.json()["id"] != first.json()["id"]


async def test_every_post_honours_it(front: Front) -> None:
    """Statements and screening, too; keys of different callers never meet."""
    wire = front.town.signer("de.bka#1").listing(wallet(1))
    kind = {"Content-Type": "application/sd-jwt"}
    async with front.at() as client, front.at(await front.key()) as vasp:
        first = await client.post("/v1/statements", content=wire, headers={**kind, **KEY})
        again = await client.post("/v1/statements", content=wire, headers={**kind, **KEY})
        assert first.status_code == again.status_code == 201
        assert first.content == again.content
        body = {"items": [{"address": wallet_id(2)}]}
        one = await vasp.post("/v1/screen", json=body, headers=KEY)
        front.town.clock.advance(s=5)
        two = await vasp.post("/v1/screen", json=body, headers=KEY)
        assert one.content == two.content
        assert problem(await vasp.post("/v1/screen", json={"items": []}, headers=KEY)) == (422, "idempotency_mismatch")
        assert problem(await client.post("/v1/statements", content="other", headers={**kind, **KEY})) == (422, "idempotency_mismatch")


async def test_a_refusal_is_not_kept(front: Front) -> None:
    """What was refused may be sent again, and is judged again."""
    wire = front.town.signer("de.lka#9").listing(wallet(1))
    headers = {"Content-Type": "application/sd-jwt", **KEY}
    async with front.at() as client:
        assert problem(await client.post("/v1/statements", content=wire, headers=headers)) == (401, "unknown_kid")
        await front.node.gate.submit([front.town.member("de.lka", keys=("1", "2", "9"))])
        assert (await client.post("/v1/statements", content=wire, headers=headers)).status_code == 201


async def test_a_request_at_work_is_not_done_twice(both_fronts: Front) -> None:
    """Of two at the same time one works, the other gets 409 or the first one's answer."""
    front = both_fronts
    wire = front.town.signer("de.bka#1").listing(wallet(1))
    headers = {"Content-Type": "application/sd-jwt", **KEY}
    async with front.at() as client:
        answers = await asyncio.gather(*[client.post("/v1/statements", content=wire, headers=headers) for _ in range(5)])
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 201, [answer.text for answer in answers]
    assert set(statuses) <= {201, 409}
    assert {problem(answer)[1] for answer in answers if answer.status_code == 409} <= {"in_progress"}


async def test_what_is_kept_cannot_be_read_in_the_database(front: Front) -> None:
    """Neither the addresses asked for nor a new API key, nor the Idempotency-Key that would open them."""
    async with front.at(await front.key("", "operator")) as operator, front.at(await front.key()) as vasp:
        made = (await operator.post("/v1/api-keys", json=REQUEST, headers=KEY)).json()
        await vasp.post("/v1/screen", json={"items": [{"address": wallet_id(77)}]}, headers=KEY)
    files = list(front.town.data_dir.parent.glob("cordon.sqlite3*"))
    assert files
    kept = b"".join(file.read_bytes() for file in files)
    for secret in (made["key"], made["key"].split("_")[3], wallet_id(77), KEY["Idempotency-Key"]):
        assert secret.encode() not in kept


async def test_a_key_has_a_form(front: Front) -> None:
    """1 to 64 printable characters; anything else is refused before any work is done."""
    async with front.at(await front.key("", "operator")) as client:
        for text in ("", "a" * 65, "with blank"):
            answer = await client.post("/v1/api-keys", json=REQUEST, headers={"Idempotency-Key": text})
            assert problem(answer) == (400, "bad_request"), text
        assert len((await client.get("/v1/api-keys")).json()["items"]) == 1
