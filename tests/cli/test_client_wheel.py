"""The wheel `cordon-client`: built without a network, installed alone, and able to do what the tree does, online and offline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cli.program import ROOT, RunningNode, cordon, running

pytestmark = pytest.mark.slow

LISTED, FREE = "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
ONLINE = """
import asyncio, sys
import cordon_client
from cordon_client.sdk.client import AsyncClient, Client, Options
url, key, listed, free = sys.argv[1:]
with Client(url, Options(api_key=key)) as node:
    print([one["match"] for one in node.screen_many([{"address": listed}, {"address": free}], receipt=True)["results"]])
async def ask():
    async with AsyncClient(url, Options(api_key=key)) as node:
        return (await node.screen_one(listed))["result"]["match"]
print(asyncio.run(ask()), cordon_client.Screener.__module__, "app" in sys.modules)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by the backend that stands in this environment, from a copy of the sources, so that nothing is left in the tree."""
    if find_spec("wheel") is None:
        pytest.skip("no package `wheel`, which builds wheels: `.venv/bin/python -m pip install wheel`, then run this file again")
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("domain", "seal", "sdk"):
        shutil.copytree(ROOT / "app" / name, folder / "app" / name, ignore=shutil.ignore_patterns("__pycache__"))
    words = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-q",
        "-w",
        folder,
        folder / "app" / "sdk",
    ]
    subprocess.run(words, check=True, timeout=180)
    (found,) = folder.glob("cordon_client-*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; its dependencies are those of this environment, and the tree is not on its path."""
    folder = tmp_path_factory.mktemp("client") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "-q", "--target", site, wheel], check=True, timeout=180
    )
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (site / "test_dependencies.pth").write_text("\n".join(libraries) + "\n", "utf-8")
    return folder / "bin" / "python"


@pytest.fixture
def node(node_dir: Path) -> Iterator[RunningNode]:
    with running(node_dir) as served:
        yield served


def run(python: Path, cwd: Path, *words: object, **more: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CORDON_", "PYTHON"))}
    done = subprocess.run(
        [python, *(str(word) for word in words)], cwd=cwd, env={**clean, **more}, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_three_floors_and_their_types(wheel: Path) -> None:
    """domain, seal and sdk under one name, typed; nothing of the server."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"cordon_client/py.typed", "cordon_client/sdk/offline.py", "cordon_client/domain/view.py", "cordon_client/seal/jws.py"} <= names
    assert {name.split("/")[0] for name in names} == {"cordon_client", next(name for name in names if "dist-info" in name).split("/")[0]}
    assert not any("/storage/" in name or "/api/" in name or "/services/" in name for name in names)
    sources = {
        f"{floor}/{path.relative_to(ROOT / 'app' / floor)}"
        for floor in ("domain", "seal", "sdk")
        for path in (ROOT / "app" / floor).rglob("*.py")
    }
    packed = {name.removeprefix("cordon_client/") for name in names if name.endswith(".py")} - {"__init__.py"}
    assert {name for name in sources if "/front/" not in name} <= packed


def test_online_and_offline_from_the_wheel_alone(python: Path, node: RunningNode, tmp_path: Path) -> None:
    """A running node, an environment that has only the wheel: sync, async, with a receipt, and from a mirror, also when the node is gone."""
    key = cordon("client", "create", "--class", "vasp", "--member", "zz.exchange", "--data-dir", node.data_dir, "--json").json["key"]
    online = run(python, tmp_path, "-c", ONLINE, node.url, key, LISTED, FREE)
    assert online.splitlines() == ["['listed', 'not_listed']", "listed cordon_client.sdk.offline False"]
    example = shutil.copy(ROOT / "examples" / "vasp_offline.py", tmp_path)
    words = (example, node.url, node.data_dir / "root", tmp_path / "copy", LISTED, FREE, "nonsense")
    first = run(python, tmp_path, *words, CORDON_API_KEY=key).splitlines()
    assert [line.partition(":")[0] for line in first[1:]] == ["hold", "pass", first[3].partition(":")[0]]
    assert first[3].startswith("wait (")
    away = (example, "http://127.0.0.1:9", *words[2:])
    assert run(python, tmp_path, *away, CORDON_API_KEY=key).splitlines()[1:] == first[1:]
