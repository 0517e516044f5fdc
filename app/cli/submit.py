"""`cordon submit FILE`: rows of the agency's own file become signed statements in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, REFUSED, ApiKey, Case, Console, DataDir, JsonFlag, NodeUrl, Purpose, Signer, UsageFault
from app.cli.doors import Door, open_door
from app.cli.listing import (
    Audience,
    DryRun,
    MapFile,
    OutDir,
    PerStatement,
    Redress,
    ReviewDays,
    Sender,
    TlpOption,
    ValidDays,
    agency_of,
    check_key,
    count_rows,
    drafts_of,
    fail_on_faults,
    judge_rows,
    make_terms,
    read_map_file,
    report_rows,
    report_sent,
)
from app.domain.errors import CordonError
from app.formats.interface import Options, Row

PLAIN = (".txt", ".lst", ".list")  # one subject a line; whatever begins like JSON is read as that in any case

OptionalKey = Annotated[Path | None, typer.Option("--key", metavar="FILE", help="The private key (JWK) of the member, mode 0600.")]


def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, NDJSON, JSON array or plain list of addresses and identifiers.")],
    member: Signer,
    key: OptionalKey = None,
    tlp: TlpOption = "GREEN",
    aud: Audience = None,
    map_file: MapFile = None,
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
    """Sign the rows of FILE, one signature for up to 250 of them, send them, keep the receipts.

    A broken run goes on where it stopped: run the same command again. What was signed is in the journal of --out and goes out again byte
    for byte, and the node answers `known`.
    """
    from app.sdk.drafts import Journal, read_key

    console = Console(as_json)
    signing = read_key(needed(key)) if not dry_run else None
    if signing is not None:
        check_key(signing, member)
    columns, constants = read_map_file(map_file)
    rows = read_rows(
        console, [file], Options(member=member, columns=columns, constants=constants), format_name="list" if file.suffix in PLAIN else "csv"
    )
    if dry_run:
        with open_door(data_dir, node, api_key=api_key, purpose=purpose, case=case) as door:
            return report(console, rows, door, member)
    tell_bad_rows(console, rows)
    assert signing is not None
    with open_door(data_dir, node, api_key=api_key, purpose=purpose, case=case) as door, Journal(out) as journal:
        terms = make_terms(member, door.origin(), tlp=tlp, audience=aud, valid_days=valid_days)
        agency = agency_of(redress, constants, door, member, review_days=review_days)
        drafts = drafts_of(rows, terms, agency, per_statement=per_statement)
        sent = Sender(console, door, signing, agency, journal).send(drafts)
    console.document({"rows": count_rows(rows), **sent.summary(), "out": str(out)})
    code = report_sent(console, sent, out, key_hint=f"--as {member} --key SECOND-KEY.jwk")
    return code or (REFUSED if fail_on_faults(rows) else DONE)


def needed(key: Path | None) -> Path:
    if key is None:
        raise UsageFault("give the member's private key with --key FILE (cordon keys new makes one), or look first with --dry-run")
    return key


def read_rows(
    console: Console, files: Sequence[Path], options: Options, *, format_name: str, name_of: Callable[[Path], str] = lambda path: path.name
) -> list[Row]:
    """Every row of the files, each with an item, a fault, or a reason to be left out; repeats are left out."""
    from app.formats.importing import read_files

    given = [(name_of(file), file.read_bytes()) for file in files]
    found: list[Row] = []
    with console.progress("reading", sum(data.count(b"\n") for _, data in given)) as bar:
        for row in read_files(format_name, given, options):
            found.append(row)
            bar.advance()
    return found


def tell_bad_rows(console: Console, rows: Sequence[Row]) -> None:
    """Malformed rows do not stop the others, and are not passed over in silence."""
    bad = [row for row in rows if row.fault is not None]
    for row in bad[:20]:
        assert row.fault is not None
        console.note(f"{row.file}:{row.number}: not submitted: {row.fault.code}: {row.fault.text}")
    if len(bad) > 20:
        console.note(f"… and {len(bad) - 20} more malformed rows: --dry-run lists all")


def report(console: Console, rows: list[Row], door: Door, member: str) -> int:
    """The report of a dry run; without a node the rows are judged by themselves."""
    try:
        verdicts = judge_rows(door, rows, member)
    except CordonError as error:
        console.note(f"the node was not asked who lists or protects what: {error.detail}")
        verdicts = {}
    counts = report_rows(console, rows, verdicts)
    console.say("Nothing was signed. " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())) + ".")
    return REFUSED if fail_on_faults(rows) else DONE
