"""`cordon root rotate|sign|publish`: the next root document of a jurisdiction, from the first draft to the log.

    rotate    on the node: what shall change → a draft that nobody has signed, and the new keys of the node
    sign      offline, each root key holder on his own machine: one signature more in the file
    publish   on the node, running or not: the chain is checked, the document put into force, and the `root` statement by a registrar key
              puts it into the log, so that the registry is a function of the log. What changes log or address wants the node stopped

Protocol §3.2.1-3 and §3.2.6. The root keys themselves are never asked for by `rotate` and `publish`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, Console, DataDir, JsonFlag, UsageFault
from app.domain.canonical import JsonValue
from app.domain.errors import BadRequest, CordonError, Unavailable

if TYPE_CHECKING:
    from app.seal.jws import SigningKey
    from app.seal.root_claims import RootKey
    from app.seal.roots import RootDocument
    from app.services.enroll import NodeFile
    from app.services.rotate import Ending, Wanting

commands = typer.Typer(help="Root documents: who may speak for the jurisdiction.", no_args_is_help=True)

DAY_S = 86_400
TAKEN_S, TAKEN_TRIES = 15, 60
Files = list[Path] | None
Words = list[str] | None

DraftFile = Annotated[Path, typer.Argument(metavar="FILE", help="The document as `root rotate` wrote it.")]


# --- rotate ------------------------------------------------------------------------------------------------------------


@commands.command()
def rotate(
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where the draft goes; default: root/<version>.draft.")] = None,
    add_root_key: Annotated[Files, typer.Option("--add-root-key", metavar="FILE", help="A further root key (public JWK); repeat.")] = None,
    drop_root_key: Annotated[Words, typer.Option("--drop-root-key", metavar="KID", help="A root key that ends; repeat.")] = None,
    threshold: Annotated[int | None, typer.Option(min=1, help="How many root keys must sign from now on.")] = None,
    add_registrar_key: Annotated[
        Files, typer.Option("--add-registrar-key", metavar="FILE", help="A further registrar key (public JWK); repeat.")
    ] = None,
    drop_registrar_key: Annotated[Words, typer.Option("--drop-registrar-key", metavar="KID", help="A registrar key that ends.")] = None,
    new_node_key: Annotated[bool, typer.Option("--new-node-key", help="Make a new key of the node; the old one stays beside it.")] = False,
    new_log_key: Annotated[bool, typer.Option("--new-log-key", help="Make a new key of the log; until --retire-old both sign.")] = False,
    retire_old: Annotated[bool, typer.Option("--retire-old", help="Drop the log and node keys that have a newer one beside them.")] = False,
    new_log: Annotated[bool, typer.Option("--new-log", help="End the log, after a fork, and begin the next one.")] = False,
    final_size: Annotated[
        int | None, typer.Option("--final-size", min=0, help="With --new-log: the last tree that stands; default: all.")
    ] = None,
    public_url: Annotated[str | None, typer.Option(help="How others reach the node from now on.")] = None,
    contact: Annotated[str | None, typer.Option(help="Contact of the jurisdiction.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the data.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Days until the document expires; default: as before.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Write the draft of the next root document; nothing is in force until root keys signed it and it was published."""
    from app.cli.succession import write_whole
    from app.seal.roots import read_document
    from app.services.enroll import read_node_file
    from app.services.rotate import Changes, next_document

    node, previous = read_node_file(data_dir), newest(data_dir)
    version, now = previous.version + 1, int(time.time())
    if final_size is not None and not new_log:
        raise UsageFault("--final-size is the end of a log: it belongs to --new-log")
    if new_log and (new_log_key or retire_old):
        raise UsageFault("--new-log has a key of its own: rotate keys in a document before or after")
    made = _Made(data_dir, version)
    old_vkeys, old_kids = _superseded(data_dir, node, previous) if retire_old else ((), ())
    changes = Changes(
        add_root=_public_keys(add_root_key, f"{node.jurisdiction}.root"),
        drop_root=tuple(drop_root_key or ()),
        threshold=threshold,
        add_registrar=_public_keys(add_registrar_key, node.registrar),
        drop_registrar=tuple(drop_registrar_key or ()),
        add_node=(made.node_key(node),) if new_node_key else (),
        drop_node=old_kids,
        log_vkey=made.log_vkey(node.origin) if new_log_key else None,
        drop_vkeys=old_vkeys,
        ending=_ending(data_dir, node, previous, made, final_size) if new_log else None,
        public_url=public_url.rstrip("/") if public_url else None,
        contact=contact,
        licence=licence,
        expires_at=now + days * DAY_S if days is not None else None,
    )
    if changes == Changes():
        raise UsageFault("say what shall change: cordon root rotate --help lists it (--days 1825 alone only prolongs)")
    draft = next_document(previous, node.origin, changes, now=now)
    target = out or data_dir / "root" / f"{version}.draft"
    made.keep()
    write_whole(target, draft)
    console = Console(as_json)
    console.document(
        {
            "version": version,
            "sha256": read_document(draft).document.sha256,
            "file": str(target),
            "keys": [str(path) for path in made.files],
        }
    )
    for path in made.files:
        console.say(f"Made {path}: it signs once the document is published.")
    console.say(
        f"Root document {version} is drafted in {target}. Each root key holder, offline: cordon root sign {target} --key root-N.jwk"
    )
    return DONE


