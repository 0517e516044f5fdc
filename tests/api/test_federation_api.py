"""What peers ask over HTTP: who they are, what they are given, what they say, and how they wait (protocol §3.8)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from app.api import federation
from app.api.federation import HeadStream
from app.domain.errors import Quota
from app.domain.statement import ohash_of
from app.index.heads import HeadBoard
from app.seal.bearer import LEEWAY_S
from app.seal.jws import SigningKey
from tests.api.front import Front, problem
from tests.api.peers import Federating, Signing
from tests.factories import Town, accept, wallet
from tests.mirrored import copy_log, foreign_node
from tests.waiting import within

OWN = ohash_of("de.example/log")
FR = ohash_of("fr.example/log")
ENTRIES = f"/fed/v1/entries?o={OWN}&from=0&to=99"
FED_ROUTES = (
    ("GET", ENTRIES),
    ("GET", f"/fed/v1/parts?o={OWN}&ids=1"),
    ("GET", "/fed/v1/heads"),
    ("GET", "/fed/v1/stream"),
    ("POST", "/fed/v1/nudge"),
    ("POST", "/fed/v1/evidence"),
    ("POST", "/fed/v1/acks"),
    ("GET", f"/mirror/{OWN}/checkpoint"),
    ("GET", f"/mirror/{OWN}/tile/0/000.p/6"),
    ("POST", "/witness/add-checkpoint"),
)


def rows(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


# --- who comes -------------------------------------------------------------------------------------------------------


async def test_a_peer_reads_with_a_token_for_each_request(both_federating: Federating) -> None:
    """The token of a pinned peer opens entries, parts and heads by the labels for its node."""
    bka = both_federating.front.town.signer("de.bka#1")
    await accept(
        both_federating.front.node,
        bka.listing(wallet(1), tlp="AMBER", aud=["fr.example"]),
        bka.listing(wallet(2), tlp="AMBER", aud=["nl.example"]),
    )
    client = both_federating.at()
    found = rows(await client.get(ENTRIES))
    assert [line["i"] for line in found] == [*range(8)]
    assert "d" in found[6]
    assert found[7] == {"i": 7, "w": "stub"}
    assert rows(await client.get(f"/fed/v1/parts?o={OWN}&ids=6,7")) == found[6:]
    assert (await client.get("/fed/v1/heads")).status_code == 204  # nothing was put on the board yet


async def test_a_token_that_is_not_for_this_request_opens_nothing(federating: Federating) -> None:
    """Other method, URL, query, body, audience, time, node, key: 401, the same words each time."""
    now = federating.front.town.clock() // 1000
    stranger = SigningKey.derive("fr.example#1", b"not its key, at all, of 32 bytes")
    unknown = SigningKey.derive("nl.example#1", b"a node that nobody here has pinned")
    wrong: list[dict[str, Any]] = [
        {"method": "POST"},
        {"url": "http://127.0.0.1:8000/fed/v1/entries"},
        {"url": f"http://127.0.0.1:8000/fed/v1/entries?o={OWN}&from=0&to=98"},
        {"url": f"https://127.0.0.1:8000{ENTRIES}"},
        {"url": ENTRIES},
        {"body": b"{}"},
        {"audience": "nl.example"},
        {"now": now - LEEWAY_S - 1},
        {"now": now + LEEWAY_S + 1},
        {"now": now - 7_200},
        {"now": now + 7_200},
        {"node": "nl.example"},
        {"key": stranger},
        {"key": unknown, "node": "nl.example"},
    ]
    told = set()
    for changes in wrong:
        answer = await federating.at(**changes).get(ENTRIES)
        assert problem(answer) == (401, "unauthenticated"), changes
        told.add(answer.json()["detail"])
    assert len(told) == 1
    body = {"o": FR, "size": 7}
    assert problem(await federating.at(body=b'{"o":"x"}').post("/fed/v1/nudge", json=body)) == (401, "unauthenticated")
    assert federating.ear.heard == []
    for given in ("Bearer a.b.c", "Bearer ...", "Bearer .", f"Basic {'a' * 20}.b.c", "Bearer " + "e" * 9000 + "."):
        assert problem(await federating.front.at(Authorization=given).get(ENTRIES)) == (401, "unauthenticated")


async def test_a_token_is_good_once(both_federating: Federating) -> None:
    """Sent again it is refused: at once, together with itself, and after a restart, which forgets nothing."""
    federating = both_federating
    signing = federating.signing()
    client = federating.front.at(Authorization=f"Bearer {signing.token('GET', ENTRIES)}")
    assert (await client.get(ENTRIES)).status_code == 200
    assert problem(await client.get(ENTRIES)) == (401, "unauthenticated")
    federating.restart_tokens()
    assert problem(await client.get(ENTRIES)) == (401, "unauthenticated")
    again = federating.front.at(Authorization=f"Bearer {signing.token('GET', ENTRIES)}")
    statuses = [answer.status_code for answer in await asyncio.gather(*[again.get(ENTRIES) for _ in range(6)])]
    assert sorted(statuses) == [200, *[401] * 5]


async def test_a_token_stays_used_until_it_has_run_out(federating: Federating) -> None:
    """For as long as its time would be accepted, also while old tokens are forgotten."""
    clock = federating.front.town.clock
    signing = replace(federating.signing(), overridden={"now": clock() // 1000 + LEEWAY_S})
    client = federating.front.at(Authorization=f"Bearer {signing.token('GET', ENTRIES)}")
    assert (await client.get(ENTRIES)).status_code == 200
    for _ in range(2 * LEEWAY_S // 20):
        clock.advance(s=20)  # type: ignore[attr-defined]
        await federating.at().get(ENTRIES)
        assert problem(await client.get(ENTRIES)) == (401, "unauthenticated")


async def test_a_peer_that_was_removed_is_a_stranger(federating: Federating) -> None:
    """At once, whatever its keys are; one whose key left its root document, too."""
    client = federating.at()
    assert (await client.get(ENTRIES)).status_code == 200
    async with federating.front.node.database.transaction() as tx:
        assert await tx.peers.remove("fr.example")
    assert problem(await client.get(ENTRIES)) == (401, "unauthenticated")
    federating.restart_tokens(with_keys=False)
    assert problem(await client.get(ENTRIES)) == (401, "unauthenticated")


async def test_a_peer_is_a_peer_and_nothing_more(federating: Federating) -> None:
    """It follows and gossips; it does not read records, which would hand on what others logged for it, nor screen, nor keep keys."""
    client = federating.at()
    for path in (
        f"/v1/screen?id={wallet(1)['id']}",
        "/v1/held",
        "/v1/search?q=x",
        f"/v1/statements/{'A' * 43}",
        f"/v1/wallets?id={wallet(1)['id']}",
    ):
        assert problem(await client.get(path)) == (403, "forbidden"), path
    assert problem(await client.post("/v1/api-keys", json={"member": "de.exchange", "scopes": ["screen"]})) == (403, "forbidden")


async def test_who_was_given_entries_is_written_down(federating: Federating) -> None:
    """Before the answer leaves: of a peer the range, of a member each statement; a page of nothing but withheld lines writes nothing."""
    front = federating.front
    (hidden,) = await accept(front.node, front.town.signer("de.bka#1").listing(wallet(1), tlp="RED", aud=["de.bka"]))
    agency = front.at(await front.key("de.lka", "agency"))
    for client in (federating.at(), agency):
        rows(await client.get(f"/fed/v1/entries?o={OWN}&from=4&to=6"))
        assert rows(await client.get(f"/fed/v1/parts?o={OWN}&ids={hidden.index}")) == [{"i": 6, "w": "stub"}]
    await front.node.access_log.settle()
    async with front.node.database.reading() as tx:
        kept = [row.entry for row in await tx.audit.page() if row.entry.action == "read_entries"]
    assert [(entry.actor.partition("/")[0], entry.subject, len(entry.sids)) for entry in kept] == [
        ("peer", f"{OWN}/4-6", 0),
        ("de.lka", f"{OWN}/4-6", 2),
    ]
    assert kept[1].purpose == "fraud_prevention"


async def test_what_is_for_everybody_needs_no_memory_of_tokens(federating: Federating) -> None:
    """Checkpoints and hash tiles may be asked for with one token twice; entries may not, not even in bundles."""
    signing = federating.signing()
    for path, second in (("/log/checkpoint", 200), ("/log/tile/0/000.p/6", 200), ("/log/tile/entries/000.p/6", 401)):
        client = federating.front.at(Authorization=f"Bearer {signing.token('GET', path)}")
        assert [(await client.get(path)).status_code for _ in range(2)] == [200, second], path
    client = federating.front.at(Authorization=f"Bearer {signing.token('GET', '/log/checkpoint')}")
    assert problem(await client.get("/log/tile/0/000.p/6")) == (401, "unauthenticated")


async def test_members_may_read_what_their_keys_allow(federating: Federating) -> None:
    """API keys with the scope `read` follow by label, an agency says why; nobody without a key, and nobody but peers gossips."""
    front = federating.front
    await accept(front.node, front.town.signer("de.bka#1").listing(wallet(1), tlp="AMBER", aud=["de.example"]))
    vasp, agency, scopeless = await front.key(), await front.key("de.lka", "agency"), await front.key(scopes=("screen",))
    clear = await front.key(tier="clear")
    assert ["d" in line for line in rows(await front.at(vasp).get(ENTRIES))][6:] == [True]
    assert ["d" in line for line in rows(await front.at(agency).get(ENTRIES))][6:] == [True]
    assert rows(await front.at(clear).get(ENTRIES))[6:] == [{"i": 6, "w": "stub"}]
    assert problem(await front.at(agency, why=False).get(ENTRIES)) == (422, "schema")
    assert problem(await front.at(scopeless).get(ENTRIES)) == (403, "forbidden")
    assert problem(await front.at().get(ENTRIES)) == (401, "unauthenticated")
    assert problem(await front.at(vasp).post("/fed/v1/nudge", json={"o": FR, "size": 1})) == (403, "forbidden")
    assert problem(await front.at(agency).get("/fed/v1/stream")) == (403, "forbidden")
    assert federating.ear.heard == []


async def test_a_node_that_does_not_federate_has_no_such_routes(front: Front) -> None:
    """404, as for any path that is not there; the description names them all the same."""
    async with front.at() as client:
        for method, path in FED_ROUTES:
            assert problem(await client.request(method, path)) == (404, "not_found"), path
    described = set(front.app.openapi()["paths"])
    assert {"/fed/v1/entries", "/fed/v1/stream", "/mirror/{ohash}/checkpoint", "/witness/add-checkpoint"} <= described


# --- what is asked ---------------------------------------------------------------------------------------------------


async def test_ranges_have_one_spelling(federating: Federating) -> None:
    """Numbers without sign or zeros in front, a hash of 64 digits, indices upwards and at most 256; everything else is 422."""
    client = federating.at()
    for query in (
        f"o={OWN}&from=0",
        "o=x&from=0&to=1",
        f"o={OWN.upper()}&from=0&to=1",
        f"o={OWN}&from=-1&to=1",
        f"o={OWN}&from=00&to=1",
        f"o={OWN}&from=2&to=1",
        f"o={OWN}&from=0&to={2**53}",
        f"o={OWN}&from=0&to=1&x=1",
        f"o={OWN}&from=0&from=0&to=1",
    ):
        assert problem(await client.get(f"/fed/v1/entries?{query}")) == (422, "schema"), query
    for ids in ("", ",", "1,", "2,1", "1,1", "01", "+1", ",".join(map(str, range(257)))):
        assert problem(await client.get(f"/fed/v1/parts?o={OWN}&ids={ids}")) == (422, "schema"), ids
    assert problem(await client.get(f"/fed/v1/entries?o={'0' * 64}&from=0&to=1")) == (404, "not_found")
    assert problem(await client.get(f"/fed/v1/parts?o={OWN}&ids=99")) == (404, "not_found")
    assert rows(await client.get(f"/fed/v1/entries?o={OWN}&from=50&to=60")) == []


async def test_mirrors_are_there_for_everybody(federating: Federating, tmp_path: Any) -> None:
    """Checkpoint and hash tiles of a mirrored log without a key; a bundle by the relay rule; other hashes are not found."""
    front = federating.front
    async with foreign_node(tmp_path / "far", front.town.clock, code="nl") as (town, nl):
        await accept(nl, town.signer("nl.bka#1").listing(wallet(1), tlp="AMBER", aud=["de.example"]))
        origin = await copy_log(nl, front.node.database)
        note = (await nl.publisher.checkpoint()).note
    ohash = ohash_of(origin)
    public, peer = front.at(), federating.at()
    answer = await public.get(f"/mirror/{ohash}/checkpoint")
    assert (answer.text, answer.headers["cache-control"]) == (note, "no-store")
    assert len((await public.get(f"/mirror/{ohash}/tile/0/000.p/7")).content) == 224
    assert problem(await peer.get(f"/mirror/{ohash}/tile/entries/000.p/7")) == (404, "not_found")
    assert (await peer.get(f"/mirror/{ohash}/tile/entries/000.p/6")).status_code == 200
    assert rows(await peer.get(f"/fed/v1/entries?o={ohash}&from=6&to=9")) == [{"i": 6, "w": "stub"}]
    assert (await public.get(f"/mirror/{OWN}/checkpoint")).text == (await public.get("/log/checkpoint")).text
    for unknown in ("0" * 64, "x", OWN.upper(), OWN + "0"):
        assert problem(await public.get(f"/mirror/{unknown}/checkpoint")) == (404, "not_found")
        assert problem(await public.get(f"/mirror/{unknown}/tile/0/000.p/1")) == (404, "not_found")


async def test_an_operator_may_keep_mirrors_to_key_holders(town: Town, sqlite_migrated_url: str) -> None:
    """LOG_PUBLIC=false holds for mirrors as it does for the own log."""
    from tests.api.peers import open_federating

    async with open_federating(town, sqlite_migrated_url, log_public=False) as federating:
        path = f"/mirror/{OWN}/checkpoint"
        assert problem(await federating.front.at().get(path)) == (401, "unauthenticated")
        signing = federating.signing()
        client = federating.front.at(Authorization=f"Bearer {signing.token('GET', path)}")
        assert [(await client.get(path)).status_code for _ in range(2)] == [200, 401]


# --- what moves ------------------------------------------------------------------------------------------------------


async def test_heads_wait_for_what_moves(federating: Federating) -> None:
    """Everything first, then with `wait` the next head as soon as it is there, or 204."""
    client, board = federating.at(), federating.board
    board.put("fr.example/log", "note 1\n", 1)
    first = (await client.get("/fed/v1/heads")).json()
    assert first["heads"] == [{"o": FR, "origin": "fr.example/log", "note": "note 1\n"}]
    assert (await client.get(f"/fed/v1/heads?since={first['next']}")).status_code == 204
    assert (await client.get(f"/fed/v1/heads?since={first['next']}&wait=1")).status_code == 204
    waiting = asyncio.create_task(client.get(f"/fed/v1/heads?since={first['next']}&wait=20"))
    await asyncio.sleep(0.05)
    board.put("de.example/log", "note 2\n", 2)
    async with within(5):
        assert [head["note"] for head in (await waiting).json()["heads"]] == ["note 2\n"]
    for query in ("wait=26", "wait=-1", "wait=1.5", f"since={'a' * 65}"):
        assert problem(await client.get(f"/fed/v1/heads?{query}")) == (422, "schema")


class Line:
    """The two ends of one streamed answer: what was sent, and when the client goes."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.status = 0
        self.arrived = asyncio.Event()
        self.left = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        self.status = message.get("status", self.status)
        self.sent.append(message.get("body", b""))
        self.arrived.set()

    async def until(self, text: bytes) -> None:
        async with within(5):
            while text not in b"".join(self.sent):
                self.arrived.clear()
                await self.arrived.wait()


