"""`cordon demo`: a jurisdiction of our own making, its data accepted through the ordinary gate, and three commands to try."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import DONE, Console, JsonFlag, UsageFault
from app.domain.errors import BadRequest, CordonError

DEFAULT_DIR = Path("var/demo")
PLAN, SAMPLE_FILE = "demonstration.jsonl", "sample.csv"


def demo(
    serve: Annotated[bool, typer.Option("--serve", help="Run the node afterwards.")] = False,
    federation: Annotated[
        bool, typer.Option("--federation", help="Instead: three jurisdictions that follow each other, on three ports from --port on.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="With --federation: end when everything was shown.")] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65533, help="Port to listen on.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", envvar="CORDON_DATA_DIR", help="Default: var/demo; var/federation with --federation.")
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    """Found the demonstration jurisdiction `zz` with a small data set; done again it changes nothing."""
    if federation:
        from app.cli.demo_federation import DEFAULT_FOLDER, FIRST_PORT, show

        return show(Console(as_json), data_dir or DEFAULT_FOLDER, first_port=port or FIRST_PORT, once=once, program=program())
    if once:
        raise UsageFault("--once ends the demonstration of a federation: give --federation with it")
    return _one_node(Console(as_json), data_dir or DEFAULT_DIR, serve=serve, host=host, port=port)


def _one_node(console: Console, data_dir: Path, *, serve: bool, host: str | None, port: int | None) -> int:
    from app.cli.serve import run_node
    from app.services.enroll import read_node_file

    if (data_dir / "node.json").exists() and not read_node_file(data_dir).demonstration:
        raise BadRequest(f"{data_dir} holds a real node: give the demonstration a directory of its own with --data-dir")
    fresh = prepare(console, data_dir)
    if not serve:
        console.document({"data_dir": str(data_dir), "statements": fresh, "commands": list(commands(data_dir, "http://127.0.0.1:8000"))})
        console.say(f"The demonstration is ready in {data_dir}. Run it: {program()} demo --serve --data-dir {shlex.quote(str(data_dir))}")
        return DONE
    return run_node(console, data_dir, host=host, port=port, log_level="warning", announce=lambda url: _announce(data_dir, url))


def prepare(console: Console, data_dir: Path) -> int:
    """Whatever is missing: founding, members, statements. Returns how many statements were logged now."""
    from app.cli.demo_data import FOUNDING, MEMBERS, SAMPLE, key_of
    from app.services.enroll import found, write_key

    if (data_dir / "demonstrated").exists():
        return 0
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (data_dir / "node.json").exists():
        found(data_dir, FOUNDING, now=int(time.time()))
    for member_id, _, _ in MEMBERS:
        path = data_dir / "keys" / f"{member_id}.jwk"
        if not path.exists():
            write_key(path, key_of(member_id))
    (data_dir / SAMPLE_FILE).write_text(SAMPLE, "utf-8")
    logged = _log(console, data_dir, _plan(data_dir))
    (data_dir / "demonstrated").touch()
    return logged


def _plan(data_dir: Path) -> list[str]:
    """Every statement, signed once: a run that was broken off sends the same bytes again."""
    from app.cli.demo_data import MEMBERS, member_of, statements
    from app.services.enroll import Registrar, founding_statements, read_key, read_node_file

    plan = data_dir / PLAN
    if plan.exists():
        return [json.loads(line)["wire"] for line in plan.read_text("utf-8").splitlines()]
    now = int(time.time())
    origin = read_node_file(data_dir).origin
    registrar = Registrar(origin, read_key(data_dir / "keys" / "registrar-1.jwk"), now)
    root, policy = founding_statements(data_dir, now=now)
    named = [("root", root), ("policy", policy)]
    named += [(member_id, registrar.member(member_of(member_id, member_class, name, now=now))) for member_id, member_class, name in MEMBERS]
    named += list(statements(origin, now=now))
    unfinished = plan.with_name(plan.name + ".new")
    unfinished.write_text("".join(json.dumps({"name": name, "wire": wire}) + "\n" for name, wire in named), "utf-8")
    unfinished.replace(plan)
    return [wire for _, wire in named]


def _log(console: Console, data_dir: Path, wires: Sequence[str]) -> int:
    from app.cli.demo_data import MEMBERS
    from app.cli.doors import open_door
    from app.cli.local import upgrade

    upgrade(data_dir)
    logged = 0
    # Who speaks comes first: a statement is judged by the registry as it stood when its batch came in.
    members = 2 + len(MEMBERS)
    with open_door(data_dir, None) as door, console.progress("demonstration", len(wires)) as bar:
        for group in (wires[:members], wires[members:]):
            for outcome in door.submit(group):
                if isinstance(outcome, CordonError):
                    raise outcome
                logged += outcome.status == "accepted"
                bar.advance()
    return logged


# --- three commands to try ---------------------------------------------------------------------------------------------


def program() -> str:
    """How this program is called from here, word for word."""
    script = Path(sys.prefix) / "bin" / "cordon"
    if not script.exists():
        return f"{shlex.quote(sys.executable)} -m app.cli"
    try:
        return shlex.quote(str(script.relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(script))


def commands(data_dir: Path, url: str) -> tuple[str, str, str]:
    """One lookup, one signed submission, one verification of its receipt."""
    from app.cli.demo_data import WALLETS

    here = shlex.quote(str(data_dir))
    cordon = program()
    return (
        f"{cordon} screen --address {WALLETS[0][2]} --node {url}",
        f"{cordon} submit {here}/{SAMPLE_FILE} --as zz.police --key {here}/keys/zz.police.jwk --tlp CLEAR --out {here}/receipts --node {url}",
        f"{cordon} verify {here}/receipts --data-dir {here}",
    )


def _announce(data_dir: Path, url: str) -> None:
    lookup, submission, verification = commands(data_dir, url)
    print(f"\nCordon demonstration on {url} (data in {data_dir}). Try, in another shell:\n", flush=True)
    for what, command in (
        ("look a wallet up", lookup),
        ("submit three wallets, signed", submission),
        ("verify the receipt, offline", verification),
    ):
        print(f"  # {what}\n  {command}\n", flush=True)
    print("Ctrl-C ends it; the data stays.", flush=True)
