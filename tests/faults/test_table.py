"""The table of faults names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_test_that_the_table_names_exists() -> None:
    """File and function, as written; and no fault is listed twice."""
    text = (HERE / "README.md").read_text("utf-8")
    named = re.findall(r"`((?:\.\./)?[a-z_/]+\.py)(?:::(\w+))?`", text)
    missing = [(file, name) for file, name in named if "test_" in file and name and f"def {name}(" not in (HERE / file).read_text("utf-8")]
    assert len(named) > 40
    assert missing == []
    faults = re.findall(r"^\| (F-\d\d) ", text, re.MULTILINE)
    assert len(faults) == len(set(faults))
