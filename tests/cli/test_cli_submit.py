"""`cordon submit`: rows in, signed statements and receipts out; nothing twice, nothing half."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import Outcome, cordon, wallets, write_csv


def entries(data_dir: Path) -> int:
    """How many entries the log of a directory has."""
    return int((data_dir / "anchor").read_text().split("\n")[1])


def submit(file: Path, police: tuple[object, ...], out: Path, *words: object) -> Outcome:
    return cordon("submit", file, "--out", out, *police, "--json", *words)


def test_rows_become_statements_with_receipts(police: tuple[object, ...], node_dir: Path, tmp_path: Path):
    """One signature for up to 250 rows; every statement and its receipt lie side by side and verify offline."""
    done = submit(write_csv(tmp_path / "w.csv", wallets(0, 501)), police, tmp_path / "out")
    assert done.code == 0, done.err
    assert (done.json["items"], len(done.json["accepted"])) == (501, 3)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.sdjwt")) == sorted(f"{sid}.sdjwt" for sid in done.json["accepted"])
    checked = cordon("verify", tmp_path / "out", "--data-dir", node_dir, "--json")
    assert checked.code == 0
    assert [one["valid"] for one in checked.json] == [True] * 3
    assert {row["match"] for row in cordon("screen", tmp_path / "w.csv", "--data-dir", node_dir, "--json").rows} == {"listed"}


def test_the_same_file_again_signs_nothing(police: tuple[object, ...], node_dir: Path, tmp_path: Path):
    """The journal knows the drafts, the node knows the statements."""
    file = write_csv(tmp_path / "w.csv", wallets(0, 3))
    first = submit(file, police, tmp_path / "out")
    size = entries(node_dir)
    again = submit(file, police, tmp_path / "out")
    assert (again.code, again.json["signed"], again.json["known"]) == (0, 0, first.json["accepted"])
    assert entries(node_dir) == size


def test_a_smaller_statement_size_is_obeyed(police: tuple[object, ...], tmp_path: Path):
    """--per-statement cuts finer; more than 250 is a usage fault."""
    file = write_csv(tmp_path / "w.csv", wallets(0, 5))
    assert len(submit(file, police, tmp_path / "out", "--per-statement", 2).json["accepted"]) == 3
    assert submit(file, police, tmp_path / "out", "--per-statement", 251).code == 2


def test_a_dry_run_reports_every_row_and_signs_nothing(police: tuple[object, ...], node_dir: Path, tmp_path: Path):
    """Valid, duplicate, malformed, ambiguous chain, listed already by whom, protected, sibling: each row says its own."""
    (tmp_path / "w.csv").write_text(
        "address,chain,typologies\n"
        f"{wallets(0, 1)[0]},ethereum,fraud.investment\n"
        f"{wallets(0, 1)[0]},ethereum,fraud.investment\n"
        "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HX,tron,fraud.investment\n"
        "0x7E5F4552091A69125d5DfCb7b8C2659029395Bd0,,fraud.investment\n"
        "TDvSsdrNM5eeXNL3czpa6AxLDHZA9nwe9K,tron,fraud.investment\n"
        "0x3797126345fB5Fb6A37629Db55eC692173CfB458,ethereum,fraud.investment\n"
        "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF,ethereum,fraud.investment\n"
    )
    size = entries(node_dir)
    report = cordon("submit", tmp_path / "w.csv", "--dry-run", *police, "--json")
    verdicts = {row["row"]: row["verdict"] for row in report.rows}
    assert verdicts == {2: "valid", 3: "duplicate", 4: "malformed", 5: "malformed", 6: "listed", 7: "protected", 8: "sibling"}
    by_row = {row["row"]: row for row in report.rows}
    assert by_row[4]["code"] == "checksum"
    assert by_row[5]["code"] in ("checksum", "mixed_case")
    assert by_row[6]["by"] == ["zz.police"]
    assert "same_key" in by_row[8]["detail"]
    assert report.code == 1
    assert entries(node_dir) == size


def test_malformed_rows_are_told_and_do_not_stop_the_others(police: tuple[object, ...], tmp_path: Path):
    """Good rows go out, bad ones are named with file, line and reason, and the exit code says that something was wrong."""
    write_csv(tmp_path / "w.csv", [*wallets(0, 2), "nonsense"])
    done = submit(tmp_path / "w.csv", police, tmp_path / "out")
    assert (done.code, done.json["items"], done.json["rows"]) == (1, 2, {"valid": 2, "malformed": 1})
    assert "w.csv:4:" in done.err


def test_columns_and_constants_of_a_mapping_file(police: tuple[object, ...], node_dir: Path, tmp_path: Path):
    """A file with headers of its own needs a mapping; what it says once holds for every row; a misspelt member is refused before any row."""
    (tmp_path / "w.csv").write_text("Wallet;Network\n" + "".join(f"{address};ETH\n" for address in wallets(0, 2)))
    mapping = tmp_path / "map.yaml"
    mapping.write_text(
        "columns: {address: Wallet, chain: Network}\nconstants: {typologies: [extortion.sextortion], severity: 4, purpose: victim_protection}\n"
    )
    done = submit(tmp_path / "w.csv", police, tmp_path / "out", "--map", mapping)
    assert done.code == 0, done.err
    (row,) = cordon("screen", "--address", wallets(0, 1)[0], "--data-dir", node_dir, "--json").rows
    assert (row["severity"], row["statements"][0]["typologies"]) == (4, ["extortion.sextortion"])
    mapping.write_text("columns: {adress: Wallet}\n")
    assert submit(tmp_path / "w.csv", police, tmp_path / "out", "--map", mapping).code == 1


def test_labels_need_their_audience(police: tuple[object, ...], tmp_path: Path):
    """AMBER without --aud and a label that does not exist are usage faults; with an audience it is accepted."""
    file = write_csv(tmp_path / "w.csv", wallets(0, 1))
    assert submit(file, police, tmp_path / "out", "--tlp", "AMBER").code == 2
    assert submit(file, police, tmp_path / "out", "--tlp", "PINK").code == 2
    done = submit(file, police, tmp_path / "out", "--tlp", "AMBER", "--aud", "node.zz.example")
    assert (done.code, len(done.json["accepted"])) == (0, 1)


def test_the_wrong_key_is_found_before_anything_is_signed(police: tuple[object, ...], node_dir: Path, tmp_path: Path):
    """The key of another member, and no key at all."""
    file = write_csv(tmp_path / "w.csv", wallets(0, 1))
    wrong = cordon(
        "submit", file, "--as", "zz.fiu", "--key", node_dir / "keys" / "zz.police.jwk", "--data-dir", node_dir, "--out", tmp_path / "out"
    )
    assert wrong.code == 1
    assert "zz.police" in wrong.err
    assert cordon("submit", file, "--as", "zz.police", "--data-dir", node_dir).code == 2
    assert not (tmp_path / "out").exists()


def test_what_the_gate_refuses_is_told_with_its_code(police: tuple[object, ...], node_dir: Path, tmp_path: Path):
    """A mandate too narrow: exit 1 with the problem's code and pointer; once it is widened the same file is signed anew and accepted."""
    enter = ("member", "add", "zz.police", "--key", node_dir / "keys" / "zz.police.jwk", "--contact", "desk", "--data-dir", node_dir)
    assert cordon(*enter, "--categories", "extortion").code == 0
    file = write_csv(tmp_path / "w.csv", wallets(0, 1))
    refused = submit(file, police, tmp_path / "out")
    ((sid, error),) = ((one["sid"], one["error"]) for one in refused.json["refused"])
    assert (refused.code, error["code"]) == (1, "scope_denied")
    assert sid in refused.err
    assert cordon(*enter).code == 0
    good = submit(file, police, tmp_path / "out")
    assert (good.code, good.json["signed"], len(good.json["accepted"])) == (0, 1, 1)
    assert good.json["accepted"] != [sid]


