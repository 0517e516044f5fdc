"""The answers in other systems' shapes, byte for byte what the recordings say (tests/api/recordings)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.domain.answer import day_text, instant_text
from app.domain.identifiers import read_subject
from tests.api.front import Front
from tests.factories import accept, entity, link, sid_in, wallet, wallet_id

RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.json"))


async def play(front: Front, lists: list[dict[str, Any]]) -> list[str]:
    """List what a recording wants listed; the sids."""
    sids = []
    for one in lists:
        number, slug, source = one.pop("wallet"), one.pop("entity_item", None), one.pop("link_from", None)
        items = [wallet(number, **one)]
        items += [entity(slug)] if slug else []
        items += [link(wallet_id(source), wallet_id(number))] if source else []
        wire = front.town.signer("de.bka#1").listing(*items)
        await accept(front.node, wire)
        sids.append(sid_in(wire))
    return sids


def names(front: Front, sids: list[str]) -> dict[str, str]:
    """What the places in a recording stand for, the longest first."""
    now_ms = front.town.clock()
    found = {"$now": instant_text(now_ms)[:-1], "$day": day_text(now_ms // 1000)}
    found["$version"] = "".join(c for c in instant_text(now_ms) if c.isdigit()) + "-crd"
    for number in (1, 2, 3):
        subject = read_subject(wallet_id(number))
        found |= {f"$address{number}": wallet_id(number)[9:], f"$mixed{number}": subject.display, f"$id{number}": subject.id}
    return found | {f"${number}": sid for number, sid in enumerate(sids, 1)}


@pytest.mark.parametrize("text", [path.read_text("utf-8") for path in RECORDINGS], ids=[path.stem for path in RECORDINGS])
async def test_the_recording_plays(front: Front, text: str) -> None:
    """What was listed, what is asked, what must come back: nothing more, nothing less."""
    recording = json.loads(text)
    categories = recording.get("mandate", ["fraud", "sanctions"])
    await accept(front.node, front.town.member("de.bka", persons=True, country="DE", categories=tuple(categories)))
    sids = await play(front, recording["lists"])
    for name, value in names(front, sids).items():
        text = text.replace(name, value)
    recording = json.loads(text)
    asked, expected = recording["request"], recording["answer"]
    if "queries" in asked:
        query = {"schema": "CryptoWallet", "properties": {"publicKey": [wallet_id(1)]}}
        asked["body"] = {"queries": {f"q{n}": query for n in range(asked["queries"])}}
    key = recording.get("key") or await front.key()
    client = front.at(**{"X-API-Key": key})
    answer = await client.request(asked["method"], asked["path"], json=asked.get("body"))
    assert answer.status_code == expected["status"], answer.text
    if "body" in expected:
        assert answer.json() == expected["body"]
    else:
        assert [*answer.json()] == expected["keys"]
    for name, value in expected.get("headers", {}).items():
        assert answer.headers[name] == value
