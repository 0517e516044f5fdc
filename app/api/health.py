"""Health and metrics (trust-and-ops §4, schemas §4): for orchestrators and operators, without quota and without a word on content.

Degraded is not dead: with a full disk lookups stay ready and submissions say 503. What is found is kept for a second, so that asking
often costs nothing.
"""

from __future__ import annotations

import hmac
import shutil
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from app.api import examples as ex
from app.api import schemas as s
from app.api.callers import TEXT, Asks, Visit, recognise
from app.api.context import Api, api_of, passage_of
from app.api.docs import TextResponse, answers
from app.api.limits import is_loopback
from app.domain.canonical import JsonValue
from app.domain.errors import CordonError, Unauthenticated
from app.domain.permission import PUBLIC_CALLER, Action, permit
from app.services.node import HEARTBEAT_S

router = APIRouter(tags=["operations"])

DISK_FLOOR_BYTES = 256 * 1024 * 1024
_KEPT_MS = 1_000
_FORWARDING = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via")
_LOOPBACK_HOSTS = frozenset({b"127.0.0.1", b"localhost", b"[::1]", b"testserver"})


class Open(Asks):
    """Asks nobody who he is: an orchestrator has no key."""

    def __init__(self, *gives: str) -> None:
        super().__init__(Action.PUBLISHED, *gives, counted=False)

    async def __call__(self, request: Request) -> Visit:
        """A visit of the public."""
        api, passage = api_of(request), passage_of(request.scope)
        return Visit(request, api, passage, PUBLIC_CALLER, passage.callsign)


Anybody = Annotated[Visit, Depends(Open())]
Scraper = Annotated[Visit, Depends(Open(TEXT))]


@dataclass(slots=True)
class Found:
    """What the checks said: a word each, `ok` or what is the matter, and details for the operator."""

    words: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, word: str, detail: str = "") -> None:
        """One check."""
        self.words[name] = word
        if detail:
            self.details[name] = detail

    @property
    def status(self) -> str:
        """ok, degraded (a full disk: nothing can be written, lookups are answered) or failing."""
        wrong = {name for name, word in self.words.items() if word != "ok"}
        if not wrong:
            return "ok"
        stops_writing = "disk" in wrong and self.words["database"] in ("ok", "read_only")
        return "degraded" if stops_writing and wrong <= {"disk", "database", "checkpoint"} else "failing"


class Checkup:
    """The checks of one application, run at most once a second."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._found = Found()
        self._at_ms: int | None = None

    async def look(self) -> Found:
        """What they said a moment ago, or say now."""
        now = self._api.node.clock()
        if self._at_ms is None or not 0 <= now - self._at_ms < _KEPT_MS:
            self._found, self._at_ms = await self._run(now), now
        return self._found

    async def _run(self, now: int) -> Found:
        node, found = self._api.node, Found()
        try:
            found.add("database", "ok", "; ".join(await node.database.check()))
        except CordonError as error:
            found.add("database", await self._without_writing(), error.detail)
        frozen = node.gate.frozen
        found.add("log", "ok" if frozen is None else "frozen", "" if frozen is None else frozen.detail)
        age_s = (now - node.own_log.signed_ms) / 1000
        signed = f"signed {age_s:.0f} s ago at size {node.own_log.signed_size}"
        found.add("checkpoint", "ok" if age_s <= 2 * HEARTBEAT_S else "old", signed)
        free = shutil.disk_usage(self._api.chosen.data_dir).free
        found.add("disk", "ok" if free > DISK_FLOOR_BYTES else "low", f"{free // 2**20} MiB free")
        return found

    async def _without_writing(self) -> str:
        try:
            await self._api.node.database.check_schema()
        except CordonError:
            return "failing"
        return "read_only"


@router.get(
    "/livez",
    operation_id="get_liveness",
    summary="The process turns.",
    responses=answers("It does.", s.Health, ex.HEALTH, ""),
)
async def get_liveness(visit: Anybody) -> Response:
    """Asks nothing but the event loop."""
    return visit.answer({"status": "ok", "checks": {"loop": "ok"}})


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Lookups are answered and submissions signed.",
    responses=answers({200: "Ready, or degraded: lookups are.", 503: "Not ready."}, s.Health, ex.HEALTH, "schema"),
)
async def get_readiness(visit: Anybody, asked: Annotated[s.HealthQuery, Query()]) -> Response:
    """`?verbose` with an operator's key adds what was found."""
    checkup: Checkup = visit.request.app.state.checkup
    found = await checkup.look()
    words = await _told(visit, asked, found)
    return visit.answer({"status": found.status, "checks": words}, status=503 if found.status == "failing" else 200)


@router.get(
    "/startupz",
    operation_id="get_startup",
    summary="The start is done.",
    responses=answers({200: "Done.", 503: "Not yet."}, s.Health, ex.HEALTH, ""),
)
async def get_startup(visit: Anybody) -> Response:
    """Index loaded and loops running; a frozen log has started, too."""
    is_up = bool(visit.api.node.loops)
    status = "ok" if is_up else "failing"
    return visit.answer({"status": status, "checks": {"start": "ok" if is_up else "not yet"}}, status=200 if is_up else 503)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Prometheus text, for loopback or the bearer of METRICS_TOKEN.",
    response_class=TextResponse,
    responses=answers("Text format 0.0.4.", None, "cordon_log_entries 41.0\n", "unauthenticated", media=TEXT),
)
async def get_metrics(visit: Scraper) -> Response:
    """A caller on this host, by a name of this host and through no proxy, or the token."""
    _check_scraper(visit)
    return Response(visit.api.measures.text(), media_type="text/plain; version=0.0.4", headers={"Cache-Control": "no-store"})


def _check_scraper(visit: Visit) -> None:
    headers, token = visit.passage.headers, visit.api.chosen.metrics_token
    given = visit.passage.key_text
    if token and given is not None and hmac.compare_digest(given.encode(), token.encode()):
        return
    host = headers.get(b"host", b"").rpartition(b":")[0] or headers.get(b"host", b"")
    is_near = is_loopback(visit.passage.peer) and not any(name in headers for name in _FORWARDING)
    # A page that resolves its own name to this host would be near, too: it cannot name the host so.
    if not is_near or (host not in _LOOPBACK_HOSTS and headers.get(b"host", b"") not in _LOOPBACK_HOSTS):
        raise Unauthenticated("metrics are for this host or the bearer of CORDON_METRICS_TOKEN")


async def _told(visit: Visit, asked: s.HealthQuery, found: Found) -> dict[str, JsonValue]:
    if asked.verbose is None:
        return {**found.words}
    permit(await recognise(visit.api, visit.passage), Action.OPERATE)
    return {name: f"{word}: {found.details[name]}" if name in found.details else word for name, word in found.words.items()}
