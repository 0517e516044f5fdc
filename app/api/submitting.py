"""`POST /v1/statements` without the framework, which costs more than the signature: the way of a submission that asks for nothing special.

The route in `statements` documents the same and answers the same to the byte (a test compares them); it has whatever comes with a
query, credentials, a purpose or an `Idempotency-Key`.
"""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from app.api.bodies import kind_of
from app.api.callers import check_accept, require_rest
from app.api.context import Api
from app.api.edge import Passage
from app.api.statements import GIVES, answer_to, count_refused, wires_in

PATH = "/v1/statements"
_ASKS_MORE = (b"authorization", b"idempotency-key", b"cordon-purpose", b"cordon-case")


class PlainSubmission:
    """The door for submissions of nobody in particular: their signatures are their authority."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __call__(self, passage: Passage, scope: Scope, receive: Receive) -> bool:
        """Answer it, or leave it to the route: False, and nothing was done."""
        fields, api = passage.headers, self._api
        if scope["query_string"] or any(name in fields for name in _ASKS_MORE):
            return False
        passage.route = PATH
        accept = fields.get(b"accept")
        check_accept(accept, GIVES)
        who = passage.callsign
        require_rest(api, passage, who, api.public_policy)
        kind = kind_of(fields.get(b"content-type", b"").decode("latin-1"))
        wires = wires_in(kind, await _read(receive))
        results = await api.node.gate.submit(wires)
        count_refused(api, who, api.public_policy, results)
        response = answer_to(kind, results, accept=(accept or b"").decode("latin-1"), path=PATH, request_id=passage.id)
        await response(scope, receive, passage.send)
        return True


async def _read(receive: Receive) -> bytes:
    pieces: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)
