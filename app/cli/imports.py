"""`cordon import FORMAT FILE…`: lists that others keep, as signed statements of the agency whose key is given.

What the node lists for this agency is compared with the rows: equal rows are skipped, new ones listed, changed ones supersede the
statement they stand in, vanished ones are reported, or with `--sync` dropped the same way. So the same file twice changes nothing.
Only listings of the same list are compared: `legal_basis.reference` of a context tells lists apart (`--reference`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, REFUSED, ApiKey, Case, Console, DataDir, JsonFlag, NodeUrl, Purpose, Signer, plain
from app.cli.doors import Door, open_door
from app.cli.listing import (
    Agency,
    Audience,
    DryRun,
    MapFile,
    OutDir,
    PerStatement,
    Record,
    Redress,
    ReviewDays,
    Sender,
    Sent,
    TlpOption,
    ValidDays,
    agency_of,
    check_key,
    count_rows,
    drafts_of,
    fail_on_faults,
    make_terms,
    read_map_file,
    report_sent,
)
from app.cli.submit import OptionalKey, needed, read_rows, report, tell_bad_rows
from app.domain.canonical import JsonValue, write_json
from app.domain.errors import CordonError
from app.formats.comparison import Listed, Plan, Replacement, compare
from app.formats.interface import Item, Options, Row
from app.sdk.drafts import Draft, Journal, Terms, read_key
from app.seal.disclosure import build_statement, split_wire
from app.seal.jws import SigningKey


class Format(StrEnum):
    """What `import` reads."""

    OFAC = "ofac"
    SDN = "sdn"
    TAGPACK = "tagpack"
    ACTORPACK = "actorpack"
    LIST = "list"
    CSV = "csv"


# Both name the same wallets and say different things of them: imported by one agency they must not replace each other.
OFAC_LISTS = {Format.OFAC: "OFAC SDN, addresses by asset", Format.SDN: "OFAC SDN, entries"}


def import_lists(
    format_name: Annotated[Format, typer.Argument(metavar="FORMAT", help="ofac, sdn, tagpack, actorpack, list or csv.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files of one list, gzip or not; all of them at once.")],
    member: Signer,
    key: OptionalKey = None,
    tlp: TlpOption = "GREEN",
    aud: Audience = None,
    map_file: MapFile = None,
    list_date: Annotated[
        str | None, typer.Option("--list-date", help="State of a sanctions list, YYYY-MM-DD, which the list does not say.")
    ] = None,
    reference: Annotated[str | None, typer.Option("--reference", help="Name of the list; tells the agency's lists apart.")] = None,
    sync: Annotated[bool, typer.Option("--sync", help="Drop what the node lists from this list and the files no longer have.")] = False,
    guards: Annotated[bool, typer.Option("--guards", help="Take benign services as guards instead of leaving them out.")] = False,
    dry_run: DryRun = False,
    per_statement: PerStatement = 250,
    out: OutDir = Path("receipts"),
    valid_days: ValidDays = 365,
    review_days: ReviewDays = 180,
    redress: Redress = None,
    api_key: ApiKey = None,
    purpose: Purpose = None,
    case: Case = None,
    node: NodeUrl = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Import a whole list: compare it with what stands, sign what is new or changed, keep the receipts."""
    console = Console(as_json)
    signing = read_key(needed(key)) if not dry_run else None
    if signing is not None:
        check_key(signing, member)
    columns, constants = read_map_file(map_file)
    constants = _named(constants, reference, format_name)
    options = Options(member=member, list_date=list_date, columns=columns, constants=constants, guards=guards)
    rows = read_rows(console, files, options, format_name=str(format_name))
    with open_door(data_dir, node, api_key=api_key, purpose=purpose, case=case) as door:
        if dry_run:
            return report(console, rows, door, member)
        tell_bad_rows(console, rows)
        assert signing is not None
        with Journal(out) as journal:
            terms = make_terms(member, door.origin(), tlp=tlp, audience=aud, valid_days=valid_days)
            standing = Standing.read(door, journal, member, terms, rows, warn=console.note if tlp != "CLEAR" and api_key is None else None)
            plan = compare(rows, standing.listed, sync=sync)
            agency = agency_of(redress, constants, door, member, review_days=review_days)
            work = _work(plan, standing, terms, agency, per_statement=per_statement)
            sender = Sender(console, door, signing, agency, journal)
            sent = sender.send(work.drafts)
            if not sent.refused and not sent.held:
                _retract(sender, signing, terms, work.retracted, sent)
    return _tell(console, rows, plan, sent, sync=sync, out=out)


