"""Submitting and reading statements over HTTP."""

from __future__ import annotations

import json

import httpx

from app.services.admit import Admitted
from tests.api.front import Front, problem
from tests.factories import GUARD, entity, sid_in, wallet

SD_JWT = {"Content-Type": "application/sd-jwt"}
TEXT = {"Content-Type": "text/plain"}


async def test_a_signed_statement_needs_no_key(both_fronts: Front) -> None:
    """201 with a receipt that verifies offline; the same bytes again are known and keep index and time."""
    front, wire = both_fronts, both_fronts.town.signer("de.bka#1").listing(wallet(1))
    async with front.at() as client:
        first = await client.post("/v1/statements", content=wire, headers=SD_JWT)
        again = await client.post("/v1/statements", content=wire, headers=SD_JWT)
    assert (first.status_code, again.status_code) == (201, 200)
    one, two = first.json(), again.json()
    assert one["status"] == "accepted"
    assert two["status"] == "known"
    assert (
        (one["sid"], one["index"], one["accepted_ms"])
        == (two["sid"], two["index"], two["accepted_ms"])
        == (sid_in(wire), 6, front.town.clock())
    )
    admitted = (await front.node.gate.submit([wire]))[0]
    assert isinstance(admitted, Admitted)
    for words in (one, two):
        front.town.check_receipt(
            wire, Admitted(words["sid"], admitted.status, None, words["index"], words["accepted_ms"], words["receipt"])
        )


async def test_accept_text_gives_the_receipt_alone(front: Front) -> None:
    """For shells: nothing but the proof."""
    wire = front.town.signer("de.bka#1").listing(wallet(1))
    async with front.at() as client:
        answer = await client.post("/v1/statements", content=wire, headers={**SD_JWT, "Accept": "text/plain"})
    assert answer.status_code == 201
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith("c2sp.org/tlog-proof@v1\n")


async def test_a_batch_answers_row_by_row(both_fronts: Front) -> None:
    """NDJSON, one line per input line in order; each row stands alone, with its own problem."""
    front, bka = both_fronts, both_fronts.town.signer("de.bka#1")
    wires = [bka.listing(wallet(1)), "nonsense", bka.listing(wallet(2, severity=9)), bka.listing(wallet(3))]
    async with front.at() as client:
        answer = await client.post("/v1/statements", content="\n".join(wires) + "\n", headers=TEXT)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["row"] for row in rows] == [1, 2, 3, 4]
    assert [row.get("status") or row["error"]["code"] for row in rows] == ["accepted", "malformed", "schema", "accepted"]
    assert rows[2]["error"]["errors"][0]["pointer"] == "/parts/core/0/severity"


async def test_a_batch_has_at_most_500_lines(front: Front) -> None:
    """The 501st is refused with all others: nothing is half-kept."""
    before = front.node.own_log.size
    async with front.at() as client:
        answer = await client.post("/v1/statements", content="\n".join("x" * 501), headers=TEXT)
        empty = await client.post("/v1/statements", content="\n", headers=TEXT)
    assert problem(answer) == (413, "too_large")
    assert problem(empty) == (400, "malformed")
    assert front.node.own_log.size == before


async def test_only_two_content_types_are_read(front: Front) -> None:
    """JSON and none at all are 415, and say what would do."""
    async with front.at() as client:
        for headers in ({"Content-Type": "application/json"}, {}, {"Content-Type": "text/plain; charset=latin-1"}):
            answer = await client.post("/v1/statements", content=b"{}", headers=headers)
            assert problem(answer) == (415, "unsupported_media_type")


async def test_a_refusal_has_its_own_code_and_status(front: Front) -> None:
    """The gate's codes come through: who signs, what for, and what is said."""
    town = front.town
    bka = town.signer("de.bka#1")
    cases = [
        (town.signer("de.nobody#1").listing(wallet(1)), (401, "unknown_kid")),
        (bka.listing(wallet(1), org="fr.example/log"), (403, "wrong_origin")),
        (bka.say("retract", {"t": ["A" * 43]}), (409, "target_not_earlier")),
        (bka.say("whatever"), (422, "unknown_kind")),
        (bka.listing(wallet("eip155:0:0xABC")), (422, "schema")),
    ]
    async with front.at() as client:
        for wire, expected in cases:
            assert problem(await client.post("/v1/statements", content=wire, headers=SD_JWT)) == expected


