"""kill -9 over webhooks, with a receiver that is away now and then and lists that are imported again: nothing is told twice as new, nothing is
lost, and corrections come first (F-01, F-21, trust-and-ops CP-2).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from tests.faults.cluster import Alone, Cluster
from tests.faults.desk import CODE, Desk, Mood, let_time_pass
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    """An exchange at a node of its own, on each engine."""
    extra = {CODE: f'database_url = "{database_url}"'} if database_url.startswith("postgresql") else {}
    databases = {CODE: database_url} if extra else {}
    with Cluster(tmp_path, Alone(), extra=extra, databases=databases) as cluster, Desk.at(cluster, seed=11) as one:
        yield one


@pytest.mark.parametrize("lives", [3, pytest.param(25, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_killed_again_and_again_every_event_is_told_once(desk: Desk, lives: int) -> None:
    """Each life ends by SIGKILL while listings, imports of the same, retractions and lookups go on and deliveries are under way."""
    desk.list(6)
    desk.hear()
    for life in range(lives):
        desk.receiver.mood = Mood.LATE if life % 2 else Mood.TAKES
        desk.look_up(3)
        killer = Timer(0.05 + desk.chance.random() * 0.5, desk.cluster.kill, (CODE,))
        killer.start()
        desk.list(5)
        desk.list_again(2)
        desk.retract(2)
        desk.list(3)
        killer.join()
        desk.cluster.start(CODE)
        desk.send_open()
        desk.hear()
    desk.check()
    assert desk.told, "nobody was told anything"


def test_after_an_outage_and_a_kill_corrections_come_first(desk: Desk) -> None:
    """The receiver hangs up on everything, the node is killed, both come back: the correction overtakes what waited longer."""
    desk.list(3)
    desk.hear()
    desk.look_up(1)
    desk.receiver.mood = Mood.DROPS
    desk.list(12)
    wait_until(lambda: desk.receiver.dropped >= 4)
    (sid,) = desk.told
    subject = desk.standing.pop(sid)
    others, desk.standing = desk.standing, {sid: subject}
    desk.retract(1)
    desk.standing = others
    wait_until(lambda: desk.receiver.dropped >= 14)  # all has been tried
    desk.cluster.kill(CODE)
    let_time_pass(desk.hook, desk.cluster.stations[CODE].folder)
    before = len(desk.receiver.got)
    desk.receiver.mood = Mood.TAKES
    desk.cluster.start(CODE)
    desk.check()
    first = desk.receiver.got[before][1]
    assert (first["type"], first["urgent"], first["data"]["sid"]) == ("listing.corrected.v1", True, sid)
