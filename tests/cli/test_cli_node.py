"""Commands beside a real node: over HTTP, through kill and restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.services.node import BRAKE_S
from app.services.recognise import REMEMBERED_S
from tests.cli.program import RunningNode, command, cordon, environment, running, wallets, write_csv
from tests.cli.test_cli_submit import entries, submit
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def node(node_dir: Path) -> Iterator[RunningNode]:
    """The copied demonstration, served."""
    with running(node_dir) as served:
        yield served


def size_of(node: RunningNode) -> int:
    return int(cordon("log", "verify", "--data-dir", node.data_dir, "--node", node.url, "--json").json["size"])


def test_a_submission_over_http_and_its_receipt_offline(node: RunningNode, police: tuple[object, ...], tmp_path: Path):
    """The node holds the directory, so the command finds it by itself; the receipt verifies after the node is gone."""
    done = submit(write_csv(tmp_path / "w.csv", wallets(0, 300)), police, tmp_path / "out", "--tlp", "CLEAR")
    assert (done.code, len(done.json["accepted"])) == (0, 2), done.err
    node.child.send_signal(signal.SIGTERM)
    assert node.child.wait(20) == 0
    checked = cordon("verify", tmp_path / "out", "--data-dir", node.data_dir, "--json")
    assert [one["valid"] for one in checked.json] == [True, True]


def test_a_second_node_on_the_same_directory_is_refused(node: RunningNode):
    """Two nodes on one set of keys would fork the log: the second says who has it, exit 3."""
    second = subprocess.run(
        command("serve", "--data-dir", node.data_dir, "--port", 1024),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert second.returncode == 3
    assert "another process holds" in second.stderr


def test_members_and_keys_are_read_and_changed_over_http(node: RunningNode, tmp_path: Path):
    """What the registrar does on the host reaches a running node; a rotated key is good at once."""
    here = ("--data-dir", node.data_dir)
    assert [one["id"] for one in cordon("member", "list", *here, "--json").rows] == ["zz.exchange", "zz.fiu", "zz.police", "zz.redress"]
    cordon("keys", "new", "zz.police", "--label", "2", "--out", tmp_path / "second.jwk")
    turned = cordon("keys", "rotate", "zz.police", "--new-key", tmp_path / "second.jwk", *here)
    assert turned.code == 0, turned.err
    assert {key["kid"] for key in cordon("keys", "list", "zz.police", *here, "--json").rows} == {"zz.police#1", "zz.police#2"}
    file = write_csv(tmp_path / "w.csv", wallets(0, 1))
    done = cordon(
        "submit", file, "--as", "zz.police", "--key", tmp_path / "second.jwk", "--out", tmp_path / "out", "--node", node.url, "--json"
    )
    assert (done.code, len(done.json["accepted"])) == (0, 1), done.err


def test_a_killed_submission_goes_on_with_the_same_bytes(node: RunningNode, police: tuple[object, ...], tmp_path: Path):
    """kill -9 in the middle, again and again; in the end every row is logged once, every statement has its receipt."""
    before = size_of(node)
    file = write_csv(tmp_path / "w.csv", wallets(0, 400))
    words = command("submit", file, "--per-statement", 1, "--out", tmp_path / "out", "--node", node.url, "--json", *police)
    killed = 0
    for wait_s in (0.6, 0.9, 1.2, 1.6, 2.0):
        child = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda child=child: list((tmp_path / "out").glob("*.sdjwt"))[:1] or child.poll() is not None)
        time.sleep(wait_s / 4)
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
            killed += 1
        child.wait(20)
    assert killed
    # Statements that a killed run signed before the journal knew of them are never sent: the journal decides.
    done = cordon("submit", file, "--per-statement", 1, "--out", tmp_path / "out", "--node", node.url, "--json", *police)
    assert done.code == 0, done.err
    assert len(done.json["accepted"]) + len(done.json["known"]) == 400
    assert size_of(node) == before + 400
    logged = {*done.json["accepted"], *done.json["known"]}
    assert {path.name.removesuffix(".receipt.txt") for path in (tmp_path / "out").glob("*.receipt.txt")} == logged
    assert cordon("verify", tmp_path / "out", "--data-dir", node.data_dir).code == 0


def test_a_node_killed_during_a_submission_is_found_unavailable_and_then_gone_on_with(
    node_dir: Path, police: tuple[object, ...], tmp_path: Path
):
    """The node dies: exit 3 and a journal; the node is back: the same command finishes."""
    file = write_csv(tmp_path / "w.csv", wallets(0, 60))
    with running(node_dir) as node:
        first = submit(file, police, tmp_path / "out", "--node", node.url)
        assert first.code == 0
        before = size_of(node)
        node.child.kill()
        node.child.wait(10)
        more = write_csv(tmp_path / "more.csv", wallets(100, 60))
        away = submit(more, police, tmp_path / "out", "--node", node.url)
        assert away.code == 3
        assert "cordon serve" in away.err
    with running(node_dir) as node:
        again = submit(more, police, tmp_path / "out", "--node", node.url)
        assert (again.code, len(again.json["accepted"])) == (0, 1)
        assert size_of(node) == before + 1


def test_an_import_over_http_twice_changes_nothing(node: RunningNode, police: tuple[object, ...], tmp_path: Path):
    """Without the journal of the first run an agency's key shows the node's GREEN listings, and equal rows are skipped."""
    made = cordon("client", "create", "--class", "agency", "--member", "zz.police", "--data-dir", node.data_dir, "--json").json
    file = write_csv(tmp_path / "w.csv", wallets(0, 260))
    words = (*police, "--node", node.url, "--api-key", made["key"], "--purpose", "fraud_prevention", "--case", "import", "--json")
    first = cordon("import", "csv", file, "--out", tmp_path / "one", *words)
    assert (first.code, first.json["new"]) == (0, 260), first.err
    for out in ("one", "two"):
        again = cordon("import", "csv", file, "--out", tmp_path / out, *words)
        assert (again.code, again.json["equal"], again.json["signed"]) == (0, 260, 0), again.err


def test_screening_with_a_key_sees_what_the_public_does_not(node: RunningNode, police: tuple[object, ...], tmp_path: Path):
    """A GREEN listing answers a VASP's key and not the public; a revoked key opens nothing, as soon as the node has looked again."""
    submit(write_csv(tmp_path / "w.csv", wallets(0, 1)), police, tmp_path / "out", "--tlp", "GREEN")
    made = cordon("client", "create", "--class", "vasp", "--member", "zz.exchange", "--data-dir", node.data_dir, "--json").json
    ask = ("screen", "--address", wallets(0, 1)[0], "--chain", "ethereum", "--node", node.url, "--json")
    assert cordon(*ask).rows[0]["match"] == "not_listed"
    assert cordon(*ask, "--api-key", made["key"]).rows[0]["match"] == "listed"
    assert cordon("client", "revoke", made["id"], "--data-dir", node.data_dir).code == 0
    assert REMEMBERED_S <= 1
    wait_until(lambda: cordon(*ask, "--api-key", made["key"]).code)
    refused = cordon(*ask, "--api-key", made["key"])
    assert (refused.code, json.loads(refused.out)["error"]["code"]) == (1, "unauthenticated")


