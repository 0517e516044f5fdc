"""Lists over HTTP: streams of rows in and out, the compact form of JSON, their quotas, and what they never do to others."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from app.api import edge
from app.api.edge import WHOLE
from tests.api.front import Front, problem
from tests.factories import sid_in, wallet, wallet_id
from tests.index.addresses import evm, mixed, tron


def address(number: int) -> str:
    return wallet_id(number).rpartition(":")[2]


async def listed(front: Front, *items: dict) -> str:
    wire = front.town.signer("de.bka#1").listing(*items)
    await front.node.gate.submit([wire])
    return sid_in(wire)


LINES, CSV, NDJSON, JSON = ({"Content-Type": kind} for kind in ("text/plain", "text/csv", "application/x-ndjson", "application/json"))


async def test_a_list_comes_back_in_the_type_it_was_sent_in(both_fronts: Front) -> None:
    """NDJSON with a summary, CSV with its scalar members, plain lines; the source of truth and its state in headers."""
    front = both_fronts
    await listed(front, wallet(1))
    async with front.at(await front.key()) as client:
        plain = await client.post("/v1/screen", content=f"{address(1)}\n{evm(2)}\nx\n", headers=LINES)
        objects = await client.post(
            "/v1/screen", content=f'{{"address":"{address(1)}","reference":"r"}}\n{{"address":"x"}}\n', headers=NDJSON
        )
        table = await client.post("/v1/screen", content=f"address\n{address(1)}\n{evm(2)}\nx\n", headers=CSV)
    assert [answer.headers["content-type"].partition(";")[0] for answer in (plain, objects, table)] == [
        "text/plain",
        "application/x-ndjson",
        "text/csv",
    ]
    assert [json.loads(line)["match"] for line in plain.text.splitlines()] == ["listed", "not_listed", "invalid"]
    first, second, last = map(json.loads, objects.text.splitlines())
    assert (first["match"], first["reference"], first["statements"][0]["issuer"]) == ("listed", "r", "de.bka")
    assert (second["match"], last) == ("invalid", {"summary": {"rows": 2, "listed": 1, "invalid": 1}})
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["row"], row["match"], row["severity"], row["human_review"], row["error"]) for row in rows] == [
        ("0", "listed", "3", "required", ""),
        ("1", "not_listed", "", "", ""),
        ("2", "invalid", "", "", "length"),
    ]
    for answer in (plain, objects, table):
        assert answer.headers["cordon-as-of"].endswith("Z")
        assert answer.headers["cordon-degraded"] == "false"
        assert answer.headers["cache-control"] == "no-store"


async def test_only_hits_if_only_hits_are_asked_for(front: Front) -> None:
    """`?include=hits`: listed and invalid rows with their numbers; an empty list and one without hits are answered, too."""
    await listed(front, wallet(1))
    texts = [mixed(number) for number in range(12_000)]
    texts[7_777], texts[11_999] = address(1), "x"
    async with front.at(await front.key()) as client:
        answer = await client.post("/v1/screen?include=hits", content="\n".join(texts), headers=NDJSON | LINES)
        found = [json.loads(line) for line in answer.text.splitlines()]
        assert [(words["row"], words["match"]) for words in found] == [(7_777, "listed"), (11_999, "invalid")]
        for content, kind, want in (
            (b"", LINES, ""),
            (b"", NDJSON, '{"summary":{"rows":0,"listed":0,"invalid":0}}\n'),
            (b"address\n", CSV, None),
        ):
            empty = await client.post("/v1/screen?include=hits", content=content, headers=kind)
            assert empty.status_code == 200
            assert want is None or empty.text == want


async def test_the_compact_form_of_json_is_answered_as_any_other_form(front: Front) -> None:
    """One blank more in the body and the careful reader answers: the same bytes but for the time. Wrong checksums are told in both."""
    await listed(front, wallet(1), wallet(2))
    wrong = evm(1)[:-1] + ("0" if evm(1)[-1] != "0" else "1")
    rows = ",".join(f'{{"address":"{text}"}}' for text in (address(1), tron(5), "x", wrong, address(2)))
    async with front.at(await front.key()) as client:
        for ending in ('],"include":"hits"}', '],"include":"all"}', "]}"):
            bodies = (f'{{"items":[{rows}{ending}', f'{{"items": [{rows}{ending}')
            compact, other = [
                await client.post("/v1/screen", content=body, headers={"Content-Type": "application/json"}) for body in bodies
            ]
            assert compact.status_code == other.status_code == 200
            assert compact.json() == other.json()
            assert [row["match"] for row in compact.json()["results"] if row["row"] != 1] == ["listed", "invalid", "invalid", "listed"]
            assert compact.headers["cache-control"] == other.headers["cache-control"]


async def test_a_list_takes_from_the_day_as_many_as_it_has_rows(front: Front) -> None:
    """429 beyond it, with what is left told once; a list that is refused before it is read takes nothing."""
    key = await front.key(quota={"requests_per_minute": 1_000, "addresses_per_day": 10})
    async with front.at(key) as client:
        for include in ("all", "hits"):
            answer = await client.post(f"/v1/screen?include={include}", content="x\nx\nx", headers=LINES)
            assert answer.status_code == 200
            assert answer.headers["ratelimit"].count('"addresses"') == 1
        assert '"addresses";r=4' in answer.headers["ratelimit"]
        for include in ("all", "hits"):
            refused = await client.post(f"/v1/screen?include={include}", content="x\n" * 5, headers=LINES)
            assert problem(refused) == (429, "quota")
        compact = await client.post("/v1/screen", content=b'{"items":[{"address":"x"}]}', headers={"Content-Type": "application/json"})
        assert '"addresses";r=3' in compact.headers["ratelimit"]


@pytest.mark.parametrize(
    ("path", "content", "headers", "want"),
    [
        ("/v1/screen?include=some", b"x", LINES, (422, "schema")),
        ("/v1/screen?checksums=yes", b"x", LINES, (422, "schema")),
        ("/v1/screen?include=hits", b'{"items":[]}', {"Content-Type": "application/json"}, (422, "schema")),
        ("/v1/screen", b"x", {**LINES, "Idempotency-Key": "k"}, (422, "schema")),
        ("/v1/screen", b"adress\nx", CSV, (422, "schema")),
        ("/v1/screen?include=hits", b"adress\nx", CSV, (422, "schema")),
        ("/v1/screen", b"x", {"Content-Type": "text/plain; charset=latin-1"}, (415, "unsupported_media_type")),
        ("/v1/screen", b"x", {**LINES, "Content-Encoding": "gzip"}, (415, "unsupported_media_type")),
        ("/v1/screen", b"x", {**LINES, "Accept": "image/png"}, (406, "not_acceptable")),
    ],
)
async def test_what_is_wrong_with_the_whole_list_is_a_problem(front: Front, path: str, content: bytes, headers: dict, want: tuple) -> None:
    """And no row is answered."""
    async with front.at(await front.key()) as client:
        assert problem(await client.post(path, content=content, headers=headers)) == want


async def test_a_stream_may_be_larger_than_a_body_of_json(front: Front) -> None:
    """128 MiB by its declared length; one byte more is refused before it is read."""
    assert edge.body_bytes("POST", "/v1/screen", b"text/csv; charset=utf-8") == 128 * 1024 * 1024
    assert edge.body_bytes("POST", "/v1/screen", b"application/json") == 8 * 1024 * 1024
    assert edge.body_bytes("POST", "/v1/keys", b"text/csv") == 64 * 1024
    async with front.at(await front.key()) as client:
        answer = await client.post("/v1/screen", content=b"x", headers={**LINES, "Content-Length": str(128 * 1024 * 1024 + 1)})
        assert problem(answer) == (413, "too_large")


async def test_a_cell_is_never_a_formula(front: Front) -> None:
    """What a spreadsheet would compute stands behind an apostrophe (S-22)."""
    async with front.at(await front.key()) as client:
        content = 'address,chain,tag,direction,reference\n=1+1,,,,"@x"\n'
        answer = await client.post("/v1/screen", content=content, headers=CSV)
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["query"], row["reference"], row["match"]) == ("'=1+1", "'@x", "invalid")


async def test_hits_are_recorded_once_and_what_is_kept_is_given_back(front: Front) -> None:
    """The access log has the hit of each request; nothing of a list stays when its answer has left or was refused."""
    await listed(front, wallet(1))
    async with front.at(await front.key()) as client:
        for include in ("all", "hits"):
            await client.post(f"/v1/screen?include={include}", content=f"{address(1)}\n{evm(4)}", headers=LINES)
        await client.post("/v1/screen", content=b"adress\nx", headers=CSV)
    await front.node.access_log.settle()
    async with front.node.database.reading() as tx:
        assert [row.entry.subject for row in await tx.audit.page() if row.entry.action == "screen"] == [wallet_id(1)] * 2
    assert front.node.bulk.kept_bytes == 0


class InOnePiece:
    """A server that takes a whole answer with 200 in one piece, as `api/patience` does, in front of the edge."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.taken = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        whole: list[tuple[bytes, bytes]] = []
        scope[WHOLE] = lambda *answer: whole.append(answer) or True
        await self._inner(scope, receive, send)
        for lines, body in whole:
            self.taken += 1
            assert lines.endswith(b"\r\n\r\n")
            headers = [tuple(line.split(b": ", 1)) for line in lines[:-4].split(b"\r\n")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})


