"""Where the shared vectors and real lists stand: beside the checkout, read in place, never copied into it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("CORDON_SHARED", Path(__file__).resolve().parents[2] / "shared"))
VECTORS = SHARED / "vectors" / "protocol"
DATA = SHARED / "data"


def needs(path: Path) -> Path:
    """`path`, or skip the test saying what is missing: the lists are not part of the repository."""
    if not path.exists():
        pytest.skip(f"{path.relative_to(SHARED)} is absent: set CORDON_SHARED to the folder that holds it", allow_module_level=True)
    return path
