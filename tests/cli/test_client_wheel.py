"""The wheel `cordon-client`: built without a network, installed with what it names and nothing else, and able to do what the tree does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import ROOT, RunningNode, cordon, running
from tests.cli.wheel import ClientWheel

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


@pytest.fixture
def node(node_dir: Path) -> Iterator[RunningNode]:
    with running(node_dir) as served:
        yield served


def told(wheel: ClientWheel, cwd: Path, *words: object, **more: str) -> str:
    """What a program that ends well says."""
    done = wheel.run(*words, cwd=cwd, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_three_floors_and_their_types(client_wheel: ClientWheel) -> None:
    """domain, seal and sdk under one name, typed; nothing of the server."""
    names = set(zipfile.ZipFile(client_wheel.file).namelist())
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


def test_every_module_stands_on_what_the_wheel_names(client_wheel: ClientWheel, tmp_path: Path) -> None:
    """Whatever a module imports is in the wheel or among its dependencies; the names of the front lead somewhere."""
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in zipfile.ZipFile(client_wheel.file).namelist()
        if name.endswith(".py")
    ]
    assert len(modules) > 60
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    code += "import cordon_client\nfor name in cordon_client.__all__: getattr(cordon_client, name)\nprint('app' in sys.modules, 'numpy' in sys.modules)"
    assert told(client_wheel, tmp_path, "-c", code, *modules) == "False False\n"


def test_the_examples_are_typed(client_wheel: ClientWheel, tmp_path: Path) -> None:
    """A strict type checker that knows the wheel alone finds no fault in the examples: its types reach whoever uses it."""
    for path in (ROOT / "examples").glob("*.py"):
        shutil.copy(path, tmp_path)
    words = ["--strict", "--python-executable", client_wheel.python, "--cache-dir", os.devnull, *sorted(tmp_path.glob("*.py"))]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *map(str, words)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_online_and_offline_from_the_wheel_alone(client_wheel: ClientWheel, node: RunningNode, tmp_path: Path) -> None:
    """A running node, an environment that has only the wheel: sync, async, with a receipt, and from a mirror, also when the node is gone."""
    key = cordon("client", "create", "--class", "vasp", "--member", "zz.exchange", "--data-dir", node.data_dir, "--json").json["key"]
    online = told(client_wheel, tmp_path, "-c", ONLINE, node.url, key, LISTED, FREE)
    assert online.splitlines() == ["['listed', 'not_listed']", "listed cordon_client.sdk.offline False"]
    example = shutil.copy(ROOT / "examples" / "vasp_offline.py", tmp_path)
    words = (example, node.url, node.data_dir / "root", tmp_path / "copy", LISTED, FREE, "nonsense")
    first = told(client_wheel, tmp_path, *words, CORDON_API_KEY=key).splitlines()
    assert [line.partition(":")[0] for line in first[1:]] == ["hold", "pass", first[3].partition(":")[0]]
    assert first[3].startswith("wait (")
    away = (example, "http://127.0.0.1:9", *words[2:])
    assert told(client_wheel, tmp_path, *away, CORDON_API_KEY=key).splitlines()[1:] == first[1:]