async def test_a_held_statement_is_told_and_found_by_its_agency_alone(both_fronts: Front) -> None:
    """202 with a reason and no receipt; `/v1/held` shows it to its issuer and to no other member; an approval logs both."""
    front, town = both_fronts, both_fronts.town
    bka = town.signer("de.bka#1")
    async with front.at() as public:
        guard = bka.listing(wallet(1, **GUARD))
        assert (await public.post("/v1/statements", content=guard, headers=SD_JWT)).status_code == 201
        wire = bka.listing(wallet(1))
        held = await public.post("/v1/statements", content=wire, headers=SD_JWT)
        assert held.status_code == 202
        assert held.json() == {"sid": sid_in(wire), "status": "held", "reason": "protected"}
        keys = await front.keys()
        async with front.at(keys["agency"]) as own, front.at(keys["other_agency"]) as other, front.at(keys["vasp"]) as vasp:
            assert [one["sid"] for one in (await own.get("/v1/held")).json()["items"]] == [sid_in(wire)]
            assert (await other.get("/v1/held")).json() == {"items": [], "next": None}
            assert problem(await vasp.get("/v1/held")) == (403, "forbidden")
            assert problem(await public.get("/v1/held")) == (401, "unauthenticated")
        approval = town.signer("de.bka#2").approve(sid_in(wire))
        assert (await public.post("/v1/statements", content=approval, headers=SD_JWT)).status_code == 201
        async with front.at(keys["agency"]) as own:
            assert (await own.get("/v1/held")).json()["items"] == []
            proof = await own.get(f"/v1/statements/{sid_in(wire)}/proof")
        assert proof.text.startswith("c2sp.org/tlog-proof@v1\n")


async def test_a_record_shows_what_the_caller_may_read(both_fronts: Front) -> None:
    """Parts come open, or `withheld`; what is above the caller is not found at all, like what never was."""
    front, town = both_fronts, both_fronts.town
    bka = town.signer("de.bka#1")
    wire = bka.listing(
        wallet(1),
        tlp="CLEAR",
        others={"ctx": [{"note": "how it was found"}]},
        labels={"core": {"tlp": "CLEAR"}, "ctx": {"tlp": "RED", "aud": ["de.bka"]}},
    )
    hidden = bka.listing(wallet(2), tlp="AMBER", aud=["de.lka"])
    async with front.at() as public:
        assert (await public.post("/v1/statements", content=wire, headers=SD_JWT)).status_code == 201
        assert (await public.post("/v1/statements", content=hidden, headers=SD_JWT)).status_code == 201
        front.town.clock.advance(days=4)
        record = (await public.get(f"/v1/statements/{sid_in(wire)}")).json()
        assert [item["type"] for item in record["parts"]["core"]] == ["wallet", "context"]
        assert record["parts"]["ctx"] == "withheld"
        missing = [problem(await public.get(f"/v1/statements/{sid}")) for sid in (sid_in(hidden), "A" * 43, "nonsense")]
        assert missing == [(404, "not_found")] * 3
        proofs = [problem(await public.get(f"/v1/statements/{sid}/proof")) for sid in (sid_in(hidden), "A" * 43)]
        assert proofs == [(404, "not_found")] * 2
    async with front.at(await front.key("de.bka", "agency")) as own:
        assert (await own.get(f"/v1/statements/{sid_in(wire)}")).json()["parts"]["ctx"] == [{"note": "how it was found"}]
        assert (await own.get(f"/v1/statements/{sid_in(hidden)}")).status_code == 200


