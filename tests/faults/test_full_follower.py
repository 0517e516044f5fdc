"""F-04 in a federation: the disk of a follower runs full. It answers lookups, loses nothing, and with room again follows on by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster, Loopback

pytestmark = pytest.mark.slow

SIZE = 12 * 2**20


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Cluster]:
    """Three nodes; the data directory of xc is a file system of a few megabytes."""
    folder = tmp_path / "xc"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"NOT TESTED: a follower on a full disk. A tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        with Cluster(tmp_path, Loopback(seed=9)) as cluster:
            yield cluster
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_up(ballast: Path) -> None:
    """Leave no page free."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 4096):
            pass


def test_a_follower_on_a_full_disk(cramped: Cluster) -> None:
    """It stands still, says so, and answers; room again: it has everything, once."""
    ballast = cramped.stations["xc"].folder / "ballast"
    fill_up(ballast)
    origin = cramped.stations["xa"].origin
    for _ in range(8):
        cramped.say("xa", 4)
        fill_up(ballast.with_name("more"))
        if cramped.sizes("xc")[origin] != cramped.sizes("xa")[origin]:
            break
    cramped.until(lambda: cramped.sizes("xb")[origin] == cramped.sizes("xa")[origin], 30, "xb follows")
    assert cramped.sizes("xc")[origin] != cramped.sizes("xa")[origin], "the disk was not full"
    assert cramped.say("xc") == 0
    with cramped.client("xc") as client:
        assert client.screen_one("0x" + "0" * 39 + "1", chain="ethereum")["result"]
    assert cramped.children["xc"].poll() is None
    ballast.unlink()
    ballast.with_name("more").unlink(missing_ok=True)
    cramped.converge()
    assert cramped.say("xc") == 1
    cramped.converge()
