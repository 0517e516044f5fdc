"""H-1: two worlds that differ in one statement which a caller may not see answer him alike, byte for byte, on every route.

Each example draws a statement, and the history that both worlds share before and after it. World B takes the drawn one into its log,
world A a statement of the same size that nobody concerned asks about: both logs are of one length, as the indices of a dense log
show by design (trust-and-ops H-1b). Checkpoints, tiles, proofs and metrics are left out for the same reason.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.api.stamps import META_KEY
from app.services.enroll import new_api_key
from app.storage.clients import Client
from tests.api.front import PLENTY, WHY, Front, open_front
from tests.factories import GUARD, Clock, Town, accept, entity, link, sid_in, wallet, wallet_id

READERS: dict[str, tuple[str, str] | None] = {"public": None, "vasp": ("de.exchange", "vasp"), "agency": ("de.bka", "agency")}
KEYS = {name: new_api_key() for name in READERS}
HIDDEN_LABELS: tuple[dict[str, Any], ...] = (
    {"tlp": "RED", "aud": ["de.lka"]},
    {"tlp": "AMBER+STRICT", "aud": ["de.lka"]},
    {"tlp": "AMBER", "aud": ["de.lka"]},
    {"tlp": "RED", "aud": ["fr.example"]},
)
SUBJECTS = (1, 2, 3)


def paths(sids: list[str]) -> list[tuple[str, str, dict[str, Any]]]:
    """What is asked in both worlds: every route but those that show the log."""
    found: list[tuple[str, str, dict[str, Any]]] = []
    for n in SUBJECTS:
        found += [
            ("GET", f"/v1/screen/{wallet_id(n)}", {}),
            ("GET", f"/v1/wallets/{wallet_id(n)}", {}),
            ("GET", f"/v1/search?q={wallet_id(n)}", {}),
        ]
    found += [("GET", f"/v1/statements/{sid}", {}) for sid in sids]
    found += [("GET", f"/v1/entities/entity:de.{who}:sun-{n}", {}) for who in ("bka", "lka") for n in SUBJECTS]
    found += [
        ("GET", path, {})
        for path in (
            "/v1/statements",
            "/v1/statements?limit=1",
            "/v1/statements?kind=listing&limit=2",
            "/v1/statements?issuer=de.lka",
            "/v1/statements?kind=dispute",
            "/v1/held",
            "/v1/entities?q=sun",
            "/v1/entities?q=sun&limit=1",
            "/v1/entities?kind=company",
            "/v1/entities?country=KH",
            "/v1/search?q=sun",
            "/v1/indicators/scam.example",
            "/v1/members",
            "/v1/members/de.lka",
            "/v1/members/de.lka/keys",
            "/v1/vocabulary",
            "/v1/api-keys",
            "/.well-known/cordon-node",
            "/fed/v1/root/1",
            "/livez",
            "/readyz",
            "/startupz",
            "/openapi.json",
            "/log/tile/entries/000.p/6",
            "/v1/statements/nonsense",
            "/nowhere",
        )
    ]
    rows = [{"address": wallet_id(n)} for n in (*SUBJECTS, 4)] + [{"address": "x"}]
    found += [("POST", "/v1/screen", {"json": {"items": rows, "include": include}}) for include in ("all", "hits")]
    lines = "\n".join([*(row["address"] for row in rows), ""])
    forms = {"text/plain": lines, "text/csv": "address\n" + lines, "application/x-ndjson": "".join(f"{json.dumps(row)}\n" for row in rows)}
    for kind, text in forms.items():
        options = {"content": text, "headers": {"Content-Type": kind}}
        found += [("POST", f"/v1/screen?include={include}", options) for include in ("all", "hits")]
    return found


class Stage:
    """Two founded copies of one jurisdiction with one database each, and the same keys, stamps and clock."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.clock = Clock()
        self.town = Town.found(folder / "de", clock=self.clock)
        self.folder = folder
        self.template = template
        self.settled = self.town.settled()

    async def world(self, name: str, wires: list[list[str]]) -> dict[str, list[tuple[Any, ...]]]:
        """The answers of a world with this history, to each reader."""
        sids = [sid_in(wire) for batch in wires for wire in batch]
        async with self.open(name, wires) as front:
            return {reader: await self._ask(front, reader, sids) for reader in READERS}

    @asynccontextmanager
    async def open(self, name: str, wires: list[list[str]], *, hours: float = 80, **settings: Any) -> AsyncIterator[Front]:
        """A running world with this history, so many hours later."""
        self.clock.ms = Clock().ms
        shutil.copytree(self.town.data_dir, self.folder / name)
        database = self.folder / name / "cordon.sqlite3"
        shutil.copyfile(self.template, database)
        town = Town.at(self.folder / name, code="de", clock=self.clock)
        async with open_front(town, f"sqlite+aiosqlite:///{database}", settle=False, **PLENTY, **settings) as front:
            await self._furnish(front)
            await accept(front.node, *self.settled)
            for batch in wires:
                await accept(front.node, *batch)
                self.clock.advance(s=60)
            self.clock.advance(hours=hours)
            await front.node.gate.heartbeat()
            yield front

    async def _furnish(self, front: Front) -> None:
        async with front.node.database.transaction() as tx:
            await tx.meta.set(META_KEY, b"the same stamps in both worlds..")
            for name, who in READERS.items():
                if who is not None:
                    key = KEYS[name]
                    await tx.clients.put(Client(key.id, key.secret_sha256, "live", *who, "", ("screen", "read"), "green", 0))

    def headers(self, reader: str) -> dict[str, str]:
        """What a reader sends with every request."""
        return {"Authorization": f"Bearer {KEYS[reader].text()}", **WHY} if READERS[reader] else {}

    async def _ask(self, front: Front, reader: str, sids: list[str]) -> list[tuple[Any, ...]]:
        answers = []
        transport, headers = httpx.ASGITransport(front.app), self.headers(reader)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            for method, path, options in paths(sids):
                queue = [path]
                while queue:
                    told = {**options, "headers": {"X-Request-Id": "one-for-all", **options.get("headers", {})}}
                    answer = await client.request(method, queue.pop(), **told)
                    answers.append((method, path, answer.status_code, answer.content, sorted(answer.headers.items())))
                    following = answer.json().get("next") if answer.headers["content-type"] == "application/json" else None
                    queue += [following] if following else []
        return answers


