"""Deliveries: tried along the schedule, first those that correct, one address never at the cost of another, nothing lost."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson
import pytest

from app.domain.errors import NotFound
from app.domain.labels import Reader, ReaderClass
from app.sdk.post import Outcome
from app.sdk.webhook import WebhookKey, verify
from app.services.deliver import PER_ADDRESS, SCHEDULE_S, Deliverer, read_retry_after
from app.services.watch import OVERLAP_MS, Watching
from app.storage.database import Database
from app.storage.outbox import WatchEvent
from app.storage.webhooks import Delivery, Webhook, WebhookShelf
from tests.factories import Clock
from tests.waiting import until

OWNER = "de.exchange/green"
KEY = WebhookKey(b"s" * 32, b"1" * 32)
SECRETS = ({"hmac": b64encode(KEY.hmac).decode(), "seed": b64encode(KEY.seed).decode(), "until_ms": None},)


@dataclass
class Receiver:
    """Somebody's server: answers by address, and verifies whatever comes."""

    clock: Clock
    answers: dict[str, Outcome] = field(default_factory=dict)
    slow: dict[str, asyncio.Event] = field(default_factory=dict)
    got: list[tuple[str, str]] = field(default_factory=list)

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        """Take a request."""
        name = verify(headers, body, KEY.secret, now=self.clock() / 1000)
        assert name == orjson.loads(body)["id"]
        self.got.append((url, name.rpartition("-")[2]))
        if url in self.slow:
            await self.slow[url].wait()
        return self.answers.get(url, Outcome(200, "answered 200"))

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Post:
    """A deliverer on a database with two addresses."""

    database: Database
    deliverer: Deliverer
    receiver: Receiver
    clock: Clock

    async def queue(self, hook: str, *seqs: int, urgent: bool = False) -> None:
        """Events on their way."""
        async with self.database.transaction() as tx:
            await tx.webhooks.queue([Delivery(hook, seq, urgent, self.clock()) for seq in seqs])

    async def run(self) -> None:
        """Everything that is due now."""
        await self.deliverer.tick()
        await self.deliverer.settle()

    async def hook(self, name: str = "a") -> Webhook:
        """An address as it stands."""
        async with self.database.reading() as tx:
            found = await tx.webhooks.get(name)
        assert found is not None
        return found


@pytest.fixture
async def post(database: Database, clock: Clock) -> AsyncIterator[Post]:
    async def watching(_owner: str) -> Reader:
        return Reader(ReaderClass.VASP)

    receiver = Receiver(clock)
    deliverer = Deliverer(database, receiver, reader_of=watching, clock=clock, worker="w", shares_database=True)
    async with database.transaction() as tx:
        await tx.outbox.put_events(OWNER, [WatchEvent(0, 7, "listing.added.v1", False, "", b'{"sid":"s"}')] * 40)
        for name in "ab":
            await tx.webhooks.put(Webhook(name, OWNER, f"https://{name}.example", ("*",), (), SECRETS, 1))
    yield Post(database, deliverer, receiver, clock)
    await deliverer.stop()


async def test_corrections_go_first_and_what_arrived_is_not_sent_again(post: Post) -> None:
    """Each event once, urgent ones before older ones."""
    await post.queue("a", 1, 2, 3, 4, 5)
    await post.queue("a", 6, urgent=True)
    for _ in range(5):
        await post.run()
    assert post.receiver.got[0] == ("https://a.example", "6")
    assert Counter(seq for _, seq in post.receiver.got) == dict.fromkeys("123456", 1)


async def test_a_receiver_that_is_down_for_four_days_loses_nothing_and_is_told(post: Post) -> None:
    """F-21: the schedule is kept, then the address is disabled with a reason; enabled again, the dead letter goes out under its old id."""
    post.receiver.answers["https://a.example"] = Outcome(None, "no answer (ConnectError)")
    await post.queue("a", 1)
    for pause in SCHEDULE_S:
        post.clock.advance(s=pause * 1.11)
        await post.run()
        await post.run()
    assert len(post.receiver.got) == len(SCHEDULE_S)
    assert sum(SCHEDULE_S) * 1.1 < 4 * 86_400
    hook = await post.hook()
    assert (hook.state, "three days" in hook.reason) == ("disabled", True)
    await post.queue("a", 2)
    post.clock.advance(days=2)
    await post.run()
    assert len(post.receiver.got) == len(SCHEDULE_S)
    async with post.database.transaction() as tx:
        (dead,) = await tx.webhooks.dead("a")
        assert (dead.seq, dead.attempts, dead.note) == (1, 10, "no answer (ConnectError)")
        await tx.webhooks.set_state("a", "active")
        await tx.webhooks.put_off(Delivery("a", 1, False, post.clock()))
    post.receiver.answers.clear()
    await post.run()
    assert sorted(post.receiver.got[len(SCHEDULE_S) :]) == [("https://a.example", "1"), ("https://a.example", "2")]


async def test_who_is_gone_is_asked_no_more(post: Post) -> None:
    """410 disables at once; a redirect and an error are failures like no answer."""
    post.receiver.answers["https://a.example"] = Outcome(410, "answered 410")
    post.receiver.answers["https://b.example"] = Outcome(302, "answered 302")
    await post.queue("a", 1)
    await post.queue("b", 1)
    await post.run()
    assert [(await post.hook(name)).state for name in "ab"] == ["disabled", "active"]
    post.clock.advance(s=6)
    await post.run()
    assert Counter(url for url, _ in post.receiver.got) == {"https://a.example": 1, "https://b.example": 2}


