"""H-1 beyond records: views, receipts, streams of a million rows and pages for peers show nothing of what their reader may not see.

The worlds are those of test_noninterference_laws: one statement differs, the logs are of one length. A view head names log roots, which
differ by design; everything that it stands for, and the length of everything that carries it, must not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.canonical import b64u_decode, b64u_encode
from app.domain.identifiers import bucket_of, id_key
from app.domain.statement import ohash_of
from app.domain.view import bucket_text
from app.domain.view_wire import read_bucket, read_delta, read_segment
from app.sdk.screened import Asked, check_head, open_receipt
from app.seal.notes import read_view_head, read_vkeys
from app.services.enroll import read_key
from app.storage.peers import PeerRow
from tests.api.front import Front
from tests.api.peers import ON, Ear, Federating
from tests.factories import GUARD, Town, entity, link, sid_in, wallet, wallet_id
from tests.laws.test_noninterference_laws import Stage

SUBJECTS = (1, 2, 3, 99)
DELAYED = {"tlp": "CLEAR"}
GREEN = {"tlp": "GREEN"}
RED = {"tlp": "RED", "aud": ["de.lka"]}
STRICT = {"tlp": "AMBER+STRICT", "aud": ["de.lka"]}
AMBER = {"tlp": "AMBER", "aud": ["de.lka"]}


@dataclass(frozen=True)
class Pair:
    """Two worlds' histories that differ in one batch."""

    stage: Stage
    with_filler: list[list[str]]
    with_hidden: list[list[str]]


def pair(folder: Path, template: Path, label: dict[str, Any], what: str = "listing") -> Pair:
    """The hidden statement of LKA between listings of BKA that everybody sees; the filler is for LKA alone."""
    stage = Stage(folder, template)
    bka, lka = stage.town.signer("de.bka#1"), stage.town.signer("de.lka#1")
    shown = [bka.listing(wallet(1), entity("sun-1"), tlp="CLEAR"), bka.listing(wallet(2), link(wallet_id(1), wallet_id(2)))]
    made = {
        "listing": lambda: lka.listing(wallet(1, severity=4), wallet(3), **label),
        "embargo": lambda: lka.listing(wallet(3, embargo_until="2026-12-30T00:00:00Z"), **label),
        "guard": lambda: lka.listing(wallet(1, **GUARD), **label),
        "dispute": lambda: lka.dispute(sid_in(shown[0]), ground="wrong_value", **label),
    }
    after = [[bka.listing(wallet(4), tlp="CLEAR")]]
    return Pair(stage, [shown, [lka.listing(wallet(99), **RED)], *after], [shown, [made[what]()], *after])


# --- views -----------------------------------------------------------------------------------------------------------


async def shown_by_views(front: Front, client: httpx.AsyncClient, tier: str, since: str) -> dict[str, Any]:
    """All that a tier says, but for the names of the logs' trees in its head, and how long it takes to say it."""
    keys = read_vkeys(front.node.documents[-1].view_vkeys)
    note = await client.get(f"/v1/view/{tier}/head")
    head = read_view_head(note.text, keys)
    said: dict[str, Any] = {"head": (head.as_of, head.root, head.policy, [(one.origin, one.size, one.age_s) for one in head.origins])}
    said["policy"] = _whole(await client.get("/v1/view/policy"))
    numbers = [bucket_of(id_key(wallet_id(n))) for n in SUBJECTS]
    for number in numbers:
        answer = await client.get(f"/v1/view/{tier}/bucket/{bucket_text(number)}")
        said[f"bucket {number}"] = (read_bucket(answer.content).answer, _but_tag(answer))
        answer = await client.get(f"/v1/view/{tier}/segment/{number >> 8:02x}")
        segment = read_segment(answer.content)
        said[f"segment {number >> 8}"] = (segment.path, segment.buckets, _but_tag(answer))
    answer = await client.get(f"/v1/view/{tier}/delta/{since}")
    said["delta"] = (read_delta(answer.content)[1], _but_tag(answer))
    return said


def _whole(answer: httpx.Response) -> tuple[Any, ...]:
    return answer.status_code, answer.content, _headers(answer, "etag")


