"""Three real nodes in processes of their own, and who can reach whom; every acknowledgement is remembered and looked for in the end.

    with Cluster(tmp_path, Loopback(seed=1)) as cluster:        # a proxy before each node
        cluster.say("xa")
        cluster.wires.weather("xb", Weather(latency_s=0.3))
        cluster.kill("xc"), cluster.start("xc")
        cluster.await_converged(30)
        cluster.check()                                         # nothing lost, nothing doubled, fsck

Wires: `Loopback` puts a fault proxy before each node (works everywhere); `Namespaces` gives each node a network namespace on a bridge,
where links are cut as in the ground: needs root and CAP_NET_ADMIN. In them the nodes have loopback addresses that are routed, as only
there a node follows a peer by plain http.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pytest

from app.cli.console import Console
from app.cli.demo_data import Voice, judged
from app.cli.demo_federation import Place, pin, prepare
from app.cli.fsck import examine_url
from app.cli.local import settings_of
from app.cli.relations import Relations, with_relations
from app.domain.errors import CordonError
from app.sdk.client import Client, Options
from tests.faults.proxy import CALM, FaultProxy, Weather
from tests.ports import free_port
from tests.waiting import lived_s

ROOT = Path(__file__).resolve().parents[2]
CODES = ("xa", "xb", "xc")
HEALED_S = 30
CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True)
class Station(Place):
    """A node that others reach at `public`, and that listens on `host` and `port`."""

    host: str = "127.0.0.1"
    public: str = ""

    @property
    def url(self) -> str:
        """How others reach it."""
        return self.public

    @property
    def inside(self) -> str:
        """How the tests reach it, whatever the weather."""
        return f"http://{self.host}:{self.port}"


class Wires(Protocol):
    """What lies between the nodes."""

    def lay(self, folder: Path) -> Sequence[Station]:
        """A place for each node."""
        ...

    def command(self, code: str) -> list[str]:
        """What a node's command begins with."""
        ...

    def heal(self) -> None:
        """Everybody reaches everybody."""
        ...

    def close(self) -> None:
        """Take them away."""
        ...


class Loopback:
    """A fault proxy before each node."""

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self._stack = ExitStack()
        self.proxies: dict[str, FaultProxy] = {}

    def lay(self, folder: Path) -> Sequence[Station]:
        """A place for each node."""
        stations = []
        for number, code in enumerate(CODES):
            port = free_port()
            proxy = self._stack.enter_context(FaultProxy(("127.0.0.1", port), seed=self._seed + number))
            self.proxies[code] = proxy
            stations.append(Station(code, folder / code, port, public=f"http://127.0.0.1:{proxy.port}"))
        return stations

    def command(self, code: str) -> list[str]:  # noqa: ARG002 - one of two kinds of wires
        """Nothing special."""
        return []

    def weather(self, code: str, weather: Weather) -> None:
        """What happens to everybody who calls this node."""
        self.proxies[code].weather = weather

    def heal(self) -> None:
        """Calm."""
        for proxy in self.proxies.values():
            proxy.weather = CALM

    def close(self) -> None:
        """Take them away."""
        self._stack.close()


class Alone:
    """One node, nothing between. `before`: what its command begins with."""

    def __init__(self, *before: str) -> None:
        self._before = before

    def lay(self, folder: Path) -> Sequence[Station]:
        """A place for xa."""
        port = free_port()
        return [Station("xa", folder / "xa", port, public=f"http://127.0.0.1:{port}")]

    def command(self, code: str) -> list[str]:  # noqa: ARG002 - there is one
        """What was given."""
        return [*self._before]

    def heal(self) -> None:
        """Nothing was cut."""

    def close(self) -> None:
        """Nothing was laid."""


