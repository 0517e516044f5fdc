"""What several tests of the services begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.factories import Clock, Town
from tests.mirrors import PeerLog


@pytest.fixture
def fr(tmp_path: Path, clock: Clock) -> PeerLog:
    """A peer's log with its members enrolled."""
    peer = PeerLog(Town.found(tmp_path / "fr", code="fr", clock=clock))
    peer.log(*peer.town.settled())
    return peer
