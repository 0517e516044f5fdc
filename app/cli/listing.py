"""From rows of a file to signed listings in the log: the part that `submit` and `import` share.

rows → groups of one context → drafts of up to 250 items → signed once, kept in the journal → sent in batches → receipts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import Console, UsageFault, counted, error_record, plain
from app.cli.doors import Door
from app.domain.canonical import JsonValue, write_json
from app.domain.errors import BadRequest, ClockSkew, CordonError, Quota, Unavailable
from app.domain.labels import Tlp
from app.formats.interface import Context, Item, Row
from app.sdk.drafts import PER_STATEMENT, Draft, Journal, Signed, Terms, cut
from app.sdk.wire import Submitted
from app.seal.jws import SigningKey

DAY_S = 86_400

TlpOption = Annotated[str, typer.Option("--tlp", help="TLP 2.0 label: CLEAR, GREEN, AMBER, AMBER+STRICT, RED.")]
Audience = Annotated[list[str] | None, typer.Option("--aud", help="From AMBER up: group, node or member ids; repeat the option.")]
PerStatement = Annotated[int, typer.Option("--per-statement", min=1, max=PER_STATEMENT, help="Items in one signed statement.")]
OutDir = Annotated[Path, typer.Option("--out", help="Where statements, receipts and the journal go.")]
ValidDays = Annotated[int, typer.Option("--valid-days", min=1, max=730, help="How long the listing lives.")]
ReviewDays = Annotated[int, typer.Option("--review-days", min=1, max=365, help="Day of the next review, from today.")]
Redress = Annotated[str | None, typer.Option("--redress", help="Whom a person concerned can write to; default: the member's contact.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Sign nothing; report on every row.")]
MapFile = Annotated[Path | None, typer.Option("--map", help="YAML: columns {member: header}, constants {member: value}.")]


# --- the agency's share of the context --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Agency:
    """What the agency adds to every context: where to complain, when to review. `reference` tells its lists apart; `more` are
    members it gives once for all rows (`summary`, `coercion_screen`, a fixed `review_by`).
    """

    redress: Mapping[str, JsonValue]
    review_days: int
    reference: str | None = None
    more: Mapping[str, JsonValue] = field(default_factory=dict)

    def whole(self, context: Context) -> Item:
        """The context of a statement, without what depends on the day."""
        item = context.item()
        basis = item["legal_basis"]
        if self.reference is not None and isinstance(basis, dict):
            item["legal_basis"] = {**basis, "reference": self.reference}
        return {**item, "redress": dict(self.redress), **self.more}

    def day_context(self, now: int) -> dict[str, JsonValue]:
        """The members that depend on the day of signing; `now` in seconds."""
        day = datetime.fromtimestamp(now, UTC).date() + timedelta(days=self.review_days)
        return {"review_by": day.isoformat()}


def agency_of(
    said: str | None, constants: Mapping[str, JsonValue], door: Door, member: str, *, review_days: int, reference: str | None = None
) -> Agency:
    """The agency's share, from options, mapping file and the registrar's record."""
    from app.formats.members import AGENCY_CONTEXT

    more = {name: constants[name] for name in AGENCY_CONTEXT if name in constants and name != "redress"}
    return Agency(redress_of(said, constants, door, member), review_days, reference, more)


def redress_of(said: str | None, constants: Mapping[str, JsonValue], door: Door | None, member: str) -> Mapping[str, JsonValue]:
    """Where somebody concerned can turn: as said, as in the mapping file, or the contact the registrar has recorded."""
    if said:
        return {"contact": said, "route": "direct"}
    named = constants.get("redress")
    if isinstance(named, dict):
        return named
    if isinstance(named, str):
        return {"contact": named, "route": "direct"}
    contact = door.member(member).get("contact") if door is not None else None
    if isinstance(contact, str) and contact:
        return {"contact": contact, "route": "direct"}
    raise UsageFault(
        "every listing says where somebody concerned can turn: give --redress 'CONTACT', or `redress` among the constants of the mapping file"
    )


def make_terms(member: str, origin: str, *, tlp: str, audience: Sequence[str] | None, valid_days: int) -> Terms:
    """Terms from the options, refused here rather than by the gate."""
    if tlp not in tuple(Tlp):
        raise UsageFault(f"--tlp is one of {', '.join(Tlp)}")
    if tlp not in (Tlp.CLEAR, Tlp.GREEN) and not audience:
        raise UsageFault(f"{tlp} needs an audience: --aud with group, node or member ids")
    return Terms(member, origin, tlp, valid_days * DAY_S, audience=tuple(audience or ()))


def read_map_file(path: Path | None) -> tuple[dict[str, str], Item]:
    """`columns` and `constants` of a mapping file (schemas §5)."""
    if path is None:
        return {}, {}
    from app.formats.mapping import read_mapping

    return read_mapping(path.read_bytes(), str(path))


# --- rows --------------------------------------------------------------------------------------------------------------


def grouped(rows: Iterable[Row]) -> dict[bytes, tuple[Context, list[Item]]]:
    """Items by context: one statement has one context."""
    groups: dict[bytes, tuple[Context, list[Item]]] = {}
    keys: dict[Context, bytes] = {}
    for row in rows:
        if row.item is None or row.context is None:
            continue
        key = keys.get(row.context)
        if key is None:
            key = keys[row.context] = write_json(row.context.item())
        groups.setdefault(key, (row.context, []))[1].append(row.item)
    return groups


def drafts_of(rows: Iterable[Row], terms: Terms, agency: Agency, *, per_statement: int) -> list[Draft]:
    """Statements for all rows that have an item."""
    return [
        Draft(terms, items, agency.whole(context)) for context, found in grouped(rows).values() for items in cut(found, most=per_statement)
    ]


def report_rows(console: Console, rows: Sequence[Row], verdicts: Mapping[int, Record]) -> Record:
    """One line per row; how many rows ended how. `verdicts` (by position) come from the node; without them a row is only `valid`."""
    records = [{**_row_words(row), **verdicts.get(at, {})} for at, row in enumerate(rows)]
    if console.as_json:
        console.rows(records, ())
    for record in records if not console.as_json else ():
        subject = f"{record['id']} " if record.get("id") else ""
        console.say(
            f"{plain(record['file'])}:{record['row']}: {record['verdict']:<10} {plain(subject)}{plain(record.get('detail') or '')}".rstrip()
        )
    return _counted(str(record["verdict"]) for record in records)


Record = dict[str, JsonValue]


def _row_words(row: Row) -> Record:
    words: Record = {"file": row.file, "row": row.number, "verdict": "valid", "id": None, "detail": None}
    if row.item is not None:
        words["id"] = row.item.get("id") or row.item.get("from")
        words["detail"] = "; ".join(row.warnings) or None
    elif row.fault is not None:
        words |= {"verdict": "malformed", "code": row.fault.code, "detail": f"{row.fault.code}: {row.fault.text}"}
    elif row.left_out is not None:
        verdict = "duplicate" if row.left_out.code == "duplicate" else "left_out"
        words |= {"verdict": verdict, "code": row.left_out.code, "detail": row.left_out.text}
    return words


def judge_rows(door: Door, rows: Sequence[Row], member: str) -> dict[int, Record]:
    """What the node says of each row with a wallet or indicator: listed by whom, protected, related; by position."""
    asked = [
        (at, str(row.item["id"])) for at, row in enumerate(rows) if row.item is not None and row.item.get("type") in ("wallet", "indicator")
    ]
    results = door.screen([{"address": identifier} for _, identifier in asked])
    return {at: verdict for (at, _), result in zip(asked, results, strict=False) if (verdict := _verdict(result, member))}


def _verdict(result: Record, member: str) -> Record:
    match = result.get("match")
    statements = result.get("statements")
    issuers = sorted(
        {str(one.get("issuer") or "a member") for one in statements if isinstance(one, dict)} if isinstance(statements, list) else ()
    )
    by: list[JsonValue] = list(issuers)
    if match == "protected":
        return {"verdict": "protected", "detail": "a protected identifier: it would be held until a second key approves"}
    if match == "listed" and issuers == [member]:
        return {"verdict": "listed", "by": by, "detail": "you list it already"}
    if match == "listed":
        return {"verdict": "listed", "by": by, "detail": f"listed already by {', '.join(issuers)}"}
    if match == "related":
        related = result.get("related")
        words = [f"{one.get('relation')} {one.get('id')}" for one in related if isinstance(one, dict)] if isinstance(related, list) else []
        return {"verdict": "sibling", "detail": f"related to what is listed: {', '.join(words)}"}
    if match == "invalid":
        error = result.get("error")
        return {"verdict": "malformed", "detail": str(error.get("detail")) if isinstance(error, dict) else "not an address"}
    return {}


def count_rows(rows: Iterable[Row]) -> Record:
    """How many rows ended how."""
    return _counted(str(_row_words(row)["verdict"]) for row in rows)


def _counted(words: Iterable[str]) -> Record:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return {**counts}


# --- signing and sending -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Sent:
    """What became of the statements of one run."""

    signed: int = 0
    accepted: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    held: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, CordonError]] = field(default_factory=list)
    items: int = 0

    def summary(self) -> Record:
        """As JSON."""
        refused: list[JsonValue] = [{"sid": sid, "error": error_record(error)} for sid, error in self.refused]
        held: list[JsonValue] = [{"sid": sid, "reason": reason} for sid, reason in self.held]
        return {
            "items": self.items,
            "signed": self.signed,
            "accepted": list(self.accepted),
            "known": list(self.known),
            "held": held,
            "refused": refused,
        }


@dataclass(frozen=True, slots=True)
class Sender:
    """Signs drafts and brings them through a door, keeping the journal."""

    console: Console
    door: Door
    key: SigningKey
    agency: Agency
    journal: Journal

    def send(self, drafts: Sequence[Draft]) -> Sent:
        """Sign what was not signed before, send all, write receipts. Raises if the node cannot be reached; the journal keeps the rest."""
        sent = Sent(items=sum(len(draft.items) for draft in drafts))
        signed = self._sign(drafts, sent)
        stale = self._submit(drafts, signed, sent)
        if stale:
            # Signed by an earlier run more than a day ago and never logged: the node cannot take these bytes any more.
            again = [drafts[at] for at in stale]
            self._submit(again, self._sign(again, sent, anew=True), sent, last=True)
        return sent

    def _sign(self, drafts: Sequence[Draft], sent: Sent, *, anew: bool = False) -> list[Signed]:
        found = [None if anew else self.journal.find(draft.fingerprint()) for draft in drafts]
        fresh = [draft for draft, one in zip(drafts, found, strict=True) if one is None]
        now = int(time.time())
        wires: list[tuple[str, str]] = []
        with self.console.progress("signing", len(fresh)) as bar:
            for draft in fresh:
                wires.append((draft.fingerprint(), draft.sign(self.key, now=now, day_context=self.agency.day_context(now))))
                bar.advance()
        kept = iter(self.journal.keep(wires))
        sent.signed += len(wires)
        return [one if one is not None else next(kept) for one in found]

    def _submit(self, drafts: Sequence[Draft], signed: Sequence[Signed], sent: Sent, *, last: bool = False) -> list[int]:
        """Positions of statements that are too old to be taken; everything else is settled."""
        stale: list[int] = []
        outcomes: list[tuple[str, str]] = []
        receipts: dict[str, str] = {}
        with self.console.progress("sending", len(signed)) as bar:
            try:
                for at, (one, outcome) in enumerate(zip(signed, self.door.submit([one.wire for one in signed]), strict=True)):
                    if isinstance(outcome, ClockSkew) and one.again and not last:
                        stale.append(at)
                        outcomes.append((one.sid, "refused"))
                    else:
                        word = _settle(one.sid, outcome, sent)
                        outcomes.append((one.sid, word))
                        if word in ("accepted", "known"):
                            outcomes += [(replaced, "superseded") for replaced in drafts[at].supersedes]
                        if isinstance(outcome, Submitted) and outcome.receipt is not None:
                            receipts[one.sid] = outcome.receipt
                    bar.advance()
            finally:
                self.journal.settle(outcomes, receipts)
        return stale


def _settle(sid: str, outcome: Submitted | CordonError, sent: Sent) -> str:
    """The journal's word for an outcome. What may succeed later keeps its bytes; what was refused for good is signed anew next time."""
    if isinstance(outcome, CordonError):
        sent.refused.append((sid, outcome))
        return "waiting" if isinstance(outcome, (Unavailable, Quota)) else "refused"
    if outcome.status == "held":
        sent.held.append((sid, outcome.reason or ""))
    elif outcome.status == "known":
        sent.known.append(sid)
    else:
        sent.accepted.append(sid)
    return outcome.status