class _Made:
    """New keys of the node, kept as files only once the draft that names them could be written."""

    def __init__(self, data_dir: Path, version: int) -> None:
        self._keys, self._version = data_dir / "keys", version
        self._texts: dict[Path, str] = {}

    def node_key(self, node: NodeFile) -> RootKey:
        """A new key of the node."""
        import json

        from app.seal.jws import SigningKey, public_key
        from app.seal.root_claims import RootKey

        key = SigningKey.generate(f"{node.node}#{self._version}")
        self._texts[self._keys / f"node-{self._version}.jwk"] = json.dumps(key.to_jwk(), indent=2) + "\n"
        return RootKey(key.kid, public_key(key.public_jwk))

    def log_vkey(self, origin: str) -> str:
        """A new 0x01 key of the log `origin`, in public."""
        from app.domain.canonical import b64u_encode
        from app.seal.notes import NoteKey

        seed = os.urandom(32)
        self._texts[self._keys / f"log-{self._version}.key"] = b64u_encode(seed) + "\n"
        return NoteKey.from_seed(origin, seed).vkey

    @property
    def files(self) -> list[Path]:
        """Where the new keys are."""
        return list(self._texts)

    def keep(self) -> None:
        """Write the keys; a file of an earlier draft of the same version is in the way, and never overwritten."""
        from app.storage.keyfiles import write_secret

        for path in self._texts:
            if path.exists():
                raise BadRequest(f"{path} is of an earlier draft of this version: publish that one, or move the key away and draft again")
        for path, text in self._texts.items():
            write_secret(path, text)


def newest(data_dir: Path) -> RootDocument:
    """The newest root document of the directory."""
    from app.seal.roots import read_document
    from app.services.enroll import read_root_documents

    return read_document(read_root_documents(data_dir)[-1]).document


def _public_keys(files: Files, owner: str) -> tuple[RootKey, ...]:
    from app.cli.member import public_key_of
    from app.seal.jws import public_key
    from app.seal.root_claims import RootKey

    read = (public_key_of(path, owner) for path in files or ())
    return tuple(RootKey(kid, public_key(jwk)) for kid, jwk in read)


