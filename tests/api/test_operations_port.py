"""Health and metrics on a port of their own (OPERATIONS_BIND)."""

from __future__ import annotations

import httpx
import pytest

from app.main import create_app
from app.settings import SettingsError, load
from tests.factories import Town
from tests.ports import free_port


async def test_operations_have_a_port_of_their_own(town: Town, database_url: str) -> None:
    """They answer there and no longer on the main port; nothing else answers there."""
    port = free_port()
    settings = load({"data_dir": town.data_dir, "database_url": database_url, "operations_bind": f"127.0.0.1:{port}"}, environment={})
    app = create_app(settings, clock=town.clock)
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as main:
            assert [(await main.get(path)).status_code for path in ("/readyz", "/metrics", "/v1/vocabulary")] == [404, 404, 200]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as operations:
            assert [(await operations.get(path)).status_code for path in ("/readyz", "/metrics", "/v1/vocabulary")] == [200, 200, 404]
    async with httpx.AsyncClient(trust_env=False) as after:
        with pytest.raises(httpx.ConnectError):
            await after.get(f"http://127.0.0.1:{port}/livez")


@pytest.mark.parametrize("bind", ["9100", ":9100", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000"])
def test_a_bind_that_is_no_host_and_port_stops_the_start(bind: str) -> None:
    """The error names the setting."""
    with pytest.raises(SettingsError, match="CORDON_OPERATIONS_BIND"):
        load({"operations_bind": bind}, environment={})
