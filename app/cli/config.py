"""`cordon config check|show`: the settings as the node would read them."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, Console, DataDir, JsonFlag
from app.domain.canonical import JsonValue

commands = typer.Typer(help="Settings: flag > environment CORDON_… > cordon.toml > default.", no_args_is_help=True)


def read_settings(data_dir: Path) -> dict[str, JsonValue]:
    """Every setting with its value; secrets are not shown. Raises SettingsError."""
    from app.settings import load

    return shown(json.loads(load({"data_dir": data_dir}).model_dump_json()))


def shown(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Values fit to be shown: a password of a URL and a token become stars."""
    out = dict(values)
    for name in ("database_url", "replica_url"):
        url = out.get(name)
        if isinstance(url, str) and "@" in url and ":" in (before := url.partition("://")[2].rpartition("@")[0]):
            out[name] = url.replace(before, f"{before.partition(':')[0]}:***")
    for name in ("metrics_token",):
        if out.get(name):
            out[name] = "***"
    return out


def digest(values: dict[str, JsonValue]) -> str:
    """A short name for one set of settings: two nodes with one digest are set alike."""
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@commands.command()
def check(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Read all settings; an unknown or impossible one is named, exit 2."""
    values = read_settings(data_dir)
    console = Console(as_json)
    console.document({"ok": True, "digest": digest(values)})
    console.say(f"The settings can be used (digest {digest(values)}).")
    return DONE


@commands.command()
def show(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Every setting as the node reads it; secrets are stars."""
    values = read_settings(data_dir)
    console = Console(as_json)
    console.document(values)
    for name, value in values.items():
        console.say(f"CORDON_{name.upper()}={'' if value is None else value}")
    return DONE