def _superseded(data_dir: Path, node: NodeFile, previous: RootDocument) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Log vkeys and node kids of the newest document that a newer one of ours stands before."""
    from app.services.enroll import log_keys, node_key

    signing = [key.vkey for key in log_keys(data_dir, node, previous)]
    current = node_key(data_dir, node, previous).kid
    vkeys = tuple(signing[1:])
    kids = tuple(key.kid for key in previous.node_keys if key.kid.partition("#")[0] == node.node and key.kid != current)
    if not vkeys and not kids:
        raise BadRequest(f"root document {previous.version} names no older key beside a newer one: there is nothing to retire")
    return vkeys, kids


def _ending(data_dir: Path, node: NodeFile, previous: RootDocument, made: _Made, size: int | None) -> Ending:
    from app.cli.local import with_rows
    from app.domain.merkle import root_at
    from app.domain.tiles import TileReader, needed_for_root
    from app.services.rotate import Ending, next_origin
    from app.storage.database import Transaction

    async def work(tx: Transaction) -> tuple[int, bytes]:
        head = await tx.log.head(node.origin)
        if head is None:
            raise BadRequest(f"the database holds no log {node.origin}: is it the right database?")
        chosen = head.size if size is None else size
        if chosen > head.size:
            raise BadRequest(f"--final-size {chosen} is beyond the {head.size} entries of {node.origin}")
        tiles = await tx.log.read_tiles(node.origin, needed_for_root(chosen))
        return chosen, root_at(chosen, TileReader(lambda level, index: tiles[level, index]))

    chosen, root = with_rows(data_dir, work, write=False)
    successor = next_origin(previous, node.origin)
    return Ending(chosen, root, successor, made.log_vkey(successor))


# --- sign --------------------------------------------------------------------------------------------------------------


@commands.command()
def sign(
    file: DraftFile,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="A root key (private JWK), of the version before or of this one.")],
    previous: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The version before, to count its threshold; default: the data directory's.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Add one signature to a root document, offline; says how many are still wanted."""
    from app.cli.succession import write_whole
    from app.sdk.drafts import read_key
    from app.seal.roots import read_document, sign_root
    from app.services.rotate import wanting

    signing, document = read_key(key), read_document(file.read_bytes())
    before = _before(document.document, previous, data_dir)
    may = {one.kid for holder in (document.document, before) if holder is not None for one in holder.root_keys}
    if signing.kid not in may:
        raise BadRequest(f"{signing.kid} is no root key of this document or of the one before: its signature would not count")
    signed = sign_root(file.read_bytes(), signing)
    write_whole(file, signed)
    state = wanting(read_document(signed), before)
    console = Console(as_json)
    console.document(
        {
            "version": document.document.version,
            "sha256": document.document.sha256,
            "signed_by": list(read_document(signed).kids),
            "complete": state.complete and (before is not None or document.document.version == 1),
            "missing_old": max(0, state.need_old - state.have_old),
            "missing_new": max(0, state.need_new - state.have_new),
        }
    )
    console.say(f"{signing.kid} has signed root document {document.document.version} (SHA-256 {document.document.sha256}).")
    console.say(_next_step(document.document, before, state, file))
    return DONE


def _before(document: RootDocument, previous: Path | None, data_dir: Path) -> RootDocument | None:
    """The version before, if it is at hand."""
    from app.seal.roots import read_document

    path = previous or data_dir / "root" / f"{document.version - 1}.json"
    if not path.exists():
        if previous is not None:
            raise BadRequest(f"{previous} is not there: give the root document before this one")
        return None
    found = read_document(path.read_bytes()).document
    if (found.jurisdiction, found.version) != (document.jurisdiction, document.version - 1):
        raise BadRequest(f"{path} is version {found.version} of {found.jurisdiction}, not the one before this document")
    return found


def _next_step(document: RootDocument, before: RootDocument | None, state: Wanting, file: Path) -> str:
    if before is None:
        return f"{state.have_new} of the {state.need_new} keys of its own have signed; the version before is not here to count its keys."
    if state.complete:
        return f"It has all signatures. On the node: cordon root publish {file}"
    wanted = [
        f"{need - have} of version {version}"
        for version, have, need in ((before.version, state.have_old, state.need_old), (document.version, state.have_new, state.need_new))
        if have < need
    ]
    return f"Still wanted: root keys, {' and '.join(wanted)} (one key may count for both)."


# --- publish -----------------------------------------------------------------------------------------------------------


