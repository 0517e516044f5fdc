"""`cordon import`: equal rows are skipped, new ones listed, changed ones superseded, vanished ones reported or dropped."""

from __future__ import annotations

from pathlib import Path

from tests.cli.program import Outcome, cordon, wallets, write_csv
from tests.cli.test_cli_submit import entries


def imported(file: Path, police: tuple[object, ...], out: Path, *words: object) -> Outcome:
    return cordon("import", "csv", file, "--out", out, *police, "--json", *words)


def states(data_dir: Path, addresses: list[str]) -> list[tuple[str, int | None]]:
    words = [word for address in addresses for word in ("--address", address)]
    return [
        (row["match"], row["severity"]) for row in cordon("screen", *words, "--chain", "ethereum", "--data-dir", data_dir, "--json").rows
    ]


def test_the_same_file_twice_changes_nothing(police: tuple[object, ...], node_dir: Path, tmp_path: Path):
    """Not one entry is added, from the same machine or from another one without the journal."""
    file = write_csv(tmp_path / "w.csv", wallets(0, 300))
    first = imported(file, police, tmp_path / "out")
    assert (first.code, first.json["new"], len(first.json["accepted"])) == (0, 300, 2), first.err
    size = entries(node_dir)
    for out in ("out", "elsewhere"):
        again = imported(file, police, tmp_path / out)
        assert (again.code, again.json["equal"], again.json["new"], again.json["signed"]) == (0, 300, 0, 0)
    assert entries(node_dir) == size


def test_a_changed_row_supersedes_its_statement_with_the_rest(police: tuple[object, ...], node_dir: Path, tmp_path: Path):
    """The changed row says the new thing, its neighbours say what they said, nothing falls out."""
    addresses = wallets(0, 4)
    imported(write_csv(tmp_path / "w.csv", addresses), police, tmp_path / "out")
    lines = (tmp_path / "w.csv").read_text().splitlines()
    (tmp_path / "w.csv").write_text("\n".join([lines[0], lines[1].replace(",3", ",4"), *lines[2:]]) + "\n")
    changed = imported(tmp_path / "w.csv", police, tmp_path / "out")
    assert (changed.code, changed.json["equal"], changed.json["changed"], len(changed.json["superseded"])) == (0, 3, 1, 1)
    assert states(node_dir, addresses) == [("listed", 4), ("listed", 3), ("listed", 3), ("listed", 3)]
    size = entries(node_dir)
    assert imported(tmp_path / "w.csv", police, tmp_path / "out").json["signed"] == 0
    assert entries(node_dir) == size


def test_a_vanished_row_is_reported_and_dropped_only_on_demand(police: tuple[object, ...], node_dir: Path, tmp_path: Path):
    """Without --sync it stays listed; with it the statement is superseded by the rest."""
    addresses = wallets(0, 3)
    imported(write_csv(tmp_path / "w.csv", addresses), police, tmp_path / "out")
    write_csv(tmp_path / "w.csv", addresses[1:])
    told = imported(tmp_path / "w.csv", police, tmp_path / "out")
    assert (told.code, [one["id"] for one in told.json["vanished"]]) == (0, [f"eip155:0:{addresses[0]}"])
    assert states(node_dir, addresses)[0] == ("listed", 3)
    dropped = imported(tmp_path / "w.csv", police, tmp_path / "out", "--sync")
    assert dropped.code == 0
    assert [match for match, _ in states(node_dir, addresses)] == ["not_listed", "listed", "listed"]


def test_a_list_that_became_empty_but_for_one_is_retracted_where_nothing_is_left(
    police: tuple[object, ...], node_dir: Path, tmp_path: Path
):
    """A statement of which no item is left is retracted."""
    addresses = wallets(0, 2)
    imported(write_csv(tmp_path / "w.csv", addresses), police, tmp_path / "out", "--per-statement", 1)
    write_csv(tmp_path / "w.csv", addresses[1:])
    dropped = imported(tmp_path / "w.csv", police, tmp_path / "out", "--sync")
    assert (dropped.code, dropped.json["items"], len(dropped.json["accepted"])) == (0, 0, 1)
    assert [match for match, _ in states(node_dir, addresses)] == ["not_listed", "listed"]
    assert imported(write_csv(tmp_path / "w.csv", addresses), police, tmp_path / "out").json["new"] == 1
    assert [match for match, _ in states(node_dir, addresses)] == ["listed", "listed"]


def test_another_list_of_the_same_agency_is_left_alone(police: tuple[object, ...], node_dir: Path, tmp_path: Path):
    """`--sync` drops what vanished from this list, told apart by --reference, and nothing else."""
    one, other = wallets(0, 2), wallets(10, 2)
    imported(write_csv(tmp_path / "one.csv", one), police, tmp_path / "out", "--reference", "list one")
    imported(write_csv(tmp_path / "other.csv", other), police, tmp_path / "out", "--reference", "list two")
    synced = imported(write_csv(tmp_path / "one.csv", one[:1]), police, tmp_path / "out", "--reference", "list one", "--sync")
    assert (synced.code, len(synced.json["vanished"])) == (0, 1)
    assert [match for match, _ in states(node_dir, [*one, *other])] == ["listed", "not_listed", "listed", "listed"]


def test_malformed_rows_are_in_the_report_with_file_row_and_reason(police: tuple[object, ...], tmp_path: Path):
    """Nothing is loaded half: a bad row is named, the good ones are listed, exit 1."""
    done = imported(write_csv(tmp_path / "w.csv", [*wallets(0, 2), "0x123"]), police, tmp_path / "out")
    assert (done.code, done.json["new"]) == (1, 2)
    ((file, row),) = ((one["file"], one["row"]) for one in done.json["malformed"])
    assert (file, row) == ("w.csv", 4)
    assert done.json["malformed"][0]["detail"]
