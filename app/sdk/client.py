"""A client of one node: submit, screen, read back, follow the log. Synchronous first; `AsyncClient` for what a VASP's service awaits.

Every call is bounded in time and size, follows no redirect and reads no proxy from the environment. `Retry-After` of 429 and 503 is
obeyed up to `max_wait_s` in all; every call here may be repeated (statements are idempotent by sid). A node that cannot be reached is
Unavailable. Protocol §3.8, schemas §3, §4.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from ..domain.canonical import JsonValue, b64u_encode
from ..domain.errors import BadRequest, CordonError, Malformed, TooLarge, Unavailable
from . import wire as w
from .wire import Answer, Call, Submitted

__all__ = ["AsyncClient", "Client", "Options", "Submitted"]


@dataclass(frozen=True, slots=True)
class Options:
    """How to talk to the node. `purpose` and `case` are asked of agency readers (headers Cordon-Purpose, Cordon-Case)."""

    api_key: str | None = None
    purpose: str | None = None
    case: str | None = None
    timeout_s: float = 10.0
    batch_timeout_s: float = 60.0
    max_wait_s: float = 60.0

    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        named = (("Cordon-Purpose", self.purpose), ("Cordon-Case", self.case))
        found = {"User-Agent": "cordon-client/1", **{name: value for name, value in named if value}}
        if self.api_key:
            found["Authorization"] = f"Bearer {self.api_key}"
        return found


DEFAULT = Options()


def _base(url: str) -> str:
    text = url.rstrip("/")
    if not text.startswith(("http://", "https://")) or "@" in text:
        raise BadRequest("the node's address is http(s)://host[:port], without user name: give it as --node http://127.0.0.1:8000")
    return text


def _unreachable(url: str, error: httpx.HTTPError) -> Unavailable:
    reason = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error) or type(error).__name__
    return Unavailable(f"cannot talk to {url} ({reason}): is the node running there (cordon serve), is the address right?")


class Client:
    """One node, for one thread. Use as a context manager, or `close()` it."""

    def __init__(self, url: str, options: Options = DEFAULT, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = _base(url)
        self._options = options
        self._http = httpx.Client(
            base_url=self.url,
            headers=options.headers(),
            timeout=httpx.Timeout(options.timeout_s),
            trust_env=False,
            follow_redirects=False,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    # --- submission

    def submit(self, wire: str) -> Submitted:
        """Send one signed statement; raises what the node refuses (domain/errors)."""
        outcome = w.read_submitted(self._json(w.submit_one(wire)))
        if isinstance(outcome, CordonError):
            raise outcome
        return outcome

    def submit_many(self, wires: Iterable[str], *, most: int = w.BATCH_MAX) -> Iterator[Submitted | CordonError]:
        """Send in batches of at most 500 statements and 8 MiB; one outcome per statement, in order, as each batch is answered.

        Raises only what concerns a whole batch (the node cannot be reached, the batch is refused as such).
        """
        for batch in w.batches(wires, most=most):
            answer = self._send(w.submit_batch(batch), timeout_s=self._options.batch_timeout_s)
            yield from w.read_batch(answer, len(batch))

    # --- screening

    def screen_one(self, address: str, *, chain: str | None = None, tag: str | None = None) -> dict[str, JsonValue]:
        """The whole answer for one address or indicator in any spelling: `result`, `as_of`, `degraded`, `sources`."""
        return w.as_object(self._json(w.screen_address(address, chain=chain, tag=tag)))

    def screen_many(self, items: Sequence[Mapping[str, JsonValue]], *, include: str = "all", receipt: bool = False) -> dict[str, JsonValue]:
        """The whole answer for up to 10,000 items {address, chain?, tag?, reference?}: `results` in their order.

        `receipt`: also a signed receipt with its salts, of at most 500.
        """
        return w.as_object(
            w.json_of(self._send(w.screen(items, include=include, receipt=receipt), timeout_s=self._options.batch_timeout_s).body)
        )

    # --- reading

    def well_known(self) -> dict[str, JsonValue]:
        """`/.well-known/cordon-node`: who this node is."""
        return w.as_object(self._json(Call("GET", "/.well-known/cordon-node")))

    def origin(self) -> str:
        """The origin of the node's current log: what `org` of a statement for it says."""
        logs = w.as_objects(self.well_known().get("logs"))
        origin = logs[-1].get("origin") if logs else None
        if not isinstance(origin, str):
            raise Malformed(f"{self.url} names no log: is it a cordon node?")
        return origin

    def root_document(self, version: int) -> bytes:
        """The root document of that version, as served."""
        return self._send(Call("GET", f"/fed/v1/root/{version}")).body

    def statement(self, sid: str) -> dict[str, JsonValue]:
        """The record of a statement as this caller may see it (schemas §4.1)."""
        return w.as_object(self._json(w.by_id("/v1/statements", sid)))

    def statements(self, *, issuer: str | None = None, kind: str | None = None, since: str | None = None) -> Iterator[dict[str, JsonValue]]:
        """Records page by page, as this caller may see them."""
        asked = (("issuer", issuer), ("kind", kind), ("since", since))
        query = {name: value for name, value in asked if value is not None}
        return self._pages(Call("GET", "/v1/statements", {**query, "limit": "1000"}))

    def proof(self, sid: str) -> str:
        """The receipt of a logged statement under the newest checkpoint (tlog-proof text)."""
        return self._text(Call("GET", f"/v1/statements/{sid}/proof", headers={"Accept": "text/plain"}))

    def held(self) -> Iterator[dict[str, JsonValue]]:
        """What waits for a second key, of the caller's own agency."""
        return self._pages(Call("GET", "/v1/held"))

    def checkpoint(self) -> str:
        """The newest signed checkpoint, as a note."""
        return self._text(Call("GET", "/log/checkpoint"))

    def tile(self, path: str) -> bytes:
        """A hash tile or an entry bundle; `path` as in C2SP tlog-tiles (`tile/0/x001/234`)."""
        return self._send(Call("GET", f"/log/{path}")).body

    def view_head(self, tier: str) -> str:
        """The newest head of a view, as a note."""
        return self._text(Call("GET", f"/v1/view/{tier}/head"))

    def view_bucket(self, tier: str, number: int) -> bytes:
        """A bucket answer as it came (`sdk.screened.open_bucket` checks it): the node learns 16 bits of the id and no more."""
        return self._send(w.view_bucket(tier, number)).body

    def view_segment(self, tier: str, number: int) -> bytes:
        """256 buckets with their proof."""
        return self._send(Call("GET", f"/v1/view/{tier}/segment/{number:02x}")).body

    def view_delta(self, tier: str, root: bytes) -> bytes:
        """What changed since a root; Gone if the node does not remember it."""
        return self._send(Call("GET", f"/v1/view/{tier}/delta/{b64u_encode(root)}")).body

    def view_policy(self) -> bytes:
        """The policy that the heads name, byte for byte."""
        return self._send(Call("GET", "/v1/view/policy")).body

    def receipt(self, rid: str) -> dict[str, JsonValue]:
        """A screening receipt of one's own: `receipt`, `head`."""
        return w.as_object(self._json(w.by_id("/v1/receipts", rid)))

    def members(self) -> Iterator[dict[str, JsonValue]]:
        """Every member of the jurisdiction."""
        return self._pages(Call("GET", "/v1/members"))

    def member(self, member_id: str) -> dict[str, JsonValue]:
        """One member with mandate."""
        return w.as_object(self._json(w.by_id("/v1/members", member_id)))

    def member_keys(self, member_id: str) -> list[dict[str, JsonValue]]:
        """Every key a member ever had, by log index and time."""
        answer = self._json(Call("GET", f"/v1/members/{member_id}/keys"))
        return w.as_objects(answer.get("keys", answer.get("items")) if isinstance(answer, dict) else answer)

    # --- any call

    def call(self, call: Call) -> Answer:
        """Any request of the interface; raises what the node refuses."""
        return self._send(call)

    def pages(self, call: Call) -> Iterator[dict[str, JsonValue]]:
        """The items of a route that answers in pages, as they are asked for."""
        return self._pages(call)

    @contextmanager
    def listen(self, call: Call, *, quiet_s: float) -> Iterator[Iterator[bytes]]:
        """The bytes of an answer without end, as they come; Unavailable as soon as none came for `quiet_s`."""
        timeout = httpx.Timeout(self._options.timeout_s, read=quiet_s)
        try:
            with self._http.stream(
                call.method, call.path, params=call.query or None, headers=dict(call.headers), timeout=timeout
            ) as response:
                if not response.is_success:
                    w.check(Answer(response.status_code, _lowered(response.headers), _gather(response.iter_bytes())))
                yield response.iter_bytes()
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from error

    # --- below

    def _pages(self, call: Call) -> Iterator[dict[str, JsonValue]]:
        following: str | None = None
        while True:
            page = w.as_object(self._json(call if following is None else Call("GET", following)))
            yield from w.as_objects(page.get("items"))
            following = _next_path(page.get("next"))
            if following is None:
                return

    def _json(self, call: Call) -> JsonValue:
        return w.json_of(self._send(call).body)

    def _text(self, call: Call) -> str:
        try:
            return self._send(call).body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed("the node's answer is not text: is this URL a cordon node?") from error

    def _send(self, call: Call, *, timeout_s: float | None = None) -> Answer:
        waited = 0.0
        while True:
            answer = self._once(call, timeout_s or self._options.timeout_s)
            pause = _pause(answer, waited, self._options.max_wait_s)
            if pause is None:
                return w.check(answer)
            time.sleep(pause)
            waited += pause

    def _once(self, call: Call, timeout_s: float) -> Answer:
        request = self._http.build_request(
            call.method, call.path, params=call.query or None, headers=dict(call.headers), content=call.content, timeout=timeout_s
        )
        try:
            response = self._http.send(request, stream=True)
            try:
                body = _gather(response.iter_bytes())
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from error
        return Answer(response.status_code, _lowered(response.headers), body)