def report_sent(console: Console, sent: Sent, out: Path, *, key_hint: str) -> int:
    """Tell what happened and what to do next; the exit code."""
    total = len(sent.accepted) + len(sent.known) + len(sent.held) + len(sent.refused)
    console.say(
        f"{counted(sent.items, 'item')} in {counted(total, 'statement')}: "
        f"{len(sent.accepted)} accepted, {len(sent.known)} known already, {len(sent.held)} held, {len(sent.refused)} refused."
    )
    if sent.accepted or sent.known:
        console.say(f"Statements and receipts are in {out}; check them offline: cordon verify {out}")
    for sid, reason in sent.held:
        console.note(f"held ({reason}): {sid}. A second key of the same member approves it: cordon approve {sid} {key_hint}")
    for sid, error in sent.refused:
        console.note(f"refused ({error.slug}): {sid}: {plain(error.detail)}")
        for fault in error.faults[:5]:
            console.note(f"  {plain(fault.pointer)}: {plain(fault.code)} {plain(fault.detail)}")
    if not sent.refused:
        return 0
    return 3 if all(isinstance(error, (Unavailable, Quota)) for _, error in sent.refused) else 1


def check_key(key: SigningKey, member: str) -> None:
    """The key must be the member's: the node would refuse it, with less to say."""
    owner = key.kid.partition("#")[0]
    if owner != member:
        raise BadRequest(f"the key is {key.kid}, but the statement is to be signed as {member}: give the key of {member}, or --as {owner}")


def fail_on_faults(rows: Sequence[Row]) -> bool:
    """Whether a row is malformed: reported, and the exit code says so."""
    return any(row.fault is not None for row in rows)
