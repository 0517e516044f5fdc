"""Receipts of screenings: signed, kept, given to their owner alone, checked offline, and turned against a node that lied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.domain.canonical import b64u_decode
from app.domain.errors import BadSignature, InvalidProof
from app.domain.identifiers import bucket_of, id_key
from app.domain.view import bucket_text
from app.sdk.screened import Asked, check_head, contradictions, open_bucket, open_receipt, positions
from app.seal.screened import sign_screening
from app.services.enroll import node_key, read_node_file
from tests.api.front import Front, problem
from tests.factories import accept, sid_in, wallet, wallet_id


async def ask(front: Front, key: str, *texts: str, **more: Any) -> dict[str, Any]:
    """The answer to a screening with a receipt."""
    body = {"items": [{"address": text} for text in texts], "receipt": True, **more}
    answer = await front.at(key).post("/v1/screen", json=body)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def asked_in(said: dict[str, Any]) -> list[Asked]:
    """What the client keeps: salts and the texts that they belong to."""
    return [Asked(b64u_decode(salt), one["id"] or one["query"]) for salt, one in zip(said["salts"], said["results"], strict=True)]


async def test_a_receipt_proves_offline_what_was_told(both_fronts: Front) -> None:
    """Node key, head, salts and hits: every row of the answer stands in the receipt, and nothing of it can be read without the salts."""
    front = both_fronts
    root = front.node.documents[-1]
    listing = front.town.signer("de.bka#1").listing(wallet(1))
    (admitted,) = await accept(front.node, listing)
    key = await front.key()
    said = await ask(front, key, wallet_id(1), wallet_id(2), "no address")
    receipt = open_receipt(said["receipt"], root)
    assert (receipt.issuer, receipt.subject, receipt.rid) == ("de.example", "de.exchange", said["receipt_id"])
    assert positions(receipt, asked_in(said)) == [0, 1, 2]
    assert receipt.matches == ("listed", "not_listed", "invalid")
    assert [(hit.question, hit.origin, hit.index, hit.sid) for hit in receipt.hits] == [
        (0, "de.example/log", admitted.index, sid_in(listing))
    ]
    assert wallet_id(1) not in said["receipt"]
    kept = (await front.at(key).get(f"/v1/receipts/{receipt.rid}")).json()
    assert kept["receipt"] == said["receipt"]
    head = check_head(receipt, kept["head"], root)
    assert head.as_of <= receipt.as_of
    assert "salts" not in kept
    with pytest.raises(InvalidProof):
        positions(receipt, [Asked(bytes(16), wallet_id(1))])


async def test_an_honest_receipt_never_contradicts_its_head(front: Front) -> None:
    """Whatever came or went just before, the head that a receipt names lists what the receipt says, bucket by bucket."""
    key = await front.key()
    root = front.node.documents[-1]
    bka = front.town.signer("de.bka#1")
    wires = [bka.listing(wallet(number)) for number in range(3)]
    await front.node.views.refresh()
    for step in ([wires[0]], [bka.retract(sid_in(wires[0])), wires[1]], [wires[2], bka.retract(sid_in(wires[1]))]):
        await accept(front.node, *step)
        said = await ask(front, key, *(wallet_id(number) for number in range(3)))
        receipt = open_receipt(said["receipt"], root)
        client = front.at(key)
        bodies = [
            (await client.get(f"/v1/view/green/bucket/{bucket_text(bucket_of(id_key(wallet_id(number))))}")).content for number in range(3)
        ]
        buckets = [open_bucket(body, root) for body in bodies]
        assert {bucket.digest for bucket in buckets} == {receipt.view}
        assert contradictions(receipt, asked_in(said), buckets) == []
        listed = [buckets[number].find(wallet_id(number)) is not None for number in range(3)]
        assert listed == [match == "listed" for match in receipt.matches]


async def test_a_lie_is_its_own_proof(front: Front) -> None:
    """A receipt that says not listed under a head that lists the id is recognised; an altered one does not even open."""
    await accept(front.node, front.town.signer("de.bka#1").listing(wallet(1)))
    key = await front.key()
    root = front.node.documents[-1]
    said = await ask(front, key, wallet_id(1))
    honest = open_receipt(said["receipt"], root)
    signer = node_key(front.town.data_dir, read_node_file(front.town.data_dir), root)
    lie = open_receipt(sign_screening(replace(honest, matches=("not_listed",), hits=()), signer), root)
    body = (await front.at(key).get(f"/v1/view/green/bucket/{bucket_text(bucket_of(id_key(wallet_id(1))))}")).content
    bucket = open_bucket(body, root)
    asked = asked_in(said)
    assert contradictions(lie, asked, [bucket]) == asked
    assert contradictions(honest, asked, [bucket]) == []
    assert contradictions(replace(lie, view="0" * 64), asked, [bucket]) == []
    head, payload, signature = said["receipt"].split(".")
    with pytest.raises(BadSignature):
        open_receipt(f"{head}.{payload}.{signature[:-2]}AA", root)
    with pytest.raises(InvalidProof):
        check_head(replace(honest, view="0" * 64), said_head := (await front.at(key).get("/v1/view/green/head")).text, root)
    assert said_head


async def test_only_the_owner_learns_of_a_receipt(front: Front) -> None:
    """To another client, another class and the public it does not exist or is not for them; the public gets none at all."""
    said = await ask(front, await front.key(), wallet_id(1))
    path = f"/v1/receipts/{said['receipt_id']}"
    assert problem(await front.at(await front.key("de.other", "vasp")).get(path)) == (404, "not_found")
    assert problem(await front.at(await front.key("", "auditor")).get(path)) == (403, "forbidden")
    assert problem(await front.at().get(path)) == (401, "unauthenticated")
    assert problem(await front.at(await front.key()).get("/v1/receipts/nothing")) == (404, "not_found")
    body = {"items": [{"address": wallet_id(1)}], "receipt": True}
    assert problem(await front.at().post("/v1/screen", json=body)) == (401, "unauthenticated")


async def test_a_receipt_has_an_end(front: Front) -> None:
    """500 items and no more; `include` hides rows from the answer, not from the receipt."""
    key = await front.key()
    many = {"items": [{"address": wallet_id(1)}] * 501, "receipt": True}
    assert problem(await front.at(key).post("/v1/screen", json=many)) == (413, "too_large")
    said = await ask(front, key, *[wallet_id(number) for number in range(500)], include="hits")
    assert said["results"] == []
    assert len(said["salts"]) == len(open_receipt(said["receipt"], front.node.documents[-1]).questions) == 500
