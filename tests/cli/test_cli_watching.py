"""`cordon watch`, `watchlist`, `webhook`, `corrections`: from a file of customers to the line that tells of one of them, and what did not arrive."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from app.cli.local import with_rows
from app.sdk.webhook import verify
from app.storage.database import Transaction
from app.storage.webhooks import Delivery
from tests.cli.program import Outcome, RunningNode, command, cordon, environment, running, wallets, write_csv
from tests.ports import free_port

pytestmark = pytest.mark.slow

PATIENCE_S = 60


class Desk:
    """An exchange at a running node: its key and what it types."""

    def __init__(self, node: RunningNode, key: str) -> None:
        self.node = node
        self.key = key
        self.said = 0

    def __call__(self, *words: object) -> Outcome:
        return cordon(*words, "--node", self.node.url, "--api-key", self.key)

    def police(self, first: int, count: int = 1) -> None:
        """The agency lists some wallets."""
        self.said += 1
        folder = self.node.data_dir.parent
        file = write_csv(folder / f"said-{self.said}.csv", wallets(first, count))
        key = self.node.data_dir / "keys" / "zz.police.jwk"
        done = cordon("submit", file, "--as", "zz.police", "--key", key, "--node", self.node.url, "--tlp", "CLEAR", "--out", folder / "out")
        assert done.code == 0, done.err


@pytest.fixture(scope="module")
def desk(demonstration: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One node for all of these."""
    folder = Path(shutil.copytree(demonstration, tmp_path_factory.mktemp("watching") / "node"))
    key = cordon("client", "create", "--class", "vasp", "--member", "zz.exchange", "--data-dir", folder).out.strip()
    with running(folder, CORDON_ALLOW_LOOPBACK="true") as node:
        yield Desk(node, key)


def customers(folder: Path, first: int, count: int) -> Path:
    file = folder / "customers.csv"
    lines = [f"{address},ethereum,customer-{number}" for number, address in enumerate(wallets(first, count), first)]
    file.write_text("\n".join(["address,chain,reference", *lines]) + "\n")
    return file


def test_a_list_comes_from_a_file_and_goes_again(desk: Desk, tmp_path: Path) -> None:
    """More rows than one request takes; by name or id; taken out and ended."""
    made = desk("watchlist", "create", "many", customers(tmp_path, 10_000, 2_100), "--bucket", "3d56", "--json")
    assert made.code == 0, made.err
    assert made.json["watched"] == 2_101
    assert len(desk("watchlist", "show", made.json["id"], "--json").rows) == 2_101
    assert desk("watchlist", "add", "many", "--address", "SCAM.example").code == 0
    gone = desk("watchlist", "remove", "many", customers(tmp_path, 10_000, 2_099), "--json")
    assert gone.json["removed"] == 2_099
    left = desk("watchlist", "show", "many", "--json").rows
    assert {one["reference"] for one in left} == {"customer-12099", None}
    assert len(left) == 3
    assert desk("watchlist", "end", "many").code == 0
    missing = desk("watchlist", "show", "many")
    assert (missing.code, "cordon watchlist list" in missing.err) == (1, True)


def test_a_row_that_cannot_be_read_is_named_and_nothing_is_sent(desk: Desk, tmp_path: Path) -> None:
    """The place of each in the file; the list is as it was."""
    assert desk("watchlist", "create", "clean").code == 0
    file = customers(tmp_path, 1, 2)
    file.write_text(file.read_text() + "nonsense,,customer-3\n")
    refused = desk("watchlist", "add", "clean", file)
    assert refused.code == 1
    assert "1 of 3 rows cannot be read, nothing was sent" in refused.err
    assert "row 3" in refused.err
    assert desk("watchlist", "show", "clean", "--json").rows == []
    assert desk("watchlist", "create", "clean").code == 0
    twice = desk("watchlist", "end", "clean")
    assert (twice.code, "2 watchlists are called clean" in twice.err) == (1, True)


