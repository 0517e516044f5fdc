"""The edge: what every request passes before a route sees it and every answer before it leaves. One pure ASGI middleware.

In: paths of one spelling, bounded headers and bodies, no compression, a request id. Out: security headers, `Vary`, a default of
`no-store`, the measured time, one line in the log. Refusals here are problems like any other (trust-and-ops S-08, S-10, S-15, S-18, S-23, S-25).
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Protocol

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.fields import LINE_END, Head, Heads, check_fields
from app.api.limits import Callsigns, Header, Left, rate_headers, rate_lines
from app.api.logs import RequestLines, request_id
from app.api.measures import Requests
from app.api.problems import problem_response
from app.domain.errors import BadRequest, CordonError, MethodNotAllowed, TooLarge, Unavailable, UnsupportedMediaType

log = logging.getLogger("cordon.edge")

BODY_BYTES = 64 * 1024
STATEMENT_BYTES = 1024 * 1024
BULK_BYTES = 8 * 1024 * 1024
STREAM_BYTES = 128 * 1024 * 1024
HELD_BYTES = 64 * 1024 * 1024
"""What a worker holds at once of bodies that are read whole; whoever would make it more is told to come again (F-30)."""
BODY_S = 60.0
_STREAMS = frozenset((b"text/plain", b"text/csv", b"application/x-ndjson"))
_ID_BYTES = 12
PASSAGE = "cordon.passage"
Whole = Callable[[bytes, bytes], bool]
WHOLE = "cordon.whole"
"""In the scope, where the server can do that: writes a whole answer with 200, given its header lines and its body; False if it cannot now."""

BLOCK = "cordon.block"
"""In the scope, of a request that came by itself in one piece: its bytes from the first field to the empty line."""

# One spelling a path: what a segment may hold stands for itself, three signs may also be written as %-escapes, as clients do.
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@+/~-"
_PATH = re.compile(rb"(?:[A-Za-z0-9._:@+/~-]|%(?:3[Aa]|40|2[Bb]))*")
_LENGTH = re.compile(rb"[0-9]{1,12}")

_SECURITY: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    # An answer is data: no page may frame it, load from it or run what stands in it.
    (b"vary", b"Authorization, Accept, Accept-Encoding"),
)
_CSP: Header = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_HSTS: Header = (b"strict-transport-security", b"max-age=31536000")
_JSON: Header = (b"content-type", b"application/json")
_NO_STORE: Header = (b"cache-control", b"no-store")


class Passage:
    """One request on its way: its id, its headers by name, who sent it, and what is left of his quotas.

    It does not hold the scope, which may hold it: a cycle a request is work for the garbage collector.
    """

    __slots__ = (
        "_edge",
        "_left",
        "_whole",
        "actor",
        "headers",
        "held",
        "id",
        "is_started",
        "key_text",
        "out",
        "path",
        "peer",
        "rates",
        "route",
        "started",
        "status",
    )

    def __init__(self, edge: Edge, head: Head, path: str, *, peer: str, whole: Whole | None) -> None:
        self.started = time.perf_counter()
        self._edge = edge
        self.out: Send | None = None
        self._whole = whole
        self._left: tuple[bytes, Header] | None = None
        self.path = path
        self.headers = head.fields
        self.key_text = head.key_text
        self.id = head.asked_id or edge.new_id()
        self.peer = peer
        self.actor = ""
        self.route = ""
        self.rates: list[Left] = []
        self.status = 500
        self.is_started = False
        self.held = 0

    @property
    def callsign(self) -> str:
        """The name under which a caller without a key is counted."""
        return self._edge.callsigns.of(self.peer, self.headers)

    async def send(self, message: Message) -> None:
        """Pass an answer on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.is_started = True
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(_NO_STORE)
            message["headers"] = [
                *headers,
                *self._edge.headers_of(self.path),
                (b"x-request-id", self.id.encode("ascii")),
                *rate_headers(self.rates),
            ]
        assert self.out is not None
        await self.out(message)

    def tell(self, body: bytes, cache: Header) -> None:
        """A whole answer with 200, in JSON: it leaves now if nothing has to be waited for, else when `end` is awaited."""
        # A server looks at each header of an answer anew; these were made here, and most of them long ago.
        if self._whole is None or not self._whole(self._edge.lines_of(self, cache, len(body)), body):
            self._left = (body, cache)
            return
        self.is_started = True
        self.status = 200

    def answer_in_one(self, headers: Sequence[Header], body: bytes) -> bool:
        """A whole answer with 200 of any type, if it can leave without waiting, else False; `headers` say its length."""
        if self._whole is None or not self._whole(self._edge.lines_with(self, headers), body):
            return False
        self.is_started = True
        self.status = 200
        return True

    async def end(self, rest: Awaitable[None] | None) -> None:
        """Await what is left of an answer."""
        if rest is not None:
            await rest
        if self._left is None:
            return
        (body, cache), self._left = self._left, None
        assert self.out is not None
        self.is_started = True
        self.status = 200
        headers = [
            _JSON,
            cache,
            content_length(len(body)),
            *self._edge.extra,
            (b"x-request-id", self.id.encode("ascii")),
            *rate_headers(self.rates),
        ]
        await self.out({"type": "http.response.start", "status": 200, "headers": headers})
        await self.out({"type": "http.response.body", "body": body})


