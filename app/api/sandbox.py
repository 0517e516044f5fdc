"""Which screening answers a caller: that of the node, or for a `test` key the one with the sandbox's addresses (schemas §6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.api.context import Api
from app.domain.canonical import JsonValue
from app.domain.permission import Caller
from app.domain.sandbox import DEGRADED_ID, SILENT
from app.services.screen import Screening


def screening_for(api: Api, caller: Caller) -> Screening:
    """A live key never meets the sandbox."""
    return api.node.sandbox if caller.is_test else api.node.screening


def degraded_if_asked(api: Api, caller: Caller, words: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """For a test key that asked for it, the answer of a node one of whose sources is silent."""
    found = words["results"] if "results" in words else [words["result"]]
    if not caller.is_test or not isinstance(found, Sequence):
        return words
    if not any(isinstance(one, Mapping) and one["id"] == DEGRADED_ID for one in found):
        return words
    sources = words["sources"]
    assert isinstance(sources, list)
    return {**words, "degraded": True, "sources": [*sources, SILENT.words(api.node.clock() // 1000)]}