def _but_tag(answer: httpx.Response) -> tuple[Any, ...]:
    """The tag stands for the bytes, which carry the head."""
    return answer.status_code, len(answer.content), _headers(answer)


def _headers(answer: httpx.Response, *more: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in sorted(answer.headers.items()) if name not in {"x-request-id", "etag"} - {*more}]


async def views_of(stage: Stage, name: str, wires: list[list[str]], reader: str, tier: str, hours: float) -> dict[str, Any]:
    """What a reader is shown of a tier in a world; the delta is from the view before the batch that differs."""
    async with stage.open(name, wires[:1], hours=0) as front:
        await front.node.views.refresh()
        since = b64u_encode((await front.node.views.current(tier)).head.root)
        for batch in wires[1:]:
            await front.node.gate.submit(batch)
        stage.clock.advance(hours=hours)
        await front.node.views.refresh()
        transport, headers = httpx.ASGITransport(front.app), stage.headers(reader)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            return await shown_by_views(front, client, tier, since)


@pytest.mark.parametrize(
    ("reader", "tier", "label", "what", "hours"),
    [
        ("public", "clear", RED, "listing", 80),
        ("public", "clear", STRICT, "dispute", 80),
        ("public", "clear", AMBER, "guard", 80),
        ("public", "clear", GREEN, "listing", 80),
        ("public", "clear", DELAYED, "listing", 71),
        ("public", "clear", DELAYED, "embargo", 80),
        ("vasp", "clear", GREEN, "listing", 80),
        ("vasp", "green", RED, "listing", 80),
        ("vasp", "green", STRICT, "guard", 80),
        ("agency", "green", AMBER, "dispute", 80),
    ],
)
async def test_a_view_does_not_move_by_what_is_not_in_it(
    sqlite_template: Path, tmp_path: Path, reader: str, tier: str, label: dict[str, Any], what: str, hours: float
):
    """Buckets, paths, segments, deltas, policy and every length and header: the same, whatever is hidden, delayed or under embargo."""
    worlds = pair(tmp_path, sqlite_template, label, what)
    one = await views_of(worlds.stage, "a", worlds.with_filler, reader, tier, hours)
    two = await views_of(worlds.stage, "b", worlds.with_hidden, reader, tier, hours)
    assert one == two


@pytest.mark.parametrize(("tier", "label", "hours"), [("clear", DELAYED, 80), ("green", GREEN, 1), ("green", DELAYED, 1)])
async def test_the_comparison_of_views_notices_what_is_in_them(
    sqlite_template: Path, tmp_path: Path, tier: str, label: dict[str, Any], hours: float
):
    """The same, with a listing that stands in the view: bucket, segment, delta and root differ."""
    worlds = pair(tmp_path, sqlite_template, label)
    one = await views_of(worlds.stage, "a", worlds.with_filler, "vasp", tier, hours)
    two = await views_of(worlds.stage, "b", worlds.with_hidden, "vasp", tier, hours)
    number = bucket_of(id_key(wallet_id(3)))
    assert {"head", "delta", f"bucket {number}", f"segment {number >> 8}"} <= {name for name in one if one[name] != two[name]}


# --- receipts --------------------------------------------------------------------------------------------------------


async def receipt_in(stage: Stage, name: str, wires: list[list[str]]) -> dict[str, Any]:
    """A receipt for the VASP: what it claims but for what is drawn, and what its head stands for."""
    async with stage.open(name, wires) as front:
        transport, headers = httpx.ASGITransport(front.app), stage.headers("vasp")
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            ids = [wallet_id(n) for n in SUBJECTS]
            answer = await client.post("/v1/screen", json={"items": [{"address": one} for one in ids], "receipt": True})
            said = answer.json()
            root = front.node.documents[-1]
            receipt = open_receipt(said["receipt"], root)
            kept = (await client.get(f"/v1/receipts/{receipt.rid}")).json()
            head = check_head(receipt, kept["head"], root)
        asked = [Asked(b64u_decode(salt), one) for salt, one in zip(said["salts"], ids, strict=True)]
        assert [receipt.find(one.salt, one.text) for one in asked] == [0, 1, 2, 3]
        told = {name: value for name, value in receipt.claims().items() if name not in ("rid", "q", "view")}
        return {
            "claims": told,
            "head": (head.root, head.policy, head.as_of),
            "results": said["results"],
            "sizes": (len(answer.content), {name: len(str(value)) for name, value in kept.items()}),
            "headers": _headers(answer),
        }