def _named(constants: Item, reference: str | None, format_name: Format) -> Item:
    """The constants with the name of the list: as said, as in the mapping file, or one that keeps two OFAC publications apart."""
    basis = _basis(constants)
    name = reference or basis.get("reference") or OFAC_LISTS.get(format_name)
    return constants if name is None else {**constants, "legal_basis": {**basis, "reference": name}}


def _basis(constants: Mapping[str, JsonValue]) -> Item:
    said = constants.get("legal_basis")
    return said if isinstance(said, dict) else {"instrument": said} if isinstance(said, str) else {}


LIVE = frozenset({"active", "disputed", "contested", "suspended"})
Warn = Callable[[str], None]

# --- what stands already -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """Live listings of the agency from the same list: their items, and the context of each statement."""

    listed: tuple[Listed, ...]
    contexts: Mapping[str, Item]

    @classmethod
    def read(cls, door: Door, journal: Journal, member: str, terms: Terms, rows: Sequence[Row], *, warn: Warn | None) -> Standing:
        """From the node as far as it shows them, else from what this journal has signed and the node has logged."""
        lists = {_list_of(row.context.item()) for row in rows if row.context is not None}
        listed: list[Listed] = []
        contexts: dict[str, Item] = {}
        dead: set[str] = set()
        for record in door.listings(member):
            sid = str(record.get("sid"))
            if record.get("state") in LIVE:
                contexts.update(_take(sid, _items(record, door, journal), lists, listed))
            else:
                dead.add(sid)
        unseen = [sid for sid in journal.accepted() if sid not in contexts and sid not in dead]
        for sid in unseen:
            contexts.update(_take(sid, _items_of_wire(journal, sid), lists, listed))
        if warn is not None and not contexts:
            warn(
                f"{terms.tlp} listings are not shown to callers without an API key: if {member} listed this before from elsewhere, give --api-key"
            )
        return cls(tuple(listed), contexts)


def _items(record: Record, door: Door, journal: Journal) -> list[Item]:
    """The items of a live listing: as shown, else from what this journal signed, else asked for one by one."""
    if "parts" not in record:
        sid = str(record.get("sid"))
        if items := _items_of_wire(journal, sid):
            return items
        record = door.statement(sid)
    parts = record.get("parts")
    core = parts.get("core") if isinstance(parts, dict) else None
    return [item for item in core if isinstance(item, dict)] if isinstance(core, list) else []


def _items_of_wire(journal: Journal, sid: str) -> list[Item]:
    """The items of a statement that this journal signed. What it superseded since is not live any more."""
    from app.domain.canonical import b64u_decode, read_json

    wire = journal.wire(sid)
    if wire is None:
        return []
    items: list[Item] = []
    for text in split_wire(wire)[1]:
        match read_json(b64u_decode(text)):
            case [_, str(name), dict(item)] if name.startswith("core."):
                items.append(item)
    return items


def _take(sid: str, items: Sequence[Item], lists: set[str], listed: list[Listed]) -> dict[str, Item]:
    """Add the items of a statement, if it is of one of the lists at hand."""
    context = next((item for item in items if item.get("type") == "context"), None)
    if context is None or _list_of(context) not in lists:
        return {}
    listed += [Listed(sid, item) for item in items if item.get("type") != "context"]
    return {sid: context}


