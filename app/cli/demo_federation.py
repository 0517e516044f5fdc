"""`cordon demo --federation`: three jurisdictions of our own making on one machine, and how fast a word gets round.

`xa`, `xb` and `xc` each have keys, a log and a database of their own under one folder, a node process of their own, and pin the other
two. A listing made at `xa` is followed to its answer at the others, then its retraction, then an erasure to its acknowledgement; each
time is measured from the moment of sending. Nothing here leaves the machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from app.cli.console import DONE, Console
from app.cli.demo_data import WALLETS, Voice, judged, key_of, member_of
from app.domain.canonical import JsonValue
from app.domain.errors import BadRequest, CordonError, NotFound, Unavailable
from app.domain.registry import MemberClass
from app.domain.statement import sid_of

if TYPE_CHECKING:
    from app.sdk.client import Client

DEFAULT_FOLDER = Path("var/federation")
FIRST_PORT = 8101
CODES = ("xa", "xb", "xc")
PATIENCE_S = 60.0
PAUSE_S = 0.005

SETTINGS = """# Written by the demonstration. A real node follows others only over https, and never on loopback.
port = {port}
public_url = "{url}"
federation = true
allow_loopback = true
dpia_ref = "demonstration: no personal data"
controller = "demonstration {code}"
dpo_contact = "nobody@{code}.example"
supervisory_authority = "none, this is a demonstration"
log_level = "warning"
rate_public_per_minute = 1000000
"""


@dataclass(frozen=True, slots=True)
class Place:
    """One jurisdiction of the demonstration."""

    code: str
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Where its node answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def node(self) -> str:
        """Its node id."""
        return f"node.{self.code}.example"

    @property
    def police(self) -> str:
        """Its only agency."""
        return f"{self.code}.police"

    @property
    def origin(self) -> str:
        """Its log."""
        return f"{self.node}/log"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing shown: `ms` from the moment of sending, by jurisdiction."""

    what: str
    sid: str
    ms: Mapping[str, float]


def show(console: Console, folder: Path, *, first_port: int, once: bool, program: str) -> int:
    """Found what is missing, run the three nodes, show the three steps, and let the nodes run until Ctrl-C (`once`: end). `program`: how it is called."""
    places = [Place(code, folder / code, first_port + number) for number, code in enumerate(CODES)]
    for place in places:
        prepare(place)
    with ExitStack() as running:
        running.enter_context(_told_to_end())
        children = [running.enter_context(_serving(place)) for place in places]
        clients = {place.code: running.enter_context(_client(place)) for place in places}
        for place, child in zip(places, children, strict=True):
            _await_node(place, child, clients[place.code])
        pin(places)
        with console.progress("nodes take each other in", len(places)) as bar:
            for place in places:
                _await_peers(place, [other for other in places if other is not place])
                bar.advance()
        try:
            steps = list(_steps(places, clients))
            _tell(console, places, steps)
            if not once:
                _linger(console, places, children, program)
        finally:
            for child in children:  # all at once, so that they drain together
                child.send_signal(signal.SIGTERM)
    return DONE


# --- founding ----------------------------------------------------------------------------------------------------------


def prepare(place: Place) -> None:
    """Keys, root document, settings, database and the agency; what is there stays."""
    from app.cli.doors import open_door
    from app.cli.local import upgrade
    from app.services.enroll import Founding, Registrar, found, founding_statements, read_key, read_node_file, write_key

    folder = place.folder
    if (folder / "node.json").exists() and read_node_file(folder).public_url != place.url:
        raise BadRequest(
            f"{folder} was made for {read_node_file(folder).public_url}: give the same --port, or begin anew with another --data-dir"
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / "demonstrated").exists():
        return
    now = int(time.time())
    if not (folder / "node.json").exists():
        found(folder, Founding(place.code, place.node, f"Demonstration {place.code}", place.url, demonstration=True), now=now)
    key_file = folder / "keys" / f"{place.police}.jwk"
    if not key_file.exists():
        write_key(key_file, key_of(place.police))
    (folder / "cordon.toml").write_text(SETTINGS.format(port=place.port, url=place.url, code=place.code), "utf-8")
    upgrade(folder)
    registrar = Registrar(place.origin, read_key(folder / "keys" / "registrar-1.jwk"), now)
    agency = member_of(place.police, MemberClass.AGENCY, f"Police of {place.code}", now=now)
    with open_door(folder, None) as door:
        for outcome in door.submit([*founding_statements(folder, now=now), registrar.member(agency)]):
            if isinstance(outcome, CordonError):
                raise outcome
    (folder / "demonstrated").touch()