@pytest.mark.parametrize(("label", "what"), [(RED, "listing"), (STRICT, "guard"), (AMBER, "dispute")])
async def test_a_receipt_says_nothing_of_what_its_owner_may_not_see(
    sqlite_template: Path, tmp_path: Path, label: dict[str, Any], what: str
):
    """Claims, hits, the view of its head and its size are the same beside a hidden statement on the very id."""
    worlds = pair(tmp_path, sqlite_template, label, what)
    assert await receipt_in(worlds.stage, "a", worlds.with_filler) == await receipt_in(worlds.stage, "b", worlds.with_hidden)


# --- federation ------------------------------------------------------------------------------------------------------


async def pages_in(stage: Stage, name: str, wires: list[list[str]], peer: Town) -> list[tuple[Any, ...]]:
    """What the peer `fr` is given of our log: pages, parts, and what a peer may not ask."""
    own = ohash_of("de.example/log")
    async with stage.open(name, wires, **ON) as front:
        federating = Federating(front, peer, front.app.state.api.federated.board, Ear(), read_key(peer.data_dir / "keys" / "node.jwk"))
        federating.restart_tokens()
        async with front.node.database.transaction() as tx:
            await tx.peers.put(PeerRow("fr.example", "fr", "https://fr.example", "0" * 64))
        sids = [sid_in(wire) for batch in wires for wire in batch]
        answers = []
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(front.app), base_url="http://127.0.0.1", auth=federating.signing()
        ) as client:
            for path in (
                f"/fed/v1/entries?o={own}&from=0&to=99",
                f"/fed/v1/entries?o={own}&from=8&to=9",
                f"/fed/v1/parts?o={own}&ids=6,7,8,9",
                f"/fed/v1/parts?o={own}&ids=8",
                "/v1/statements",
                *(f"/v1/statements/{sid}" for sid in sids),
            ):
                answer = await client.get(path)
                where = path if "/statements/" not in path else "/v1/statements/{sid}"
                body = answer.content if "problem" not in answer.headers["content-type"] else answer.json()["code"]
                answers.append((where, answer.status_code, body, _headers(answer, "etag")))
        return answers


@pytest.mark.parametrize("label", [RED, STRICT, AMBER, {"tlp": "RED", "aud": ["nl.example"]}])
async def test_a_peer_outside_the_audience_sees_that_something_is_withheld_and_no_more(
    sqlite_template: Path, tmp_path: Path, label: dict[str, Any]
):
    """Whatever was logged for others is the same line `w`: its kind, size, issuer and subject make no difference to a page."""
    worlds = pair(tmp_path, sqlite_template, label)
    peer = Town.found(tmp_path / "fr", code="fr", clock=worlds.stage.clock)
    one = await pages_in(worlds.stage, "a", worlds.with_filler, peer)
    two = await pages_in(worlds.stage, "b", worlds.with_hidden, peer)
    assert one == two
    assert [answer[1] for answer in one[:5]] == [200, 200, 200, 200, 403]
    assert one[1][2] == b'{"i":8,"w":"stub"}\n'


async def test_the_comparison_of_pages_notices_what_a_peer_may_see(sqlite_template: Path, tmp_path: Path):
    """GREEN goes to peers: the page differs at that line and at no other."""
    worlds = pair(tmp_path, sqlite_template, GREEN)
    peer = Town.found(tmp_path / "fr", code="fr", clock=worlds.stage.clock)
    one = await pages_in(worlds.stage, "a", worlds.with_filler, peer)
    two = await pages_in(worlds.stage, "b", worlds.with_hidden, peer)
    lines = [answers[0][2].splitlines() for answers in (one, two)]
    assert [place for place, both in enumerate(zip(*lines, strict=True)) if both[0] != both[1]] == [8]
