"""Commands on the host: backup and restore, fsck, freeze, export, API keys, protected ids."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
import tarfile
from pathlib import Path

import pytest

from app.cli import vault
from app.domain.errors import BadRequest, InvalidProof
from tests.cli.program import cordon, wallets, write_csv
from tests.cli.test_cli_submit import entries, submit


def keep_keys(source: Path, target: Path) -> None:
    """What an operator brings along besides a backup: the keys, and the anchor from its own storage."""
    target.mkdir()
    shutil.copytree(source / "keys", target / "keys")
    shutil.copy(source / "anchor", target / "anchor")


# --- backup and restore ------------------------------------------------------------------------------------------------


def test_a_backup_comes_back_whole(node_dir: Path, tmp_path: Path):
    """Database, root documents and name; the restored node serves the same answers and goes on signing."""
    made = cordon("backup", tmp_path / "node.tar", "--data-dir", node_dir, "--json")
    assert made.code == 0, made.err
    assert (tmp_path / "node.tar").stat().st_mode & 0o777 == 0o600
    keep_keys(node_dir, tmp_path / "new")
    back = cordon("restore", tmp_path / "node.tar", "--data-dir", tmp_path / "new", "--json")
    assert (back.code, back.json["will_sign"]) == (0, True), back.err
    police = ("--as", "zz.police", "--key", tmp_path / "new" / "keys" / "zz.police.jwk", "--data-dir", tmp_path / "new")
    assert submit(write_csv(tmp_path / "w.csv", wallets(0, 1)), police, tmp_path / "out").code == 0
    assert entries(tmp_path / "new") == made.json["size"] + 1


def test_an_older_backup_serves_lookups_and_signs_nothing(node_dir: Path, police: tuple[object, ...], tmp_path: Path):
    """The anchor remembers a larger tree: restore says so with exit 1, lookups go on, a submission is answered log_frozen."""
    assert cordon("backup", tmp_path / "old.tar", "--data-dir", node_dir).code == 0
    assert submit(write_csv(tmp_path / "w.csv", wallets(0, 1)), police, tmp_path / "out").code == 0
    keep_keys(node_dir, tmp_path / "new")
    back = cordon("restore", tmp_path / "old.tar", "--data-dir", tmp_path / "new", "--json")
    assert (back.code, back.json["will_sign"]) == (1, False)
    assert "older backup" in back.json["faults"][0]
    (listed,) = cordon("screen", "--address", "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC", "--data-dir", tmp_path / "new", "--json").rows
    assert listed["match"] == "listed"
    police = ("--as", "zz.police", "--key", tmp_path / "new" / "keys" / "zz.police.jwk", "--data-dir", tmp_path / "new")
    frozen = submit(write_csv(tmp_path / "w.csv", wallets(9, 1)), police, tmp_path / "frozen")
    assert (frozen.code, frozen.json["refused"][0]["error"]["code"]) == (3, "log_frozen")


def test_without_an_anchor_the_backup_itself_is_the_least(node_dir: Path, tmp_path: Path):
    """A restore on a new machine anchors what it brought, and warns that more may have been signed."""
    assert cordon("backup", tmp_path / "node.tar", "--data-dir", node_dir).code == 0
    back = cordon("restore", tmp_path / "node.tar", "--data-dir", tmp_path / "new")
    assert back.code == 0
    assert "fork" in back.err
    assert "keys" in back.err
    assert (tmp_path / "new" / "anchor").read_text() == (node_dir / "anchor").read_text()


def test_a_restore_never_writes_over_a_node(node_dir: Path, tmp_path: Path):
    """A directory with a database or a name in it is refused; nothing in it changes."""
    assert cordon("backup", tmp_path / "node.tar", "--data-dir", node_dir).code == 0
    before = {path: path.read_bytes() for path in node_dir.rglob("*") if path.is_file()}
    refused = cordon("restore", tmp_path / "node.tar", "--data-dir", node_dir)
    assert refused.code == 1
    assert "not empty" in refused.err
    assert {path: path.read_bytes() for path in node_dir.rglob("*") if path.is_file()} == before
    assert cordon("backup", tmp_path / "node.tar", "--data-dir", node_dir).code == 1


def test_keys_are_backed_up_only_under_a_passphrase(node_dir: Path, tmp_path: Path):
    """--with-keys without a passphrase is refused; sealed they come back, with the wrong passphrase nothing does."""
    assert cordon("backup", tmp_path / "open.tar", "--with-keys", "--data-dir", node_dir).code == 1
    (tmp_path / "phrase").write_text("correct horse battery staple\n")
    (tmp_path / "wrong").write_text("correct horse battery stable\n")
    sealed = cordon("backup", tmp_path / "sealed", "--with-keys", "--passphrase-file", tmp_path / "phrase", "--data-dir", node_dir)
    assert sealed.code == 0, sealed.err
    assert (node_dir / "keys" / "log.key").read_bytes().strip() not in (tmp_path / "sealed").read_bytes()
    assert cordon("restore", tmp_path / "sealed", "--data-dir", tmp_path / "a").code == 1
    assert cordon("restore", tmp_path / "sealed", "--passphrase-file", tmp_path / "wrong", "--data-dir", tmp_path / "b").code == 1
    assert cordon("restore", tmp_path / "sealed", "--passphrase-file", tmp_path / "phrase", "--data-dir", tmp_path / "c").code == 0
    assert (tmp_path / "c" / "keys" / "log.key").read_bytes() == (node_dir / "keys" / "log.key").read_bytes()
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "c" / "keys").iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "keys/../../evil", "root/.hidden", "extra.txt"])
def test_a_file_that_no_backup_of_ours_has_is_not_restored(tmp_path: Path, name: str):
    """Nothing outside the folder is written, whatever the archive says."""
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    refused = cordon("restore", tmp_path / "evil.tar", "--data-dir", tmp_path / "deep" / "new")
    assert refused.code == 1
    assert not list(tmp_path.rglob("evil")) + list(tmp_path.rglob("extra.txt"))


def test_a_sealed_file_shows_every_change(tmp_path: Path):
    """Flipped, cut and reordered: none opens; the whole one does, also across chunks."""
    plain = tmp_path / "plain"
    plain.write_bytes(bytes(range(256)) * 10_000)
    sealed = io.BytesIO()
    vault.seal(plain, sealed, b"a long enough phrase")
    data = sealed.getvalue()
    (tmp_path / "s").write_bytes(data)
    out = io.BytesIO()
    vault.unseal(tmp_path / "s", out, b"a long enough phrase")
    assert out.getvalue() == plain.read_bytes()
    chunk = (1 << 20) + 16
    first = len(vault.MAGIC) + 16
    swapped = data[:first] + data[first + chunk : first + 2 * chunk] + data[first : first + chunk] + data[first + 2 * chunk :]
    for changed in (data[:-1] + bytes([data[-1] ^ 1]), data[: first + chunk], data[:first] + data[first + chunk :], swapped, data + b"x"):
        (tmp_path / "s").write_bytes(changed)
        with pytest.raises(InvalidProof):
            vault.unseal(tmp_path / "s", io.BytesIO(), b"a long enough phrase")
    (tmp_path / "short").write_text("short\n")
    with pytest.raises(BadRequest):
        vault.read_passphrase(tmp_path / "short")


# --- fsck and freeze ---------------------------------------------------------------------------------------------------


def flip(data_dir: Path, table: str, column: str, where: str) -> None:
    """Change one byte of a stored value, as a disk would."""
    with sqlite3.connect(data_dir / "cordon.sqlite3") as connection:
        connection.create_function(
            "flip",
            1,
            lambda value: (
                value[:-9] + bytes([value[-9] ^ 1]) + value[-8:]
                if isinstance(value, bytes)
                else value[:-9] + ("A" if value[-9] != "A" else "B") + value[-8:]
            ),
        )
        connection.execute("PRAGMA trusted_schema=OFF")
        assert connection.execute(f"UPDATE {table} SET {column} = flip({column}) WHERE {where}").rowcount == 1


def test_fsck_names_a_changed_entry(node_dir: Path):
    """One flipped byte in a stored entry: found, named, exit 1."""
    assert cordon("fsck", "--data-dir", node_dir, "--json").json["sound"] is True
    flip(node_dir, "log_entry", "entry", "idx = 7")
    sick = cordon("fsck", "--data-dir", node_dir, "--json")
    assert sick.code == 1
    assert any("entry 7 " in fault for fault in sick.json["faults"])


def test_fsck_names_a_changed_part(node_dir: Path):
    """A disclosure that does not fit its signed digest is found, though no leaf tells of it."""
    with sqlite3.connect(node_dir / "cordon.sqlite3") as connection:
        (table, rowid) = ("part", connection.execute("SELECT min(rowid) FROM part WHERE disclosures IS NOT NULL").fetchone()[0])
    flip(node_dir, table, "disclosures", f"rowid = {rowid}")
    sick = cordon("fsck", "--data-dir", node_dir, "--json")
    assert sick.code == 1
    assert any("does not fit its signed digest" in fault for fault in sick.json["faults"])


def test_the_brake_stops_signing_and_nothing_else(node_dir: Path, police: tuple[object, ...], tmp_path: Path):
    """Frozen: submissions wait with their reason, lookups go on; lifted: the same bytes are accepted."""
    assert cordon("freeze", "--reason", "drill", "--data-dir", node_dir).code == 0
    file = write_csv(tmp_path / "w.csv", wallets(0, 1))
    frozen = submit(file, police, tmp_path / "out")
    assert (frozen.code, frozen.json["refused"][0]["error"]["code"]) == (3, "log_frozen")
    assert "drill" in frozen.json["refused"][0]["error"]["detail"]
    assert cordon("screen", "--address", "gh-trade.example", "--data-dir", node_dir, "--json").rows[0]["match"] == "listed"
    assert cordon("freeze", "--lift", "--data-dir", node_dir).code == 0
    again = submit(file, police, tmp_path / "out")
    assert (again.code, again.json["signed"], again.json["accepted"]) == (0, 0, [frozen.json["refused"][0]["sid"]])


# --- export ------------------------------------------------------------------------------------------------------------


def test_an_export_never_widens_a_label(node_dir: Path, police: tuple[object, ...], tmp_path: Path):
    """CLEAR by default; GREEN on demand; AMBER not at all; embargoed and retracted rows neither."""
    submit(write_csv(tmp_path / "g.csv", wallets(0, 1)), police, tmp_path / "out", "--tlp", "GREEN")
    submit(write_csv(tmp_path / "a.csv", wallets(1, 1)), police, tmp_path / "out", "--tlp", "AMBER", "--aud", "node.zz.example")
    submit(write_csv(tmp_path / "e.csv", wallets(2, 1), embargo_until="2099-01-01T00:00:00Z"), police, tmp_path / "out", "--tlp", "CLEAR")
    clear = cordon("export", "-", "--format", "list", "--data-dir", node_dir).out.splitlines()
    green = cordon("export", "-", "--format", "list", "--tlp", "GREEN", "--data-dir", node_dir).out.splitlines()
    assert set(green) - set(clear) == {f"eip155:0:{wallets(0, 1)[0]}"}
    assert not any(f"eip155:0:{address}" in green for address in wallets(1, 2))
    assert cordon("export", "-", "--tlp", "AMBER", "--data-dir", node_dir).code == 2


def test_an_export_keeps_its_form(node_dir: Path, tmp_path: Path):
    """CSV with a header and a row a listing, NDJSON with the same members; a file that is there is not overwritten."""
    file = tmp_path / "out.csv"
    done = cordon("export", file, "--issuer", "zz.police", "--data-dir", node_dir, "--json")
    rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    assert (done.code, done.json["rows"]) == (0, len(rows))
    assert {row["issuer"] for row in rows} == {"zz.police"}
    assert {row["tlp"] for row in rows} == {"CLEAR"}
    assert cordon("export", file, "--data-dir", node_dir).code == 1
    lines = cordon("export", "-", "--format", "ndjson", "--issuer", "zz.police", "--data-dir", node_dir).out.splitlines()
    assert {json.loads(line)["id"] for line in lines} == {row["id"] for row in rows}


# --- API keys and protected ids ----------------------------------------------------------------------------------------


def test_an_api_key_is_shown_once_and_kept_as_a_hash(node_dir: Path):
    """create shows it, list does not; the database holds no secret; rotate gives a new one with the same rights; revoke ends it."""
    here = ("--data-dir", node_dir)
    made = cordon(
        "client",
        "create",
        "--class",
        "vasp",
        "--member",
        "zz.exchange",
        "--name",
        "desk",
        "--quota",
        "requests_per_minute=5",
        *here,
        "--json",
    ).json
    secret = made["key"].split("_")[3]
    listed = cordon("client", "list", *here, "--json")
    assert secret not in listed.out
    assert secret.encode() not in b"".join(path.read_bytes() for path in node_dir.glob("cordon.sqlite3*"))
    (one,) = listed.rows
    assert (one["class"], one["member"], one["tier"], one["quota"], one["revoked_at"]) == (
        "vasp",
        "zz.exchange",
        "green",
        {"requests_per_minute": 5},
        None,
    )
    changed = cordon("client", "quota", one["id"], "requests_per_minute=9", *here, "--json").json
    assert changed["quota"] == {"requests_per_minute": 9}
    turned = cordon("client", "rotate", one["id"], *here, "--json").json
    assert turned["key"] != made["key"]
    assert turned["scopes"] == one["scopes"]
    assert cordon("client", "revoke", one["id"], *here).code == 0
    ended = {row["id"]: row["revoked_at"] for row in cordon("client", "list", *here, "--json").rows}
    assert ended[one["id"]] is not None
    assert ended[turned["id"]] is None


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "--class", "vasp"), 2),
        (("create", "--class", "public"), 2),
        (("create", "--class", "operator", "--scopes", "everything"), 2),
        (("create", "--class", "operator", "--quota", "requests=1"), 2),
        (("create", "--class", "operator", "--environment", "prod"), 1),
        (("revoke", "nobody"), 1),
        (("rotate", "nobody"), 1),
    ],
)
def test_an_impossible_api_key_is_refused(node_dir: Path, words: tuple[str, ...], code: int):
    """Usage faults are 2, keys that are not there 1."""
    assert cordon("client", *words, "--data-dir", node_dir).code == code


def test_protected_ids_come_and_go_by_source(node_dir: Path, tmp_path: Path):
    """Added in any spelling, imported from a file with its bad lines named, shown with reason and source, taken out again."""
    here = ("--data-dir", node_dir)
    assert cordon("protected", "add", "0x" + "AB" * 20, "--chain", "ethereum", "--reason", "bridge", *here).code == 0
    (tmp_path / "hot.txt").write_text(f"# hot wallets\n{wallets(0, 1)[0]}\nnonsense\n")
    imported = cordon("protected", "import", tmp_path / "hot.txt", *here)
    assert imported.code == 1
    assert "hot.txt:3" in imported.err
    rows = {row["id"]: (row["reason"], row["source"]) for row in cordon("protected", "list", *here, "--json").rows}
    assert rows["eip155:0:0x" + "ab" * 20] == ("bridge", "operator")
    assert rows[f"eip155:0:{wallets(0, 1)[0]}"] == ("imported", "hot.txt")
    assert cordon("protected", "remove", wallets(0, 1)[0], *here).code == 0
    assert cordon("protected", "remove", wallets(0, 1)[0], *here).code == 2
