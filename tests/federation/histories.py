"""Random histories of a federation: everything agencies, registrars, operators and bad luck do, in an order that a seed gives.

A history is rounds of steps. A step is one act of one node: somebody signs something, a node looks at its peers (or does not), links
break one-way or both, a process starts anew, an older database is put back, time passes. After each round links heal, everybody looks
until nothing moves, and the laws are checked (`laws`):

- what a node holds is folded as the pure fold has it, and its index is the one that a fresh start would load;
- every mirror holds exactly what its node may have of the log as its home has it, and nothing above its label, neither stubs nor parts;
- what two nodes both hold of a log has one state: the view of the lower entitlement is the restriction of the higher.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.domain.errors import Betrayed, CordonError
from app.domain.folding import Event
from app.domain.labels import RANK, Membership, Reader, ReaderClass, Tlp, can_read
from app.domain.statement import ohash_of
from tests.factories import Signer, link, wallet, wallet_id
from tests.mirrors import check_fold, check_index
from tests.simulator import SimNode, World

AGENTS = ("bka#1", "bka#2", "lka#1", "lka#2")
KINDS = (
    ["listing"] * 10 + ["supersede"] * 4 + ["renew"] * 3 + ["retract"] * 4 + ["erase"] * 3 + ["dispute"] * 4 + ["endorse"] * 3
    + ["approve"] * 2 + ["reaffirm"] * 3 + ["key-revoke"] + ["policy", "group", "group", "group", "request"]
)  # fmt: skip
STEPS = ["say"] * 22 + ["look"] * 9 + ["cut"] * 3 + ["heal", "wait", "wait", "wait_long", "restart", "keep", "restore"]
HEALING_S = 61


@dataclass(slots=True)
class Told:
    """A statement that was taken: where, what kind, its label, and who said it."""

    code: str
    sid: str
    kind: str
    issuer: str
    label: dict[str, Any]


@dataclass(slots=True)
class History:
    """A history of one world; `do` is one step, `settle` the end of a round."""

    world: World
    random: random.Random
    told: list[Told] = field(default_factory=list)
    teams: dict[str, set[str]] = field(default_factory=dict)
    """Group -> every node that it ever named."""
    left: dict[str, set[str]] = field(default_factory=dict)
    """Group -> the nodes that it named no longer at some time: they do not come back (see `_group`)."""
    forked: set[str] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)
    kept: dict[str, tuple[Path, int]] = field(default_factory=dict)
    """Of some nodes a backup, and how many entries of their own log are in it."""

    @property
    def codes(self) -> list[str]:
        """The jurisdictions."""
        return sorted(self.world.towns)

    # --- steps ---------------------------------------------------------------------------------------------------------

    async def do(self) -> None:
        """One step."""
        step, code = self.random.choice(STEPS), self.random.choice(self.codes)
        self.steps.append(f"{step} {code}")
        match step:
            case "say":
                await self.say(self.world[code])
            case "look":
                await self.world[code].look()
            case "cut":
                other = self.random.choice([one for one in self.codes if one != code])
                self.world.net.cut(code, other, both=self.random.random() < 0.5)
            case "heal":
                self.world.net.heal()
            case "wait":
                self.world.clock.advance(s=self.random.choice((1, 40, 70)))
            case "wait_long":
                self.world.clock.advance(s=self.random.choice((400, 4_000)))
            case "restart":
                await self.world.restart(code)
            case "keep":
                self.kept[code] = (await self.world.keep(code), self.world[code].node.own_log.size)
            case "restore":
                await self.restore(code)

    async def restore(self, code: str) -> None:
        """Put the backup back, if the others hold all that came after it: then it must come back and the node sign again."""
        kept, first = self.kept.get(code, (None, 0))
        self.world.net.heal()
        for other in self.codes:
            if other != code:
                await self.world[other].look()
        if kept is None or not await self._is_held_abroad(code, first):
            return
        self.steps.append(f"  back to {first} entries")
        node = await self.world.put_back(code, kept, anchor=self.random.random() < 0.5)
        assert node.node.gate.frozen is None, node.node.gate.frozen

    async def _is_held_abroad(self, code: str, first: int) -> bool:
        origin, end, held = self.world.origin(code), self.world[code].node.own_log.size, set[int]()
        for other in self.codes:
            if other != code:
                async with self.world[other].node.database.reading() as tx:
                    held |= {entry.index for entry in await tx.log.entries(origin, first, end)}
        return held >= set(range(first, end))

    async def fork(self) -> None:
        """One log signs two histories, shown to different nodes; everybody comes to know. The node stops, its log is judged by folds alone."""
        code = self.random.choice(self.codes)
        self.steps.append(f"fork {code}")
        await self.settle()
        before = self.world[code].node.own_log.size
        clone = await self.world.clone(code, await self.world.keep(code), f"{code}2")
        others = [one for one in self.codes if one != code]
        for deceived in self.random.sample(others, self.random.randint(1, len(others) - 1)):
            self.world.net.detours[deceived, code] = f"{code}2"
        while min(one.node.own_log.size for one in (clone, self.world[code])) == before:
            await self.say(clone)
            await self.say(self.world[code])
        for _ in range(2):
            for other in self.random.sample(others, len(others)):
                await self.world[other].look()
        await self.world.stop(f"{code}2")
        self.world.net.detours.clear()
        self.forked.add(code)
        await self.settle()
        for other in others:
            async with self.world[other].node.database.reading() as tx:
                mirror = await tx.mirrors.get(self.world.origin(code))
            assert mirror is not None
            # Whom nobody could show the other branch knows between which sizes it begins, and no bound may be wrong.
            assert mirror.state == "forked", (other, mirror)
            assert mirror.common is not None, (other, mirror)
            assert mirror.heard is not None, (other, mirror)
            assert mirror.common <= before <= mirror.heard, (other, mirror)

    async def say(self, node: SimNode) -> None:
        """A few statements at once; what the gate refuses was not said."""
        for _ in range(self.random.choice((1, 1, 2, 5))):
            kind = self.random.choice(KINDS)
            wire, label = self._wire(kind, node)
            (result,) = await node.node.gate.submit([wire])
            if isinstance(result, CordonError):
                assert not isinstance(result, Betrayed), result.detail
                self.steps.append(f"  {kind}: {result.slug}")
                continue
            self.steps.append(f"  {kind}: {result.status} {result.index}")
            word = {"supersede": "listing"}.get(kind, kind)
            if result.index is not None:
                self.told.append(Told(node.code, result.sid, word, self._issuer(wire), label))

    def _issuer(self, wire: str) -> str:
        import json

        from app.domain.canonical import b64u_decode

        return str(json.loads(b64u_decode(wire.split(".")[1]))["iss"])

    # --- what is said --------------------------------------------------------------------------------------------------

    def _label(self, code: str) -> dict[str, Any]:
        r = self.random
        others = [f"{one}.example" for one in self.codes if one != code]
        some = r.sample(others, r.randint(1, len(others)))
        team = f"group:{code}.team"
        return r.choice(
            (
                {"tlp": "CLEAR"}, {"tlp": "CLEAR"}, {}, {}, {},
                {"tlp": "AMBER", "aud": some}, {"tlp": "AMBER", "aud": [team]}, {"tlp": "AMBER+STRICT", "aud": [team, *some[:1]]},
                {"tlp": "RED", "aud": some[:1]},
            )
        )  # fmt: skip

    def _labels(self, label: dict[str, Any]) -> dict[str, Any] | None:
        """Labels of the parts of a listing: none, or a `ctx` that fewer may read."""
        r, base = self.random, {"tlp": label.get("tlp", "GREEN"), **({"aud": label["aud"]} if "aud" in label else {})}
        if r.random() < 0.6:
            return None
        narrow: dict[str, Any] = r.choice(
            (
                {"tlp": "RED", "aud": (label.get("aud") or [f"{self.codes[-1]}.example"])[:1]},
                {"tlp": "AMBER+STRICT", "aud": label.get("aud") or [f"{self.codes[0]}.example"]},
            )
        )
        if RANK[Tlp(narrow["tlp"])] < RANK[Tlp(base["tlp"])] or narrow["aud"][0].startswith("group:"):
            narrow = base
        return {"core": base, "ctx": narrow}

    def _wire(self, kind: str, node: SimNode) -> tuple[str, dict[str, Any]]:
        r, code, town = self.random, node.code, node.town
        signer, label = node.signer(f"{code}.{r.choice(AGENTS)}"), self._label(code)
        registrar = node.signer(f"{code}.registrar#{r.choice('12')}")
        either = registrar if r.random() < 0.3 else signer
        match kind:
            case "listing":
                labels = self._labels(label)
                others = {"ctx": [{"note": f"n{r.randrange(99)}"}]} if labels else {}
                return signer.listing(*self._items(), days=r.choice((1, 200)), others=others, labels=labels, **label), label
            case "supersede":
                targets, label = self._near(code, signer, "listing")
                return signer.listing(*self._items(), **label, t=targets), label
            case "renew":
                targets, label = self._near(code, signer, "listing")
                return signer.renew(*targets, days=r.choice((300, 500)), **label), label
            case "retract":
                targets, label = self._near(code, either, "listing", "dispute", "endorse")
                return either.retract(*targets, **label), label
            case "erase":
                targets, label = self._near(code, either, "listing")
                return either.erase(*targets, parts=r.choice((["core"], ["ctx"], ["core", "ctx"])), **label), label
            case "dispute" | "endorse":
                return self._annotation(kind, signer), {}
            case "approve":
                targets, label = self._near(code, either, "listing", "retract", "policy", "group")
                return either.approve(*targets, **label), label
            case "reaffirm":
                targets, label = self._near(code, either, "listing", "retract", "renew")
                return either.reaffirm(*targets, **label), label
            case "key-revoke":
                kid, reason = f"{code}.{r.choice(('bka#2', 'lka#2'))}", r.choice(("compromised", "superseded"))
                return town.registrar().revoke(kid, reason=reason, from_index=r.randrange(node.node.own_log.size)), {"tlp": "CLEAR"}
            case "policy":
                return town.policy(needs2=r.choice(([], [], ["retract"], ["renew", "dispute"]))), {"tlp": "CLEAR"}
            case "group":
                return self._group(node), {}
            case _:
                return signer.freeze_request(wallet_id(r.randrange(12)), aud=[f"{code}.exchange"]), {"tlp": "AMBER"}

    def _group(self, node: SimNode) -> str:
        """A new version of the group. Whoever has left stays away: what happened to a statement in between is not for one who comes
        back, the statement itself is again (both versions name him), so his view of it would be no restriction of his home's.
        """
        team = f"group:{node.code}.team"
        left = self.left.setdefault(team, set())
        others = [one for one in (f"{code}.example" for code in self.codes if code != node.code) if one not in left]
        members = self.random.sample(others, self.random.randint(0, len(others)))
        left |= self.teams.get(team, set()) - set(members)
        self.teams.setdefault(team, set()).update(members)
        group: dict[str, Any] = {"id": team, "name": "Team", "owner": f"{node.code}.bka", "members": [f"{node.code}.lka", *members]}
        return node.town.registrar().group(group)

    def _items(self) -> list[dict[str, Any]]:
        r = self.random
        items = [wallet(n, severity=r.randrange(5)) for n in r.sample(range(12), r.choice((1, 2)))]
        return [*items, link(wallet_id(r.randrange(12)), wallet_id(50 + r.randrange(3)))] if r.random() < 0.3 else items

    def _near(self, code: str, signer: Signer, *kinds: str) -> tuple[list[str], dict[str, Any]]:
        """One or two statements of this log that the signer may act on, mostly, and a label that goes with the first."""
        issuer = signer.key.kid.partition("#")[0]
        mine = [
            one for one in self.told if (one.code == code and one.kind in kinds and one.issuer == issuer) or self.random.random() < 0.02
        ]
        mine = [one for one in mine if one.code == code][-12:]
        if not mine:
            return ["A" * 43], {}
        first = self.random.choice(mine)
        same = [one.sid for one in mine if one.label == first.label and one is not first][:1]
        label = first.label if self.random.random() < 0.8 else {"tlp": "CLEAR"}
        return [first.sid, *(same if self.random.random() < 0.3 else [])], label

    def _annotation(self, kind: str, signer: Signer) -> str:
        """On a listing of any log; the targets of other logs may not have arrived."""
        listings = [one for one in self.told if one.kind == "listing"][-30:]
        chosen = self.random.sample(listings, min(len(listings), self.random.choice((1, 2))))
        targets = [f"{ohash_of(self.world.origin(one.code))}/{one.sid}" for one in chosen] or [f"{'0' * 64}/{'A' * 43}"]
        core = {"core": [{"ground": "wrong_person"}]} if kind == "dispute" else {}
        return signer.say(kind, {"t": targets}, core)

    # --- the end of a round ----------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Everything works again, everybody looks, and asks once more for what was withheld."""
        self.world.net.heal()
        for _ in range(3):
            self.world.clock.advance(s=HEALING_S)
            for node in self.world.nodes.values():
                await node.node.gate.heartbeat()
            errors = await self.world.settle()
            assert self.forked or not errors, [error.detail for error in errors]


