"""The examples run as their first lines say, against a real node, and stay short."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import ROOT, RunningNode, environment, running

EXAMPLES = ROOT / "examples"


@pytest.fixture
def node(node_dir: Path) -> Iterator[RunningNode]:
    with running(node_dir) as served:
        yield served


def example(name: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / name, *(str(word) for word in words)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path: Path):
    """Under 60 lines: something to read in a minute."""
    assert len(path.read_text("utf-8").splitlines()) < 60
    assert path.name in (EXAMPLES / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_an_agency_submits(node: RunningNode):
    """Accepted, and the receipt verifies."""
    done = example("agency_submits.py", node.url, "zz.police", node.data_dir / "keys" / "zz.police.jwk", node.data_dir / "root")
    assert done.returncode == 0, done.stderr
    assert "accepted" in done.stdout
    assert "verified offline" in done.stdout


@pytest.mark.slow
def test_an_exchange_screens(node: RunningNode):
    """A listed destination is held, a protected one passes, an unreadable one waits; without a node nothing passes."""
    asked = (
        "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC",
        "0x3797126345fB5Fb6A37629Db55eC692173CfB458",
        "nonsense",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    )
    done = example("vasp_screens.py", node.url, *asked)
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["hold", "pass", "wait", "pass"]
    assert example("vasp_screens.py", "http://127.0.0.1:9", asked[3]).stdout.startswith("wait:")
