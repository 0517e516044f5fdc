"""The floors: imports run one way, services meet only at the gate, and what is packed for clients packs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"]
PACKED = ("domain", "seal", "sdk")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(LINT, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_every_import_contract_is_kept():
    """import-linter finds no broken contract: floors, doors, gate, no circles, a pure domain."""
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


@pytest.fixture
def copied_app(tmp_path: Path) -> Path:
    """A copy of the packages' sources, to break a rule in."""
    for source in (ROOT / "app").rglob("*.py"):
        target = tmp_path / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("file", "text", "contract"),
    [
        ("app/utils.py", "", "Floors"),
        ("app/domain/clock_reader.py", "import time\n", "The domain is pure"),
        ("app/domain/upward.py", "import app.seal\n", "Floors"),
        ("app/services/zz_verb.py", "from app.services import zz_other\n", "Services meet only at the gate"),
        ("app/services/zz_rows.py", "import sqlalchemy\n", "Doors: SQLAlchemy"),
        ("app/index/zz_wire.py", "import pydantic\n", "Doors: FastAPI"),
        ("app/services/zz_fetch.py", "import httpx\n", "Doors: httpx"),
        ("app/sdk/zz_jose.py", "import jose\n", "Doors: python-jose"),
    ],
)
def test_the_contracts_notice_a_breach(copied_app: Path, file: str, text: str, contract: str):
    """A module without a floor, an import upwards, a verb that knows a verb: each breaks the contract that forbids it."""
    (copied_app / "app/services/zz_other.py").write_text("")
    (copied_app / file).write_text(text)
    result = lint_imports(copied_app)
    broken = [line for line in result.stdout.splitlines() if " BROKEN" in line]
    assert result.returncode == 1, result.stdout[-2000:] + result.stderr[-2000:]
    assert [line for line in broken if line.startswith(contract)], result.stdout[-2000:]


def test_floors_packed_for_clients_import_each_other_relatively():
    """`domain`, `seal` and `sdk` never say `app.`: the wheel `cordon-client` holds them under another name."""
    absolute = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for floor in PACKED
        for path in sorted((ROOT / "app" / floor).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "app")
        or (isinstance(node, ast.Import) and any(name.name.split(".")[0] == "app" for name in node.names))
    ]
    assert absolute == []
