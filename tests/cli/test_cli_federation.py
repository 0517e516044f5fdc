"""The demonstration of a federation: three real nodes, and a word that gets round."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.program import Outcome, command, cordon, environment
from tests.ports import free_port

pytestmark = pytest.mark.slow


def demonstrate(*words: object) -> Outcome:
    """Run a demonstration to its end; told to end, not killed, if it takes too long, so that it leaves no node behind."""
    child = subprocess.Popen(
        command("demo", "--federation", *words), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, err = child.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        child.terminate()
        out, err = child.communicate(timeout=60)
    return Outcome(child.returncode, out, err)


def test_a_listing_a_retraction_and_an_erasure_get_round(tmp_path: Path):
    """Each step shows at both others, the erasure is acknowledged; then peers verify, and a second run finds all as it was."""
    port = free_port(in_a_row=6)
    words = ("--once", "--port", port, "--data-dir", tmp_path / "federation", "--json")
    shown = demonstrate(*words)
    assert shown.code == 0, shown.err
    steps = {one["step"]: one["ms"] for one in shown.json["steps"]}
    assert list(steps) == ["listing", "retraction", "second listing", "erasure", "acknowledged to xa"]
    assert all({"xb", "xc"} <= set(ms) for ms in steps.values())
    assert all(0 < value < 60_000 for ms in steps.values() for value in ms.values())
    here = ("--data-dir", tmp_path / "federation" / "xb")
    assert {one["node"] for one in cordon("peer", "list", *here, "--json").rows} == {"node.xa.example", "node.xc.example"}
    assert cordon("fsck", *here).code == 0
    again = demonstrate(*words)
    assert again.code == 0, again.err
    other = demonstrate("--once", "--port", port + 3, "--data-dir", tmp_path / "federation")
    assert other.code == 1
    assert "--port" in other.err


def test_the_nodes_run_on_until_they_are_told_to_end(tmp_path: Path):
    """Without --once the nodes serve after the show: peers verify, doctor finds no fault; SIGTERM ends all three with exit 0."""
    port = free_port(in_a_row=6)
    log = tmp_path / "demo.log"
    with log.open("wb") as out:
        child = subprocess.Popen(
            command("demo", "--federation", "--port", port, "--data-dir", tmp_path / "federation"),
            env=environment(),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 240
        while b"Ctrl-C" not in log.read_bytes():
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        here = ("--data-dir", tmp_path / "federation" / "xb")
        verified = cordon("peer", "verify", "node.xa.example", "--full", *here, "--json")
        assert verified.code == 0, verified.out
        assert verified.json[0]["mirrored_size"] >= 7
        report = cordon("doctor", *here, "--json")
        assert report.code == 0, report.out
        said = " ".join(one["detail"] for one in report.json["findings"])
        assert "is live" in said
    finally:
        child.send_signal(signal.SIGTERM)
        code = child.wait(60)
    assert code == 0, log.read_text()
    for number in range(3):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port + number)) != 0
