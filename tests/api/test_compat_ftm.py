"""What is answered in the shapes of yente, read by the library that its clients read it with: `followthemoney`, where it is installed.

It is no requirement of ours: it wants PyICU, which has to be compiled. `pip install 'followthemoney>=4'` into the environment runs this file;
the recordings beside it are what the routes answer to the byte (`test_compat_recordings`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("yente_*.json"))

ftm = pytest.importorskip(
    "followthemoney", reason="NOT TESTED: entities read by yente's own types. There is no `followthemoney`: pip install 'followthemoney>=4'"
)


def entities(value: Any) -> Iterator[dict[str, Any]]:
    """Every entity in an answer or a question, however deep, nested ones too."""
    if isinstance(value, dict):
        if "schema" in value and "properties" in value:
            yield value
        for inner in value.values():
            yield from entities(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from entities(inner)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_every_entity_is_one_of_the_model(recording: Path) -> None:
    """Its schema is known, every property is one of that schema, and no value is thrown away as none of its type."""
    for entity in entities(json.loads(recording.read_text("utf-8"))):
        schema = ftm.model.get(entity["schema"])
        assert schema is not None, entity["schema"]
        for name, values in entity["properties"].items():
            prop = schema.get(name)
            assert prop is not None, (entity["schema"], name)
            for value in values if isinstance(values, list) else [values]:
                if isinstance(value, str):
                    assert prop.type.clean(value) is not None, (entity["schema"], name, value)
        plain = {
            name: [one for one in values if isinstance(one, str)]
            for name, values in entity["properties"].items()
            if isinstance(values, list)
        }
        proxy = ftm.model.get_proxy({**entity, "id": entity.get("id", "query"), "properties": plain}, cleaned=False)
        assert proxy.caption or not proxy.properties


def test_the_recordings_hold_entities() -> None:
    """The tests above are not about nothing."""
    found = [entity for recording in RECORDINGS for entity in entities(json.loads(recording.read_text("utf-8")))]
    assert {"CryptoWallet"} <= {entity["schema"] for entity in found}