def _json_bodies() -> list[str]:
    """Of the compact form, of others, of none, with and without faults."""
    plain = [{"address": one} for one in (address(1), evm(2), "x")]
    compact = json.dumps({"items": plain, "include": "hits"}, separators=(",", ":"))
    more = {"items": [{"address": address(1), "reference": "r"}, {"address": evm(2)}], "include": "all"}
    return [
        compact,
        json.dumps(more),
        compact.replace(',"include":"hits"', ""),
        json.dumps({**more, "policy": "nobodys"}),
        '{"items":[]}',
        '{"items":[{"address":1}]}',
        '{"items":[{"address":"x"}],"more":1}',
        '{"items":[{"address":"x"}]',
        "",
        json.dumps({"items": [{"address": "x"}] * 10_001}),
    ]


async def test_the_door_and_the_route_give_the_same(front: Front) -> None:
    """Lists of hits without the framework, in one piece or two, and with it: bodies, headers and refusals, in every type and for who may
    and may not.
    """
    await listed(front, wallet(1))
    key = await front.key(quota={"requests_per_minute": 1_000, "addresses_per_day": 300})
    text = f"{address(1)}\n{evm(2)}\nx\n{evm(3)[:-1]}0\n"
    cases = [
        (key, "include=hits", LINES, text, {}),
        (key, "include=hits&checksums=true", LINES, text, {}),
        (key, "include=hits&checksums=false", NDJSON, f'{{"address":"{address(1)}"}}\n{{"address":1}}\n', {}),
        (key, "include=hits", CSV, f"address\n{address(1)}\n", {}),
        (key, "include=hits", CSV, "adress\nx", {}),
        (key, "include=hits", LINES, "x", {"Idempotency-Key": "k"}),
        (key, "include=hits", LINES, "x", {"Accept": "image/png"}),
        (key, "include=hits", LINES, "x", {"Cordon-Purpose": "none of ours"}),
        (key, "include=hits", LINES, "x\n" * 301, {}),
        ("cordon_live_0000_nobody", "include=hits", LINES, "x", {}),
        ("", "include=hits", LINES, "x", {}),
        *[(key, query, JSON, content, {}) for query in ("", "checksums=false") for content in _json_bodies()],
        (key, "checksums=true", JSON, _json_bodies()[0], {"Accept": "text/html"}),
        (key, "", JSON, _json_bodies()[0], {"Cordon-Purpose": "none of ours"}),
        (key, "", JSON, _json_bodies()[1], {"Idempotency-Key": "not of our form \u007f"}),
        (key, "include=hits", JSON, _json_bodies()[0], {}),
        (key, "checksums=maybe", JSON, _json_bodies()[0], {}),
        (key, "", {"Content-Type": "application/json; charset=utf-8"}, _json_bodies()[0], {}),
        (key, "", {"Content-Type": "application/xml"}, _json_bodies()[0], {}),
        (key, "", {}, _json_bodies()[0], {}),
        ("cordon_live_0000_nobody", "", JSON, _json_bodies()[0], {}),
        ("", "", JSON, _json_bodies()[0], {}),
    ]
    await front.at().get("/livez")
    outermost = front.app.middleware_stack
    doors, in_one = dict(outermost._doors), InOnePiece(outermost)
    answered = 0
    for who, query, kind, content, more in cases:
        got = []
        async with front.at(who) if who else front.at() as client:
            for stack, open_ in ((outermost, doors), (outermost, {}), (in_one, doors)):
                front.app.middleware_stack, outermost._doors = stack, open_
                answer = await client.post(f"/v1/screen?{query}", content=content, headers={**kind, **more})
                varying = ("x-request-id", "ratelimit", "cordon-as-of", "date", "content-length")
                headers = {name: value for name, value in answer.headers.items() if name not in varying}
                body = (
                    {**answer.json(), "instance": "", "request_id": ""}
                    if answer.headers["content-type"] == "application/problem+json"
                    else {**answer.json(), "as_of": ""}
                    if answer.headers["content-type"] == "application/json"
                    else answer.text
                )
                got.append((answer.status_code, headers, answer.headers.get("ratelimit", "").count(";r="), body))
        assert got[0] == got[1] == got[2], (query, kind, content[:40], more)
        answered += got[0][0] == 200
    front.app.middleware_stack, outermost._doors = outermost, doors
    assert in_one.taken == answered - 1 >= 12, "a type with a charset is the route's"