async def test_statements_come_in_pages(both_fronts: Front) -> None:
    """By time of acceptance, filtered by issuer, kind and since; `next` leads on and ends in null, and hidden ones leave no gap."""
    front, bka, lka = both_fronts, both_fronts.town.signer("de.bka#1"), both_fronts.town.signer("de.lka#1")
    wires = [bka.listing(wallet(n)) if n % 2 else lka.listing(wallet(n), tlp="AMBER", aud=["de.lka"]) for n in range(10)]
    await front.node.gate.submit(wires)
    async with front.at(await front.key()) as client:
        seen, url, pages = [], "/v1/statements?kind=listing&limit=2", 0
        while url:
            page = (await client.get(url)).json()
            seen += [one["sid"] for one in page["items"]]
            url, pages = page["next"], pages + 1
        assert seen == [sid_in(wires[n]) for n in range(1, 10, 2)]
        assert pages == 3
        assert (await client.get("/v1/statements?issuer=de.lka")).json()["items"] == []
        assert (await client.get("/v1/statements?since=2100-01-01T00:00:00Z")).json()["items"] == []
        for query in (
            "limit=0",
            "limit=1001",
            "limit=+7",
            "limit=%EF%BC%97",
            "since=yesterday",
            "since=2026-02-30T00:00:00Z",
            "unknown=1",
            "kind=a&kind=b",
        ):
            assert problem(await client.get(f"/v1/statements?{query}")) == (422, "schema"), query


async def test_an_entity_statement_can_be_read_back(front: Front) -> None:
    """A record says what was signed, byte for byte: its JWS is the first segment of the wire."""
    wire = front.town.signer("de.bka#1").listing(entity("golden-sun"))
    async with front.at(await front.key()) as client:
        await client.post("/v1/statements", content=wire, headers=SD_JWT)
        record = (await client.get(f"/v1/statements/{sid_in(wire)}")).json()
    assert record["jws"] == wire.split("~")[0]
    assert sorted(record["disclosures"]) == sorted(wire.rstrip("~").split("~")[1:])


async def test_the_door_and_the_route_give_the_same(front: Front) -> None:
    """Whatever is sent, accepted or refused: status, body and header fields are those of the documented route, request id and time apart."""
    bka = front.town.signer("de.bka#1")
    good, other = bka.listing(wallet(1)), bka.listing(wallet(2))
    sd_jwt, text = "application/sd-jwt", "text/plain"
    asked: list[tuple[bytes, dict[str, str]]] = [
        (good.encode(), {"Content-Type": sd_jwt}),
        (good.encode(), {"Content-Type": sd_jwt, "Accept": "text/plain"}),
        (good.encode(), {"Content-Type": f"{sd_jwt.upper()}; charset=utf-8", "Accept": "application/json, text/plain"}),
        (f"{good}\n{other}\nrubbish\n".encode(), {"Content-Type": text}),
        (b"rubbish", {"Content-Type": sd_jwt}),
        (b"\xff", {"Content-Type": sd_jwt}),
        (b"", {"Content-Type": sd_jwt}),
        (b"", {"Content-Type": text}),
        (b"a\n" * 501, {"Content-Type": text}),
        (good.encode(), {"Content-Type": "application/json"}),
        (good.encode(), {"Content-Type": f"{sd_jwt}; charset=latin-1"}),
        (good.encode(), {}),
        (good.encode(), {"Content-Type": sd_jwt, "Accept": "image/png"}),
        (good.encode(), {"Content-Type": sd_jwt, "Content-Encoding": "gzip"}),
        (b"x" * 1_100_000, {"Content-Type": sd_jwt}),
    ]
    client = front.at()
    await client.get("/livez")
    for body in (good, other):
        await client.post("/v1/statements", content=body, headers={"Content-Type": sd_jwt})
    doors = front.app.middleware_stack._doors
    for body, headers in asked:
        through_door = await client.post("/v1/statements", content=body, headers=headers)
        taken = dict(doors)
        doors.clear()
        through_route = await client.post("/v1/statements", content=body, headers=headers)
        doors.update(taken)
        assert _comparable(through_door) == _comparable(through_route), (body[:40], headers)
    for extra in ({"Idempotency-Key": "k-1"}, {"Authorization": "Bearer nonsense"}):
        answer = await client.post("/v1/statements", content=good, headers={"Content-Type": sd_jwt, **extra})
        assert answer.status_code == (200 if "Idempotency-Key" in extra else 401), "what asks for more goes to the route"
    assert (await client.post("/v1/statements?x=1", content=good, headers={"Content-Type": sd_jwt})).status_code == 422


def _comparable(answer: httpx.Response) -> tuple[int, str, dict[str, str]]:
    fields = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "ratelimit")}
    fields["ratelimit?"] = str("ratelimit" in answer.headers)
    return answer.status_code, answer.text.replace(answer.headers["x-request-id"], "ID"), fields