def test_the_brake_reaches_a_running_node(node: RunningNode, police: tuple[object, ...], tmp_path: Path):
    """It looks every second: then nothing is signed any more, and lookups go on."""
    assert cordon("freeze", "--reason", "drill", "--data-dir", node.data_dir).code == 0
    assert BRAKE_S <= 1
    wait_until(lambda: "log frozen" in node.log.read_text())
    frozen = submit(write_csv(tmp_path / "w.csv", wallets(0, 1)), police, tmp_path / "out", "--node", node.url)
    assert frozen.code == 3
    assert "drill" in frozen.out + frozen.err
    assert cordon("screen", "--address", "gh-trade.example", "--node", node.url, "--json").rows[0]["match"] == "listed"


def test_a_backup_beside_a_running_node_is_whole(node: RunningNode, police: tuple[object, ...], tmp_path: Path):
    """The copy is of one moment, passes fsck, and holds all that was acknowledged before."""
    assert submit(write_csv(tmp_path / "w.csv", wallets(0, 5)), police, tmp_path / "out").code == 0
    made = cordon("backup", tmp_path / "node.tar", "--data-dir", node.data_dir, "--json")
    assert made.code == 0, made.err
    assert made.json["size"] == entries(node.data_dir)
    assert cordon("restore", tmp_path / "node.tar", "--data-dir", tmp_path / "new").code == 0
    assert cordon("fsck", "--data-dir", node.data_dir).code == 0
