"""Peers from the command line: pinned, listed, weighed, set aside, verified; beside a real node of the other jurisdiction."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.seal.roots import read_document
from app.services.enroll import read_root_documents
from tests.cli.program import RunningNode, cordon, running

TOML = 'allow_loopback = true\nrate_public_per_minute = 100000\ndpia_ref = "t"\ncontroller = "t"\ndpo_contact = "t"\nsupervisory_authority = "t"\n'

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def peer(demonstration: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """The demonstration zz, served: the peer."""
    data_dir = Path(shutil.copytree(demonstration, tmp_path_factory.mktemp("peer") / "zz"))
    with running(data_dir) as served:
        yield served


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The jurisdiction xa, founded and without peers; not to be changed."""
    data_dir = tmp_path_factory.mktemp("founded") / "xa"
    assert cordon("init", "--jurisdiction", "xa", "--node", "node.xa.example", "--data-dir", data_dir).code == 0
    (data_dir / "cordon.toml").write_text(TOML)
    return data_dir


@pytest.fixture
def own(founded: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(founded, tmp_path / "xa"))


def pin_of(data_dir: Path) -> str:
    return read_document(read_root_documents(data_dir)[0]).document.sha256


@pytest.fixture
def joined(own: Path, peer: RunningNode) -> Path:
    """xa with zz pinned."""
    added = cordon("peer", "add", peer.url, "--root-sha256", pin_of(peer.data_dir), "--data-dir", own, "--json")
    assert added.code == 0, added.err
    return own


def test_a_peer_is_added_by_the_right_pin_alone(own: Path, peer: RunningNode):
    """Another pin, a pin of another form, our own node, and a place where nobody answers: each is refused and nothing is kept."""
    assert cordon("peer", "add", peer.url, "--root-sha256", "0" * 64, "--data-dir", own).code == 1
    assert cordon("peer", "add", peer.url, "--root-sha256", "ABC", "--data-dir", own).code == 1
    assert cordon("peer", "add", "http://127.0.0.1:9", "--root-sha256", "0" * 64, "--data-dir", own).code == 3
    assert cordon("peer", "add", "https://user@zz.example", "--root-sha256", "0" * 64, "--data-dir", own).code == 1
    with running(own) as here:
        itself = cordon("peer", "add", here.url, "--root-sha256", pin_of(own), "--data-dir", own)
        assert itself.code == 1
        assert "own" in itself.err
    assert cordon("peer", "list", "--data-dir", own, "--json").rows == []


def test_loopback_is_no_peer_unless_it_is_allowed(own: Path, peer: RunningNode):
    """Without the development flag a name on this machine is refused before anything is asked of it."""
    (own / "cordon.toml").write_text("")
    refused = cordon("peer", "add", peer.url, "--root-sha256", pin_of(peer.data_dir), "--data-dir", own)
    assert refused.code == 1
    assert cordon("peer", "list", "--data-dir", own, "--json").rows == []


def test_a_peer_is_listed_paused_weighed_and_removed(joined: Path, peer: RunningNode):
    """Every decision shows in the next listing; what is not named stays; after `remove` nothing is left but the log, set aside."""
    here = ("--data-dir", joined)
    (row,) = cordon("peer", "list", *here, "--json").rows
    assert (row["node"], row["jurisdiction"], row["url"], row["root_sha256"]) == ("node.zz.example", "zz", peer.url, pin_of(peer.data_dir))
    origin = row["logs"][0]["origin"]
    assert cordon("peer", "pause", "node.zz.example", *here).code == 0
    assert "paused" in cordon("peer", "list", *here).out
    assert cordon("peer", "resume", "node.zz.example", *here).code == 0
    weighed = cordon("peer", "trust", origin, "--added-per-hour", 7, "--weight", 20, *here, "--json")
    assert (weighed.code, weighed.json["added_per_hour"], weighed.json["weight"]) == (0, 7, 20), weighed.err
    again = cordon("peer", "trust", origin, "--total", 9, "--transfer-basis", "adequacy", *here, "--json").json
    assert (again["added_per_hour"], again["total"], again["weight"], again["transfer_basis"]) == (7, 9, 20, "adequacy")
    assert cordon("peer", "trust", origin, *here).code == 2
    assert cordon("peer", "trust", "node.zz.example/log/9", "--weight", 1, *here).code == 1
    assert origin in cordon("peer", "show", "node.zz.example", *here).out
    assert cordon("peer", "remove", "node.zz.example", *here).code == 0
    assert cordon("peer", "list", *here, "--json").rows == []
    assert cordon("peer", "show", "node.zz.example", *here).code == 1
    (aside,) = cordon("quarantine", "list", *here, "--json").rows
    assert (aside["what"], aside["origin"]) == ("log", origin)


def test_a_log_is_set_aside_and_answers_again(joined: Path):
    """`quarantine add`, `list` and `release --log`; a log that nobody follows is named as that."""
    here = ("--data-dir", joined)
    assert cordon("quarantine", "list", *here, "--json").rows == []
    assert cordon("quarantine", "add", "node.zz.example/log", *here).code == 0
    assert [one["what"] for one in cordon("quarantine", "list", *here, "--json").rows] == ["log"]
    assert cordon("quarantine", "release", "node.zz.example/log", "--log", *here).code == 0
    assert cordon("quarantine", "list", *here, "--json").rows == []
    assert cordon("quarantine", "release", "node.zz.example/log", *here, "--json").json["released"] == 0
    assert cordon("quarantine", "release", "node.zz.example/log", "--log", "--index", 1, *here).code == 2
    assert cordon("quarantine", "add", "node.xx.example/log", *here).code == 1


def test_a_peer_is_verified_against_an_empty_mirror(joined: Path, peer: RunningNode):
    """The peer signs a tree that continues ours; a peer that is not there is unavailable, one that is unknown is refused."""
    verified = cordon("peer", "verify", "node.zz.example", "--full", "--data-dir", joined, "--json")
    assert verified.code == 0, verified.out + verified.err
    assert verified.json[0]["signed_size"] > verified.json[0]["mirrored_size"] == 0
    assert cordon("peer", "verify", "node.xx.example", "--data-dir", joined).code == 1


def test_doctor_says_of_a_peer_what_is_right_and_what_is_not(joined: Path, peer: RunningNode):
    """Reached, clock, root and log while it runs; a peer that does not answer is a fault with its reason."""
    report = cordon("doctor", "--data-dir", joined, "--json").json
    said = " ".join(one["detail"] for one in report["findings"] if one["subject"] == "peer node.zz.example")
    assert "clock within" in said
    assert "leads back to the pin" in said
    assert "stale" in said  # nothing was mirrored yet
    cordon("peer", "pause", "node.zz.example", "--data-dir", joined)
    assert "peer resume" in cordon("doctor", "--data-dir", joined).out


def test_federation_without_its_assessment_does_not_start(own: Path):
    """DP-09: with one of the four empty, `config check` is exit 2 and names it, and so is `serve`."""
    (own / "cordon.toml").write_text(TOML.replace('dpo_contact = "t"', 'dpo_contact = " "') + "federation = true\n")
    refused = cordon("config", "check", "--data-dir", own)
    assert refused.code == 2
    assert "CORDON_DPO_CONTACT" in refused.err
    assert cordon("serve", "--data-dir", own).code == 2
    (own / "cordon.toml").write_text(TOML + "federation = true\n")
    assert cordon("config", "check", "--data-dir", own).code == 0