def test_a_blind_list_tells_the_node_nothing_but_buckets(desk: Desk, tmp_path: Path) -> None:
    """Neither address nor reference leaves this machine; the event comes under the bucket."""
    assert desk("watchlist", "create", "blind", customers(tmp_path, 77, 1), "--blind").code == 0
    (held,) = desk("watchlist", "show", "blind", "--json").rows
    assert (len(held["id"]), held["reference"]) == (4, None)
    with (desk.node.data_dir / "cordon.sqlite3").open("rb") as file:
        assert wallets(77, 1)[0].encode() not in file.read()
    desk.police(77)
    deadline = time.monotonic() + PATIENCE_S  # a listing is an event within a second, not at once
    while held["id"] not in [one["data"]["subject"] for one in desk("watch", "--once", "--list", "blind", "--json").rows]:
        assert time.monotonic() < deadline


class Watcher:
    """`cordon watch` as a process, its lines in a file."""

    def __init__(self, desk: Desk, folder: Path, *words: object, url: str = "") -> None:
        self.out, self.err = folder / "watch.out", folder / "watch.err"
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self.child = subprocess.Popen(
                command("watch", *words, "--node", url or desk.node.url),
                env=environment(CORDON_API_KEY=desk.key),
                stdout=out,
                stderr=err,
            )

    def await_text(self, text: str, *, err: bool = False) -> None:
        """Until it has printed this."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in (self.err if err else self.out).read_text():
            assert time.monotonic() < deadline, (text, self.out.read_text(), self.err.read_text())
            assert self.child.poll() is None or not err, self.err.read_text()
            time.sleep(0.05)

    def end(self, number: int = signal.SIGINT) -> int:
        self.child.send_signal(number)
        return self.child.wait(PATIENCE_S)


def test_it_follows_and_goes_on_where_it_was_killed(desk: Desk, tmp_path: Path) -> None:
    """One line an event with the customer's reference; killed before anything came, what happened meanwhile comes first; Ctrl-C says how to go on."""
    assert desk("watchlist", "create", "ours", customers(tmp_path, 500, 3)).code == 0
    state = tmp_path / "cursor"
    words = ("--list", "ours", "--state", state)
    first = Watcher(desk, tmp_path, *words)
    first.await_text("watching, after", err=True)
    first.end(signal.SIGKILL)
    desk.police(500)
    second = Watcher(desk, tmp_path, *words)
    second.await_text("customer-500")
    desk.police(501)
    second.await_text("customer-501")
    assert second.end() == 130
    assert f"go on with: cordon watch --state {state}" in second.err.read_text()
    lines = second.out.read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["added", "added"]
    assert state.read_text().strip() == desk("watch", "--once", "--json").rows[-1]["id"]
    both = desk("watch", "--once", "--state", state, "--cursor", "x")
    assert (both.code, "give --cursor or --state" in both.err) == (2, True)


