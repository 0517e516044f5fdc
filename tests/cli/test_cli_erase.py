"""`cordon erase`: parts are destroyed by a signed word of the issuer or the registrar."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import cordon, running, wallets, write_csv
from tests.cli.test_cli_submit import submit


def listed(address: str, node_dir: Path) -> str:
    return str(cordon("screen", "--address", address, "--chain", "ethereum", "--data-dir", node_dir, "--json").rows[0]["match"])


@pytest.mark.parametrize("signer", ["agency", "registrar"])
def test_what_is_erased_is_listed_no_more_and_its_receipt_stays_good(
    node_dir: Path, police: tuple[object, ...], tmp_path: Path, signer: str
):
    """By the agency's own key, or by default the registrar's: the part is gone, the answer with it, the receipt verifies."""
    done = submit(write_csv(tmp_path / "w.csv", wallets(0, 1)), police, tmp_path / "out", "--tlp", "CLEAR")
    (sid,) = done.json["accepted"]
    assert listed(wallets(0, 1)[0], node_dir) == "listed"
    key = ("--key", node_dir / "keys" / "zz.police.jwk") if signer == "agency" else ()
    erased = cordon("erase", sid, "--part", "core", "--ground", "gdpr-17", *key, "--data-dir", node_dir, "--json")
    assert (erased.code, erased.json["status"]) == (0, "accepted"), erased.err
    assert listed(wallets(0, 1)[0], node_dir) == "not_listed"
    assert cordon("verify", tmp_path / "out", "--data-dir", node_dir).code == 0
    assert cordon("fsck", "--data-dir", node_dir).code == 0


def test_an_erasure_wears_the_label_of_its_statement(node_dir: Path, police: tuple[object, ...], tmp_path: Path):
    """An AMBER statement is erased for its audience: nobody else learns of it."""
    words = ("--tlp", "AMBER", "--aud", "zz.fiu")
    (sid,) = submit(write_csv(tmp_path / "w.csv", wallets(0, 1)), police, tmp_path / "out", *words).json["accepted"]
    erased = cordon("erase", sid, "--part", "core", "--ground", "error", "--data-dir", node_dir, "--json")
    assert erased.code == 0, erased.err
    from app.cli.local import LocalDoor

    with LocalDoor(node_dir) as door:
        stub = door.statement(erased.json["sid"])["stub"]
    assert isinstance(stub, dict)
    assert (stub["tlp"], stub["aud"], stub["del"], stub["ground"]) == ("AMBER", ["zz.fiu"], ["core"], "error")


def test_another_agency_erases_nothing(node_dir: Path, police: tuple[object, ...], tmp_path: Path):
    """The gate refuses an erasure by whoever is neither the issuer nor the registrar; the listing stays."""
    (sid,) = submit(write_csv(tmp_path / "w.csv", wallets(0, 1)), police, tmp_path / "out", "--tlp", "CLEAR").json["accepted"]
    fiu = node_dir / "keys" / "zz.fiu.jwk"
    refused = cordon("erase", sid, "--part", "core", "--ground", "error", "--key", fiu, "--data-dir", node_dir, "--json")
    assert (refused.code, json.loads(refused.out)["error"]["code"]) == (1, "edge_not_authorised")
    assert listed(wallets(0, 1)[0], node_dir) == "listed"


def test_a_sid_that_begins_with_a_dash_is_no_option(node_dir: Path):
    """Wherever it stands: one sid in 64 begins so."""
    sid = "-O" + "A" * 41
    for words in ((sid, "--part", "core", "--ground", "error"), ("--part", "core", sid, "--ground", "error")):
        refused = cordon("erase", *words, "--data-dir", node_dir)
        assert (refused.code, "usage" in refused.err) == (1, False), refused.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--part", "Core", "--ground", "error"), 2),
        (("--part", "core", "--ground", "Because it is so"), 2),
        (("--ground", "error"), 2),
        (("--part", "core", "--ground", "error"), 1),
    ],
)
def test_what_cannot_be_erased_is_said_at_once(node_dir: Path, words: tuple[str, ...], code: int):
    """A part or ground that is none is wrong usage; a statement that is not there is named as that."""
    refused = cordon("erase", "A" * 43, *words, "--data-dir", node_dir)
    assert refused.code == code
    assert code == 2 or "--tlp" in refused.err


@pytest.mark.slow
def test_an_erasure_reaches_a_running_node(node_dir: Path, police: tuple[object, ...], tmp_path: Path):
    """Like every signed command it goes over HTTP where a node holds the directory; a GREEN statement needs its label said."""
    with running(node_dir) as node:
        (sid,) = submit(write_csv(tmp_path / "w.csv", wallets(0, 1)), police, tmp_path / "out", "--tlp", "GREEN").json["accepted"]
        words = ("erase", sid, "--part", "core", "--ground", "retention_end", "--node", node.url, "--data-dir", node_dir)
        hidden = cordon(*words)
        assert hidden.code == 1
        assert "--tlp" in hidden.err
        done = cordon(*words, "--tlp", "GREEN")
        assert done.code == 0, done.err
