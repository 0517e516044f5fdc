"""The mapping file of `submit` and `import` (schemas §5): which column is which member, and what holds for every row.

    columns: {address: Wallet, chain: Network}
    constants: {typologies: [fraud.investment], severity: 3, purpose: fraud_prevention}

A misspelt member is refused here, before any row: silence would drop a judgement that somebody meant to make.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from app.domain.canonical import JsonValue
from app.domain.errors import Schema

from .interface import Item
from .members import COLUMNS, CONSTANTS, read_members
from .yaml_reader import YamlMap, read_yaml


def read_mapping(data: bytes, name: str = "the mapping file") -> tuple[dict[str, str], Item]:
    """(`columns`: member → header, `constants`: member → value), for `Options`. Raises Malformed or Schema."""
    document = read_yaml(data, name)
    _known(document, ("columns", "constants"), name)
    columns = _section(document, "columns", name)
    _known(columns, COLUMNS, f"`columns` of {name}")
    headers = {member: header for member, header in columns.items() if isinstance(header, str) and header}
    if len(headers) != len(columns):
        raise Schema(f"`columns` of {name} gives each member the header of one column")
    constants = _section(document, "constants", name)
    _known(constants, CONSTANTS, f"`constants` of {name}")
    return headers, read_members(cast("Mapping[str, JsonValue]", constants), CONSTANTS)


def _section(document: YamlMap, key: str, name: str) -> YamlMap:
    section = document.get(key, YamlMap(1))
    if not isinstance(section, YamlMap):
        raise Schema(f"`{key}` of {name} is a map")
    return section


def _known(section: YamlMap, names: Collection[str], where: str) -> None:
    unknown = sorted(set(section) - set(names))
    if unknown:
        raise Schema(f"{where} knows no `{unknown[0]}`: use one of {', '.join(sorted(names))}")