def pin(places: Sequence[Place]) -> None:
    """Exchange pins, as operators do on paper: each node adds the other two."""
    from app.cli.relations import Relations, with_relations
    from app.seal.roots import read_document
    from app.services.enroll import read_root_documents

    pins = {place.code: read_document(read_root_documents(place.folder)[0]).document.sha256 for place in places}
    for place in places:

        async def work(own: Relations, place: Place = place) -> None:
            known = {peer.node for peer, _ in await own.trust.peers()}
            for other in places:
                if other is not place and other.node not in known:
                    await own.trust.add(other.url, pins[other.code])

        with_relations(place.folder, work)


# --- processes ---------------------------------------------------------------------------------------------------------


@contextmanager
def _told_to_end() -> Iterator[None]:
    """SIGTERM ends us like Ctrl-C: the nodes are told to drain, and none is left behind."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _serving(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    import app

    code = str(Path(str(app.__file__)).parents[1])
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CORDON_")}
    command = [sys.executable, "-P", "-m", "app.cli", "serve", "--data-dir", str(place.folder)]
    with _log_file(place).open("ab") as out:
        # In a group of its own: Ctrl-C is for us, who then ask each node to drain.
        child = subprocess.Popen(  # noqa: S603 — this program itself
            command,
            env={**clean, "PYTHONPATH": code},
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)  # `show` has told all of them already; a second word does no harm
            try:
                child.wait(35)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _log_file(place: Place) -> Path:
    return place.folder.with_suffix(".log")


@contextmanager
def _client(place: Place) -> Iterator[Client]:
    from app.sdk.client import Client, Options

    with Client(place.url, Options()) as client:
        yield client


def _await_node(place: Place, child: subprocess.Popen[bytes], client: Client) -> None:
    def answers() -> bool:
        if child.poll() is not None:
            lines = _log_file(place).read_text("utf-8", "replace").strip().splitlines()
            raise Unavailable(f"the node of {place.code} ended ({child.returncode}): {lines[-1] if lines else 'see its log'}")
        try:
            found = client.well_known().get("node")
        except Unavailable:
            return False
        if found != place.node:
            raise Unavailable(f"something else answers on {place.url}: give another --port")
        return True

    _until(answers, f"the node of {place.code} answers", pause_s=0.05)


def _await_peers(place: Place, others: Sequence[Place]) -> None:
    from app.cli.relations import Relations, with_relations

    async def work(own: Relations) -> bool:
        async with own.database.reading() as tx:
            heads = [await tx.log.head(other.origin) for other in others]
        return all(head is not None and head.size >= 3 for head in heads)

    _until(lambda: with_relations(place.folder, work), f"{place.code} has taken in the logs of the others", pause_s=0.1)


def _until(condition: Callable[[], bool], what: str, *, pause_s: float = PAUSE_S) -> float:
    """Seconds until the condition held."""
    began = time.perf_counter()
    while not condition():
        if time.perf_counter() - began > PATIENCE_S:
            raise Unavailable(f"waited {PATIENCE_S:.0f} s in vain until {what}: cordon doctor --data-dir tells more of each node")
        time.sleep(pause_s)
    return time.perf_counter() - began


# --- the three steps ---------------------------------------------------------------------------------------------------


def _steps(places: Sequence[Place], clients: Mapping[str, Client]) -> Iterator[Step]:
    home, *others = places
    now = int(time.time())
    voice = Voice(home.police, home.origin, now)
    first, second = WALLETS[0], WALLETS[1]
    note: list[JsonValue] = [{"narrative": "told by a victim, who now asks that it be forgotten"}]

    listing = voice.list([*judged([first], "fraud.investment.pig_butchering", "collection", 3)])
    yield _step("listing", listing, home, others, clients, _is_listed(first[2], sid_of(listing.partition("~")[0])))
    sid = sid_of(listing.partition("~")[0])
    yield _step("retraction", voice.say("retract", {"t": [sid]}, {}), home, others, clients, _is_gone(first[2], sid))
    again = voice.list([*judged([second], "fraud.romance", "collection", 2)], notes=note)
    sid = sid_of(again.partition("~")[0])
    yield _step("second listing", again, home, others, clients, _is_listed(second[2], sid))
    erasure = voice.say("erase", {"t": [sid], "del": ["core", "ctx"], "ground": "gdpr-17"}, {})
    began = time.perf_counter()
    yield _step("erasure", erasure, home, others, clients, _is_erased(sid))
    erased = sid_of(erasure.partition("~")[0])
    yield Step("acknowledged to xa", erased, _acknowledged(home, others, erased, began))


Condition = Callable[["Client"], bool]


def _step(what: str, wire: str, home: Place, others: Sequence[Place], clients: Mapping[str, Client], holds: Condition) -> Step:
    """Send at home, and ask everybody at once until it holds there: milliseconds from the moment of sending."""
    began = time.perf_counter()

    def wait(place: Place) -> float:
        _until(lambda: holds(clients[place.code]), f"the {what} shows at {place.code}")
        return (time.perf_counter() - began) * 1000

    with ThreadPoolExecutor(len(others)) as pool:
        waiting = {place.code: pool.submit(wait, place) for place in others}
        receipt = clients[home.code].submit(wire)
        logged = (time.perf_counter() - began) * 1000
        return Step(what, receipt.sid, {home.code: logged, **{code: one.result() for code, one in waiting.items()}})


def _said(client: Client, address: str) -> set[str]:
    """The statements that stand behind an answer."""
    result = client.screen_one(address).get("result")
    statements = result.get("statements") if isinstance(result, dict) and result.get("match") == "listed" else []
    return {str(one.get("sid")) for one in statements if isinstance(one, dict)} if isinstance(statements, list) else set()


def _is_listed(address: str, sid: str) -> Condition:
    return lambda client: sid in _said(client, address)


def _is_gone(address: str, sid: str) -> Condition:
    return lambda client: sid not in _said(client, address)


def _is_erased(sid: str) -> Condition:
    def holds(client: Client) -> bool:
        try:
            record = client.statement(sid)
        except NotFound:
            return False
        parts = record.get("parts")
        return isinstance(parts, dict) and bool(parts) and all(said == "erased" for said in parts.values())

    return holds


def _acknowledged(home: Place, others: Sequence[Place], erased: str, began: float) -> dict[str, float]:
    """Milliseconds until each of the others has said that it carried the erasure out."""
    from app.cli.relations import Relations, with_relations

    done: dict[str, float] = {}

    async def work(own: Relations) -> bool:
        async with own.database.reading() as tx:
            said = {one.node for one in await tx.acks.of(erased) if one.done_ms is not None}
        for other in others:
            if other.node in said:
                done.setdefault(other.code, (time.perf_counter() - began) * 1000)
        return len(done) == len(others)

    _until(lambda: with_relations(home.folder, work), "the others have acknowledged the erasure", pause_s=0.02)
    return done


# --- telling -----------------------------------------------------------------------------------------------------------


def _tell(console: Console, places: Sequence[Place], steps: Sequence[Step]) -> None:
    nodes: dict[str, JsonValue] = {place.code: place.url for place in places}
    shown: list[JsonValue] = [
        {"step": one.what, "sid": one.sid, "ms": {code: round(value, 1) for code, value in one.ms.items()}} for one in steps
    ]
    console.document({"nodes": nodes, "steps": shown})
    if console.as_json:
        return
    from rich.console import Console as Terminal
    from rich.table import Table

    table = Table(title="From xa to the others: milliseconds from the moment of sending")
    table.add_column("said at xa")
    for place in places:
        table.add_column(f"{place.code}: receipt" if place is places[0] else f"{place.code}: verified, visible", justify="right")
    for one in steps:
        table.add_row(one.what, *(f"{one.ms[place.code]:.1f}" if place.code in one.ms else "" for place in places))
    Terminal().print(table)


def _linger(console: Console, places: Sequence[Place], children: Sequence[subprocess.Popen[bytes]], cordon: str) -> None:
    console.say(f"The three nodes go on: {', '.join(place.url for place in places)}. In another shell:")
    console.say(f"  {cordon} peer list --data-dir {places[1].folder}")
    console.say(f"  {cordon} doctor --data-dir {places[1].folder}")
    console.say("Ctrl-C ends them; the data stays.")
    try:
        while all(child.poll() is None for child in children):
            time.sleep(0.5)
    except KeyboardInterrupt:
        return
    raise Unavailable("a node has ended by itself: its log is beside its folder")
