"""Streams for `POST /v1/screen`: NDJSON, CSV and plain lines, up to a million rows; and the compact form of its JSON (schemas §4.2).

`?include=hits` (default for streams: all) leaves out what is not listed, `?checksums=true` verifies every checksum,
`?policy=NAME` has the caller's own policy judge each row. Rows come back in the
type in which they were sent. With `include=hits` the rows are screened as they arrive and nothing is sent before the last has been read,
so every refusal is a proper problem; with all rows asked for the body is kept, as a client that sends before it reads would wait for ever.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope

from app.api.bodies import media_type
from app.api.callers import ASKS_SCREENING_ROWS, JSON, NO_STORE, PRIVATE, Visit, is_peer, recognise, remembered
from app.api.context import Api
from app.api.edge import Passage
from app.api.schemas import SCREEN_MOST
from app.domain.errors import BadRequest, Schema, TooLarge, Unavailable
from app.domain.policy_rules import Policy, evaluate
from app.domain.rows import UNJUDGED, Line
from app.services.bulk import MOST_ROWS, Ask, Form, Lot, Row, Tally, Wanted, compact_items, lots_of
from app.services.screen import Caller as Asker

_ROWS_A_PART = 2_000
KEPT_BYTES = 256 * 1024 * 1024
"""So many bytes of bodies may be kept in one worker at a time."""
CSV_COLUMNS = ("row", "reference", "query", "id", "match", "severity", "policy", "human_review", "error")
PATH = "/v1/screen"
_HITS = {b"include=hits": False, b"include=hits&checksums=false": False, b"include=hits&checksums=true": True}
_BARE_FORMS = frozenset(form.value.encode("ascii") for form in Form)
_FORMULA = tuple("=+-@\t\r＝＋－＠")
_NARROW = frozenset({"AMBER", "AMBER+STRICT", "RED"})


def form_of(request: Request) -> Form | None:
    """The form of a stream of rows; None for anything else."""
    kind = media_type(request)
    return Form(kind) if kind in _FORMS else None


class HitsDoor:
    """`POST /v1/screen?include=hits` of a list without the framework, in the spellings that nearly all clients use.

    The route in `screening` documents the same and answers the same; it has every other query, all other types, and peers.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __call__(self, passage: Passage, scope: Scope, receive: Receive) -> bool:
        """Answer it, or leave it to the route: False, and nothing was done."""
        checksums = _HITS.get(scope["query_string"])
        if checksums is None or passage.headers.get(b"content-type", b"") not in _BARE_FORMS or is_peer(self._api, passage):
            return False
        visit = await admitted(self._api, passage, scope, receive)
        form = Form(passage.headers[b"content-type"].decode("ascii"))
        await leave(passage, await answer_stream(visit, form, hits_only=True, checksums=checksums, policy=None), scope, receive)
        return True


async def admitted(api: Api, passage: Passage, scope: Scope, receive: Receive) -> Visit:
    """Who comes with rows, as the dependency of the route would have him; his query has a meaning there."""
    passage.route = PATH
    caller = remembered(api, passage) or await recognise(api, passage)
    return ASKS_SCREENING_ROWS.admit(Request(scope, receive), api, passage, caller, is_query_known=True)


async def leave(passage: Passage, response: Response, scope: Scope, receive: Receive) -> None:
    """Send a whole answer, in one piece if that can be."""
    if response.status_code != 200 or not passage.answer_in_one(response.raw_headers, bytes(response.body)):
        await response(scope, receive, passage.send)


async def answer_stream(visit: Visit, form: Form, *, hits_only: bool, checksums: bool, policy: Policy | None) -> Response:
    """A stream of rows in one of the three forms."""
    if "idempotency-key" in visit.request.headers:
        raise Schema("a stream takes no Idempotency-Key: screening again changes nothing")
    frame = visit.api.node.screening.frame(visit.api.node.moment())
    headers = {"Cache-Control": NO_STORE, "Cordon-As-Of": str(frame["as_of"]), "Cordon-Degraded": str(frame["degraded"]).lower()}
    unlisted = UNJUDGED if policy is None else orjson.dumps(evaluate(policy, ()).words(policy))
    asking, wanted = _asking(visit, policy), Wanted(visit.caller.reader, hits_only, checksums, unlisted)
    if hits_only:
        return Response(await _hits(visit, form, asking, wanted), media_type=str(form), headers=headers)
    text = await _keep(visit)
    try:
        await _count_rows(form, text, visit)
    except BaseException:
        visit.api.node.bulk.kept_bytes -= len(text)
        raise
    return StreamingResponse(_all_rows(visit, form, text, asking, wanted), media_type=str(form), headers=headers)


async def _hits(visit: Visit, form: Form, asking: Ask, wanted: Wanted) -> bytes:
    """Screened as they arrive; only what was found is kept."""
    tally, write = Tally(), _WRITERS[form]()
    lots = lots_of(form, _body(visit), spend=partial(_spend, visit))
    parts = [write(())] + [write(some) async for some in visit.api.node.bulk.screen(lots, asking, tally, wanted) if some]
    _count(visit, tally)
    return b"".join([*parts, _ending(form, tally)])


