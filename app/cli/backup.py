"""`cordon backup` and `cordon restore` (trust-and-ops §4).

A backup is one file with the database as of one moment, node.json, the root documents and the settings file; with `--with-keys` the
private keys too, then always under a passphrase. It is checked like `fsck` before it is kept. A restore goes into a directory without a
node. The anchor that stands there stays: a restored older database then refuses to sign, as signing would fork the log.
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, REFUSED, Console, DataDir, JsonFlag
from app.domain.canonical import JsonValue
from app.domain.errors import BadRequest, Malformed

DATABASE, MANIFEST = "cordon.sqlite3", "manifest.json"
FORMAT = "cordon-backup/v1"
# What may stand in a directory before a restore: the anchor must, the rest does no harm.
KEPT = frozenset({"anchor", "lock", "keys", "cordon.toml"})

PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", metavar="FILE", help="File whose first line seals (opens) the backup.")
]


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the backup goes; not overwritten.")],
    with_keys: Annotated[bool, typer.Option("--with-keys", help="Private keys too; needs --passphrase-file.")] = False,
    passphrase_file: PassphraseFile = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Copy a node, running or not, into one checked file. On PostgreSQL: use its own tools, the message names them."""
    from app.cli.fsck import examine_url
    from app.cli.local import settings_of
    from app.cli.vault import read_passphrase
    from app.domain.answer import second_text
    from app.services.enroll import read_node_file
    from app.storage.backup import backup as copy

    if with_keys and passphrase_file is None:
        raise BadRequest("private keys are never kept in the open: give --passphrase-file FILE")
    if file.exists():
        raise BadRequest(f"{file} exists already and is not overwritten: choose another name")
    passphrase = read_passphrase(passphrase_file) if passphrase_file is not None else None
    console = Console(as_json)
    settings, node = settings_of(data_dir), read_node_file(data_dir)
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".cordon-backup-", dir=file.parent) as folder:
        database = Path(folder) / DATABASE
        copy(settings.resolved_database_url, database)
        health = examine_url(f"sqlite+aiosqlite:///{database}", node.origin, Path(folder) / "no-anchor", console)
        if health.faults:
            raise BadRequest(f"the database is damaged and was not backed up as sound: {health.faults[0]} (cordon fsck tells more)")
        manifest: dict[str, JsonValue] = {
            "format": FORMAT,
            "origin": node.origin,
            "size": health.size,
            "made_at": second_text(int(time.time())),
            "keys": with_keys,
        }
        (Path(folder) / MANIFEST).write_text(json.dumps(manifest, indent=2), "utf-8")
        archive = Path(folder) / "backup.tar"
        _pack(archive, Path(folder), data_dir, with_keys=with_keys)
        _keep(archive, file, passphrase)
    console.document({**manifest, "file": str(file), "sealed": passphrase is not None})
    console.say(f"{node.origin} with {health.size} entries is in {file}, checked.")
    if passphrase is None:
        console.note(
            "It is not encrypted and holds everything the node knows: keep it where only you can read it, or use --passphrase-file."
        )
    return DONE


