"""Founding a jurisdiction and entering its members, as the registrar does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import cordon


def init(data_dir: Path, *words: object) -> None:
    made = cordon("init", "--jurisdiction", "xa", "--node", "xa.example", "--data-dir", data_dir, *words)
    assert made.code == 0, made.err


def test_keys_are_files_for_their_owner_alone(tmp_path: Path):
    """Root m-of-n, registrar, log, heartbeat, view and node keys: each a file with mode 0600 in a folder with mode 0700."""
    init(tmp_path / "xa", "--root-keys", 5, "--threshold", 3, "--registrar-keys", 2)
    files = sorted((tmp_path / "xa" / "keys").iterdir())
    assert {path.name for path in files} == {
        *(f"root-{n}.jwk" for n in range(1, 6)),
        "registrar-1.jwk",
        "registrar-2.jwk",
        "log.key",
        "heartbeat.key",
        "witness.key",
        "view-green.key",
        "view-clear.key",
        "node.jwk",
    }
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (tmp_path / "xa" / "keys").stat().st_mode & 0o777 == 0o700
    document = cordon("doctor", "--data-dir", tmp_path / "xa", "--json")
    assert document.code == 0, document.out


def test_a_directory_is_founded_once(tmp_path: Path):
    """A second init changes nothing and says what to do."""
    init(tmp_path / "xa")
    before = {path: path.read_bytes() for path in (tmp_path / "xa" / "keys").iterdir()}
    again = cordon("init", "--jurisdiction", "xb", "--node", "xb.example", "--data-dir", tmp_path / "xa")
    assert again.code == 1
    assert "cordon serve" in again.err
    assert {path: path.read_bytes() for path in (tmp_path / "xa" / "keys").iterdir()} == before


@pytest.mark.parametrize(
    "words",
    [
        ("--jurisdiction", "XA"),
        ("--jurisdiction", "xab"),
        ("--node", "https://xa.example"),
        ("--threshold", 4),
        ("--root-keys", 0),
        ("--registrar-keys", 0),
    ],
)
def test_what_cannot_be_founded_leaves_no_key_behind(tmp_path: Path, words: tuple[object, ...]):
    """A mistyped founding is refused before the first key is made."""
    refused = cordon("init", "--jurisdiction", "xa", "--node", "xa.example", "--data-dir", tmp_path / "xa", *words)
    assert refused.code == 1
    assert not (tmp_path / "xa" / "keys").exists()


def test_an_agency_enters_and_is_shown(tmp_path: Path):
    """keys new at the agency, member add at the registrar with its public half; then the member is listed with mandate and keys."""
    init(tmp_path / "xa")
    made = cordon("keys", "new", "xa.police", "--out", tmp_path / "police.jwk", "--label", "1", "--json").json
    assert (tmp_path / "police.jwk").stat().st_mode & 0o777 == 0o600
    public = tmp_path / "public.json"
    public.write_text(json.dumps({name: made[name] for name in ("kid", "kty", "crv", "x", "y")}))
    words = ("member", "add", "xa.police", "--name", "Police", "--key", public, "--categories", "fraud", "--data-dir", tmp_path / "xa")
    assert cordon(*words).code == 0
    (member,) = cordon("member", "list", "--data-dir", tmp_path / "xa", "--json").rows
    assert (member["id"], member["class"], member["name"]) == ("xa.police", "agency", "Police")
    shown = cordon("member", "show", "xa.police", "--data-dir", tmp_path / "xa", "--json").json
    assert shown["mandate"]["categories"] == ["fraud"]
    (key,) = cordon("keys", "list", "xa.police", "--data-dir", tmp_path / "xa", "--json").rows
    assert key["kid"] == "xa.police#1"


def test_a_changed_member_keeps_its_keys(tmp_path: Path):
    """Entering a member again, or rotating, adds a key; an old one ends only by revocation."""
    init(tmp_path / "xa")
    for label in ("1", "2", "3"):
        cordon("keys", "new", "xa.police", "--out", tmp_path / f"{label}.jwk", "--label", label)
    here = ("--data-dir", tmp_path / "xa")
    assert cordon("member", "add", "xa.police", "--key", tmp_path / "1.jwk", *here).code == 0
    assert cordon("member", "add", "xa.police", "--key", tmp_path / "2.jwk", "--name", "Police", *here).code == 0
    rotated = cordon("keys", "rotate", "xa.police", "--new-key", tmp_path / "3.jwk", "--retire", "xa.police#1", *here)
    assert rotated.code == 0, rotated.err
    keys = {key["kid"]: key["revocation_reason"] for key in cordon("keys", "list", "xa.police", *here, "--json").rows}
    assert keys == {"xa.police#1": "superseded", "xa.police#2": None, "xa.police#3": None}


def test_a_revoked_key_signs_nothing_more(node_dir: Path, police: tuple[object, ...], tmp_path: Path):
    """Revocation needs an index unless the key is merely superseded; afterwards the gate refuses the key."""
    assert cordon("keys", "revoke", "zz.police#1", "--reason", "compromised", "--data-dir", node_dir).code == 2
    assert cordon("keys", "revoke", "zz.police#1", "--reason", "compromised", "--from-index", 0, "--data-dir", node_dir).code == 0
    (tmp_path / "one.txt").write_text("0x00000000000000000000000000000000c0de0001\n")
    (tmp_path / "map.yaml").write_text("constants: {typologies: [fraud.investment], chain: ethereum}\n")
    refused = cordon("submit", tmp_path / "one.txt", "--map", tmp_path / "map.yaml", "--out", tmp_path / "out", *police, "--json")
    assert (refused.code, refused.json["refused"][0]["error"]["code"]) == (1, "key_not_valid")


def test_two_registrar_keys_mean_two_persons(tmp_path: Path):
    """With two registrar keys a member is inert until the second key approves; the first cannot approve itself."""
    init(tmp_path / "xa", "--registrar-keys", 2)
    here = ("--data-dir", tmp_path / "xa")
    cordon("keys", "new", "xa.police", "--out", tmp_path / "police.jwk", "--label", "1")
    added = cordon("member", "add", "xa.police", "--key", tmp_path / "police.jwk", *here, "--json").json
    assert (added["status"], added["reason"]) == ("held", "needs2")
    assert cordon("member", "list", *here, "--json").rows == []
    keys = tmp_path / "xa" / "keys"
    same = cordon("approve", added["sid"], "--as", "xa.registrar", "--key", keys / "registrar-1.jwk", *here)
    assert same.code == 1
    assert cordon("approve", added["sid"], "--as", "xa.registrar", "--key", keys / "registrar-2.jwk", *here).code == 0
    assert [one["id"] for one in cordon("member", "list", *here, "--json").rows] == ["xa.police"]


def test_groups_and_policy_are_statements_too(node_dir: Path):
    """`group set` and `policy set` go through the gate; what no reader would take is refused by it."""
    here = ("--data-dir", node_dir)
    assert (
        cordon("group", "set", "group:zz.north", "--member", "zz.police", "--member", "node.xa.example", "--owner", "zz.police", *here).code
        == 0
    )
    assert cordon("group", "set", "north", "--member", "zz.police", "--owner", "zz.police", *here).code == 1
    changed = cordon("policy", "set", "--needs2", "", "--four-eyes", "person,hold", "--freeze-days", "freeze=10", *here, "--json")
    assert (changed.code, changed.json["status"]) == (0, "accepted")
    assert cordon("policy", "set", "--needs2", "", "--four-eyes", "everybody", *here).code == 1
    assert cordon("policy", "set", "--needs2", "", "--four-eyes", "", "--freeze-days", "ten", *here).code == 2


def test_a_member_is_not_named_like_its_node(tmp_path: Path):
    """An audience names nodes and members alike: one id must not mean both."""
    assert cordon("init", "--jurisdiction", "de", "--node", "de.example", "--data-dir", tmp_path / "de").code == 0
    cordon("keys", "new", "de.example", "--out", tmp_path / "key.jwk", "--label", "1")
    refused = cordon("member", "add", "de.example", "--key", tmp_path / "key.jwk", "--data-dir", tmp_path / "de")
    assert refused.code == 1
    assert "node itself" in refused.err
