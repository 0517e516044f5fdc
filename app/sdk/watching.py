"""What a watcher asks of a node: watchlists, webhooks, events, corrections (schemas §4.5).

with Client("https://node.de.example", Options(api_key="…")) as client:
watch = Watch(client)
ours = watch.create_list("deposits", [("eip155:0:0x…", "customer-17")])
for event in watch.follow():
print(event["type"], event["data"])
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..domain.canonical import JsonValue, write_json
from .client import Client
from .events import Broken, EventStream, Placed
from .wire import Call, as_object, json_of

ITEMS_MAX = 1_000
"""How many items one request puts in or takes out."""

Record = dict[str, JsonValue]
Item = tuple[str, str | None]
"""What is watched, and the watcher's own reference for it."""


class Watch:
    """One watcher: everything is that of the member of the API key. Errors as with `Client`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    # --- watchlists

    def create_list(self, name: str, items: Sequence[Item] = (), *, prefixes: Sequence[str] = ()) -> Record:
        """A new list with up to 1,000 items and 1,000 buckets; `add` puts in more."""
        return self._post("/v1/watchlists", {"name": name, "items": _items(items), "prefixes": [*prefixes]})

    def lists(self) -> list[Record]:
        """One's own lists, oldest first."""
        return list(self._client.pages(Call("GET", "/v1/watchlists")))

    def items(self, list_id: str) -> Iterator[Record]:
        """What a list holds: `id`, `reference`."""
        return self._client.pages(Call("GET", f"/v1/watchlists/{list_id}/items", {"limit": "1000"}))

    def add(self, list_id: str, items: Sequence[Item] = (), *, prefixes: Sequence[str] = ()) -> Record:
        """Put up to 1,000 items and 1,000 buckets in; what is there already is left as it is."""
        return self._change(f"/v1/watchlists/{list_id}", {"add": _items(items), "prefixes": [*prefixes]})

    def remove(self, list_id: str, ids: Sequence[str]) -> Record:
        """Take up to 1,000 ids or buckets out."""
        return self._change(f"/v1/watchlists/{list_id}", {"remove": [*ids]})

    def end_list(self, list_id: str) -> None:
        """Drop a list; its events stay."""
        self._end(f"/v1/watchlists/{list_id}")

    # --- webhooks

    def create_hook(self, url: str, *, events: Sequence[str] = ("listing.*",), watchlists: Sequence[str] = ()) -> Record:
        """A new address for events; its `secret` is in this answer only."""
        return self._post("/v1/webhooks", {"url": url, "events": [*events], "watchlists": [*watchlists]})

    def hooks(self) -> list[Record]:
        """One's own webhooks, oldest first."""
        return list(self._client.pages(Call("GET", "/v1/webhooks")))

    def hook(self, hook_id: str) -> Record:
        """One webhook; `reason` says why it is disabled."""
        return self._get(f"/v1/webhooks/{hook_id}")

    def change_hook(self, hook_id: str, **changed: JsonValue) -> Record:
        """Other `url`, `events` or `watchlists`; `state="active"` enables what was disabled."""
        return self._change(f"/v1/webhooks/{hook_id}", changed)

    def end_hook(self, hook_id: str) -> None:
        """Send nothing there any more."""
        self._end(f"/v1/webhooks/{hook_id}")

    def rotate_secret(self, hook_id: str) -> Record:
        """A new secret; the old one signs beside it for a day."""
        return self._post(f"/v1/webhooks/{hook_id}/rotate")

    def test_hook(self, hook_id: str) -> Record:
        """Send a test event now: `delivered`, `note`."""
        return self._post(f"/v1/webhooks/{hook_id}/test")

    def replay(self, hook_id: str, cursor: str) -> int:
        """Send everything after an event again, dead letters too; how many were queued."""
        found = self._post(f"/v1/webhooks/{hook_id}/replay", {"cursor": cursor}).get("events")
        return found if isinstance(found, int) else 0

    def dead_letters(self, hook_id: str) -> Iterator[Record]:
        """What could not be delivered: `id`, `attempts`, `note`."""
        return self._client.pages(Call("GET", f"/v1/webhooks/{hook_id}/dead-letters", {"limit": "1000"}))

    def waiting(self, hook_id: str) -> int:
        """How many events are on their way to a webhook."""
        found = self._get(f"/v1/webhooks/{hook_id}/dead-letters").get("waiting")
        return found if isinstance(found, int) else 0

    # --- events

    def events(self, cursor: str | None = None) -> Iterator[Record]:
        """What has happened after an event, or ever, up to now."""
        return self._client.pages(Call("GET", "/v1/events", {"limit": "1000", **({"cursor": cursor} if cursor else {})}))

    def follow(
        self,
        cursor: str | None = None,
        *,
        on_place: Placed = lambda _cursor: None,
        on_break: Broken = lambda _error, _pause_s: None,
    ) -> EventStream:
        """Events as they happen, after a cursor or from now on, without end."""
        return EventStream(self._client, cursor, on_place=on_place, on_break=on_break)

    def corrections(self, cursor: str | None = None) -> Iterator[Record]:
        """What was told to this client and holds no longer, after a cursor."""
        return self._client.pages(Call("GET", "/v1/corrections", {"limit": "1000", **({"cursor": cursor} if cursor else {})}))

    def acknowledged(self) -> str | None:
        """Up to which event corrections have been acknowledged."""
        found = self._get("/v1/corrections", {"limit": "1"}).get("acknowledged")
        return found if isinstance(found, str) else None

    def acknowledge(self, cursor: str) -> str | None:
        """Say that corrections up to an event were acted on."""
        found = self._post("/v1/corrections/acknowledge", {"cursor": cursor}).get("acknowledged")
        return found if isinstance(found, str) else None

    # --- below

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> Record:
        return as_object(json_of(self._client.call(Call("GET", path, query or {})).body))

    def _post(self, path: str, words: Mapping[str, JsonValue] | None = None) -> Record:
        """What makes something carries a key of its own: asked again after a 503, it is made once."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(16)}
        call = Call("POST", path, headers=headers, content=write_json(dict(words))) if words is not None else Call("POST", path)
        return as_object(json_of(self._client.call(call).body))

    def _change(self, path: str, words: Mapping[str, JsonValue]) -> Record:
        headers = {"Content-Type": "application/json", "If-Match": self._version(path)}
        return as_object(json_of(self._client.call(Call("PATCH", path, headers=headers, content=write_json(dict(words)))).body))

    def _end(self, path: str) -> None:
        self._client.call(Call("DELETE", path, headers={"If-Match": self._version(path)}))

    def _version(self, path: str) -> str:
        return self._client.call(Call("GET", path)).headers.get("etag", "*")


def _items(items: Iterable[Item]) -> list[JsonValue]:
    return [{"id": name, "reference": reference} for name, reference in items]
