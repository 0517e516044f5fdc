"""F-16, F-17, F-01 in a federation: three real processes, a proxy with weather before each. They converge within 30 s of healing; nothing is lost, nothing doubled."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.faults.cluster import HEALED_S, Cluster, Loopback
from tests.faults.proxy import BACK, BOTH, THERE, Weather

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes, a proxy before each."""
    with Cluster(tmp_path_factory.mktemp("proxied"), Loopback(seed=3)) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _calm_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    request.getfixturevalue("proxied").wires.heal()


def wires_of(cluster: Cluster) -> Loopback:
    assert isinstance(cluster.wires, Loopback)
    return cluster.wires


@pytest.mark.parametrize("turns", [1, pytest.param(20, marks=pytest.mark.long)])
def test_late_pieces_and_resets(proxied: Cluster, turns: int) -> None:
    """F-17: 300 ms of latency, pieces that come later as if lost, resets: following goes on all the time, nothing comes twice."""
    rough = Weather(latency_s=0.3, late_share=0.05, late_s=0.4, reset_share=0.03)
    for code in proxied.stations:
        wires_of(proxied).weather(code, rough)
    for _ in range(turns):
        assert sum(proxied.say(code, 4) for code in proxied.stations) == 12
        proxied.await_converged(HEALED_S)
    proxied.converge()


@pytest.mark.parametrize("ways", [BOTH, frozenset({THERE}), frozenset({BACK})], ids=["both", "there", "back"])
def test_a_node_that_nobody_reaches(proxied: Cluster, ways: frozenset[str]) -> None:
    """F-16 where there are no namespaces: callers of xa wait for ever, it calls others; what it says goes on when it is heard again."""
    wires_of(proxied).weather("xa", Weather(stalls=ways))
    assert sum(proxied.say(code, 2) for code in proxied.stations) == 6
    time.sleep(1)
    proxied.converge()


def test_connections_that_end_without_a_word(proxied: Cluster) -> None:
    """Half open: the far side is gone, nobody was told. Deadlines end the wait."""
    wires_of(proxied).weather("xa", Weather(half_open=True))
    proxied.say("xa", 2)
    proxied.say("xb", 2)
    time.sleep(1)
    proxied.converge()


def test_a_node_that_stands_still(proxied: Cluster) -> None:
    """SIGSTOP: it accepts connections and never answers. The others go on between them; afterwards it catches up."""
    child = proxied.children["xb"]
    os.killpg(child.pid, signal.SIGSTOP)
    try:
        assert proxied.say("xa", 2) == 2
        origin = proxied.stations["xa"].origin
        size = proxied.sizes("xa")[origin]
        proxied.until(lambda: proxied.sizes("xc")[origin] == size, HEALED_S, "xc follows xa though xb stands still")
    finally:
        os.killpg(child.pid, signal.SIGCONT)
    proxied.converge()


@pytest.mark.parametrize("turns", [1, pytest.param(10, marks=pytest.mark.long)])
def test_kill_nine_of_each_during_sync(proxied: Cluster, turns: int) -> None:
    """F-01, F-03: each in turn is killed while all log and follow; what it had acknowledged it still has, and it follows on."""
    for turn in range(turns):
        for code in proxied.stations:
            others = [other for other in proxied.stations if other != code]
            for other in others:
                proxied.say(other, 3)
            proxied.say(code, 2 + turn % 3)
            proxied.kill(code)
            assert all(proxied.say(other) for other in others)
            proxied.start(code)
    proxied.converge()
