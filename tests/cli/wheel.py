"""The wheel `cordon-client` in an environment that holds nothing else than what it says it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

from tests.cli.program import ROOT

TIMEOUT_S = 180


@dataclass(frozen=True, slots=True)
class ClientWheel:
    """The file, and a Python that has it installed, with its dependencies, without this tree."""

    file: Path
    python: Path

    def run(self, *words: object, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        """A program in that environment, without any variable of ours."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("CORDON_", "PYTHON"))}
        return subprocess.run(
            [self.python, *(str(word) for word in words)],
            cwd=cwd,
            env={**clean, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )


def build_and_install(folder: Path) -> ClientWheel:
    """Built by the backend that stands in this environment, from a copy of the sources, so that nothing is left in the tree."""
    for name in ("domain", "seal", "sdk"):
        shutil.copytree(ROOT / "app" / name, folder / "app" / name, ignore=shutil.ignore_patterns("__pycache__"))
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", folder, folder / "app" / "sdk")
    (file,) = folder.glob("cordon_client-*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    _pip("install", "--no-deps", "--target", site, file)
    (own,) = metadata.distributions(name="cordon-client", path=[str(site)])
    for name in _needed(own, frozenset()):
        _lend(metadata.distribution(name), site)
    return ClientWheel(file, folder / "venv" / "bin" / "python")


def _pip(command: str, *words: object) -> None:
    subprocess.run([sys.executable, "-m", "pip", command, "--no-index", "-q", *map(str, words)], check=True, timeout=TIMEOUT_S)


def _needed(one: metadata.Distribution, extras: frozenset[str]) -> set[str]:
    """The names of all that a distribution requires, and of what these require."""
    found: dict[str, frozenset[str]] = {}
    waiting = list(_requirements(one, extras))
    while waiting:
        requirement = waiting.pop()
        asked = frozenset(requirement.extras)
        if requirement.name not in found or asked - found[requirement.name]:
            found[requirement.name] = found.get(requirement.name, frozenset()) | asked
            waiting += _requirements(metadata.distribution(requirement.name), asked)
    return set(found)


def _requirements(one: metadata.Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for text in one.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras or {""}):
            yield requirement


def _lend(one: metadata.Distribution, site: Path) -> None:
    """Let the other environment see what is installed in this one: no network is there to fetch it."""
    for top in {PurePosixPath(file).parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(one.locate_file(top))))
