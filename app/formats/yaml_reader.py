"""YAML as the packs use it: maps, lists and plain texts, with line numbers; nothing that can execute, expand or repeat.

Stricter than a safe loader on purpose. Every scalar stays the text that was written, so an unquoted `0x00…01` is an address
and not the number 1, and a date stays as the pack has it. Aliases are refused, so no document grows by being read; repeated
keys are refused, so no reader sees another document than the author; depth and the number of nodes are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from app.domain.errors import Malformed, TooLarge

MAX_DEPTH = 16
MAX_NODES = 4_000_000


class YamlMap(dict[str, object]):
    """A map that knows on which line, from 1, it began."""

    __slots__ = ("line",)

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


def read_yaml(data: bytes, name: str) -> YamlMap:
    """The one document of `data`, which must be a map; else Malformed or TooLarge, naming the line."""
    try:
        document = _Builder(name).build(yaml.parse(data, Loader=_LOADER))
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "the beginning"
        raise Malformed(f"{name} is not YAML ({where}): correct it and import again") from exc
    if not isinstance(document, YamlMap):
        raise Malformed(f"{name} is no YAML map with a header and a list: this is another format")
    return document


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Builder:
    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes = 0

    def build(self, events: Iterator[yaml.Event]) -> object:
        document: object = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Malformed(f"{self.name} holds more than one YAML document: split it")
            elif isinstance(event, yaml.NodeEvent):
                document = self._node(event, events, 1)
        return document

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> object:
        line = _line(event)
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise TooLarge(f"{self.name}, line {line}: nested too deep or too many values: split the file")
        if isinstance(event, yaml.ScalarEvent):
            return event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(events, depth)
        if isinstance(event, yaml.MappingStartEvent):
            return self._map(line, events, depth)
        raise Malformed(f"{self.name}, line {line}: YAML aliases are not read here: write the value out")

    def _list(self, events: Iterator[yaml.Event], depth: int) -> list[object]:
        values: list[object] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            values.append(self._node(event, events, depth + 1))
        return values

    def _map(self, line: int, events: Iterator[yaml.Event], depth: int) -> YamlMap:
        values = YamlMap(line)
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, events, depth + 1)
            if not isinstance(key, str) or key in values:
                raise Malformed(f"{self.name}, line {_line(event)}: a key stands twice or is no text: correct it")
            values[key] = self._node(next(events), events, depth + 1)
        return values
