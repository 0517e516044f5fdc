"""Composition root: settings in, a Node out; a Node in, an application out. Nothing else knows how the house is put together."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import Federated, configure_logs, install, operations_app
from app.api.edge import Edge, Whole
from app.api.patience import PatientProtocol
from app.domain.answer import Moment
from app.domain.sandbox import IDS as SANDBOX_IDS
from app.domain.sandbox import PROTECTED as SANDBOX_PROTECTED
from app.domain.viewing import TIERS
from app.index.heads import HeadBoard
from app.index.listed import ListedIds
from app.index.listings import ListingIndex
from app.index.sandbox import SandboxIndex
from app.index.sources import SourceBoard
from app.sdk.outbound import Transport, make_client
from app.sdk.peer import PeerClient
from app.sdk.post import Poster
from app.seal.bearer import sign_request
from app.seal.jws import assert_backend
from app.seal.keyring import Keyring
from app.seal.keyrings import Keyrings, NodeKey
from app.seal.notes import NoteKey
from app.seal.roots import RootDocument, read_document
from app.services.admit import FileKeeper, Gate, GateRules, OwnLog
from app.services.admit.foreign import ForeignGate
from app.services.admit.quorum import read_policy
from app.services.attest import Attestation
from app.services.audit import AccessLog, Then
from app.services.bulk import Bulk
from app.services.consult import Consultation
from app.services.deliver import Deliverer
from app.services.enroll import (
    NodeFile,
    heartbeat_key,
    log_keys,
    node_key,
    read_node_file,
    read_note_seed,
    read_root_documents,
    view_key,
    witness_key,
)
from app.services.federation import Federation, Parts
from app.services.follow import PATIENCE_S, WITHHELD_AFTER_S, FollowRules
from app.services.guard import Guards
from app.services.monitor import NodeVoice
from app.services.node import Identity, Node
from app.services.notify import Notify
from app.services.peer_tokens import PeerTokens
from app.services.policies import Policies
from app.services.publish import Publisher
from app.services.recall import Recall
from app.services.recognise import Recognition
from app.services.refresh import OwnDocuments
from app.services.screen import Screening, find_in
from app.services.trust import Trust
from app.services.view import Parts as ViewParts
from app.services.view import Views
from app.services.watch import Watching
from app.settings import Settings, load
from app.storage.anchor import AnchorFile
from app.storage.audit import AuditEntry
from app.storage.database import Database
from app.storage.keyfiles import DataDirLock
from app.storage.peers import PeerRow

HOUR_MS = 3_600_000
KEPT_FREE_BYTES = 16 * 1024 * 1024
"""Free memory that a worker keeps; a block of a quarter of that is the system's as soon as it is free."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of `mallopt` in malloc.h


