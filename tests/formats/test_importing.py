"""One import over several files: each subject once, and only the difference to what is listed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.domain.errors import BadRequest
from app.formats.comparison import Listed, compare
from app.formats.importing import FORMATS, read_files
from app.formats.interface import Options, Row
from tests.formats.addresses import btc, evm

OPTIONS = Options("de.bka", list_date="2024-09-27", constants={"typologies": ["fraud.job"]})


def test_every_format_of_the_command_line() -> None:
    """The names are those of schemas §5; another name says which there are."""
    assert list(FORMATS) == ["ofac", "sdn", "tagpack", "actorpack", "list", "csv"]
    with pytest.raises(BadRequest, match="tagpack"):
        list(read_files("stix", [], OPTIONS))


def test_a_subject_is_taken_once_over_all_files() -> None:
    """The first row wins; a repetition that says something else is told apart."""
    files = [
        ("a.csv", f"address\n{evm(1)}\n{evm(1)}\n".encode()),
        ("b.csv", f"address,severity\n0x{evm(1)[2:].upper()},4\n{evm(2)},1\n".encode()),
    ]
    found = list(read_files("csv", files, OPTIONS))
    assert [(row.file, row.number, row.left_out and row.left_out.code) for row in found] == [
        ("a.csv", 2, None), ("a.csv", 3, "duplicate"), ("b.csv", 2, "conflict"), ("b.csv", 3, None),
    ]  # fmt: skip
    assert found[2].left_out is not None
    assert "row 2 of a.csv" in found[2].left_out.text


def test_tags_make_different_subjects() -> None:
    """One exchange address with two destination tags is two customers."""
    lines = "\n".join(json.dumps({"id": evm(1), "scope": {"tag": tag}}) for tag in "12")
    assert all(row.item for row in read_files("csv", [("a.ndjson", lines.encode())], OPTIONS))


def item(n: int, **more: Any) -> dict[str, Any]:
    return {"type": "wallet", "id": btc(n), "severity": 1, **more}


def row(n: int, **more: Any) -> Row:
    return Row("f", n, item=item(n, **more))


def test_only_the_difference() -> None:
    """Equal rows are skipped, new ones added, changed ones supersede their whole statement, vanished ones are reported."""
    listed = [Listed("s1", item(1)), Listed("s1", item(2)), Listed("s2", item(3)), Listed("s2", item(4))]
    plan = compare([row(1), row(2, severity=4), row(3), row(9), Row("f", 5)], listed)
    assert [r.number for r in plan.equal] == [1, 3]
    assert [r.number for r in plan.added] == [9]
    assert set(plan.replaced) == {"s1"}
    assert plan.replaced["s1"].kept == [item(1)]
    assert [r.number for r in plan.replaced["s1"].changed] == [2]
    assert plan.vanished == (Listed("s2", item(4)),)


def test_sync_drops_what_vanished() -> None:
    """The rest of the statement lives on in its successor; a statement left empty is retracted."""
    listed = [Listed("s1", item(1)), Listed("s1", item(2)), Listed("s2", item(3))]
    plan = compare([row(1)], listed, sync=True)
    assert plan.replaced["s1"].kept == [item(1)]
    assert not plan.replaced["s1"].retracts
    assert plan.replaced["s2"].retracts


def test_importing_the_same_again_changes_nothing() -> None:
    """Neither twice the same file nor the same list fetched a year later."""
    files = [("sanctioned_addresses_XBT.txt", f"{btc(1)}\n{btc(2)}\n".encode())]
    first = list(read_files("ofac", files, OPTIONS))
    listed = [Listed("s", r.item) for r in first if r.item]
    later = read_files("ofac", files, Options("de.bka", list_date="2025-09-27"))
    plan = compare(later, listed, sync=True)
    assert plan.changes_nothing
    assert len(plan.equal) == 2


def test_a_subject_listed_twice_is_taken_over_once() -> None:
    """Two statements hold the old word on one subject: both are replaced, one carries the new."""
    plan = compare([row(1, severity=3)], [Listed("s1", item(1)), Listed("s2", item(1)), Listed("s2", item(2))])
    assert [r.number for r in plan.replaced["s1"].changed] == [1]
    assert plan.replaced["s2"].changed == []
    assert plan.replaced["s2"].kept == [item(2)]