@commands.command()
def publish(
    file: DraftFile,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Registrar key of this or the last version.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Take a signed root document into force: keep it, log its `root` statement, and after a fork begin the next log."""
    from app.cli.succession import succeed, successor_of, write_whole
    from app.seal.roots import read_document, read_root_chain
    from app.services.enroll import read_key, read_node_file, read_root_documents
    from app.services.refresh import needs_restart
    from app.storage.keyfiles import DataDirLock

    data = file.read_bytes()
    document = read_document(data).document
    lock, runs = DataDirLock(data_dir), False
    try:
        lock.acquire()
    except Unavailable:
        runs = True
    try:
        held = read_root_documents(data_dir)[: document.version - 1]
        pin = read_document(held[0]).document.sha256 if held else document.sha256
        read_root_chain(pin, [*held, data], now=int(time.time()))
        target = data_dir / "root" / f"{document.version}.json"
        if target.exists() and read_document(target.read_bytes()).document.sha256 != document.sha256:
            raise BadRequest(f"{target} is another document of version {document.version}: peers may have it, so it is never replaced")
        signing = read_key(_registrar_file(data_dir, document, key))
        ended = read_node_file(data_dir).origin
        successor = successor_of(data_dir, document)
        origin = successor.origin if successor is not None else ended
        _check_keys(data_dir, document, origin)
        if runs and held and needs_restart(read_document(held[-1]).document, document):
            raise Unavailable(
                f"a node runs on {data_dir}, and this document changes its log or its address: stop it for this, and start it again afterwards"
            )
        if successor is not None:
            sids = succeed(data_dir, data, document, successor, signing)
        else:
            write_whole(target, data)
            if runs:
                _await_node(data_dir, document)
            sids = [_log_root(data_dir, document, origin, signing, runs=runs)]
    finally:
        if not runs:
            lock.release()
    console = Console(as_json)
    logged: list[JsonValue] = [*sids]
    console.document({"version": document.version, "sha256": document.sha256, "origin": origin, "statements": logged})
    since = "in force" if runs else "in force from the next start on: cordon serve"
    console.say(f"Root document {document.version} (SHA-256 {document.sha256}) is {since}.")
    if successor is not None:
        console.say(
            f"{successor.predecessor} has ended, {origin} begins with {len(sids)} statements: agencies list anew what lay beyond the end."
        )
    return DONE


def _check_keys(data_dir: Path, document: RootDocument, origin: str) -> None:
    """The node must hold keys that the document names, or it could sign nothing after the next start."""
    from dataclasses import replace

    from app.services.enroll import log_keys, node_key, read_node_file

    node = replace(read_node_file(data_dir), origin=origin)
    log_keys(data_dir, node, document)
    node_key(data_dir, node, document)


def _registrar_file(data_dir: Path, document: RootDocument, key: Path | None) -> Path:
    """The key given, else the first in keys/ that the document names."""
    from app.services.enroll import read_key

    if key is not None:
        return key
    named = {one.kid for one in document.registrar_keys}
    for path in sorted((data_dir / "keys").glob("registrar-*.jwk")):
        if read_key(path).kid in named:
            return path
    raise UsageFault(f"no registrar key that the document names is in {data_dir / 'keys'}: give it with --key FILE")


def _await_node(data_dir: Path, document: RootDocument) -> None:
    """Wait until the running node has taken the document; Unavailable if it does not, which can be tried again."""
    from app.cli.doors import listening
    from app.sdk.client import Client, Options

    with Client(listening(data_dir), Options()) as client:
        for _ in range(TAKEN_TRIES):
            root = client.well_known().get("root")
            if isinstance(root, dict) and root.get("ver") == document.version:
                return
            time.sleep(TAKEN_S / TAKEN_TRIES)
    raise Unavailable(
        f"the node has not taken root document {document.version} within {TAKEN_S} seconds: its log says why; then publish again"
    )


def _log_root(data_dir: Path, document: RootDocument, origin: str, signing: SigningKey, *, runs: bool) -> str:
    """Log the `root` statement through the gate of the node, which knows the document by now; its sid."""
    from app.cli.doors import listening, open_door
    from app.cli.local import LocalDoor
    from app.services.enroll import Registrar

    with open_door(data_dir, listening(data_dir)) if runs else LocalDoor(data_dir) as door:
        (outcome,) = door.submit([Registrar(origin, signing, int(time.time())).root(document)])
        if isinstance(outcome, CordonError):
            raise outcome
        return outcome.sid
