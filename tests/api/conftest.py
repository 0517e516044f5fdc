"""`front`: a node of `town` with its HTTP floor on SQLite. `both_fronts`: the same on each engine. `federating`: with federation on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.front import Front, open_front
from tests.api.peers import Federating, open_federating
from tests.factories import Town


@pytest.fixture
async def front(town: Town, sqlite_migrated_url: str) -> AsyncIterator[Front]:
    async with open_front(town, sqlite_migrated_url) as opened:
        yield opened


@pytest.fixture
async def both_fronts(town: Town, database_url: str) -> AsyncIterator[Front]:
    async with open_front(town, database_url) as opened:
        yield opened


@pytest.fixture
async def federating(town: Town, sqlite_migrated_url: str) -> AsyncIterator[Federating]:
    async with open_federating(town, sqlite_migrated_url) as opened:
        yield opened


@pytest.fixture
async def both_federating(town: Town, database_url: str) -> AsyncIterator[Federating]:
    async with open_federating(town, database_url) as opened:
        yield opened