def wall_ms() -> int:
    """The clock of the node: Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def build(settings: Settings, *, clock: Callable[[], int] = wall_ms, wires: Wires | None = None) -> Node:
    """Put a node together from what `cordon init` left in its data directory; `start` it before use."""
    assert_backend()
    written = read_node_file(settings.data_dir)
    identity = Identity(
        node_id=settings.node_id or written.node,
        jurisdiction=settings.jurisdiction or written.jurisdiction,
        name=written.name,
        origin=written.origin,
        public_url=settings.public_url if "public_url" in settings.model_fields_set else written.public_url,
        demonstration=written.demonstration,
    )
    documents = tuple(_own_documents(settings.data_dir))
    database = Database(settings.resolved_database_url, replica_url=settings.replica_url, replica_age_s=settings.replica_age_s)
    keyring = Keyring(identity.origin, documents)
    keyrings = Keyrings(keyring)
    listed = ListedIds(settings.data_dir / "index")
    index = ListingIndex(database, listed)
    guards = Guards(database, file=Path(settings.protected_file) if settings.protected_file else None)
    own_log = OwnLog(
        database,
        identity.origin,
        log_keys=log_keys(settings.data_dir, written, documents[-1]),
        heartbeat_key=heartbeat_key(written, read_note_seed(settings.data_dir, "heartbeat")),
        anchor=AnchorFile(settings.resolved_anchor),
        clock=clock,
    )
    key = NodeKey(node_key(settings.data_dir, written, documents[-1]))
    shares_database = settings.workers > 1
    gate = Gate(
        database=database,
        own_log=own_log,
        jurisdiction=identity.jurisdiction,
        keyrings=keyrings,
        index=index,
        protected=guards.is_listed_here,
        clock=clock,
        rules=GateRules(
            window_s=settings.commit_window_ms / 1000,
            batch_max=settings.batch_max,
            worker=f"{os.getpid()}-{time.monotonic_ns():x}",
            shares_database=shares_database,
        ),
    )
    index.catching_up.append(gate.follow)
    sources = SourceBoard()
    moment = Moments(settings, keyring, guards=guards, sources=sources, clock=clock)
    access_log = AccessLog(database)
    screening = Screening(index, moment=moment, record=access_log.record)
    sandbox = _sandbox(index, moment=moment, access_log=access_log)
    worker = f"{os.getpid()}-{time.monotonic_ns():x}"
    recognition = Recognition(database, keyring, node_id=identity.node_id, clock=clock)
    return Node(
        identity=identity,
        own_documents=OwnDocuments(
            keyring,
            own_log,
            key,
            read_all=lambda: read_root_documents(settings.data_dir),
            keys_of=lambda document: (log_keys(settings.data_dir, written, document), node_key(settings.data_dir, written, document)),
            clock=clock,
        ),
        database=database,
        keyring=keyring,
        index=index,
        listed=listed,
        keeper=FileKeeper(database, index, listed, guarded=lambda: guards.ids),
        own_log=own_log,
        gate=gate,
        screening=screening,
        sandbox=sandbox,
        bulk=Bulk(listed, is_current=lambda: index.is_current),
        publisher=Publisher(database, identity.origin),
        consultation=Consultation(database, keyring, index, find=find_in, moment=moment),
        recall=Recall(database, index, find=find_in, moment=moment),
        policies=Policies(database, clock=clock),
        recognition=recognition,
        guards=guards,
        attestation=Attestation(database, node_id=identity.node_id, key=key, clock=clock),
        notify=Notify(
            database,
            moment=moment,
            reader_of=recognition.watcher,
            worker=worker,
            shares_database=shares_database,
            settle=access_log.settle,
        ),
        watching=Watching(database, clock=clock, allow_loopback=settings.allow_loopback),
        deliverer=Deliverer(
            database,
            Poster(allow_loopback=settings.allow_loopback, timeout_s=settings.webhook_timeout_s),
            reader_of=recognition.watcher,
            clock=clock,
            worker=worker,
            shares_database=shares_database,
        ),
        views=_views(settings, written, ViewParts(database, index, own_log, moment, guards)),
        access_log=access_log,
        moment=moment,
        clock=clock,
        shares_database=shares_database,
        loops=[],
        federation=_federation(settings, identity, Floor(database, keyrings, index, gate, own_log, sources, key, clock), wires or Wires())
        if settings.federation
        else None,
    )


def _sandbox(index: ListingIndex, *, moment: Callable[[], Moment], access_log: AccessLog) -> Screening:
    """Screening for `test` keys: what is made up is in no access log."""

    def now() -> Moment:
        live = moment()
        return replace(live, protected=lambda id_: id_ == SANDBOX_PROTECTED or live.protected(id_))

    async def record(entries: Sequence[AuditEntry], *, then: Then | None = None) -> None:
        await access_log.record([one for one in entries if one.subject not in SANDBOX_IDS], then=then)

    return Screening(SandboxIndex(index), moment=now, record=record)


def _views(settings: Settings, written: NodeFile, parts: ViewParts) -> Views:
    """The views of this node, under the keys that its root document names."""
    keys = {tier: view_key(written, tier, read_note_seed(settings.data_dir, f"view-{tier}")) for tier in TIERS}
    return Views(parts, keys, interval_s=settings.view_interval_s, is_federated=settings.federation)


@dataclass(frozen=True, slots=True)
class Wires:
    """How a node reaches its peers: by sockets, or (in a simulation) through `transport`, and then only when told."""

    transport: Transport | None = None
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Floor:
    """What the peer half stands on."""

    database: Database
    keyrings: Keyrings
    index: ListingIndex
    gate: Gate
    own_log: OwnLog
    sources: SourceBoard
    key: NodeKey
    clock: Callable[[], int]


def _federation(settings: Settings, identity: Identity, floor: Floor, wires: Wires) -> Federation:
    """The peer half of a node."""
    clock = floor.clock
    foreign = ForeignGate(database=floor.database, keyrings=floor.keyrings, index=floor.index, clock=clock)
    floor.index.catching_up.append(foreign.follow)
    http = make_client(settings.allow_loopback, wires.transport)

    def connect(row: PeerRow) -> PeerClient:
        def sign(method: str, url: str, body: bytes) -> str:
            return sign_request(
                floor.key.current,
                node=identity.node_id,
                audience=row.node,
                method=method,
                url=url,
                body=body,
                now=clock() // 1000,
                jti=secrets.token_urlsafe(16),
            )

        return PeerClient(row.url, http, sign, lambda: clock() / 1000)

    return Federation(
        Parts(
            database=floor.database,
            keyrings=floor.keyrings,
            foreign=foreign,
            gate=floor.gate,
            own_log=floor.own_log,
            heads=HeadBoard(),
            sources=floor.sources,
            voice=NodeVoice(identity.node_id, identity.origin, floor.key, _witness(settings)),
            trust=Trust(
                floor.database,
                own_jurisdiction=identity.jurisdiction,
                connect=lambda url: PeerClient(url, http, None, lambda: clock() / 1000),
                clock=clock,
            ),
            clock=clock,
            connect=connect,
            close=http.aclose,
            rules=FollowRules(
                poll_s=settings.peer_poll_s,
                backoff_max_s=settings.peer_backoff_max_s,
                patience_s=0.0 if wires.by_hand else PATIENCE_S,
                withheld_after_s=0.0 if wires.by_hand else WITHHELD_AFTER_S,
                worker=f"{os.getpid()}-{time.monotonic_ns():x}",
                shares_database=settings.workers > 1,
            ),
            witness_policy=read_policy(settings.witness_policy_file),
            by_hand=wires.by_hand,
        )
    )


def _witness(settings: Settings) -> NoteKey | None:
    """The witness key; None for a data directory of a release that made none."""
    if not (settings.keys_dir / "witness.key").is_file():
        return None
    return witness_key(read_node_file(settings.data_dir), read_note_seed(settings.data_dir, "witness"))


class Application(FastAPI):
    """FastAPI without the two calls in front of its middlewares, which have nothing to do for a request here: there is no telemetry."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See FastAPI."""
        if self.middleware_stack is None or scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)

    def at_once(self, data: bytes, peer: str, whole: Whole) -> ASGIApp | None:
        """See `Edge.at_once`: a server with PatientProtocol asks this before it reads a request by its rules."""
        edge = self.middleware_stack
        rest = edge.at_once(data, peer, whole) if isinstance(edge, Edge) else self
        return self if rest is edge else rest


