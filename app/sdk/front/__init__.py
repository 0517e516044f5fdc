"""The front of the wheel `cordon-client`: its names, imported when they are asked for. In this tree nobody imports it.

from cordon_client.sdk.client import AsyncClient, Client, Options
from cordon_client.sdk.offline import Screener
from cordon_client.sdk.verify import read_roots, verify
"""

from __future__ import annotations

from importlib import import_module

_WHERE = {
    "AsyncClient": "sdk.client",
    "Client": "sdk.client",
    "Options": "sdk.client",
    "Screener": "sdk.offline",
    "Store": "sdk.view_store",
    "Watch": "sdk.watching",
    "open_bucket": "sdk.screened",
    "open_receipt": "sdk.screened",
    "read_roots": "sdk.verify",
    "read_vkeys": "seal.notes",
    "sync_view": "sdk.view_sync",
    "verify": "sdk.verify",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
