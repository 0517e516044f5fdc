"""The tree of commands, and the one place where errors become exit codes.

Only the noun that is asked for is imported: a short command stays short.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import typer
from typer.exceptions import TyperException

from app.cli import console
from app.domain.errors import CordonError

# Command -> module below app.cli. A module with `commands` is a group, else it has a function of the name on the right.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": ("init", "init"),
    "serve": ("serve", "serve"),
    "demo": ("demo", "demo"),
    "keys": ("keys", "commands"),
    "member": ("member", "commands"),
    "group": ("group", "commands"),
    "policy": ("policy", "commands"),
    "root": ("root", "commands"),
    "approve": ("approve", "approve"),
    "erase": ("erase", "erase"),
    "submit": ("submit", "submit"),
    "import": ("imports", "import_lists"),
    "screen": ("screen", "screen"),
    "verify": ("verify", "verify"),
    "mirror": ("mirror", "mirror"),
    "watch": ("watch", "watch"),
    "watchlist": ("watchlist", "commands"),
    "webhook": ("webhook", "commands"),
    "corrections": ("corrections", "commands"),
    "client": ("client", "commands"),
    "protected": ("protected", "commands"),
    "peer": ("peer", "commands"),
    "quarantine": ("quarantine", "commands"),
    "log": ("log", "commands"),
    "doctor": ("doctor", "doctor"),
    "fsck": ("fsck", "fsck"),
    "config": ("config", "commands"),
    "db": ("db", "commands"),
    "export": ("export", "export"),
    "backup": ("backup", "backup"),
    "restore": ("backup", "restore"),
    "freeze": ("freeze", "freeze"),
}

_DASHED = re.compile(r"-[0-9A-Za-z_-]{42}")


def build(names: Sequence[str] = tuple(COMMANDS)) -> typer.Typer:
    """The program with these commands."""
    program = typer.Typer(
        name="cordon",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback()(root)
    for name in names:
        module, attribute = COMMANDS[name]
        found = getattr(import_module(f"app.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            program.add_typer(found, name=name)
        else:
            program.command(name)(found)
    return program


def root() -> None:
    """Signed statements about scam wallets: sign, submit, look up, verify. `cordon COMMAND --help` tells more."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone (head, a closed pager): nothing is wrong with the work.
        sys.stderr.close()
        code = console.DONE
    sys.exit(code)


def run(words: list[str]) -> int:
    """One command; its exit code."""
    as_json = "--json" in words
    try:
        program = build([words[0]]) if words and words[0] in COMMANDS else build()
        result = program(sids_last(words), prog_name="cordon", standalone_mode=False)
    except CordonError as error:
        return console.report_error(error, as_json=as_json)
    except console.UsageFault as error:
        return console.report_plain("usage", str(error), exit_code=console.USAGE, as_json=as_json)
    except TyperException as error:
        return _usage(error, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        print("\ncordon: interrupted; what was sent stays sent, and the same command goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return console.report_plain("io", f"{where}{error.strerror or error}", exit_code=console.REFUSED, as_json=as_json)
    except Exception as error:  # noqa: BLE001 — the edge: whatever is left is our fault, and must not be a traceback
        return _foreign(error, as_json=as_json)
    return result if isinstance(result, int) else console.DONE


def sids_last(words: Sequence[str]) -> list[str]:
    """The words with every sid that begins with a dash behind `--`: one sid in 64 would be taken for options."""
    if "--" in words or not any(_DASHED.fullmatch(word) for word in words):
        return list(words)
    return [*(word for word in words if not _DASHED.fullmatch(word)), "--", *(word for word in words if _DASHED.fullmatch(word))]


def _usage(error: TyperException, *, as_json: bool) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message(), file=sys.stderr)
        return console.USAGE
    return console.report_plain("usage", f"{error.format_message()} (see --help)", exit_code=console.USAGE, as_json=as_json)


def _foreign(error: Exception, *, as_json: bool) -> int:
    """Errors of settings and databases, known by name so that a client's command need not import them."""
    name = type(error).__name__
    if name == "SettingsError":
        return console.report_plain("settings", str(error), exit_code=console.USAGE, as_json=as_json)
    if type(error).__module__.startswith("sqlalchemy"):
        first = str(error).splitlines()[0] if str(error) else name
        return console.report_plain("database", f"the database did not do it: {first}", exit_code=console.UNAVAILABLE, as_json=as_json)
    return console.report_bug(error, as_json=as_json)
