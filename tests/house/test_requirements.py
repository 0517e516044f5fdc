"""Dependencies: pinned with hashes, free of addresses, above the floors of known faults, and really the installed ones."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"([a-z0-9][a-z0-9.-]*)==([^\s;]+)(?: ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")

# Below these stand published faults that reach a node of ours (docs/threat-model.md).
FLOORS = {
    "starlette": "1.3.1",
    "h11": "0.16.0",
    "python-jose": "3.4.0",
    "cryptography": "44.0.1",
    "orjson": "3.9.15",
    "idna": "3.7",
}


def lines(path: Path) -> list[str]:
    """The lines of a lock that are not comments."""
    return [line for line in path.read_text("utf-8").splitlines() if line.strip() and not line.lstrip().startswith("#")]


def pins(path: Path) -> dict[str, str]:
    return {match[1]: match[2] for line in lines(path) if (match := PIN.fullmatch(line))}


def test_all_locks_are_there():
    """A node's needs, the tests' and those of comparisons are pinned apart: an image holds no test tool."""
    assert [path.name for path in LOCKS] == ["bench.txt", "dev.txt", "runtime.txt"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_holds_pins_and_hashes_and_nothing_else(lock: Path):
    """No option, address or path can steer an install elsewhere; every pin is followed by at least one hash."""
    strange = [line for line in lines(lock) if not PIN.fullmatch(line) and not HASH.fullmatch(line)]
    assert strange == []
    texts = lines(lock)
    unhashed = [text for text, after in zip(texts, [*texts[1:], ""], strict=True) if PIN.fullmatch(text) and not HASH.fullmatch(after)]
    assert unhashed == []
    assert len(pins(lock)) > (20 if lock.stem != "bench" else 1)


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").iterdir()), ids=lambda path: path.name)
def test_no_requirements_file_names_an_address(path: Path):
    """Neither a registry host nor a folder of the machine that pinned them stands in a comment or an option."""
    assert (
        re.findall(
            r"\w+://\S*|\b[\w-]+\.(?:org|com|net|io|local)\b|(?<!\w)/[a-z]+/\S*|--(?:extra-)?index-url|--find-links",
            path.read_text("utf-8"),
        )
        == []
    )


def test_the_two_locks_agree():
    """What both need is pinned to one version."""
    runtime, dev = pins(ROOT / "requirements/runtime.txt"), pins(ROOT / "requirements/dev.txt")
    assert {name: (runtime[name], dev[name]) for name in runtime.keys() & dev.keys() if runtime[name] != dev[name]} == {}


def test_every_named_need_is_pinned():
    """A line added to a `.in` file without `make lock` is noticed."""
    for lock in LOCKS:
        wanted = [line for line in lines(lock.with_suffix(".in")) if not line.startswith("-")]
        names = {re.split(r"[\[<>=! ]", line)[0].lower() for line in wanted}
        assert names <= {*pins(lock)}, lock.name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_what_is_installed_is_what_is_pinned(lock: Path):
    """The suite judges the versions that the locks name, not whatever an environment happens to hold."""
    other = {name: (version, found) for name, version in pins(lock).items() if (found := _installed(name)) not in (None, version)}
    assert other == {}


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_no_dependency_lies_below_its_floor(name: str, floor: str):
    """Published faults of older versions (request smuggling, poisoned paths, recursion, confusion) are out of reach."""
    assert Version(metadata.version(name)) >= Version(floor)


def test_there_is_no_form_parser():
    """python-multipart is absent: no route takes a form, so none of its faults can be reached."""
    assert _installed("python-multipart") is None
    assert "python-multipart" not in pins(ROOT / "requirements/runtime.txt")


def test_signatures_are_checked_by_the_cryptography_backend():
    """python-jose falls back silently to pure Python, 15 times slower and open to timing attacks: not here."""
    from jose.backends import ECKey

    assert ECKey.__module__.endswith("cryptography_backend")


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
