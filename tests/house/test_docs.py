"""What the code has, the docs name; what the docs name, the code has."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from app.api import problems
from app.domain import errors
from app.settings import CLIENT_VARIABLES, PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path for pattern in ("*.md", "docs/**/*.md", "openapi/*.md") for path in ROOT.glob(pattern))
ANYWHERE = "\n".join(path.read_text("utf-8") for path in PAGES)


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def slugs(kind: type[errors.CordonError] = errors.CordonError) -> set[str]:
    """Every problem code of the error tree."""
    return {kind.slug}.union(*(slugs(child) for child in kind.__subclasses__()))


def commands() -> set[str]:
    """Every command of `cordon` as it is typed, groups with their verbs: `keys new`."""
    from app.cli import app as tree

    def walk(command: Any, path: str) -> set[str]:
        if not hasattr(command, "commands"):
            return {path}
        return {found for name, child in command.commands.items() if not child.hidden for found in walk(child, f"{path} {name}".strip())}

    return walk(typer.main.get_command(tree), "")


def test_docs_explain_every_problem():
    """Each code that the interface can answer has a section in openapi/problems.md that begins with its true status."""
    told = dict(re.findall(r"^### ([a-z_]+)\n([45][0-9]{2})\. \S", read("openapi/problems.md"), re.MULTILINE))
    assert told == {slug: str(status) for slug, status in problems.STATUS.items()}
    assert slugs() <= set(told)


def test_docs_list_every_setting():
    """docs/settings.md has a row for each setting and none that the node would refuse as unknown."""
    rows = set(re.findall(r"^\| `(CORDON_[A-Z_]+)` \|", read("docs/settings.md"), re.MULTILINE))
    assert rows == {PREFIX + name.upper() for name in Settings.model_fields} | CLIENT_VARIABLES


def test_docs_give_the_true_defaults():
    """A default that stands in the table is the code's."""
    wrong = []
    for name, default in re.findall(r"^\| `CORDON_([A-Z_]+)` \| `([^`]*)` \|", read("docs/settings.md"), re.MULTILINE):
        field = Settings.model_fields[name.lower()]
        if str(field.default).lower() != default.lower():
            wrong.append((name, default, field.default))
    assert wrong == []


def test_docs_name_no_setting_that_does_not_exist():
    """An operator who copies a variable from any page gets a node that starts."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | CLIENT_VARIABLES
    named = set(re.findall(r"\bCORDON_[A-Z_]*[A-Z]\b", ANYWHERE))
    assert {name for name in named if name not in known and name.removesuffix("_FILE") not in known} == set()


def test_docs_name_every_command():
    """Each command of the tree is written out somewhere as `cordon …`."""
    written = _written_commands()
    assert {command for command in commands() if command not in written} == set()


def test_docs_name_no_command_that_does_not_exist():
    """What stands in a code block or between backticks after `cordon` can be typed."""
    known = commands()
    heads = {command.split()[0] for command in known}
    assert {text for text in _written_commands() if text not in known and text not in heads} == set()


def _written_commands() -> set[str]:
    """Commands named in the docs: one or two words after `cordon`, `a|b` spelt out."""
    groups = {command.split()[0] for command in commands() if " " in command}
    found: set[str] = set()
    for line in re.findall(r"`(cordon [^`\n]+)`|^(?:\$ )?(?:\S*/)?(cordon .+)$", ANYWHERE, re.MULTILINE):
        words = (line[0] or line[1]).split()
        if not re.fullmatch(r"[a-z|-]+", words[1]):
            continue
        if words[1] in groups and len(words) > 2 and re.fullmatch(r"[a-z|-]+", words[2]):
            found.update(f"{words[1]} {verb}" for verb in words[2].split("|"))
        else:
            found.update(words[1].split("|"))
    return found


def test_docs_list_every_route():
    """openapi/README.md names each path that the node serves, and no other."""
    served = set(json.loads(read("openapi/openapi.json"))["paths"])
    named = set(re.findall(r"^\| `[A-Z]+` \| `(/[^`]*)` \|", read("openapi/README.md"), re.MULTILINE))
    assert named == served


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docs_link_to_what_is_there(page: Path):
    """A relative link leads to a file of the tree."""
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_docs_threats_name_tests_that_exist():
    """Each row of the threat model names at least one test, and every test it names is a function of that file."""
    rows = [line for line in read("docs/threat-model.md").splitlines() if re.match(r"\| (?!---|attack)", line)]
    assert len(rows) > 10
    assert [row[:60] for row in rows if "`tests/" not in row] == []
    missing = []
    for file, function in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", "\n".join(rows)):
        path = ROOT / file
        if not path.is_file() or (function and function not in _functions(path)):
            missing.append(f"{file}::{function}")
    assert missing == []


def _functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_docs_make_targets_exist():
    """A `make` command of any page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = {word for line in re.findall(r"(?:^|`)make ((?:[a-z-]+ ?)+)(?=`|$| *#)", ANYWHERE, re.MULTILINE) for word in line.split()}
    assert named - targets == set()
    assert {"run", "test"} <= named


def test_docs_keep_the_readme_short():
    """README: the two commands stand in its first screen, and the whole is read in five minutes."""
    lines = read("README.md").splitlines()
    assert len(lines) <= 160
    assert {"make run", "make test"} <= {line.split("#")[0].strip() for line in lines[:40]}


def test_docs_number_decisions_without_gaps():
    """Records count from 0001 and the list in docs/adr/README.md holds each."""
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs/adr").glob("[0-9]*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
    listed = [int(number) for number in re.findall(r"^\| \[(\d{4})\]", read("docs/adr/README.md"), re.MULTILINE)]
    assert listed == numbers


def test_docs_changelog_keeps_its_form():
    """Keep a Changelog: an Unreleased section first, known headings, a section for the packaged version once it is released."""
    text = read("CHANGELOG.md")
    versions = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert tomllib.loads(read("pyproject.toml"))["project"]["version"] == (versions[1] if len(versions) > 1 else "0.1.0")