def create_app(settings: Settings | None = None, *, clock: Callable[[], int] = wall_ms, wires: Wires | None = None) -> FastAPI:
    """The application; its lifespan starts the node and stops it. One process holds a data directory (several workers: their parent)."""
    chosen = settings or load()
    if settings is None:
        configure_logs(chosen.log_level)  # a server that builds the application itself: a container, a worker
    node = build(chosen, clock=clock, wires=wires)
    lock = DataDirLock(chosen.data_dir)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if chosen.workers == 1:
            lock.acquire()
        settle_memory()
        await node.start()
        settle_memory()
        try:
            async with beside(app, chosen.operations_bind):
                yield
        finally:
            await node.stop()
            lock.release()

    app = Application(
        title="Cordon",
        version="0.1.0",
        summary="Signed statements about scam wallets: submit, look up, prove.",
        lifespan=lifespan,
        docs_url="/docs" if chosen.docs else None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # a span would hold the path, and the path an address
    )
    install(app, node, chosen, federated=_federated(node))
    return app


def _federated(node: Node) -> Federated | None:
    """What the HTTP floor of a federating node needs beside the node itself."""
    federation = node.federation
    if federation is None:
        return None
    tokens = PeerTokens(
        node.database,
        node.keyring,
        node_id=node.identity.node_id,
        find_key=federation.find_key,
        public_url=node.identity.public_url,
        clock=node.clock,
    )
    return Federated(federation, federation.heads, tokens)


def settle_memory() -> None:
    """What was loaded stays: keep the collector from walking it again and again (performance §7.4). And what one list of addresses gives
    back of memory the next one takes: keep the C library from returning it to the system, page by page, in between.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
    tell = getattr(ctypes.CDLL(None), "mallopt", None)  # of glibc; another one does as it likes
    if tell is not None:
        tell(_MMAP_THRESHOLD, KEPT_FREE_BYTES // 4)
        tell(_TRIM_THRESHOLD, KEPT_FREE_BYTES)


class _SideServer(uvicorn.Server):
    """A second server in the process: signals are for the first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


@asynccontextmanager
async def beside(app: FastAPI, bind: str) -> AsyncIterator[None]:
    """Health and metrics on `host:port` of their own while the application lives; nothing if `bind` is empty."""
    if not bind:
        yield
        return
    host, _, port = bind.rpartition(":")
    config = uvicorn.Config(
        operations_app(app),
        host=host,
        port=int(port),
        http=PatientProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
    )
    server = _SideServer(config)
    serving = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class Moments:
    """Now, under the policy in force: its public delay if it names one, else the operator's. One value serves a whole millisecond."""

    def __init__(self, settings: Settings, keyring: Keyring, *, guards: Guards, sources: SourceBoard, clock: Callable[[], int]) -> None:
        self._delay_h = settings.public_delay_h
        self._origin = keyring.origin
        self._keyring = keyring
        self._guards = guards
        self._sources = sources
        self._clock = clock
        self._last: tuple[int, Moment] = (-1, Moment(now_ms=0))

    def __call__(self) -> Moment:
        """The moment."""
        now_ms = self._clock()
        version, moment = self._last
        if moment.now_ms == now_ms and version == self._keyring.version and moment.sources is self._sources.sources:
            return moment
        stated = self._keyring.stated_policy
        delay_h = self._delay_h if stated is None else stated.public_delay_h
        moment = Moment(
            now_ms=now_ms,
            public_delay_ms=delay_h * HOUR_MS,
            own_origin=self._origin,
            sources=self._sources.sources,
            weightless=self._sources.weightless,
            protected=self._guards.is_listed_here,
        )
        self._last = (self._keyring.version, moment)
        return moment


def _own_documents(data_dir: Path) -> list[RootDocument]:
    """Our own root documents as they stand in the data directory; peers verify the chain, we wrote it."""
    return [read_document(data).document for data in read_root_documents(data_dir)]
