"""An exchange keeps a verified copy of the view and screens without the network: nobody learns whom its customers pay.

pip install cordon_client-*.whl; CORDON_API_KEY=cordon_live_… python examples/vasp_offline.py http://127.0.0.1:8000 var/demo/root copy 0x… T…
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from cordon_client.domain.errors import InvalidAddress, Unavailable
from cordon_client.sdk.client import Client, Options
from cordon_client.sdk.offline import Screener
from cordon_client.sdk.verify import read_roots
from cordon_client.sdk.view_store import Store
from cordon_client.sdk.view_sync import sync_view
from cordon_client.seal.notes import read_vkeys
from cordon_client.seal.roots import RootDocument

TIER = "green"


def keep(url: str, folder: Path, root: RootDocument) -> None:
    """Once a minute: what changed since the last time, checked against the signed head. A node that is away is no reason to stop."""
    options = Options(api_key=os.environ.get("CORDON_API_KEY"), max_wait_s=60.0)
    try:
        with Client(url, options) as node:
            synced = sync_view(node, Store(folder, TIER), read_vkeys(root.view_vkeys))
        print(f"view of {synced.copy.head.as_of}: {synced.added} added, {synced.removed} removed")
    except Unavailable as error:
        print(f"kept as it is: {error.detail}")


def main(url: str, roots: str, folder: str, *addresses: str) -> None:
    """Bring the copy up to date, then decide: `listed` is held, what cannot be read waits, `not listed` is no promise that it is safe."""
    root = read_roots(Path(roots), now=int(time.time()))
    keep(url, Path(folder), root)
    screener = Screener.open(folder, root, tier=TIER)
    for address in addresses:
        try:
            decision = "hold" if screener.is_listed(address) else "pass"
        except InvalidAddress as error:
            decision = f"wait ({error.code})"
        except Unavailable as error:  # the copy is too old
            decision = f"wait ({error.detail})"
        print(f"{decision}: {address}")


if __name__ == "__main__":
    main(*sys.argv[1:])
