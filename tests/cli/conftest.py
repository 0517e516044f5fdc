"""A demonstration jurisdiction, made once and copied: every test has a node of its own without founding one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.cli.program import cordon
from tests.cli.wheel import ClientWheel, build_and_install


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the shell that runs the tests reaches a command."""
    for name in list(os.environ):
        if name.startswith("CORDON_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _nobody_at_the_usual_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names no node asks one where there is none, whatever else runs on this machine."""
    monkeypatch.setattr("app.cli.doors.DEFAULT_URL", "http://127.0.0.1:9")


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration's data directory; not to be changed."""
    data_dir = tmp_path_factory.mktemp("demonstration") / "demo"
    made = cordon("demo", "--data-dir", data_dir)
    assert made.code == 0, made.err
    return data_dir


@pytest.fixture(scope="session")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> ClientWheel:
    """The wheel `cordon-client`, built and installed alone."""
    return build_and_install(tmp_path_factory.mktemp("client"))


@pytest.fixture
def node_dir(demonstration: Path, tmp_path: Path) -> Path:
    """A copy of the demonstration, free to be changed."""
    return Path(shutil.copytree(demonstration, tmp_path / "node"))


@pytest.fixture
def police(node_dir: Path) -> tuple[object, ...]:
    """The options that sign as the demonstration's police."""
    return ("--as", "zz.police", "--key", node_dir / "keys" / "zz.police.jwk", "--data-dir", node_dir)