async def _all_rows(visit: Visit, form: Form, text: bytes, asking: Ask, wanted: Wanted) -> AsyncIterator[bytes]:
    """Every row, from a body that is kept until the last has left."""
    bulk, tally, write = visit.api.node.bulk, Tally(), _WRITERS[form]()
    try:
        yield write(())
        lots = lots_of(form, _in_parts(text), spend=_nothing)
        async for some in bulk.screen(lots, asking, tally, wanted):
            for start in range(0, len(some), _ROWS_A_PART):
                yield write(some[start : start + _ROWS_A_PART])
                # A client that is gone never makes the server wait: without this the rest would run through at once.
                await asyncio.sleep(0)
        yield _ending(form, tally)
    finally:
        bulk.kept_bytes -= len(text)
        _count(visit, tally)


async def answer_compact(visit: Visit, body: bytes, *, checksums: bool) -> Response | None:
    """The answer to a JSON request in its compact form, the same as the careful reader's; None for any other form."""
    found = compact_items(body)
    if found is None or found[0].rows > SCREEN_MOST:
        return None
    lot, hits_only = found
    _spend(visit, lot.rows)
    tally = Tally()
    frame = orjson.dumps(visit.api.node.screening.frame(visit.api.node.moment()))
    screened = visit.api.node.bulk.screen(_one(lot), _asking(visit, None), tally, Wanted(visit.caller.reader, hits_only, checksums))
    rows = [row async for some in screened for row in some]
    _count(visit, tally)
    results = b",".join([line.at(number) for number, line in rows])
    headers = {"Cache-Control": _cache_of([line for _, line in rows])}
    return Response(b'%b,"results":[%b]}' % (frame[:-1], results), media_type=JSON, headers=headers)


async def _keep(visit: Visit) -> bytes:
    """The whole body; Unavailable if too much of others' is kept already."""
    bulk, parts = visit.api.node.bulk, list[bytes]()
    try:
        async for part in _body(visit):
            bulk.kept_bytes += len(part)
            parts.append(part)
            if bulk.kept_bytes > KEPT_BYTES:
                raise Unavailable("too many long lists are being screened: send this one again in a minute, or ask for hits only")
        if not any(parts):
            raise Schema("the body holds no row: send one address a line")
    except BaseException:
        bulk.kept_bytes -= sum(map(len, parts))
        raise
    return b"".join(parts)


def _spend(visit: Visit, rows: int) -> None:
    """Take from the day's quota; the answer says once what is left of it."""
    visit.passage.rates[:] = [left for left in visit.passage.rates if left[0].name != "addresses"]
    visit.spend_addresses(rows)


async def _body(visit: Visit) -> AsyncIterator[bytes]:
    try:
        async for part in visit.request.stream():
            yield part
    except ClientDisconnect as error:
        raise BadRequest("the connection ended before the list did") from error


async def _in_parts(text: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(text), 1 << 18):
        yield text[start : start + (1 << 18)]


async def _one(lot: Lot) -> AsyncIterator[Lot]:
    yield lot


def _nothing(_rows: int) -> None:
    """Spent already."""


async def _count_rows(form: Form, text: bytes, visit: Visit) -> None:
    """Spend before anything is sent; the first line of a CSV is checked then, too."""
    rows = text.count(b"\n") + (not text.endswith(b"\n") and bool(text)) - (form is Form.CSV)
    if rows > MOST_ROWS:
        raise TooLarge(f"more than {MOST_ROWS} rows in one request: send the list in parts")
    if form is Form.CSV:
        head = text[: text.find(b"\n") + 1] or text
        async for _ in lots_of(form, _in_parts(head), spend=_nothing):
            break
    if rows > 0:
        _spend(visit, rows)


def _asking(visit: Visit, policy: Policy | None) -> Ask:
    """The careful answers, recorded as the caller's."""
    asker = Asker(visit.caller.reader, visit.caller.actor, visit.purpose, visit.case, visit.caller.owner)
    return partial(visit.api.node.screening.lines, caller=asker, policy=policy)


def _cache_of(lines: Iterable[Line]) -> str:
    said = {tlp for line in lines for tlp in line.tlps}
    return PRIVATE if said and _NARROW.isdisjoint(said) else NO_STORE


def _count(visit: Visit, tally: Tally) -> None:
    who = str(visit.caller.caller_class)
    for match, count in tally.matches.items():
        visit.api.measures.lookups[match, who] += count


# --- what goes out ---------------------------------------------------------------------------------------------------


def _ending(form: Form, tally: Tally) -> bytes:
    return orjson.dumps(tally.words()) + b"\n" if form is Form.NDJSON else b""


def _lines() -> Callable[[Sequence[Row]], bytes]:
    return lambda rows: b"".join([b'{"row":%d,%b\n' % (number, line.body) for number, line in rows])


def _table() -> Callable[[Sequence[Row]], bytes]:
    """CSV of the scalar members; the header before the first rows. A cell that a spreadsheet would take for a formula is quoted (S-22)."""
    is_begun = False

    def write(rows: Sequence[Row]) -> bytes:
        nonlocal is_begun
        out = io.StringIO()
        table = csv.writer(out)
        if not is_begun:
            table.writerow(CSV_COLUMNS)
            is_begun = True
        results = [orjson.loads(line.at(number)) for number, line in rows]
        table.writerows([[_cell(words[name]) for name in CSV_COLUMNS] for words in results])
        return out.getvalue().encode("utf-8")

    return write


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("code", value.get("outcome"))
    text = "" if value is None else str(value)
    return "'" + text if text.startswith(_FORMULA) else text


_WRITERS = {Form.NDJSON: _lines, Form.LINES: _lines, Form.CSV: _table}

_FORMS = frozenset(form.value for form in Form)