async def test_a_stream_tells_growth_and_ends_with_its_client() -> None:
    """`head` events without data of the log, one a log however fast it grows; when the client goes nothing of it is left."""
    board, line = HeadBoard(), Line()
    running = asyncio.create_task(HeadStream(board, "fr.example")({}, line.receive, line.send))
    await line.until(b": heads")
    for size in range(1, 50):
        board.put("fr.example/log", f"note {size}", size)
    await line.until(b"\n\n" + b'event: head\ndata: {"o":"%s","size":49}\n\n' % FR.encode())
    assert b"".join(line.sent).count(b"event: head") == 1
    line.left.set()
    async with within(5):
        await running
    assert board.listeners == 0


async def test_a_quiet_stream_says_that_it_lives_and_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment now and then; after its time the stream ends by itself, so that a peer must show a good key again."""
    board, line = HeadBoard(), Line()
    monkeypatch.setattr(federation, "COMMENT_EVERY_S", 0.02)
    # Its time goes by with what it says: the machine may stand still.
    monkeypatch.setattr(federation, "STREAM_S", 10)
    monkeypatch.setattr(federation, "time", SimpleNamespace(monotonic=lambda: len(line.sent)))
    async with within(5):
        await HeadStream(board, "fr.example")({}, line.receive, line.send)
    assert line.sent.count(b":\n\n") == 10
    assert line.sent[-1] == b""
    assert board.listeners == 0


async def test_a_client_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stream ends after a while; meanwhile others are told, and what waits for it is one size a log."""
    monkeypatch.setattr(federation, "STALLED_S", 0.1)
    board, stalled, other = HeadBoard(), Line(), Line()
    running = [asyncio.create_task(HeadStream(board, who)({}, line.receive, line.send)) for who, line in (("a", stalled), ("b", other))]
    await other.until(b": heads")
    await stalled.until(b": heads")
    stalled.reads.clear()
    board.put("fr.example/log", "note 1", 1)
    await other.until(b'"size":1}')
    async with within(5):
        await running[0]
    assert board.listeners == 1
    other.left.set()
    await running[1]


