"""The tree: the rooms that architecture names, files a reader finds the way in, nothing that belongs to one machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MUST = (
    ".ci/run",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "app",
    "docs/adr",
    "docs/operations.md",
    "docs/protocol",
    "docs/settings.md",
    "docs/threat-model.md",
    "migrations",
    "openapi/README.md",
    "openapi/openapi.json",
    "openapi/problems.md",
    "pyproject.toml",
    "tests",
)
# Written in two halves: this file is searched too.
MACHINE = re.compile(
    "|".join(
        first + second
        for first, second in (
            ("/wor", r"k/(?:main|shared|steering|\.library)"),
            ("/opt", "/(?:wheels|pypi)"),
            ("/roo", r"t/\."),
            ("/tm", "p/bash_jobs"),
            ("/hom", r"e/[a-z]"),
            ("/User", r"s/[A-Za-z]"),
            ("python", r"hosted\.org"),
            ("--(?:extra-)?", "index-url"),
        )
    )
)
PRIVATE = re.compile("-----BEGIN (?:[A-Z]+ )?PRIVATE" + " KEY-----")


def tracked() -> list[Path]:
    """Every file git knows or would add, as a path below ROOT; without git (a tarball, an image) every file there is."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        names = [Path(name) for name in listed.stdout.split("\0") if name]
    else:
        hidden = {".venv", ".git", "var", "__pycache__"}
        names = [path.relative_to(ROOT) for path in ROOT.rglob("*") if not hidden & set(path.relative_to(ROOT).parts)]
    return sorted(name for name in names if (ROOT / name).is_file())


def texts() -> list[tuple[Path, str]]:
    found = []
    for name in tracked():
        try:
            found.append((name, (ROOT / name).read_text("utf-8")))
        except UnicodeDecodeError:
            continue
    return found


@pytest.mark.parametrize("name", MUST)
def test_the_tree_has_every_room(name: str):
    """What architecture §1 names at the top is there."""
    assert (ROOT / name).exists()


def test_no_file_names_a_path_of_a_machine():
    """A clone works anywhere: no file tells where somebody's checkout, wheels or registry stood."""
    named = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}" for name, text in texts() for match in MACHINE.finditer(text)
    ]
    assert named == []


def test_the_search_for_machine_paths_finds_one():
    """The pattern is alive: it sees what it is for."""
    for text in ("/wor" + "k/main/app", "/roo" + "t/.cache", "pip install --extra-" + "index-url x", "/opt" + "/wheels"):
        assert MACHINE.search(text)


def test_no_private_key_is_kept():
    """Keys are made on the machine that uses them."""
    assert [name for name, text in texts() if PRIVATE.search(text)] == []


def test_no_python_file_is_longer_than_500_lines():
    """A file is read in one go: what outgrows it is split along its meaning."""
    long = {str(name): count for name, text in texts() if name.suffix == ".py" and (count := text.count("\n")) > 500}
    assert long == {}


def test_test_files_have_names_of_their_own():
    """pytest imports test files by base name: two of one name would hide each other."""
    names = [name.name for name in tracked() if name.parts[0] == "tests" and name.name.startswith("test_")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_every_module_says_what_lives_in_it():
    """The first thing a reader of a module meets is a sentence on its purpose."""
    silent = [str(name) for name, text in texts() if name.suffix == ".py" and text.strip() and not re.match(r'(?:#[^\n]*\n)*r?"""\S', text)]
    assert silent == []


def test_no_unfinished_business():
    """What is not built is absent: no stub, no note to self, no test that waits."""
    note = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b|raise NotImplemented" + r"Error|pytest\.mark\.x" + "fail")
    found = [f"{name}: {match[0]}" for name, text in texts() if name.suffix in (".py", ".toml", ".md") for match in note.finditer(text)]
    assert found == []
