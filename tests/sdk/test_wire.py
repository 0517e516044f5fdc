"""Problems of a node become our errors, whatever their code."""

from __future__ import annotations

import pytest

from app.api.problems import STATUS
from app.domain.errors import Betrayed, CordonError
from app.sdk.wire import error_of


@pytest.mark.parametrize("slug", sorted(STATUS))
def test_every_code_becomes_an_error_and_none_becomes_evidence(slug: str):
    """A node's word is a refusal or a delay; that it misbehaves only our own checks can show."""
    error = error_of({"code": slug, "detail": "because"}, status=STATUS[slug])
    assert isinstance(error, CordonError)
    assert not isinstance(error, Betrayed)


def test_an_unknown_code_is_told_by_its_status():
    """A newer node may know codes that this client does not."""
    assert type(error_of({"code": "new"}, status=418)).__name__ == "Refused"
    assert type(error_of({"code": "new"}, status=599)).__name__ == "Unavailable"