async def test_a_peer_has_a_bounded_number_of_streams() -> None:
    """The next one is refused before its answer begins."""
    board, line = HeadBoard(most_signals=1), Line()
    with board.subscribe("fr.example"), pytest.raises(Quota):
        await HeadStream(board, "fr.example")({}, line.receive, line.send)
    assert line.sent == []


# --- what is told ----------------------------------------------------------------------------------------------------


async def test_what_peers_say_is_handed_on_with_their_name(federating: Federating) -> None:
    """Nudge, evidence and acknowledgement, as sent and by whom; the acknowledgement with its signed request."""
    client, sid = federating.at(), "A" * 43
    assert (await client.post("/fed/v1/nudge", json={"o": FR, "size": 7})).status_code == 204
    answer = await client.post("/fed/v1/evidence", content="cordon-fork/v1\n", headers={"Content-Type": "text/plain; charset=utf-8"})
    assert answer.status_code == 202
    acked = await client.post("/fed/v1/acks", json={"o": OWN, "size": 9, "sids": [sid]})
    assert acked.status_code == 204
    nudge, evidence, acks = federating.ear.heard
    assert nudge == ("nudge", "fr.example", FR, 7)
    assert evidence == ("evidence", "fr.example", "cordon-fork/v1\n")
    assert acks == ("acks", "fr.example", OWN, 9, (sid,), acked.request.headers["authorization"].removeprefix("Bearer "))