class AsyncClient:
    """The calls that a service awaits: screening and submission. The same bounds and errors as `Client`."""

    def __init__(self, url: str, options: Options = DEFAULT, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = _base(url)
        self._options = options
        self._http = httpx.AsyncClient(
            base_url=self.url,
            headers=options.headers(),
            timeout=httpx.Timeout(options.timeout_s),
            trust_env=False,
            follow_redirects=False,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.aclose()

    async def submit(self, wire: str) -> Submitted:
        """Send one signed statement; raises what the node refuses."""
        outcome = w.read_submitted(w.json_of((await self._send(w.submit_one(wire))).body))
        if isinstance(outcome, CordonError):
            raise outcome
        return outcome

    async def screen_one(self, address: str, *, chain: str | None = None, tag: str | None = None) -> dict[str, JsonValue]:
        """The whole answer for one address or indicator in any spelling."""
        return w.as_object(w.json_of((await self._send(w.screen_address(address, chain=chain, tag=tag))).body))

    async def screen_many(
        self, items: Sequence[Mapping[str, JsonValue]], *, include: str = "all", receipt: bool = False
    ) -> dict[str, JsonValue]:
        """The whole answer for up to 10,000 items; `receipt`: also a signed receipt, of at most 500."""
        return w.as_object(w.json_of((await self._send(w.screen(items, include=include, receipt=receipt))).body))

    async def view_bucket(self, tier: str, number: int) -> bytes:
        """A bucket answer as it came (`sdk.screened.open_bucket` checks it)."""
        return (await self._send(w.view_bucket(tier, number))).body

    async def _send(self, call: Call) -> Answer:
        waited = 0.0
        while True:
            answer = await self._once(call)
            pause = _pause(answer, waited, self._options.max_wait_s)
            if pause is None:
                return w.check(answer)
            await asyncio.sleep(pause)
            waited += pause

    async def _once(self, call: Call) -> Answer:
        request = self._http.build_request(
            call.method, call.path, params=call.query or None, headers=dict(call.headers), content=call.content
        )
        try:
            response = await self._http.send(request)
        except httpx.HTTPError as error:
            raise _unreachable(self.url, error) from error
        if len(response.content) > w.ANSWER_BYTES:
            raise TooLarge("the node's answer is larger than this client reads")
        return Answer(response.status_code, _lowered(response.headers), response.content)


def _pause(answer: Answer, waited: float, most: float) -> float | None:
    """How long to wait before asking again; None if the answer stands, or waiting would take too long in all."""
    asked = w.retry_after_s(answer)
    if asked is None or b'"log_frozen"' in answer.body:  # a frozen log waits for a human, not for a minute
        return None
    pause = max(asked, 0.1)
    return pause if waited + pause <= most else None


def _lowered(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _gather(chunks: Iterable[bytes]) -> bytes:
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > w.ANSWER_BYTES:
            raise TooLarge("the node's answer is larger than this client reads")
        parts.append(chunk)
    return b"".join(parts)


def _next_path(value: JsonValue) -> str | None:
    """The link to the next page; only a path below the node itself is followed."""
    if value is None:
        return None
    if not isinstance(value, str) or not value.startswith("/v1/"):
        raise Malformed("the node's `next` link does not stay on the node: not followed")
    return value