@lru_cache(4096)
def content_length(size: int) -> Header:
    """The header field that says so."""
    return b"content-length", b"%d" % size


class Shortcut(Protocol):
    """An endpoint that needs no framework; `route` is its template."""

    route: str

    def __call__(self, passage: Passage, last: str, query_string: bytes) -> Awaitable[None] | None:
        """Answer through `passage`; `last` is the last segment of the path. What is left to be awaited for that, None if nothing is."""
        ...


class Door(Protocol):
    """Another way in, for some of the requests of one route."""

    async def __call__(self, passage: Passage, scope: Scope, receive: Receive) -> bool:
        """Answer through `passage.send`, or do nothing and say False: then the application is entered."""
        ...


class Edge:
    """The middleware, around all others. `is_https`: the public URL is https, so browsers may be told to stay with it.

    `shortcuts`: endpoints by the prefix of their path, for GETs of one more segment, which are answered before the application is
    entered; `find_shortcut`: those of other paths, by the whole path; `doors`: by method and path. They raise like any other; what they
    raise becomes a problem here.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        requests: Requests,
        callsigns: Callsigns,
        is_https: bool,
        shortcuts: Mapping[str, Shortcut] | None = None,
        find_shortcut: Callable[[str], Shortcut | None] | None = None,
        doors: Mapping[tuple[str, str], Door] | None = None,
    ) -> None:
        self._app = app
        self._shortcuts = dict(shortcuts or {})
        self._lines = {b"GET " + prefix.encode("ascii"): shortcut for prefix, shortcut in self._shortcuts.items()}
        self._find_shortcut = find_shortcut
        self._doors = dict(doors or {})
        self._requests = requests
        self._log_lines = RequestLines()
        self._docs_extra = (*_SECURITY, *([_HSTS] if is_https else []))
        self.extra = (*self._docs_extra, _CSP)
        self._extra_lines = b"".join([b"%b: %b\r\n" % header for header in self.extra])
        self._openings: dict[Header, bytes] = {}
        self._ids: list[str] = []
        self._held = 0
        self._heads = Heads()
        self.callsigns = callsigns

    def new_id(self) -> str:
        """A random request id; drawn in bulk, as each draw is a call into the kernel."""
        if not self._ids:
            drawn = os.urandom(_ID_BYTES * 256).hex()
            self._ids = [drawn[at : at + 2 * _ID_BYTES] for at in range(0, len(drawn), 2 * _ID_BYTES)]
        return self._ids.pop()

    def headers_of(self, path: str) -> tuple[Header, ...]:
        """The security headers; /docs alone brings a page with scripts of its own."""
        return self._docs_extra if path == "/docs" else self.extra

    def lines_of(self, passage: Passage, cache: Header, size: int) -> bytes:
        """The header of a whole answer in JSON as it leaves, with the empty line behind it."""
        opening = self._openings.get(cache)
        if opening is None:
            opening = b"%b: %b\r\n%b: %b\r\ncontent-length: %%d\r\n%bx-request-id: %%b\r\n%%b\r\n" % (*_JSON, *cache, self._extra_lines)
            self._openings[cache] = opening
        return opening % (size, passage.id.encode("ascii"), rate_lines(passage.rates))

    def lines_with(self, passage: Passage, headers: Sequence[Header]) -> bytes:
        """The same with other headers in front, of which one says the length."""
        own = b"".join([b"%b: %b\r\n" % header for header in headers])
        return b"%b%bx-request-id: %b\r\n%b\r\n" % (own, self._extra_lines, passage.id.encode("ascii"), rate_lines(passage.rates))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one connection event."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # a websocket is not accepted
        head = self._heads.of(scope["headers"])
        client = scope.get("client")
        passage = Passage(self, head, scope["path"], peer=client[0] if client else "", whole=scope.get(WHOLE))
        await self._follow(passage, self._lead(passage, head, scope, receive), scope, receive, send)

    def at_once(self, data: bytes, peer: str, whole: Whole) -> ASGIApp | None:
        """Answer a request as it came over the wire, if that can be done in this moment: then None. Else who has to be entered for it.

        That is for shortcuts, and heads that were read and found in order before, to the byte (`Heads.keep`): what stands in them is
        known, and no more than the line before them has to be read. `whole`: see WHOLE.
        """
        line, _, block = data.partition(LINE_END)
        head = self._heads.of_block(block)
        start, _, last = line.rpartition(b"/")
        shortcut = self._lines.get(start)
        if head is None or shortcut is None or not last or last.translate(None, _PLAIN):
            return self
        passage = Passage(self, head, line[4:].decode("ascii"), peer=peer, whole=whole)
        passage.route = shortcut.route
        try:
            rest = shortcut(passage, last.decode("ascii"), b"")
        except Exception as error:  # noqa: BLE001 — becomes a problem where its way out can be waited for
            rest = _raising(error)
        if rest is None and passage.is_started:
            self._note(passage, "GET", passage.route)
            return None
        return partial(self._follow, passage, passage.end(rest))

    async def _lead(self, passage: Passage, head: Head, scope: Scope, receive: Receive) -> None:
        """To whoever answers this request."""
        self._check(head, scope)
        prefix, _, last = passage.path.rpartition("/")
        shortcut = self._shortcuts.get(prefix)
        if head.brings_body:
            receive = self._bounded(passage, scope, receive)
        if shortcut is None and self._find_shortcut is not None:
            shortcut = self._find_shortcut(passage.path)
        if shortcut is not None and last and scope["method"] == "GET":
            passage.route = shortcut.route
            await passage.end(shortcut(passage, last, scope["query_string"]))
        else:
            door = self._doors.get((scope["method"], passage.path))
            if door is None or not await door(passage, scope, receive):
                await self._enter(passage, scope, receive)

    async def _follow(self, passage: Passage, work: Awaitable[None], scope: Scope, _receive: Receive, send: Send) -> None:
        """Until it is answered, be it with a problem."""
        passage.out = send
        self._requests.active += 1
        try:
            await work
        except CordonError as error:
            await self._refuse(passage, scope, error)
        except Exception:
            if not passage.is_started:  # else answered with 500 and logged further in, or broken off in the middle of an answer
                log.exception("unforeseen", extra={"request_id": passage.id})
                await self._refuse(passage, scope, CordonError("something went wrong here: the request id finds it in our log"))
        finally:
            self._requests.active -= 1
            self._held -= passage.held
            self._note(passage, scope["method"], passage.route or getattr(scope.get("route"), "path", "unmatched"))

    async def _enter(self, passage: Passage, scope: Scope, receive: Receive) -> None:
        """The application; what it logs carries the id of the request."""
        scope[PASSAGE] = passage
        scope.setdefault("state", {})["request_id"] = passage.id
        token = request_id.set(passage.id)
        try:
            await self._app(scope, receive, passage.send)
        finally:
            request_id.reset(token)

    async def _refuse(self, passage: Passage, scope: Scope, error: CordonError) -> None:
        scope.setdefault("state", {})["request_id"] = passage.id
        response = problem_response(error, Request(scope))
        await response(scope, _nothing, passage.send)

    def _note(self, passage: Passage, method: str, route: str) -> None:
        taken = time.perf_counter() - passage.started
        self._requests.add(method, route, passage.status, taken)
        if self._log_lines.is_on:
            self._log_lines.add((time.time(), passage.id, method[:16], route, passage.status, taken, passage.actor))

    # --- what comes in -----------------------------------------------------------------------------------------------

    def _check(self, head: Head, scope: Scope) -> None:
        if not head.is_kept:
            check_fields(head, scope["headers"])
            self._heads.keep(head, scope["headers"])
        if BLOCK in scope:
            self._heads.keep_block(head, scope[BLOCK])
        if scope["method"] in ("TRACE", "CONNECT"):
            raise MethodNotAllowed(f"{scope['method']} is not answered here")
        raw = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
        if raw.translate(None, _PLAIN) and not _PATH.fullmatch(raw):
            raise BadRequest("a path here holds A-Z a-z 0-9 . _ : @ + - only: send any other id as the query parameter `id`")

    def _bounded(self, passage: Passage, scope: Scope, receive: Receive) -> Receive:
        """`receive` that refuses bytes beyond what the route takes or this worker holds, and a body that does not come to its end in time."""
        fields = passage.headers
        if fields.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
            raise UnsupportedMediaType("bodies are read as they are: send this one without Content-Encoding")
        most = body_bytes(scope["method"], scope["path"], fields.get(b"content-type", b""))
        too_large = TooLarge(f"the body is larger than {most} bytes, the most that this route takes: send it in parts")
        declared = fields.get(b"content-length")
        if declared is not None and (_LENGTH.fullmatch(declared) is None or int(declared) > most):
            raise too_large
        deadline = time.monotonic() + BODY_S
        size = 0

        async def bounded() -> Message:
            nonlocal size
            try:
                async with asyncio.timeout(max(deadline - time.monotonic(), 0)):
                    message = await receive()
            except TimeoutError as error:
                raise BadRequest(f"the body did not arrive within {BODY_S:.0f} seconds") from error
            size += len(message.get("body", b""))
            if size > most:
                raise too_large
            if STATEMENT_BYTES < most < STREAM_BYTES:
                passage.held += len(message.get("body", b""))
                self._held += len(message.get("body", b""))
                if self._held > HELD_BYTES:
                    raise Unavailable("too many large bodies at once: send this one again in a moment, or in parts", retry_after_s=1)
            return message

        return bounded


def body_bytes(method: str, path: str, content_type: bytes) -> int:
    """The most bytes that a request may carry (schemas §3)."""
    if method == "POST" and path == "/v1/statements":
        kind = content_type.partition(b";")[0].strip().lower()
        return {b"application/sd-jwt": STATEMENT_BYTES, b"text/plain": BULK_BYTES}.get(kind, BODY_BYTES)
    if method == "POST" and path == "/v1/screen":
        return STREAM_BYTES if content_type.partition(b";")[0].strip().lower() in _STREAMS else BULK_BYTES
    if method in ("POST", "PATCH") and path.startswith("/v1/watchlists"):
        return STATEMENT_BYTES  # a thousand ids and references
    return BODY_BYTES


async def _raising(error: Exception) -> None:
    raise error


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