async def test_what_cannot_be_read_is_not_handed_on(federating: Federating) -> None:
    """Other types, other members, other forms, too much: refused with the code of what is wrong."""
    client = federating.at()
    text = {"Content-Type": "text/plain"}
    for body in (
        {},
        {"o": FR},
        {"o": FR, "size": -1},
        {"o": FR, "size": "1"},
        {"o": "x", "size": 1},
        {"o": FR, "size": 1, "x": 1},
    ):
        assert problem(await client.post("/fed/v1/nudge", json=body)) == (422, "schema"), body
    for sids in ([], ["x"], ["A" * 44], ["A" * 43] * 1001):
        assert problem(await client.post("/fed/v1/acks", json={"o": FR, "size": 1, "sids": sids}))[0] == 422, sids[:1]
    assert problem(await client.post("/fed/v1/nudge", content=b"{}", headers=text)) == (415, "unsupported_media_type")
    assert problem(await client.post("/fed/v1/nudge", content=b"{", headers={"Content-Type": "application/json"})) == (400, "bad_json")
    assert problem(await client.post("/fed/v1/evidence", json={})) == (415, "unsupported_media_type")
    assert problem(await client.post("/fed/v1/evidence", content=b"\xff", headers=text)) == (400, "malformed")
    assert problem(await client.post("/fed/v1/evidence", content=b"a" * 70_000, headers=text)) == (413, "too_large")
    assert federating.ear.heard == []


def test_the_helper_signs_as_a_node_does(federating: Federating) -> None:
    """What the tests send is what `sign_request` makes, by the key of the peer's root document."""
    assert isinstance(federating.signing(), Signing)
    assert federating.key.kid == "fr.example#1"
