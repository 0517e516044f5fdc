"""The next root document: drafted on the node, signed by its holders, published into the log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.seal.notes import open_note, read_vkeys
from app.seal.roots import read_document, read_root_chain
from app.services.enroll import read_root_documents
from tests.cli.program import Outcome, cordon, running, wallets, write_csv
from tests.cli.test_cli_submit import entries, submit


def sign(draft: Path, keys: Path, *numbers: int) -> Outcome:
    """Signatures of root keys, each on a machine that has nothing but the draft, its key and the last document."""
    done = Outcome(1, "", "no key")
    for number in numbers:
        done = cordon("root", "sign", draft, "--key", keys / f"root-{number}.jwk", "--data-dir", keys.parent, "--json")
        assert done.code == 0, done.err
    return done


def rotate(node_dir: Path, *words: object, signers: tuple[int, ...] = (1, 2)) -> Outcome:
    """Draft, sign and publish."""
    drafted = cordon("root", "rotate", *words, "--data-dir", node_dir, "--json")
    assert drafted.code == 0, drafted.err
    draft = Path(drafted.json["file"])
    assert sign(draft, node_dir / "keys", *signers).json["complete"]
    return cordon("root", "publish", draft, "--data-dir", node_dir, "--json")


def chain(node_dir: Path) -> tuple[object, ...]:
    """The documents as a peer reads them."""
    documents = read_root_documents(node_dir)
    return read_root_chain(read_document(documents[0]).document.sha256, documents, now=1_800_000_000)


def signers(node_dir: Path, origin: str) -> set[str]:
    """The vkeys of the log whose lines stand under the checkpoint that the node serves now."""
    from app.sdk.client import Client, Options

    log = read_document(read_root_documents(node_dir)[-1]).document.find_log(origin)
    assert log is not None
    with running(node_dir) as node, Client(node.url, Options()) as client:
        opened = open_note(client.checkpoint(), read_vkeys(log.vkeys))
    return {one.key.text() for one in opened.verified if one.key.name == origin}


def test_a_new_registrar_key_acts_from_its_root_statement_on(node_dir: Path, tmp_path: Path):
    """Draft, two signatures, publish: the new key enters members, the dropped one no longer does; a peer reads the chain."""
    cordon("keys", "new", "zz.registrar", "--label", "2", "--out", tmp_path / "registrar-2.jwk")
    cordon("keys", "new", "zz.bank", "--label", "1", "--out", tmp_path / "bank.jwk")
    words = ("--add-registrar-key", tmp_path / "registrar-2.jwk", "--drop-registrar-key", "zz.registrar#1")
    drafted = cordon("root", "rotate", *words, "--data-dir", node_dir, "--json")
    draft = Path(drafted.json["file"])
    assert sign(draft, node_dir / "keys", 1).json["missing_old"] == 1
    assert cordon("root", "publish", draft, "--key", tmp_path / "registrar-2.jwk", "--data-dir", node_dir).code == 1
    assert sign(draft, node_dir / "keys", 2).json["complete"]
    before = entries(node_dir)
    assert cordon("root", "publish", draft, "--key", tmp_path / "registrar-2.jwk", "--data-dir", node_dir).code == 0
    assert entries(node_dir) == before + 1
    assert len(chain(node_dir)) == 2
    add = ("member", "add", "zz.bank", "--class", "vasp", "--categories", "", "--key", tmp_path / "bank.jwk", "--data-dir", node_dir)
    assert cordon(*add).code == 1
    added = cordon(*add, "--registrar-key", tmp_path / "registrar-2.jwk")
    assert added.code == 0, added.err


def test_root_keys_change_by_the_threshold_of_old_and_new(node_dir: Path, tmp_path: Path):
    """Two new holders for two old ones: their own signatures are not enough, nor are those of the old alone."""
    for number in (4, 5):
        cordon("keys", "new", "zz.root", "--label", number, "--out", node_dir / "keys" / f"root-{number}.jwk")
    words: list[object] = []
    for number in (4, 5):
        words += ["--add-root-key", node_dir / "keys" / f"root-{number}.jwk"]
    drafted = cordon(
        "root", "rotate", *words, "--drop-root-key", "zz.root#1", "--drop-root-key", "zz.root#2", "--data-dir", node_dir, "--json"
    )
    draft = Path(drafted.json["file"])
    assert not sign(draft, node_dir / "keys", 4, 5).json["complete"]
    one = sign(draft, node_dir / "keys", 1)
    assert (one.json["missing_old"], one.json["missing_new"]) == (1, 0)
    assert cordon("root", "publish", draft, "--data-dir", node_dir).code == 1
    assert sign(draft, node_dir / "keys", 2).json["complete"]
    assert cordon("root", "publish", draft, "--data-dir", node_dir).code == 0


@pytest.mark.slow
def test_in_the_overlap_both_log_keys_sign_and_then_only_the_new(node_dir: Path, police: tuple[object, ...], tmp_path: Path):
    """A reader who knows only the old document still verifies; receipts of every time verify under the newest document."""
    assert submit(write_csv(tmp_path / "a.csv", wallets(0, 1)), police, tmp_path / "out").code == 0
    (old,) = signers(node_dir, "node.zz.example/log")
    turned = rotate(node_dir, "--new-log-key", "--new-node-key")
    assert turned.code == 0, turned.err
    both = signers(node_dir, "node.zz.example/log")
    assert old in both
    assert len(both) == 2
    assert submit(write_csv(tmp_path / "b.csv", wallets(10, 1)), police, tmp_path / "out").code == 0
    ended = rotate(node_dir, "--retire-old")
    assert ended.code == 0, ended.err
    assert signers(node_dir, "node.zz.example/log") == both - {old}
    newest = read_document(read_root_documents(node_dir)[-1]).document
    assert [key.kid for key in newest.node_keys] == ["node.zz.example#2"]
    assert submit(write_csv(tmp_path / "c.csv", wallets(20, 1)), police, tmp_path / "new").code == 0
    assert cordon("verify", tmp_path / "new", "--data-dir", node_dir).code == 0


@pytest.mark.slow
def test_a_log_that_forked_ends_and_the_next_begins_with_its_registry(node_dir: Path, police: tuple[object, ...], tmp_path: Path):
    """The old log has its end in the root document, members and policy stand in the new one, agencies sign on, lookups go on."""
    members = cordon("member", "list", "--data-dir", node_dir, "--json").rows
    size = entries(node_dir)
    turned = rotate(node_dir, "--new-log", "--final-size", size - 1)
    assert turned.code == 0, turned.err
    newest = read_document(read_root_documents(node_dir)[-1]).document
    old, new = newest.logs
    assert (old.origin, old.final is not None and old.final[0]) == ("node.zz.example/log", size - 1)
    assert (new.origin, new.predecessor) == ("node.zz.example/log/2", "node.zz.example/log")
    assert {one["id"] for one in cordon("member", "list", "--data-dir", node_dir, "--json").rows} == {one["id"] for one in members}
    assert submit(write_csv(tmp_path / "w.csv", wallets(0, 2)), police, tmp_path / "out").code == 0
    assert cordon("verify", tmp_path / "out", "--data-dir", node_dir).code == 0
    asked = cordon("screen", "--address", wallets(0, 1)[0], "--chain", "ethereum", "--data-dir", node_dir, "--json")
    assert asked.rows[0]["match"] == "listed"
    assert (node_dir / "anchor.node.zz.example_log").exists()
    assert cordon("fsck", "--data-dir", node_dir).code == 0


def test_a_succession_that_broke_off_goes_on(node_dir: Path, monkeypatch: pytest.MonkeyPatch):
    """After a crash before the first statement of the new log, the same command finishes: every member is there, once."""
    from app.cli import succession

    drafted = cordon("root", "rotate", "--new-log", "--data-dir", node_dir, "--json")
    draft = Path(drafted.json["file"])
    sign(draft, node_dir / "keys", 1, 3)
    with monkeypatch.context() as broken:
        broken.setattr(succession, "_log", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        assert cordon("root", "publish", draft, "--data-dir", node_dir).code == 1
    assert json.loads((node_dir / "node.json").read_text())["origin"] == "node.zz.example/log/2"
    done = cordon("root", "publish", draft, "--data-dir", node_dir, "--json")
    assert done.code == 0, done.err
    assert len(done.json["statements"]) == len(set(done.json["statements"])) == 6
    assert len(cordon("member", "list", "--data-dir", node_dir, "--json").rows) == 4


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("--drop-root-key", "zz.root#9"), 1),
        (("--threshold", 9), 1),
        (("--drop-registrar-key", "zz.registrar#1"), 1),
        (("--final-size", 3), 2),
        (("--retire-old",), 1),
        (("--new-log", "--new-log-key"), 2),
        (("--new-log", "--final-size", 100_000), 1),
    ],
)
def test_what_cannot_be_drafted_leaves_nothing_behind(node_dir: Path, words: tuple[object, ...], code: int):
    """Neither a draft nor a key of it is written."""
    before = sorted(path for folder in ("keys", "root") for path in (node_dir / folder).iterdir())
    refused = cordon("root", "rotate", *words, "--data-dir", node_dir)
    assert refused.code == code, refused.err
    assert sorted(path for folder in ("keys", "root") for path in (node_dir / folder).iterdir()) == before


def test_a_published_version_is_never_replaced(node_dir: Path, tmp_path: Path):
    """Another document of a version that peers may hold is refused, and so is a signature of a key that is no root key."""
    first = cordon("root", "rotate", "--contact", "a@zz.example", "--out", tmp_path / "a", "--data-dir", node_dir, "--json")
    assert first.code == 0, first.err
    cordon("root", "rotate", "--contact", "b@zz.example", "--out", tmp_path / "b", "--data-dir", node_dir)
    stranger = cordon("root", "sign", tmp_path / "a", "--key", node_dir / "keys" / "registrar-1.jwk", "--data-dir", node_dir)
    assert stranger.code == 1
    for name in ("a", "b"):
        sign(tmp_path / name, node_dir / "keys", 1, 2)
    assert cordon("root", "publish", tmp_path / "a", "--data-dir", node_dir).code == 0
    refused = cordon("root", "publish", tmp_path / "b", "--data-dir", node_dir)
    assert refused.code == 1
    assert "never replaced" in refused.err


@pytest.mark.slow
@pytest.mark.slow
def test_a_running_node_takes_the_next_document(node_dir: Path, police: tuple[object, ...], tmp_path: Path):
    """Published beside it: served, signed under and logged at once, for the overlap of log keys and its end; a restart changes nothing."""
    from app.sdk.client import Client, Options

    def signing(client: Client) -> set[str]:
        log = read_document(read_root_documents(node_dir)[-1]).document.find_log("node.zz.example/log")
        assert log is not None
        opened = open_note(client.checkpoint(), read_vkeys(log.vkeys))
        return {one.key.text() for one in opened.verified if one.key.name == log.origin}

    with running(node_dir) as node, Client(node.url, Options()) as client:
        (old,) = signing(client)
        turned = rotate(node_dir, "--new-log-key", "--new-node-key")
        assert turned.code == 0, turned.err
        assert client.well_known()["root"] == {"ver": 2, "sha256": turned.json["sha256"], "url": "/fed/v1/root/2"}
        both = signing(client)
        assert (old in both, len(both)) == (True, 2)
        ended = rotate(node_dir, "--retire-old")
        assert ended.code == 0, ended.err
        assert signing(client) == both - {old}
        assert read_document(client.root_document(3)).document.sha256 == ended.json["sha256"]
    assert len(chain(node_dir)) == 3
    assert signers(node_dir, "node.zz.example/log") == both - {old}
    assert submit(write_csv(tmp_path / "a.csv", wallets(0, 1)), police, tmp_path / "out").code == 0
    assert cordon("fsck", "--data-dir", node_dir).code == 0


def test_what_changes_the_log_itself_wants_the_node_stopped(node_dir: Path, tmp_path: Path):
    """Another log, another address: unavailable (exit 3) beside a running node, and it says so; afterwards it can be done."""
    from app.sdk.client import Client, Options

    cordon("root", "rotate", "--public-url", "https://other.zz.example", "--out", tmp_path / "a", "--data-dir", node_dir)
    sign(tmp_path / "a", node_dir / "keys", 1, 2)
    with running(node_dir) as node, Client(node.url, Options()) as client:
        refused = cordon("root", "publish", tmp_path / "a", "--data-dir", node_dir)
        assert refused.code == 3
        assert "stop it" in refused.err
        assert client.well_known()["root"]["ver"] == 1
    assert cordon("root", "publish", tmp_path / "a", "--data-dir", node_dir).code == 0
    with running(node_dir) as node, Client(node.url, Options()) as client:
        assert client.well_known()["root"]["ver"] == 2