class Namespaces:
    """A bridge, a namespace for each node and one for the tests, in which this process stays until `close`."""

    @staticmethod
    def missing() -> str:
        """Why they cannot be had here; empty if they can."""
        name = f"cordon-probe-{os.getpid()}"
        try:
            made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return "there is no `ip` (iproute2)"
        if made.returncode:
            return made.stderr.strip() or "ip netns add failed"
        laid = subprocess.run(["ip", "-n", name, "link", "add", "p0", "type", "bridge"], capture_output=True, text=True, check=False)
        subprocess.run(["ip", "netns", "del", name], check=False)
        return laid.stderr.strip() if laid.returncode else ""

    def __init__(self) -> None:
        self._prefix = f"cordon-{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._names = [self._name("bridge")]
        self._number = {code: number for number, code in enumerate(CODES, 1)}

    def _name(self, code: str) -> str:
        return f"{self._prefix}-{code}"

    def lay(self, folder: Path) -> Sequence[Station]:
        """A place for each node; the tests get number 100."""
        bridge = self._names[0]
        _ip("netns", "add", bridge)
        _ip("-n", bridge, "link", "add", "br0", "type", "bridge")
        _ip("-n", bridge, "link", "set", "br0", "up")
        for code, number in (*self._number.items(), ("tests", 100)):
            self._connect(self._name(code), code, number, bridge)
        self._enter(self._name("tests"))
        return [
            Station(code, folder / code, 8101, host=f"127.77.0.{number}", public=f"http://127.77.0.{number}:8101")
            for code, number in self._number.items()
        ]

    def _connect(self, name: str, code: str, number: int, bridge: str) -> None:
        _ip("netns", "add", name)
        self._names.append(name)
        _ip("link", "add", "name", "e0", "netns", name, "type", "veth", "peer", "name", f"v-{code}", "netns", bridge)
        _ip("-n", bridge, "link", "set", f"v-{code}", "master", "br0")
        _ip("-n", bridge, "link", "set", f"v-{code}", "up")
        for place in ("all", "e0"):
            _ip("netns", "exec", name, "sh", "-c", f"echo 1 > /proc/sys/net/ipv4/conf/{place}/route_localnet")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "addr", "del", "127.0.0.1/8", "dev", "lo")
        _ip("-n", name, "addr", "add", f"127.77.0.{number}/24", "dev", "e0")
        _ip("-n", name, "link", "set", "e0", "up")

    def _enter(self, name: str) -> None:
        descriptor = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            _setns(descriptor)
        finally:
            os.close(descriptor)

    def command(self, code: str) -> list[str]:
        """In its namespace."""
        return ["ip", "netns", "exec", self._name(code)]

    def deafen(self, sender: str, receiver: str) -> None:
        """What `sender` sends to `receiver` is lost on the way; the other direction works."""
        address = f"127.77.0.{self._number[receiver]}"
        _ip("-n", self._name(sender), "neigh", "replace", address, "lladdr", "02:00:00:00:de:ad", "dev", "e0", "nud", "permanent")

    def part(self, one: str, other: str) -> None:
        """Nothing passes between two nodes."""
        self.deafen(one, other)
        self.deafen(other, one)

    def unplug(self, code: str) -> None:
        """Its link is down: for everybody, also for the tests."""
        _ip("-n", self._names[0], "link", "set", f"v-{code}", "down")

    def heal(self) -> None:
        """Links up, every lost way found again."""
        for code in CODES:
            _ip("-n", self._names[0], "link", "set", f"v-{code}", "up")
            _ip("-n", self._name(code), "neigh", "flush", "dev", "e0", "nud", "permanent")

    def close(self) -> None:
        """Back where we were; the namespaces go."""
        _setns(self._home)
        os.close(self._home)
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    if words[:2] == ("netns", "exec"):
        subprocess.run(["ip", *words], check=True, capture_output=True)
        return
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stderr)


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@dataclass(frozen=True, slots=True)
class Acked:
    """What a node has acknowledged."""

    code: str
    sid: str
    index: int


