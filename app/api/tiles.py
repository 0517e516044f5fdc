"""Full hash tiles without a framework: bytes that never change, kept in memory as they go out (protocol §1.2, performance).

What followers and auditors fetch by the thousand. The rules are those of the route in `log`, which serves every other tile; so are the
bytes. A node that keeps its log to holders of a key has no such short way.
"""

from __future__ import annotations

import re

from app.api.callers import BYTES, check_accept, policy_of, purpose_of, recognise, remembered
from app.api.context import Api
from app.api.edge import Passage, Shortcut, content_length
from app.api.limits import Header
from app.api.log import FOREVER
from app.domain.errors import Malformed, NotFound, Schema, Unauthenticated
from app.domain.permission import Action, Caller, permit
from app.domain.tiles import parse_tile_path

MOST_KEPT = 1_024
"""Tiles of 8 KiB in memory, the newest asked for: the leaves of a quarter of a million entries."""
_FULL = re.compile(r"/(?:log|mirror/(?P<ohash>[0-9a-f]{64}))/(?P<tile>tile/[0-9]{1,2}/(?:x[0-9]{3}/)*[0-9]{3})")
_KIND: Header = (b"content-type", BYTES.encode("ascii"))
_CACHE: Header = (b"cache-control", FOREVER.encode("ascii"))


class FullTiles:
    """`GET /log/tile/…` and `/mirror/{ohash}/tile/…` for full hash tiles, as shortcuts of the edge."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._kept: dict[str, tuple[bytes, tuple[Header, ...]]] = {}
        self._own, self._mirrored = _OneTile(self, "/log/tile/{path:path}"), _OneTile(self, "/mirror/{ohash}/tile/{path:path}")

    def find(self, path: str) -> Shortcut | None:
        """The shortcut for a path; None if it is for the route to answer."""
        if not path.startswith(("/log/tile/", "/mirror/")) or _FULL.fullmatch(path) is None:
            return None
        return self._own if path.startswith("/log/") else self._mirrored

    async def answer(self, passage: Passage, query_string: bytes) -> None:
        """Raises Refused, which the edge turns into a problem."""
        api = self._api
        caller = await self._recognise(passage)
        api.spend(passage, caller.actor or passage.callsign, policy_of(api, caller))
        permit(caller, Action.PUBLISHED)
        if query_string:
            raise Schema("this route takes no query parameters")
        check_accept(passage.headers.get(b"accept"), (BYTES,))
        purpose_of(passage, caller, Action.PUBLISHED)
        body, headers = self._kept.get(passage.path) or await self._read(passage.path)
        if passage.headers.get(b"if-none-match") == headers[0][1]:
            await passage.send({"type": "http.response.start", "status": 304, "headers": headers[:2]})
            await passage.send({"type": "http.response.body", "body": b""})
            return
        await passage.send({"type": "http.response.start", "status": 200, "headers": headers})
        await passage.send({"type": "http.response.body", "body": body})

    async def _recognise(self, passage: Passage) -> Caller:
        """As for every route; the token of a peer need not be used up for what is for everybody."""
        api, text = self._api, passage.key_text
        if text is None or "." not in text or api.federated is None:
            return remembered(api, passage) or await recognise(api, passage)
        try:
            caller = await api.federated.tokens.recognise(text, method="GET", target=passage.path, body=b"", once=False)
        except Unauthenticated:
            api.spend(passage, passage.callsign, api.public_policy)
            raise
        passage.actor = caller.actor
        return caller

    async def _read(self, path: str) -> tuple[bytes, tuple[Header, ...]]:
        found = _FULL.fullmatch(path)
        assert found is not None
        try:
            tile = parse_tile_path(found["tile"])
        except Malformed as error:
            raise NotFound(error.detail) from error
        body = await self._api.node.publisher.tile(tile, found["ohash"])
        etag = await self._api.stamps.etag("", body)
        if len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        kept = self._kept[path] = (body, ((b"etag", etag.encode("ascii")), _CACHE, content_length(len(body)), _KIND))
        return kept


class _OneTile:
    """One of the two routes."""

    def __init__(self, tiles: FullTiles, route: str) -> None:
        self.route = route
        self._tiles = tiles

    async def __call__(self, passage: Passage, last: str, query_string: bytes) -> None:  # noqa: ARG002 — the whole path says more
        """Answer through `passage`."""
        await self._tiles.answer(passage, query_string)