@pytest.mark.slow
@settings(
    max_examples=8,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_what_a_caller_may_not_see_changes_nothing_for_him(sqlite_template: Path, data: st.DataObject) -> None:
    """Bodies, status, headers with their tags and what is left of quotas, cursors and page lengths: equal in both worlds."""
    with tempfile.TemporaryDirectory() as directory:
        stage = Stage(Path(directory), sqlite_template)
        bka, lka = stage.town.signer("de.bka#1"), stage.town.signer("de.lka#1")
        label = data.draw(st.sampled_from(HIDDEN_LABELS), label="label")
        subject = data.draw(st.sampled_from(SUBJECTS), label="subject")
        shown = [
            bka.listing(wallet(1), entity("sun-1"), tlp="CLEAR"),
            bka.listing(wallet(2), link(wallet_id(1), wallet_id(2)), tlp="GREEN"),
        ]
        after = [[bka.listing(wallet(3), entity("sun-3"))], [bka.listing(wallet(4), tlp="CLEAR")]]
        made = {
            "a graver listing": lka.listing(wallet(subject, severity=4), **label),
            "a narrower listing": lka.listing(wallet(subject, scope={"chains": ["eip155:1"]}), **label),
            "an entity": lka.listing(entity(f"sun-{subject}", member="de.lka", jurisdictions=["KH"]), **label),
            "links": lka.listing(
                wallet(9), link(wallet_id(subject), wallet_id(9)), link(wallet_id(9), wallet_id(subject), "same_cluster"), **label
            ),
            # On a wallet that is listed already: a guard also makes later listings of its id wait, which is local policy (schemas §2).
            "a guard": lka.listing(wallet(min(subject, 2), **GUARD), **label),
            "a dispute": lka.dispute(sid_in(shown[0]), ground="wrong_value", **label),
            "an endorsement": lka.endorse(sid_in(shown[1]), **label),
            "a request": lka.freeze_request(wallet_id(subject), aud=["fr.example"]),
        }
        hidden = made[data.draw(st.sampled_from(sorted(made)), label="hidden")]
        filler = lka.listing(wallet(99), tlp="RED", aud=["de.lka"])

        async def both() -> None:
            with_filler = await stage.world("a", [shown, [filler], *after])
            with_hidden = await stage.world("b", [shown, [hidden], *after])
            for reader in READERS:
                for one, two in zip(_without(with_filler[reader], filler), _without(with_hidden[reader], hidden), strict=True):
                    assert one == two, (reader, one[:2])

        asyncio.run(both())


def _without(answers: list[tuple[Any, ...]], wire: str) -> list[tuple[Any, ...]]:
    """The two worlds ask for another sid each at one place: the answer must be that of a sid that never was."""
    own = f"/v1/statements/{sid_in(wire)}"
    for answer in answers:
        if answer[1] == own:
            assert answer[2] == 404
    return [
        tuple(part.replace(sid_in(wire).encode(), b"-") if isinstance(part, bytes) else part for part in a if part != own) for a in answers
    ]


@pytest.mark.slow
async def test_the_law_notices_a_statement_that_may_be_seen(sqlite_template: Path, tmp_path: Path) -> None:
    """The same comparison with a label that reaches the VASP: his answers differ, the public's do not."""
    stage = Stage(tmp_path, sqlite_template)
    lka = stage.town.signer("de.lka#1")
    filler, seen = lka.listing(wallet(99), tlp="RED", aud=["de.lka"]), lka.listing(wallet(1), tlp="GREEN")
    one, two = await stage.world("a", [[filler]]), await stage.world("b", [[seen]])
    differing = {reader for reader in READERS if [a[3] for a in one[reader]] != [b[3] for b in two[reader]]}
    assert {"vasp", "agency"} <= differing
    assert _without(one["public"], filler) == _without(two["public"], seen)
