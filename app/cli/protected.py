"""`cordon protected add|remove|import|list`: ids that this node never lists without a second look."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, REFUSED, Console, DataDir, JsonFlag, UsageFault, plain
from app.domain.canonical import JsonValue
from app.domain.errors import InvalidAddress

commands = typer.Typer(help="Protected identifiers: hot wallets, bridges, token contracts, burn addresses.", no_args_is_help=True)

Chain = Annotated[str | None, typer.Option("--chain", help="CAIP-2 id or common name, where the text alone does not say.")]
Reason = Annotated[str, typer.Option(help="Why, for the operators who come after you.")]
Source = Annotated[str, typer.Option(help="Who says so; an id stays protected while any source says so.")]

RESTART = "A running node takes this up at its next start."


@commands.command()
def add(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Addresses or identifiers in any spelling.")],
    reason: Reason = "operator",
    source: Source = "operator",
    chain: Chain = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Protect ids: a listing that names one is held until a second key approves it."""
    from app.domain.identifiers import read_subject

    subjects = [read_subject(text, chain=chain).id for text in ids]
    return _keep(Console(as_json), data_dir, [(subject, reason, source) for subject in subjects])


@commands.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="One id a line; # begins a remark.")],
    reason: Reason = "imported",
    source: Source = "",
    chain: Chain = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Protect every id of a file; malformed lines are reported and do not stop the others."""
    from app.domain.identifiers import read_subject

    console = Console(as_json)
    rows: list[tuple[str, str, str]] = []
    bad = 0
    lines = file.read_text("utf-8").split("\n")
    with console.progress("reading", len(lines)) as bar:
        for number, line in enumerate(lines, 1):
            text = line.partition("#")[0].strip()
            bar.advance()
            if not text:
                continue
            try:
                rows.append((read_subject(text, chain=chain).id, reason, source or file.name))
            except InvalidAddress as error:
                bad += 1
                console.note(f"{file}:{number}: {error.code}: {plain(error.detail)}")
    code = _keep(console, data_dir, rows, malformed=bad)
    return REFUSED if bad else code


def _keep(console: Console, data_dir: Path, rows: list[tuple[str, str, str]], *, malformed: int = 0) -> int:
    from app.cli.local import with_rows
    from app.storage.database import Transaction

    async def work(tx: Transaction) -> None:
        await tx.protected.add(rows)

    with_rows(data_dir, work)
    console.document({"protected": [subject for subject, _, _ in rows], "malformed": malformed})
    console.say(f"{len(rows)} ids are protected. {RESTART}")
    return DONE


@commands.command()
def remove(
    ids: Annotated[list[str], typer.Argument(metavar="ID…")],
    source: Annotated[str | None, typer.Option(help="Only what this source said.")] = None,
    chain: Chain = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """No longer protect ids."""
    from app.cli.local import with_rows
    from app.domain.identifiers import read_subject
    from app.storage.database import Transaction

    subjects = [read_subject(text, chain=chain).id for text in ids]

    async def work(tx: Transaction) -> int:
        return await tx.protected.remove(subjects, source=source)

    removed = with_rows(data_dir, work)
    if not removed:
        raise UsageFault("none of these ids was protected: cordon protected list shows what is")
    console = Console(as_json)
    console.document({"removed": removed})
    console.say(f"{removed} entries taken out. {RESTART}")
    return DONE


@commands.command("list")
def list_protected(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Every protected id, why, and who says so."""
    from app.cli.local import with_rows
    from app.storage.database import Transaction

    async def work(tx: Transaction) -> list[tuple[str, str, str]]:
        return await tx.protected.all()

    rows = with_rows(data_dir, work, write=False)
    records: list[dict[str, JsonValue]] = [{"id": subject, "reason": reason, "source": source} for subject, reason, source in rows]
    Console(as_json).rows(records, ("id", "reason", "source"))
    return DONE