# --- laws ----------------------------------------------------------------------------------------------------------------


async def check(history: History) -> None:
    """All laws, on every node."""
    for node in history.world.nodes.values():
        await check_fold(node.node.database, node.node.gate.keyrings, ever=await _ever_erased(node))
        await check_index(node.node.database, node.node.index)
    for home in history.world.nodes.values():
        if home.code not in history.forked:
            for mirror in history.world.nodes.values():
                if mirror is not home:
                    await check_mirror(history, home, mirror)


async def _ever_erased(node: SimNode) -> set[tuple[str, str, str]]:
    """What any erasure named: one that falls later, with its key, brings nothing back."""
    found: set[tuple[str, str, str]] = set()
    async with node.node.database.reading() as tx:
        for origin, size in (await node.sizes()).items():
            for event in await tx.statements.events_between(origin, 0, size):
                found |= {(origin, sid, part) for sid in event.targets for part in event.erased_parts}
    return found


async def check_mirror(history: History, home: SimNode, mirror: SimNode) -> None:
    """What `mirror` holds of the log of `home` is what it may have, all of it, in the state that it has at home."""
    origin, size = home.origin, home.node.own_log.size
    assert (await mirror.sizes())[origin] == size, f"{mirror.code} has not taken in all of {home.code}"
    node = f"{mirror.code}.example"
    entitled, ever = _reader(home, node), _reader_ever(history, home, node)
    ours, ours_parts = await _held(home, origin, size)
    theirs, their_parts = await _held(mirror, origin, size)
    states, copies = await home.states(home.code), await mirror.states(home.code)
    for index, event in ours.items():
        reader = entitled.at(origin, index)
        if can_read(event.label, reader):
            assert index in theirs, (mirror.code, home.code, index, event.kind, "is withheld from whom it is for")
        if index not in theirs:
            continue
        assert can_read(event.label, ever.at(origin, index)), (mirror.code, home.code, index, "a stub above its label is held")
        if can_read(event.label, reader):  # who has left a group hears no more of what he had read in it
            assert copies[event.sid] == states[event.sid], (mirror.code, home.code, index, event.kind, copies[event.sid], states[event.sid])
        for (part, digest), there in ours_parts.get(index, {}).items():
            label, held = event.parts[part], their_parts.get(index, {}).get((part, digest), False)
            if there and can_read(event.label, reader) and can_read(label, reader):
                assert held, (mirror.code, home.code, index, part, "is not held by whom it is for")
            assert not held or can_read(label, ever.at(origin, index)), (mirror.code, home.code, index, part, "is held above its label")


def _reader(home: SimNode, node: str) -> Reader:
    spans = home.node.keyring.membership_spans(node)
    return Reader(ReaderClass.NODE, node, memberships=tuple(Membership(home.origin, group, first, end) for group, first, end in spans))


def _reader_ever(history: History, home: SimNode, node: str) -> Reader:
    groups = frozenset(group for group, nodes in history.teams.items() if node in nodes)
    return Reader(ReaderClass.NODE, node, ids=groups)


async def _held(node: SimNode, origin: str, size: int) -> tuple[dict[int, Event], dict[int, dict[tuple[str, str], bool]]]:
    """The statements held of a log by place, and of each its disclosures: whether they are there."""
    parts: dict[int, dict[tuple[str, str], bool]] = {}
    async with node.node.database.reading() as tx:
        events = {event.index: event for event in await tx.statements.events_between(origin, 0, size)}
        for row in await tx.statements.parts_of(origin, list(events)):
            parts.setdefault(row.index, {}).update({(row.part, digest.hex()): not row.is_erased for digest in row.hashes()})
    return events, parts