@pytest.mark.parametrize("status", [410, 429])
async def test_what_an_address_said_that_is_one_no_more_counts_for_nothing(post: Post, status: int) -> None:
    """Its owner sends elsewhere while an attempt is under way: neither disabled nor resting, the event goes to the new place."""
    post.receiver.slow["https://a.example"] = gate = asyncio.Event()
    post.receiver.answers["https://a.example"] = Outcome(status, f"answered {status}", "3600")
    await post.queue("a", 1)
    await post.deliverer.tick()
    await until(lambda: post.receiver.got)
    watching = Watching(post.database, clock=post.clock, allow_loopback=True)
    await watching.change_hook(await post.hook(), url="https://new.example", events=None, watchlists=None, enable=False)
    gate.set()
    await post.deliverer.settle()
    assert ((await post.hook()).state, (await post.hook()).resting_ms) == ("active", 0)
    post.clock.advance(s=6)
    await post.run()
    assert [url for url, _ in post.receiver.got] == ["https://a.example", "https://new.example"]


async def test_a_change_is_made_to_the_address_as_it_stands(post: Post) -> None:
    """Who changes it has seen it before: a secret that was turned since stays turned, and one that was disabled stays so."""
    watching, seen = Watching(post.database, clock=post.clock, allow_loopback=True), await post.hook()
    turned = await watching.rotate(seen)
    async with post.database.transaction() as tx:
        await tx.webhooks.set_state("a", "disabled", "it answered 410 Gone")
    changed = await watching.change_hook(seen, url=None, events=["listing.*"], watchlists=None, enable=False)
    assert (changed.secrets, changed.events) == (turned.secrets, ("listing.*",))
    assert (changed.state, changed.reason) == ("disabled", "it answered 410 Gone")
    assert await post.hook() == changed
    twice = await watching.rotate(seen)
    assert twice.secrets[1] == {**turned.secrets[0], "until_ms": post.clock() + OVERLAP_MS}
    await watching.end_hook(seen)
    with pytest.raises(NotFound):
        await watching.rotate(seen)


async def test_what_ends_while_the_queue_is_read_is_not_sent_again(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading of the queue that arrives after an attempt was recorded is older than the record."""
    read_due = WebhookShelf.due

    async def late(shelf: WebhookShelf, webhook_id: str, now_ms: int, *, limit: int) -> list[Delivery]:
        found = await read_due(shelf, webhook_id, now_ms, limit=limit)
        if post.receiver.got:
            gate.set()
            await post.deliverer.settle()
        return found

    monkeypatch.setattr(WebhookShelf, "due", late)
    post.receiver.slow["https://a.example"] = gate = asyncio.Event()
    await post.queue("a", 1, 2)
    await post.deliverer.tick()
    await until(lambda: len(post.receiver.got) == 2)
    await post.run()
    assert sorted(post.receiver.got) == [("https://a.example", "1"), ("https://a.example", "2")]


async def test_who_has_too_much_to_do_rests_as_long_as_he_says(post: Post) -> None:
    """429 with Retry-After: none of his events is tried before, whatever its schedule says; the other address goes on."""
    post.receiver.answers["https://a.example"] = Outcome(429, "answered 429", "120")
    await post.queue("a", 1)
    await post.run()
    await post.queue("a", 2)
    await post.queue("b", 3)
    post.clock.advance(s=119)
    await post.run()
    assert post.receiver.got == [("https://a.example", "1"), ("https://b.example", "3")]
    post.receiver.answers.clear()
    post.clock.advance(s=2)
    await post.run()
    assert {seq for _, seq in post.receiver.got[2:]} == {"1", "2"}


async def test_a_slow_address_keeps_only_itself_waiting(post: Post) -> None:
    """A few requests at a time to each: the rest of its queue waits, and everybody else is served."""
    post.receiver.slow["https://a.example"] = gate = asyncio.Event()
    await post.queue("a", *range(1, 30))
    await post.queue("b", 30, 31)
    for _ in range(3):
        await post.deliverer.tick()
        await until(lambda: len(post.receiver.got) >= PER_ADDRESS + 2)
    assert Counter(url for url, _ in post.receiver.got) == {"https://a.example": PER_ADDRESS, "https://b.example": 2}
    gate.set()
    await post.deliverer.settle()


async def test_broken_off_between_answer_and_record_it_is_sent_again_under_its_id(post: Post) -> None:
    """As after kill -9: the receiver sees the same `webhook-id` twice, and nothing is lost."""
    post.receiver.slow["https://a.example"] = asyncio.Event()
    await post.queue("a", 1)
    await post.deliverer.tick()
    await until(lambda: bool(post.receiver.got))
    await post.deliverer.stop()
    post.receiver.slow.clear()
    await post.run()
    await post.run()
    assert post.receiver.got == [("https://a.example", "1")] * 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("999999999", 86_400),
        ("Mon, 21 Sep 2026 14:14:20 GMT", 60),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("Mon, 21 Sep 2020 14:14:20 GMT", 0),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: int) -> None:
    """Nothing else is obeyed, and nobody rests for more than a day."""
    assert read_retry_after(text, 1_790_000_000_000) == seconds
