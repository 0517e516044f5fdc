"""`cordon doctor`: is this machine, this directory and this database fit to run a node? Every finding says what to do."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.cli.console import DEFAULT_DATA_DIR, DONE, REFUSED, Console, DataDir, JsonFlag, plain
from app.domain.canonical import JsonValue
from app.domain.errors import CordonError

DISK_FLOOR = 512 * 1024 * 1024
# Below this release two processes on one WAL file can lose a checkpoint (sqlite.org/wal.html, "WAL-reset bug").
WAL_SAFE = (3, 51, 3)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `level`: ok, note or fault."""

    subject: str
    level: str
    detail: str


def doctor(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: JsonFlag = False) -> int:
    """Look at interpreter, libraries, disk, keys, settings, database, log and peers; exit 1 if something keeps a node from running."""
    console = Console(as_json)
    findings: list[Finding] = []
    for subject, look in CHECKS.items():
        findings += _looked(subject, lambda look=look: look(data_dir))  # type: ignore[misc]
    faulty = any(one.level == "fault" for one in findings)
    records: list[JsonValue] = [{"subject": one.subject, "level": one.level, "detail": one.detail} for one in findings]
    console.document({"sound": not faulty, "findings": records})
    for one in findings:
        console.say(f"{one.level:<6} {one.subject}: {plain(one.detail)}")
    return REFUSED if faulty else DONE