def _list_of(context: Mapping[str, JsonValue]) -> str:
    """What tells one list of an agency from another: purpose, instrument and reference."""
    basis = context.get("legal_basis")
    said = basis if isinstance(basis, dict) else {}
    return write_json([context.get("purpose"), said.get("instrument"), said.get("reference")]).decode()


# --- what is to be done ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """Statements to sign, in order: what is new first, so that nothing is unlisted in between. `retracted`: sids left empty."""

    drafts: tuple[Draft, ...]
    retracted: tuple[str, ...]


def _work(plan: Plan, standing: Standing, terms: Terms, agency: Agency, *, per_statement: int) -> Work:
    drafts = drafts_of(plan.added, terms, agency, per_statement=per_statement)
    retracted: list[str] = []
    for sid, replacement in plan.replaced.items():
        if replacement.retracts:
            retracted.append(sid)
        else:
            drafts += _replacing(sid, replacement, standing.contexts[sid], terms, agency)
    return Work(tuple(drafts), tuple(retracted))


def _replacing(sid: str, replacement: Replacement, old: Item, terms: Terms, agency: Agency) -> list[Draft]:
    """The statements that take the place of one: changed rows under their own context, the rest under the one they had."""
    drafts = drafts_of(replacement.changed, terms, agency, per_statement=250)
    if replacement.kept:
        kept = {name: value for name, value in old.items() if name not in ("type", "review_by")}
        drafts.append(Draft(terms, tuple(replacement.kept), {**kept, "type": "context"}))
    # The last one supersedes: until it is logged the old listing stands, and nothing falls into a gap.
    last = drafts[-1]
    drafts[-1] = Draft(last.terms, last.items, last.context, supersedes=(sid,))
    return drafts


def _retract(sender: Sender, key: SigningKey, terms: Terms, sids: Sequence[str], sent: Sent) -> None:
    """Statements of which nothing is left are retracted."""
    if not sids:
        return
    claims: dict[str, JsonValue] = {**terms.claims("retract", int(time.time())), "t": list(sids)}
    (outcome,) = sender.door.submit([build_statement(claims, {}, key)])
    if isinstance(outcome, CordonError):
        sent.refused.append((",".join(sids), outcome))
    else:
        sent.accepted.append(outcome.sid)
        sender.journal.settle([(sid, "superseded") for sid in sids], {})


# --- the report --------------------------------------------------------------------------------------------------------


def _tell(console: Console, rows: Sequence[Row], plan: Plan, sent: Sent, *, sync: bool, out: Path) -> int:
    vanished: list[JsonValue] = [{"sid": one.sid, "id": one.item.get("id") or one.item.get("from")} for one in plan.vanished]
    changed = sum(len(one.changed) for one in plan.replaced.values())
    record: Record = {
        "rows": count_rows(rows),
        "equal": len(plan.equal),
        "new": len(plan.added),
        "changed": changed,
        "vanished": vanished,
        "superseded": list(plan.replaced),
        "malformed": [
            {"file": row.file, "row": row.number, "code": row.fault.code, "detail": row.fault.text} for row in rows if row.fault is not None
        ],
        **sent.summary(),
        "out": str(out),
    }
    console.document(record)
    console.say(
        f"{len(rows)} rows: {len(plan.equal)} listed already, {len(plan.added)} new, {changed} changed, {len(plan.vanished)} vanished."
    )
    for one in plan.vanished[:20] if not sync else ():
        console.note(f"vanished: {plain(one.item.get('id') or one.item.get('from'))} (statement {one.sid}); --sync drops it")
    if len(plan.vanished) > 20 and not sync:
        console.note(f"… and {len(plan.vanished) - 20} more: --json lists all, --sync drops them")
    code = report_sent(console, sent, out, key_hint="--as MEMBER --key SECOND-KEY.jwk") if sent.items or sent.accepted else DONE
    if not sent.items and not sent.accepted:
        console.say("Nothing was to be signed.")
    return code or (REFUSED if fail_on_faults(rows) else DONE)
