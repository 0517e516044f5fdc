"""API keys: made, listed, ended; whose keys are whose."""

from __future__ import annotations

import pytest

from app.domain.api_key import read_api_key
from app.domain.errors import Unauthenticated
from app.storage.clients import Client, ClientShelf
from tests.api.front import WHY, Front, problem

REQUEST = {"member": "de.exchange", "name": "screening", "scopes": ["screen"], "tier": "green", "quota": {"requests_per_minute": 5}}


async def test_an_operator_makes_and_ends_keys(both_fronts: Front) -> None:
    """201 with the secret, shown once; the key works with its own quota; DELETE wants the version seen and kills it at once."""
    front = both_fronts
    async with front.at(await front.key("", "operator")) as operator:
        made = (await operator.post("/v1/api-keys", json=REQUEST)).json()
        assert (made["class"], made["member"], made["quota"]) == ("vasp", "de.exchange", {"requests_per_minute": 5})
        async with front.at(made["key"]) as vasp:
            answer = await vasp.get("/v1/screen/scam.example")
            assert answer.headers["ratelimit-policy"] == '"lookup";q=5;w=60'
            path = f"/v1/api-keys/{made['id']}"
            seen = await operator.get(path)
            assert "key" not in seen.json()
            assert problem(await operator.delete(path)) == (428, "precondition_required")
            assert problem(await operator.delete(path, headers={"If-Match": '"another"'})) == (412, "precondition_failed")
            assert (await operator.delete(path, headers={"If-Match": seen.headers["etag"]})).status_code == 204
            for path_ in ("/v1/screen/scam.example", "/v1/api-keys", "/v1/members", "/v1/statements"):
                assert problem(await vasp.get(path_)) == (401, "unauthenticated"), path_
            assert problem(await operator.delete(path, headers={"If-Match": seen.headers["etag"]})) == (412, "precondition_failed")
            ended = await operator.get(path)
            assert ended.json()["ended_at"] is not None
            assert problem(await operator.delete(path, headers={"If-Match": ended.headers["etag"]})) == (410, "gone")
        rows = (await operator.get("/v1/api-keys")).json()["items"]
        assert {row["id"] for row in rows} >= {made["id"]}
    await front.node.access_log.settle()
    async with front.node.database.reading() as tx:
        assert [row.entry.action for row in await tx.audit.page()] == ["create_api_key", "end_api_key"]


async def test_owners_see_their_own_keys_only(front: Front) -> None:
    """A member's keys for that member; a stranger's id is not found, for reading and for ending alike."""
    keys = await front.keys()
    ids = {name: found.id for name, text in keys.items() if text and (found := read_api_key(text))}
    for name, own in (
        ("vasp", {"vasp"}),
        ("agency", {"agency", "agency_without_scopes"}),
        ("auditor", {"auditor"}),
        ("operator", set(ids)),
    ):
        async with front.at(keys[name]) as client:
            assert {row["id"] for row in (await client.get("/v1/api-keys")).json()["items"]} == {ids[one] for one in own}
            for other, id_ in ids.items():
                status = (await client.get(f"/v1/api-keys/{id_}")).status_code
                assert status == (200 if other in own else 404), (name, other)
    async with front.at(keys["vasp"]) as client:
        assert problem(await client.delete(f"/v1/api-keys/{ids['vasp']}", headers={"If-Match": "*"})) == (403, "forbidden")
        assert problem(await client.post("/v1/api-keys", json=REQUEST)) == (403, "forbidden")


async def test_a_key_is_asked_for_in_known_words_only(front: Front) -> None:
    """No operator's scopes, no class of one's own choosing, no unknown member, no date behind us (mass assignment, S-07)."""
    wrong = [
        {**REQUEST, "scopes": ["operate"]},
        {**REQUEST, "scopes": ["audit"]},
        {**REQUEST, "scopes": []},
        {**REQUEST, "class": "operator"},
        {**REQUEST, "is_admin": True},
        {**REQUEST, "tlp": "RED"},
        {**REQUEST, "org_id": 1},
        {**REQUEST, "tier": "amber"},
        {**REQUEST, "member": "de.nobody"},
        {**REQUEST, "quota": {"requests_per_minute": "5"}},
        {**REQUEST, "quota": {"requests_per_minute": 0}},
        {**REQUEST, "expires_at": "2020-01-01T00:00:00Z"},
        {**REQUEST, "expires_at": "infinity"},
        {**REQUEST, "secret_sha256": "00"},
    ]
    async with front.at(await front.key("", "operator")) as client:
        for body in wrong:
            assert problem(await client.post("/v1/api-keys", json=body)) == (422, "schema"), body
        assert len((await client.get("/v1/api-keys")).json()["items"]) == 1


async def test_an_expired_key_opens_nothing(front: Front) -> None:
    """Also once its moment has passed while it was in use."""
    key = await front.key(expires_ms=front.town.clock() + 1000)
    async with front.at(key) as client:
        assert (await client.get("/v1/members")).status_code == 200
        front.town.clock.advance(s=2)
        front.node.recognition.forget()
        assert problem(await client.get("/v1/members")) == (401, "unauthenticated")


async def test_every_key_that_opens_nothing_gets_the_same_answer(front: Front) -> None:
    """Unknown id, wrong secret, wrong checksum, wrong scheme, no key at all in it: 401, word for word alike (S-02)."""
    key = await front.key()
    good = read_api_key(key)
    assert good is not None
    from app.domain.api_key import ApiKey

    texts = [
        ApiKey("live", good.id, "0" * 64).text(),
        ApiKey("live", "ffffffffffffffff", good.secret).text(),
        ApiKey("test", good.id, good.secret).text(),
        key[:-1] + ("0" if key[-1] != "0" else "1"),
        key.upper(),
        "cordon_live_x",
        "",
    ]
    answers = []
    async with front.at() as client:
        for value in [*(f"Bearer {text}" for text in texts), f"Basic {key}", key, f"Bearer {key} ", f"Bearer  {key}", f"Token {key}"]:
            answer = await client.get("/v1/members", headers={**WHY, "Authorization": value, "X-Request-Id": "same-id-for-all"})
            assert problem(answer) == (401, "unauthenticated"), value
            assert answer.headers["www-authenticate"].startswith("Bearer")
            answers.append(answer.content)
    assert len(set(answers)) == 1


async def test_a_key_that_is_ended_while_it_is_looked_up_is_not_remembered(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row was read before the end and arrives after it: the next request finds the key dead."""
    key, get = await front.key(), ClientShelf.get
    recognition = front.node.recognition

    async def late(shelf: ClientShelf, client_id: str) -> Client | None:
        found = await get(shelf, client_id)
        async with front.node.database.transaction() as tx:
            await tx.clients.end(client_id, front.node.clock())
        recognition.forget()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(ClientShelf, "get", late)
        assert (await recognition.recognise(key)).actor
    assert recognition.remembered(key) is None
    with pytest.raises(Unauthenticated):
        await recognition.recognise(key)