def _looked(subject: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except CordonError as error:
        return [Finding(subject, "fault", error.detail)]
    except OSError as error:
        return [Finding(subject, "fault", f"{error.filename or ''} {error.strerror or error}".strip())]
    except Exception as error:  # noqa: BLE001 — whatever a part of the machine says is a finding, not an end
        return [Finding(subject, "fault", f"{type(error).__name__}: {error}")]


def _interpreter(_: Path) -> list[Finding]:
    from app.seal.jws import assert_backend

    found = [Finding("python", "ok", f"{platform.python_implementation()} {platform.python_version()}")]
    assert_backend()
    return [*found, Finding("signatures", "ok", "python-jose signs with the cryptography library")]


def _sqlite(_: Path) -> list[Finding]:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < WAL_SAFE:
        return [Finding("sqlite", "note", f"{version}: run one node process on a database, as `serve` does, or use PostgreSQL")]
    return [Finding("sqlite", "ok", version)]


def _disk(data_dir: Path) -> list[Finding]:
    here = data_dir if data_dir.exists() else data_dir.absolute().parent
    free = shutil.disk_usage(here).free
    level = "ok" if free >= DISK_FLOOR else "fault"
    return [
        Finding("disk", level, f"{free // 2**20} MiB free at {here}" + ("" if level == "ok" else ": make room, the node stops writing"))
    ]


def _directory(data_dir: Path) -> list[Finding]:
    from app.services.enroll import read_node_file

    node = read_node_file(data_dir)
    return [
        Finding(
            "node",
            "ok",
            f"{node.name}, {node.origin}, jurisdiction {node.jurisdiction}" + (", a demonstration" if node.demonstration else ""),
        )
    ]


def _keys(data_dir: Path) -> list[Finding]:
    found: list[Finding] = []
    keys = data_dir / "keys"
    for path in sorted(keys.iterdir()):
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            found.append(Finding("keys", "fault", f"{path} can be read by others (mode {mode:o}): chmod 600 {path}"))
    if not (keys / "heartbeat.key").exists():
        found.append(Finding("keys", "fault", f"{keys / 'heartbeat.key'} is missing: restore it from a backup of the keys"))
    found += _signing_keys(data_dir)
    if list(keys.glob("root-*.jwk")):
        found.append(Finding("keys", "note", f"{keys}/root-*.jwk are on this machine: move them offline, each to another person"))
    return found or [Finding("keys", "ok", f"{len(list(keys.iterdir()))} files, readable by their owner only")]


def _signing_keys(data_dir: Path) -> list[Finding]:
    """Whether the keys that the newest root document names are here."""
    from app.cli.root import newest
    from app.services.enroll import log_keys, node_key, read_node_file

    node, document = read_node_file(data_dir), newest(data_dir)
    found: list[Finding] = []
    for look in (log_keys, node_key):
        try:
            look(data_dir, node, document)
        except CordonError as error:
            found.append(Finding("keys", "fault", error.detail))
    return found


def _root(data_dir: Path) -> list[Finding]:
    import time

    from app.sdk.verify import read_roots

    document = read_roots(data_dir / "root", now=int(time.time()))
    days = (document.expires_at - int(time.time())) // 86_400
    return [Finding("root document", "ok" if days > 90 else "note", f"version {document.version}, {days} days left")]


def _settings(data_dir: Path) -> list[Finding]:
    from app.cli.config import digest, read_settings

    return [Finding("settings", "ok", f"digest {digest(read_settings(data_dir))}")]


def _database(data_dir: Path) -> list[Finding]:
    from app.cli.local import now_ms, with_rows
    from app.services.enroll import read_node_file
    from app.storage.database import Transaction

    origin = read_node_file(data_dir).origin

    async def work(tx: Transaction) -> list[Finding]:
        head = await tx.log.head(origin)
        clients = await tx.clients.list()
        if head is None:
            return [Finding("log", "fault", f"the database holds no log {origin}: is it the right database?")]
        ended = sum(1 for one in clients if not one.is_valid(now_ms()))
        return [
            Finding("log", "ok", f"{head.size} entries, checkpoint signed at {head.note_size}"),
            Finding("API keys", "ok", f"{len(clients) - ended} valid, {ended} ended"),
        ]

    return with_rows(data_dir, work, write=False)


def _lock(data_dir: Path) -> list[Finding]:
    from app.cli.doors import listening
    from app.domain.errors import Unavailable
    from app.storage.keyfiles import DataDirLock

    lock = DataDirLock(data_dir)
    try:
        lock.acquire()
    except Unavailable:
        return [Finding("running", "ok", f"a node holds {data_dir} and listens on {listening(data_dir)}")]
    lock.release()
    return [Finding("running", "note", f"no node runs on {data_dir}: cordon serve --data-dir {data_dir}")]


def _peers(data_dir: Path) -> list[Finding]:
    from app.cli.peer_checks import Remark, look_at_peers, look_at_witnesses
    from app.cli.relations import Relations, with_relations

    async def work(own: Relations) -> tuple[bool, list[tuple[str, Remark]], Remark | None]:
        return own.settings.federation, await look_at_peers(own), await look_at_witnesses(own)

    federation, remarks, witnessed = with_relations(data_dir, work)
    found = [Finding(f"peer {node}", one.level, one.detail) for node, one in remarks]
    found += [Finding("witnesses", witnessed.level, witnessed.detail)] if federation and witnessed is not None else []
    if not federation:
        said = "off: nobody is followed" + (", though peers are pinned" if found else "")
        return [Finding("federation", "note" if found else "ok", said), *found]
    return [Finding("federation", "ok", f"on, {len({node for node, _ in remarks})} peers"), *found]


def _environment(_: Path) -> list[Finding]:
    proxies = [name for name in ("http_proxy", "https_proxy", "all_proxy") if os.environ.get(name) or os.environ.get(name.upper())]
    return [Finding("environment", "note", f"{', '.join(proxies)} is set and ignored: Cordon talks to nodes directly")] if proxies else []


CHECKS: dict[str, Callable[[Path], list[Finding]]] = {
    "python": _interpreter,
    "sqlite": _sqlite,
    "disk": _disk,
    "environment": _environment,
    "node": _directory,
    "keys": _keys,
    "root document": _root,
    "settings": _settings,
    "database": _database,
    "peers": _peers,
    "running": _lock,
}
