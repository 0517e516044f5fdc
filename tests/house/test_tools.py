"""What `make lint` and `make types` check is checked by the suite too, so that one command says everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> str:
    """Run a tool of the environment at the top of the tree; its output when it complains, else an empty text."""
    result = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    return "" if result.returncode == 0 else (result.stdout + result.stderr)[-6000:]


def test_ruff_has_nothing_to_say():
    """Every rule that is on is kept."""
    assert run("ruff", "check", ".") == ""


def test_every_file_is_formatted():
    """`ruff format` would change nothing."""
    assert run("ruff", "format", "--check", ".") == ""


@pytest.mark.slow
def test_mypy_strict_has_nothing_to_say():
    """Types hold everywhere, without an unexplained Any."""
    assert run("mypy") == ""
