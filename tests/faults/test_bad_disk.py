"""F-05, F-06: the disk says that it could not keep what was written, or may not be written at all. Nothing is acknowledged that is not kept."""

from __future__ import annotations

import gc
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.cluster import Alone, Cluster

pytestmark = pytest.mark.slow


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Cluster]:
    """One node in a process of its own."""
    with Cluster(tmp_path, Alone()) as cluster:
        yield cluster


@contextmanager
def injected(cluster: Cluster, trace: Path, calls: str, error: str) -> Iterator[None]:
    """For the length of the block these system calls of the running node fail."""
    strace = shutil.which("strace")
    fault = ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"]
    if strace is None:
        pytest.skip(f"NOT TESTED: a disk that fails. There is no strace; it would be: strace -f -p PID {' '.join(fault)}")
    tracing = subprocess.Popen(
        [strace, "-f", "-p", str(cluster.children["xa"].pid), *fault, "-o", str(trace)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert tracing.stderr is not None
        told = tracing.stderr.readline()
        if "attached" not in told:
            pytest.skip(f"NOT TESTED: a disk that fails. strace may not attach here: {told.strip()}")
        time.sleep(0.5)
        yield
        assert error in trace.read_text("utf-8"), "nothing was tried at all"
    finally:
        tracing.terminate()
        tracing.wait(20)


def test_what_could_not_be_synced_is_not_acknowledged(alone: Cluster, tmp_path: Path) -> None:
    """F-05: every fsync fails with EIO: no receipt is given; lookups go on or the process ends; after a restart all that was acknowledged is
    there, and it takes statements again.
    """
    assert alone.say("xa", 5) == 5
    with injected(alone, tmp_path / "trace", "fsync,fdatasync", "EIO"):
        assert alone.say("xa", 4) == 0
        said = alone.log("xa")
    assert "takes no writes" not in said, "what was not synced may be gone, whatever can be read: no look at the disk is enough"
    if alone.children["xa"].poll() is None:
        alone.kill("xa")
    alone.start("xa")
    assert alone.say("xa", 2) == 2
    alone.check()


def test_a_file_system_that_becomes_read_only_under_a_running_node(alone: Cluster, tmp_path: Path) -> None:
    """F-06: every write fails with EROFS, as after an error of the disk: nothing is acknowledged, lookups go on, and it says why. When it may
    write again it looks at what the disk has, and goes on by itself; a start later all that was acknowledged is there.
    """
    assert alone.say("xa", 3) == 3
    with injected(alone, tmp_path / "trace", "pwrite64,ftruncate,fallocate", "EROFS"):
        assert alone.say("xa", 3) == 0
        with alone.client("xa") as client:
            assert client.screen_one("0x" + "0" * 39 + "1", chain="ethereum")["result"]
        assert alone.children["xa"].poll() is None
    assert "log frozen" in alone.log("xa")
    assert "signs nothing at present" in alone.unclear[-1]
    alone.until(lambda: "takes writes again" in alone.log("xa"), 60.0, "the log signs again")
    assert alone.say("xa", 2) == 2
    alone.terminate("xa")
    alone.start("xa")
    assert alone.say("xa", 2) == 2
    alone.check()


def test_a_file_system_that_became_read_only(tmp_path: Path) -> None:
    """F-06: a start on it ends with a sentence that says why; nothing is changed; writable again, the node starts."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"NOT TESTED: a read-only file system. A tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        with Cluster(folder, Alone()) as cluster:
            assert cluster.say("xa", 2) == 2
        gc.collect()  # the node that was built in this process has mapped its index until nobody remembers it
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        done = subprocess.run(
            [*cluster.serve_command("xa")], env=cluster.environment(), capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode != 0
        said = (done.stdout + done.stderr).strip().splitlines()[-1].lower()
        assert "read-only" in said or "readonly" in said or "permission" in said, said
        assert "traceback" not in done.stderr.lower()
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
        cluster.start("xa")
        try:
            assert cluster.say("xa", 1) == 1
            cluster.check()
        finally:
            cluster.kill("xa")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
