"""YAML of strangers: plain values with line numbers, and nothing that executes, expands or repeats."""

from __future__ import annotations

import pytest

from app.domain.errors import Malformed, TooLarge
from app.formats import yaml_reader
from app.formats.yaml_reader import YamlMap, read_yaml


def test_scalars_stay_the_text_that_was_written() -> None:
    """An unquoted address is no number, a date no date, `no` (Norway) no boolean."""
    read = read_yaml(b"a: 0x000000000000000000000000000000000000dEaD\nd: 2021-04-21\nn: no\nf: 1e3\nz: ~\n", "x")
    assert read == {"a": "0x000000000000000000000000000000000000dEaD", "d": "2021-04-21", "n": "no", "f": "1e3", "z": "~"}


def test_maps_know_their_line() -> None:
    """Reports name the line of a tag."""
    read = read_yaml(b"title: x\ntags:\n- address: a\n  label: b\n- address: c\n", "x")
    tags = read["tags"]
    assert isinstance(tags, list)
    assert [tag.line for tag in tags if isinstance(tag, YamlMap)] == [3, 5]


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1]\nb: *x\n",  # an alias, the stuff of bombs
        "a: 1\na: 2\n",
        "? [1]\n: 2\n",
        "a: 1\n---\nb: 2\n",
        "- a\n",
        "",
        "a: [1\n",
        "a: \x01\n",
    ],
)
def test_refused(text: str) -> None:
    """Each of these would mean something else to another reader, or grow, or is no YAML map."""
    with pytest.raises(Malformed):
        read_yaml(text.encode(), "x")


def test_tags_of_python_are_only_text() -> None:
    """No object is ever made from a document."""
    assert read_yaml(b"a: !!python/object/apply:os.system ['true']\n", "x") == {"a": ["true"]}


def test_depth_and_number_of_values_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document of brackets alone ends early."""
    with pytest.raises(TooLarge):
        read_yaml(b"a: " + b"[" * 50 + b"]" * 50, "x")
    monkeypatch.setattr(yaml_reader, "MAX_NODES", 10)
    with pytest.raises(TooLarge):
        read_yaml(b"a: [1,2,3,4,5,6,7,8,9,10]", "x")