@pytest.mark.parametrize("way", ["protected", "four_eyes"])
def test_a_held_statement_goes_in_with_a_second_key(police: tuple[object, ...], node_dir: Path, tmp_path: Path, way: str):
    """A protected id, or a rule for CLEAR: held without receipt; `approve` with another key logs it; the same bytes then get their receipt."""
    here = ("--data-dir", node_dir)
    cordon("keys", "new", "zz.police", "--label", "2", "--out", tmp_path / "second.jwk")
    assert cordon("keys", "rotate", "zz.police", "--new-key", tmp_path / "second.jwk", *here).code == 0
    if way == "protected":
        assert cordon("protected", "add", wallets(0, 1)[0], "--chain", "ethereum", *here).code == 0
    else:
        assert cordon("policy", "set", "--needs2", "", "--four-eyes", "clear", *here).code == 0
    file = write_csv(tmp_path / "w.csv", wallets(0, 1))
    held = submit(file, police, tmp_path / "out", "--tlp", "CLEAR")
    ((sid, reason),) = ((one["sid"], one["reason"]) for one in held.json["held"])
    assert (held.code, reason) == (0, way)
    assert "cordon approve" in held.err
    assert not list((tmp_path / "out").glob("*.receipt.txt"))
    same = cordon("approve", sid, "--as", "zz.police", "--key", node_dir / "keys" / "zz.police.jwk", *here)
    assert same.code == 1
    approved = cordon("approve", sid, "--as", "zz.police", "--key", tmp_path / "second.jwk", *here)
    assert approved.code == 0, approved.err
    known = submit(file, police, tmp_path / "out", "--tlp", "CLEAR")
    assert known.json["known"] == [sid]
    assert cordon("verify", tmp_path / "out", *here).code == 0


def test_a_statement_too_old_to_be_taken_is_signed_again(police: tuple[object, ...], node_dir: Path, tmp_path: Path):
    """Bytes that an earlier run signed more than a day ago and never sent: refused for their clock, signed anew in the same run."""
    import time

    from app.sdk.drafts import Journal, read_key

    file = write_csv(tmp_path / "w.csv", wallets(0, 1))
    assert submit(file, police, tmp_path / "first").code == 0
    (line, *_) = (json.loads(one) for one in (tmp_path / "first" / "journal.jsonl").read_text().splitlines())
    from app.seal.disclosure import build_statement

    old = {"v": 1, "iss": "zz.police", "org": "node.zz.example/log", "knd": "listing", "iat": int(time.time()) - 3 * 86_400, "tlp": "GREEN"}
    stale = build_statement(
        {**old, "exp": int(time.time()) + 86_400}, {"core": [{"type": "wallet"}]}, read_key(node_dir / "keys" / "zz.police.jwk")
    )
    with Journal(tmp_path / "second") as journal:
        journal.keep([(line["draft"], stale)])
    again = submit(file, police, tmp_path / "second")
    assert (again.code, again.json["signed"], len(again.json["accepted"])) == (0, 1, 1)
