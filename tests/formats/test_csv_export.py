"""Exported cells: RFC 4180, and no cell that a spreadsheet would run (S-22)."""

from __future__ import annotations

import csv

import pytest

from app.formats.csv_export import csv_lines, escape_cell


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", " =", "\u00a0=", "\ufeff@", "\x00="])
def test_a_formula_is_defused(start: str) -> None:
    """Every start that some spreadsheet takes for a formula gets a quote in front, also behind blanks."""
    assert escape_cell(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    ("value", "text"), [("0xabc", "0xabc"), ("", ""), ("a=b", "a=b"), (-5, "-5"), (None, ""), (True, "true"), (1.5, "1.5"), ("   ", "   ")]
)
def test_the_rest_is_left_alone(value: str | float | bool | None, text: str) -> None:
    """Numbers of ours are numbers, texts that cannot run are as they were."""
    assert escape_cell(value) == text


def test_lines_read_back() -> None:
    """Quotes, commas and line ends survive, lines end with CR LF."""
    lines = list(csv_lines(["id", "note"], [["a", 'say "x", y\nz'], ["b", "=1+1"]]))
    assert all(line.endswith("\r\n") for line in lines)
    assert list(csv.reader("".join(lines).splitlines(keepends=True))) == [["id", "note"], ["a", 'say "x", y\nz'], ["b", "'=1+1"]]
