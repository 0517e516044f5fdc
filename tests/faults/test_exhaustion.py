"""F-18, F-30, F-31, F-32: too much at once. Whoever was let in is answered, the rest is told to come again, and afterwards all is as before."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.faults.cluster import Alone, Cluster
from tests.waiting import lived_s, wait_until

pytestmark = pytest.mark.slow

ABSENT = "0x" + "0" * 39 + "1"
PEERS, VASPS = 50, 200
EXIT_S = 30
ASKERS = 4
MIB = 1024 * 1024


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Cluster]:
    """One node in a process of its own."""
    with Cluster(tmp_path, Alone()) as cluster:
        yield cluster


def url_of(cluster: Cluster) -> str:
    return cluster.stations["xa"].inside


# --- F-18 ----------------------------------------------------------------------------------------------------------------


class Steady:
    """One who looks up without a pause, in a thread of his own. `took`: of each answer, in seconds; `longest_s`: in seconds that were lived."""

    def __init__(self, url: str) -> None:
        self.took: list[float] = []
        self.longest_s = 0.0
        self._url = url
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            while not self._ends.is_set():
                began, began_s = time.monotonic(), lived_s()
                client.get(f"/v1/screen/{ABSENT}").raise_for_status()
                self.took.append(time.monotonic() - began)
                self.longest_s = max(self.longest_s, lived_s() - began_s)


async def herd(url: str, size: int) -> Counter[int]:
    """All of them connect anew in the same moment and ask for what they have missed; how they were answered."""
    alone = {"Connection": "close"}
    async with httpx.AsyncClient(
        base_url=url, timeout=60, trust_env=False, headers=alone, limits=httpx.Limits(max_connections=None)
    ) as client:

        async def arrive(*paths: str) -> list[int]:
            return [(await client.get(path)).status_code for path in paths]

        peers = [arrive("/log/checkpoint", "/.well-known/cordon-node", f"/log/tile/entries/000.p/{size}") for _ in range(PEERS)]
        vasps = [arrive(f"/v1/screen/{ABSENT}", "/v1/vocabulary", f"/v1/screen/{ABSENT}") for _ in range(VASPS)]
        return Counter(status for statuses in await asyncio.gather(*peers, *vasps) for status in statuses)


def test_fifty_peers_and_two_hundred_vasps_at_once(alone: Cluster) -> None:
    """F-18: all come back in the same moment. Everybody is answered, and who looks up meanwhile waits no longer than for his place in the queue."""
    assert alone.say("xa", 20) == 20
    size = alone.sizes("xa")[alone.stations["xa"].origin][0]
    with Steady(url_of(alone)) as before:
        wait_until(lambda: len(before.took) >= 200)
    with Steady(url_of(alone)) as meanwhile:
        answered = asyncio.run(herd(url_of(alone), size))
        wait_until(lambda: meanwhile.took)
    assert set(answered) == {200}, answered
    assert answered[200] == 3 * (PEERS + VASPS)
    told = [statistics.median(one.took) * 1000 for one in (before, meanwhile)]
    sys.stderr.write(f"median {told[0]:.1f} ms alone, {told[1]:.1f} ms with the herd; longest {max(meanwhile.took) * 1000:.0f} ms\n")
    assert meanwhile.longest_s < 10, "a lookup waited behind the whole herd"
    assert alone.say("xa", 1) == 1
    alone.check()


# --- F-30 ----------------------------------------------------------------------------------------------------------------


def resident(cluster: Cluster) -> int:
    """Bytes of the node in memory."""
    pages = int(Path(f"/proc/{cluster.children['xa'].pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_hundred_large_bodies_at_once_are_no_hundred_times_the_memory(alone: Cluster) -> None:
    """F-30: a hundred bodies of 8 MiB, sent at once and left unfinished: what is held of them is bounded, and the node answers others."""
    url = url_of(alone)
    assert alone.say("xa", 2) == 2
    before, most = resident(alone), 0
    head = b"POST /v1/statements HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: 8388608\r\n\r\n"
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    with ExitStack() as stack:
        senders = [stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(100)]

        def send(sender: socket.socket) -> None:
            try:
                sender.sendall(head)
                for _ in range(100):
                    sender.sendall(b"x" * 80_000)
            except OSError:
                return  # it was refused, or may wait

        with ThreadPoolExecutor(20) as pool:
            for _ in pool.map(send, senders):
                most = max(most, resident(alone))
        with alone.client("xa") as client:
            assert client.screen_one(ABSENT)["result"]
        most = max(most, resident(alone))
    sys.stderr.write(f"{before / MIB:.0f} MiB before, {most / MIB:.0f} MiB at most\n")
    assert most - before < 300 * MIB, f"{(most - before) / MIB:.0f} MiB for a hundred bodies"
    assert alone.say("xa", 1) == 1
    alone.check()


# --- F-31 ----------------------------------------------------------------------------------------------------------------


def test_when_descriptors_run_out_it_pauses_and_recovers(tmp_path: Path) -> None:
    """F-31: a node that may open 64 files, and three hundred idle sockets: it lives, and with the sockets gone it answers and logs."""
    if shutil.which("prlimit") is None:
        pytest.skip("NOT TESTED: running out of descriptors. There is no prlimit (util-linux)")
    with Cluster(tmp_path, Alone("prlimit", "--nofile=64:64")) as cluster:
        assert cluster.say("xa", 2) == 2
        address = ("127.0.0.1", cluster.stations["xa"].port)
        with ExitStack() as stack:
            for _ in range(300):
                idle = stack.enter_context(socket.socket())
                idle.setblocking(False)
                idle.connect_ex(address)
            time.sleep(3)
            assert cluster.children["xa"].poll() is None, cluster.log("xa")
        cluster.until(lambda: cluster.say("xa") == 1, 30, "it takes statements again")
        with cluster.client("xa") as client:
            assert client.screen_one(ABSENT)["result"]
        cluster.check()


# --- F-32 ----------------------------------------------------------------------------------------------------------------


class Hammer:
    """Some who look up without a pause, each time on a connection of their own; how each was answered."""

    def __init__(self, url: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self._url = url
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(ASKERS)]

    def __enter__(self) -> Self:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for one in self._threads:
            one.join()

    def _ask(self) -> None:
        while not self._ends.is_set():
            try:
                status = httpx.get(f"{self._url}/v1/screen/{ABSENT}", timeout=20, trust_env=False).status_code
                self.outcomes["answered" if status in (200, 503) else f"status {status}"] += 1
            except httpx.ConnectError:
                self.outcomes["not let in"] += 1
                time.sleep(0.05)
            except (httpx.RemoteProtocolError, httpx.ReadError):
                self.outcomes["closed"] += 1
            except httpx.HTTPError as error:
                self.outcomes[type(error).__name__] += 1


@pytest.mark.parametrize("turns", [2, pytest.param(20, marks=pytest.mark.long)])
def test_told_to_end_it_answers_whom_it_has_let_in(alone: Cluster, turns: int) -> None:
    """F-32: SIGTERM while many ask and submit: it ends with 0 within half a minute, and all acknowledged is there. Who has connected and was not
    read from yet may be closed without a word, each asker at most once: nothing of his was begun.
    """
    for _ in range(turns):
        with Hammer(url_of(alone)) as hammer:
            assert alone.say("xa", 3) == 3
            alone.children["xa"].send_signal(signal.SIGTERM)
            alone.say("xa", 3)
            assert alone.children["xa"].wait(EXIT_S) == 0
        assert hammer.outcomes["answered"], hammer.outcomes
        assert hammer.outcomes["closed"] <= ASKERS, hammer.outcomes
        assert set(hammer.outcomes) <= {"answered", "not let in", "closed"}, hammer.outcomes
        alone.start("xa")
    alone.check()