def test_a_node_that_goes_away_and_comes_back_is_heard_again(node_dir: Path, tmp_path: Path) -> None:
    """The watcher says so and waits; what happened before it was connected again is not missed. A key that does not exist ends it."""
    key = cordon("client", "create", "--class", "vasp", "--member", "zz.exchange", "--data-dir", node_dir).out.strip()
    port = free_port()
    serve = command("serve", "--port", port, "--data-dir", node_dir)

    def start() -> subprocess.Popen[bytes]:
        child = subprocess.Popen(serve, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_S
        while cordon("watchlist", "list", "--node", url, "--api-key", key).code and time.monotonic() < deadline:
            time.sleep(0.1)
        return child

    url = f"http://127.0.0.1:{port}"
    child = start()
    try:
        desk = Desk(RunningNode(url, node_dir, child, tmp_path / "log"), key)
        assert desk("watchlist", "create", "ours", "--address", wallets(900, 1)[0]).code == 0
        watcher = Watcher(desk, tmp_path)
        watcher.await_text("watching, after", err=True)
        child.kill()
        child.wait(10)
        watcher.await_text("again in", err=True)
        child = start()
        desk.police(900)
        watcher.await_text("added")
        assert watcher.end() == 130
        assert len(watcher.out.read_text().splitlines()) == 1
    finally:
        child.kill()
        child.wait(10)
    refused = cordon("watch", "--node", url, "--api-key", key)
    assert (refused.code, "is the node running there" in refused.err) == (3, True)


class _Receiver(BaseHTTPRequestHandler):
    got: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        self.got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quietly."""


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """The exchange's server: its address, and what it was sent."""
    got: list[tuple[dict[str, str], bytes]] = []
    server = HTTPServer(("127.0.0.1", 0), type("_Own", (_Receiver,), {"got": got}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/in", got
    server.shutdown()
    server.server_close()


def test_what_did_not_arrive_is_seen_and_sent_again(
    desk: Desk, tmp_path: Path, receiver: tuple[str, list[tuple[dict[str, str], bytes]]]
) -> None:
    """A webhook that was disabled: its dead letters are listed, it is enabled, they go out again under their ids, signed with the secret shown once."""
    url, got = receiver
    assert desk("watchlist", "create", "hooked", customers(tmp_path, 700, 2)).code == 0
    hook = desk("webhook", "create", url, "--list", "hooked", "--json").json
    assert desk("webhook", "test", hook["id"]).out == "taken: answered 204\n"
    desk.police(700, 2)
    _await(lambda: len(got) == 3)
    ids = sorted((verify(headers, body, hook["secret"]) for headers, body in got[1:]), key=lambda name: int(name.rpartition("-")[2]))
    bare = desk("webhook", "replay", hook["id"])
    assert (bare.code, "no dead letters" in bare.err) == (1, True)

    async def dies(tx: Transaction) -> None:
        seq = int(ids[0].rpartition("-")[2])
        await tx.webhooks.queue([Delivery(hook["id"], seq, False, 0, 10, "dead", "answered 500")])
        await tx.webhooks.set_state(hook["id"], "disabled", "it has not taken an event for three days")

    with_rows(desk.node.data_dir, dies)
    shown = desk("webhook", "show", hook["id"], "--json").json
    assert (shown["state"], shown["dead"], shown["waiting"]) == ("disabled", 1, 0)
    assert "three days" in desk("webhook", "list").out
    dead = desk("webhook", "dead", hook["id"])
    assert (ids[0] in dead.out, "answered 500" in dead.out) == (True, True)
    again = desk("webhook", "replay", hook["id"])
    assert again.out.startswith("2 events after")
    assert f"cordon webhook enable {hook['id']}" in again.err
    assert desk("webhook", "enable", hook["id"]).code == 0
    _await(lambda: len(got) == 5)
    assert sorted(verify(headers, body, hook["secret"]) for headers, body in got[3:]) == sorted(ids)
    fresh = desk("webhook", "rotate", hook["id"], "--json").json["secret"]
    assert desk("webhook", "test", hook["id"]).code == 0
    assert {verify(*got[-1], secret) for secret in (fresh, hook["secret"])} == {got[-1][0]["webhook-id"]}
    assert desk("webhook", "end", hook["id"]).code == 0
    assert desk("webhook", "show", hook["id"]).code == 1


def _await(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_was_told_is_corrected_until_it_is_acknowledged(desk: Desk) -> None:
    """A lookup, an end, a correction that is urgent; acknowledged, the list is empty."""
    desk.police(800)
    assert desk("screen", "--address", wallets(800, 1)[0], "--json").rows[0]["match"] == "listed"
    (sid,) = (one["sid"] for one in desk("screen", "--address", wallets(800, 1)[0], "--json").rows[0]["statements"])
    ended = cordon("erase", sid, "--part", "core", "--ground", "gdpr-17", "--tlp", "CLEAR", "--data-dir", desk.node.data_dir)
    assert ended.code == 0, ended.err
    _await(lambda: desk("corrections", "list").out)
    (event,) = desk("corrections", "list", "--json").rows
    assert (event["urgent"], event["type"], event["data"]["sid"]) == (True, "listing.corrected.v1", sid)
    assert "URGENT" in desk("corrections", "list").out
    assert desk("corrections", "acknowledge", event["id"]).out == f"acknowledged up to {event['id']}\n"
    assert desk("corrections", "list", "--json").out == ""
    assert len(desk("corrections", "list", "--all", "--json").rows) == 1


def test_without_a_key_it_says_what_is_missing(desk: Desk) -> None:
    """Refused with a sentence, at once."""
    for words in (("watch",), ("watchlist", "list"), ("webhook", "list"), ("corrections", "list")):
        refused = cordon(*words, "--node", desk.node.url)
        assert refused.code == 1
        assert "cordon client create" in refused.err, words
    assert os.environ.get("CORDON_API_KEY") is None