def _pack(archive: Path, folder: Path, data_dir: Path, *, with_keys: bool) -> None:
    os.close(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with tarfile.open(archive, "w") as tar:
        tar.add(folder / MANIFEST, MANIFEST)
        tar.add(folder / DATABASE, DATABASE)
        tar.add(data_dir / "node.json", "node.json")
        for path in sorted((data_dir / "root").glob("*.json")):
            tar.add(path, f"root/{path.name}")
        if (data_dir / "cordon.toml").exists():
            tar.add(data_dir / "cordon.toml", "cordon.toml")
        for path in sorted((data_dir / "keys").iterdir()) if with_keys else ():
            tar.add(path, f"keys/{path.name}")


def _keep(archive: Path, file: Path, passphrase: bytes | None) -> None:
    """Write the backup durably, and give it its name only when it is whole."""
    from app.cli.vault import seal

    unfinished = archive.with_name("unfinished")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        if passphrase is None:
            with archive.open("rb") as plain:
                shutil.copyfileobj(plain, out)
        else:
            seal(archive, out, passphrase)
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(unfinished, file)
    except FileExistsError as error:
        raise BadRequest(f"{file} exists already and is not overwritten: choose another name") from error


# --- restore -----------------------------------------------------------------------------------------------------------


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    passphrase_file: PassphraseFile = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Put a backup into a directory without a node, check it, and say whether the node will sign."""
    from app.cli.fsck import examine_directory

    console = Console(as_json)
    _check_target(data_dir)
    with _opened(file, passphrase_file) as archive, tempfile.TemporaryDirectory(prefix=".cordon-restore-", dir=_made(data_dir)) as folder:
        manifest = _unpack(archive, Path(folder), file)
        _move_in(Path(folder), data_dir)
    anchored = _anchor(data_dir, manifest)
    health = examine_directory(data_dir, console)
    console.document({**manifest, "data_dir": str(data_dir), "faults": list(health.faults), "will_sign": not health.faults})
    console.say(f"{manifest['origin']} as of {manifest['made_at']} ({health.size} entries) is in {data_dir}.")
    for fault in health.faults:
        console.note(fault)
    if health.faults:
        console.note("The node will serve lookups and sign nothing: bring a newer backup, or recover the missing entries from a mirror.")
        return REFUSED
    if not anchored:
        console.note(
            "No anchor stood there. If this node signed anything after the backup was made, signing again would fork its log: "
            "put the newest anchor file back, or ask a peer for its view of this log, before cordon serve."
        )
    if not (data_dir / "keys" / "log.key").exists():
        console.note(f"The backup holds no keys: put them into {data_dir / 'keys'} (mode 0600) before cordon serve.")
    return DONE


def _check_target(data_dir: Path) -> None:
    present = {path.name for path in data_dir.iterdir()} if data_dir.is_dir() else set()
    if present - KEPT:
        raise BadRequest(
            f"{data_dir} is not empty ({', '.join(sorted(present - KEPT)[:3])}): move it away, but leave the anchor file, then restore"
        )


def _made(data_dir: Path) -> Path:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return data_dir


@contextmanager
def _opened(file: Path, passphrase_file: Path | None) -> Iterator[Path]:
    from app.cli.vault import is_sealed, read_passphrase, unseal

    if not is_sealed(file):
        yield file
        return
    if passphrase_file is None:
        raise BadRequest(f"{file} is sealed: give --passphrase-file FILE")
    with tempfile.TemporaryDirectory(prefix="cordon-restore-") as folder:
        plain = Path(folder) / "backup.tar"
        with plain.open("wb") as out:
            unseal(file, out, read_passphrase(passphrase_file))
        yield plain


def _unpack(archive: Path, folder: Path, file: Path) -> dict[str, JsonValue]:
    """Only names that a backup of ours has; no links, no devices, no way out of the folder."""
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isfile() and _is_ours(member.name) else None
                if source is None:
                    raise Malformed(f"{file} holds {member.name!r}, which no backup of ours does: not restored")
                target = folder / member.name
                target.parent.mkdir(mode=0o700, exist_ok=True)
                with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                    shutil.copyfileobj(source, out)
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (tarfile.TarError, FileNotFoundError, ValueError) as error:
        raise Malformed(f"{file} is not a backup of ours, or was cut short") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or not (folder / DATABASE).exists():
        raise Malformed(f"{file} is not a backup of the form {FORMAT}")
    return manifest


def _is_ours(name: str) -> bool:
    parts = PurePosixPath(name).parts
    if len(parts) == 1:
        return name in (MANIFEST, DATABASE, "node.json", "cordon.toml")
    return len(parts) == 2 and parts[0] in ("root", "keys") and not parts[1].startswith(".") and parts[1] not in ("..", "")


def _move_in(folder: Path, data_dir: Path) -> None:
    """node.json last: until then the directory holds no node."""
    for name in ("root", DATABASE):
        if (folder / name).exists():
            (folder / name).rename(data_dir / name)
    if not (data_dir / "cordon.toml").exists() and (folder / "cordon.toml").exists():
        (folder / "cordon.toml").rename(data_dir / "cordon.toml")
    if (folder / "keys").exists():
        (data_dir / "keys").mkdir(mode=0o700, exist_ok=True)
        for path in (folder / "keys").iterdir():
            if not (data_dir / "keys" / path.name).exists():
                path.rename(data_dir / "keys" / path.name)
    (folder / "node.json").rename(data_dir / "node.json")


def _anchor(data_dir: Path, manifest: dict[str, JsonValue]) -> bool:
    """Whether an anchor says what was signed; without one, what the backup itself holds is the least."""
    from app.cli.local import settings_of, with_rows
    from app.storage.anchor import Anchored, AnchorFile
    from app.storage.database import Transaction

    anchor = AnchorFile(settings_of(data_dir).resolved_anchor)
    if anchor.read() is not None:
        return True
    origin = str(manifest["origin"])

    async def work(tx: Transaction) -> Anchored | None:
        head = await tx.log.head(origin)
        return Anchored(origin, head.size, head.root) if head is not None else None

    found = with_rows(data_dir, work, write=False)
    if found is not None:
        anchor.write(found)
    return False