@dataclass(slots=True)
class Cluster:
    """The nodes. `extra`: further lines of a cordon.toml, by jurisdiction; `databases`: where a node does not keep SQLite."""

    folder: Path
    wires: Wires
    extra: dict[str, str] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    stations: dict[str, Station] = field(default_factory=dict)
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    acked: list[Acked] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    """Why statements were not acknowledged."""
    spoken: int = 0
    code: Path = ROOT
    """The checkout whose code is started."""

    def __enter__(self) -> Self:
        try:
            for station in self.wires.lay(self.folder):
                self.stations[station.code] = station
                self._prepare(station)
            for code in self.stations:
                self.start(code, wait=False)
            for code in self.stations:
                self.await_answers(code)
            pin([*self.stations.values()])
            self.await_converged(60)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _prepare(self, station: Station) -> None:
        with pytest.MonkeyPatch.context() as patched:
            if station.code in self.databases:
                patched.setenv("CORDON_DATABASE_URL", self.databases[station.code])
            prepare(station)
        file = station.folder / "cordon.toml"
        lines = [f'host = "{station.host}"', "peer_poll_s = 2", "peer_backoff_max_s = 4", self.extra.get(station.code, "")]
        file.write_text(file.read_text("utf-8") + "\n".join(lines) + "\n", "utf-8")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for child in self.children.values():
            if child.poll() is None:
                with suppress(ProcessLookupError):
                    child.send_signal(signal.SIGCONT)
                    child.send_signal(signal.SIGTERM)
        for child in self.children.values():
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait(10)
        self.wires.close()

    # --- processes -----------------------------------------------------------------------------------------------------

    def start(self, code: str, *, wait: bool = True) -> None:
        """Start a node."""
        with self.stations[code].folder.with_suffix(".log").open("ab") as out:
            self.children[code] = subprocess.Popen(
                [*self.wires.command(code), *self.serve_command(code)],
                env=self.environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        if wait:
            self.await_answers(code)

    def serve_command(self, code: str) -> list[str]:
        """How a node is started."""
        return [sys.executable, "-P", "-m", "app.cli", "serve", "--data-dir", str(self.stations[code].folder)]

    def environment(self) -> dict[str, str]:
        """Ours without settings."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CORDON_")}
        return {**clean, "PYTHONPATH": str(self.code)}

    def await_answers(self, code: str) -> None:
        """Wait until it serves."""

        def answers() -> bool:
            child = self.children[code]
            assert child.poll() is None, (code, child.returncode, self.log(code))
            try:
                with self.client(code) as client:
                    return client.well_known().get("node") == self.stations[code].node
            except CordonError:
                return False

        self.until(answers, 90, f"{code} answers")

    def kill(self, code: str) -> None:
        """kill -9."""
        os.killpg(self.children[code].pid, signal.SIGKILL)
        self.children[code].wait(10)

    def terminate(self, code: str) -> None:
        """SIGTERM, and wait for its end."""
        self.children[code].send_signal(signal.SIGTERM)
        assert self.children[code].wait(40) == 0

    def log(self, code: str) -> str:
        """The end of what a node has written down."""
        return self.stations[code].folder.with_suffix(".log").read_text("utf-8", "replace")[-3000:]

    # --- saying --------------------------------------------------------------------------------------------------------

    def client(self, code: str) -> Client:
        """A client of a node, past the weather; it does not try again."""
        return Client(self.stations[code].inside, Options(timeout_s=20, max_wait_s=0))

    def listing(self, code: str) -> str:
        """A statement that nobody has made yet."""
        self.spoken += 1
        station = self.stations[code]
        voice = Voice(station.police, station.origin, int(time.time()))
        address = "0x" + sha256(b"%d" % self.spoken).hexdigest()[:40]
        return voice.list([*judged([("ethereum", 1, address)], "fraud.romance", "collection", 2)])

    def say(self, code: str, times: int = 1) -> int:
        """Submit statements one by one; how many were acknowledged. What was not may be there or not."""
        acked = 0
        with self.client(code) as client:
            for _ in range(times):
                try:
                    receipt = client.submit(self.listing(code))
                except CordonError as error:
                    self.unclear.append(f"{code}: {error.detail}")
                    continue
                assert receipt.index is not None
                self.acked.append(Acked(code, receipt.sid, receipt.index))
                acked += 1
        return acked

    # --- looking -------------------------------------------------------------------------------------------------------

    def sizes(self, code: str) -> dict[str, tuple[int, bytes]]:
        """Size and root of every log as a node has taken it in."""

        async def work(own: Relations) -> dict[str, tuple[int, bytes]]:
            async with own.database.reading() as tx:
                heads = [await tx.log.head(one.origin) for one in self.stations.values()]
            return {head.origin: (head.size, head.root) for head in heads if head is not None}

        return with_relations(self.stations[code].folder, work)

    def has_converged(self) -> bool:
        """Everybody holds of every log what its own node holds."""
        seen = [self.sizes(code) for code in self.stations]
        return all(one == seen[0] for one in seen) and len(seen[0]) == len(self.stations)

    def await_converged(self, within_s: float) -> float:
        """Seconds it took."""
        return self.until(self.has_converged, within_s, "all hold the same", pause_s=0.2)

    def until(self, condition: Callable[[], bool], within_s: float, what: str, *, pause_s: float = 0.1) -> float:
        """Seconds that were lived until it held."""
        began = lived_s()
        while not condition():
            if lived_s() - began > within_s:
                logs = {code: self.log(code) for code in self.stations}
                raise AssertionError(f"not within {within_s} s: {what}; {[self.sizes(code) for code in self.stations]}; {logs}")
            time.sleep(pause_s)
        return lived_s() - began

    def converge(self) -> None:
        """Heal, wait, and look for everything that was acknowledged."""
        self.wires.heal()
        self.await_converged(HEALED_S)
        self.check()

    def check(self) -> None:
        """Everything acknowledged is where its receipt says, at home and with all others, once; and every database is sound."""
        books = {code: self._books(code) for code in self.stations}
        for one in self.acked:
            home = books[one.code][self.stations[one.code].origin]
            assert home[one.index][0] == one.sid, f"{one.code} has lost what it acknowledged at {one.index}"
        for code, station in self.stations.items():
            own = books[code][station.origin]
            assert len({sid for sid, _ in own}) == len(own), "nothing twice"
            for other in self.stations:
                assert books[other][station.origin] == own, f"{other} holds another {station.origin} than {code}"
        for station in self.stations.values():
            settings = settings_of(station.folder)
            health = examine_url(settings.resolved_database_url, station.origin, settings.resolved_anchor, Console(True))
            assert health.faults == [], station.code

    def _books(self, code: str) -> dict[str, list[tuple[str, bytes]]]:
        async def work(own: Relations) -> dict[str, list[tuple[str, bytes]]]:
            found = {}
            async with own.database.reading() as tx:
                for station in self.stations.values():
                    head = await tx.log.head(station.origin)
                    assert head is not None
                    entries = await tx.log.entries(station.origin, 0, head.size)
                    assert [entry.index for entry in entries] == list(range(head.size))
                    found[station.origin] = [(entry.sid, entry.entry) for entry in entries]
            return found

        return with_relations(self.stations[code].folder, work)
