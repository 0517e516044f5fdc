"""`cordon screen`: every form of file, every spelling, one result a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import cordon

LISTED = "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC"
FORMS = {
    "lines.txt": f"{LISTED}\n\ngh-trade.example\nnonsense\n",
    "table.csv": f"reference,address,chain\nr1,{LISTED},tron\nr2,gh-trade.example,\nr3,nonsense,\n",
    "rows.ndjson": f'{{"address":"{LISTED}","chain":"tron","reference":"r1"}}\n{{"address":"gh-trade.example"}}\n{{"address":"nonsense"}}\n',
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_file_gives_the_same_answers(demonstration: Path, tmp_path: Path, name: str):
    """Plain lines, CSV and NDJSON; a bad row gets its own error and does not fail the others."""
    (tmp_path / name).write_text(FORMS[name])
    done = cordon("screen", tmp_path / name, "--data-dir", demonstration, "--json")
    assert done.code == 0
    assert [(row["row"], row["match"]) for row in done.rows] == [(0, "listed"), (1, "listed"), (2, "invalid")]
    assert done.rows[0]["reference"] == (None if name == "lines.txt" else "r1")
    hits = cordon("screen", tmp_path / name, "--hits", "--data-dir", demonstration)
    assert "zz.police: fraud.investment.pig_butchering" in hits.out


def test_every_accepted_spelling_finds_the_same_row(demonstration: Path):
    """The base58 form, the hexadecimal form, both chain ids: one key-holder."""
    spellings = [LISTED, "417e5f4552091a69125d5dfcb7b8c2659029395bdf", f"tron:0x2b6653dc:{LISTED}", f"tron:728126428:{LISTED}"]
    words = [word for one in spellings for word in ("--address", one)]
    rows = cordon("screen", *words, "--data-dir", demonstration, "--json").rows
    assert {(row["match"], row["id"]) for row in rows} == {("listed", f"tron:0x2b6653dc:{LISTED}")}


@pytest.mark.parametrize(
    ("name", "text"), [("bad.ndjson", '{"address":1}\n'), ("bad.ndjson", "{\n"), ("latin.txt", b"\xff\xfe"), ("no.csv", "a,b\n1,2\n")]
)
def test_a_file_that_cannot_be_read_is_refused(demonstration: Path, tmp_path: Path, name: str, text: str | bytes):
    """Not JSON, not UTF-8, no column `address`: exit 1 with the place; a table without the column is read as lines and says so in each row."""
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    done = cordon("screen", tmp_path / name, "--format", "csv" if name == "no.csv" else "auto", "--data-dir", demonstration)
    assert done.code == 1
    assert name in done.err
