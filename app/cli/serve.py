"""`cordon serve`: the node, over HTTP. SIGTERM drains and leaves with 0."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import DEFAULT_DATA_DIR, DONE, UNAVAILABLE, Console, DataDir, JsonFlag

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn import Config

    from app.settings import Settings

DRAIN_S = 30
WORKER_STARTS_S = 120
"""A worker that has not answered for so long is replaced: with uvicorn's 5 s a slow machine would kill each before it has started."""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Worker processes; more than one only on PostgreSQL.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: JsonFlag = False,
) -> int:
    """Run the node of a data directory until it is told to stop."""
    return run_node(Console(as_json), data_dir, host=host, port=port, workers=workers)


def run_node(
    console: Console,
    data_dir: Path,
    *,
    host: str | None,
    port: int | None,
    workers: int | None = None,
    log_level: str | None = None,
    announce: Callable[[str], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. `announce` is told the node's address once it answers."""
    gc.disable()  # what is imported stays: walking it again and again would be a seventh of the start
    from app.services.enroll import read_node_file
    from app.settings import load
    from app.storage.keyfiles import DataDirLock
    from app.storage.upgrade import upgrade

    node = read_node_file(data_dir)
    settings = load({"data_dir": data_dir, "host": host, "port": port, "workers": workers, "log_level": log_level})
    lock = DataDirLock(data_dir)
    lock.acquire()  # says who has it, before anything is bound
    upgrade(settings.resolved_database_url)
    if settings.workers == 1:
        lock.release()  # the application takes it for itself
    listening = data_dir / "listening"
    url = f"http://{_reachable(settings.host)}:{settings.port}"
    listening.write_text(url + "\n", "utf-8")
    console.note(f"{node.name} ({node.origin}) starts on http://{settings.host}:{settings.port}, data in {data_dir}")
    try:
        return _run(settings, lambda: announce(url) if announce is not None else None)
    finally:
        listening.unlink(missing_ok=True)
        lock.release()


def _reachable(host: str) -> str:
    """Where this machine reaches a node that listens on `host`."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 — compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _run(settings: Settings, announce: Callable[[], None]) -> int:
    import uvicorn

    application: FastAPI

    class AnnouncingServer(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                announce()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            if settings.federation and settings.workers == 1:
                application.state.api.federation.board.close()  # peers listen for ever: draining would wait for them to the last second
            await super().shutdown(sockets)

    if settings.workers > 1:
        from uvicorn.supervisors import Multiprocess

        # The workers build the application themselves, from the environment.
        os.environ.update({"CORDON_DATA_DIR": str(settings.data_dir), "CORDON_WORKERS": str(settings.workers)})
        config = _config("app.main:create_app", settings)
        gc.enable()
        Multiprocess(config, sockets=[config.bind_socket()]).run()
        return DONE
    from app.api import configure_logs
    from app.main import create_app

    configure_logs(settings.log_level)
    application = create_app(settings)
    server = AnnouncingServer(_config(application, settings))

    def leave(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn raises the signal again once it has drained: with these handlers that is no death by signal, but exit 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    gc.enable()
    server.run()
    return DONE if server.started else UNAVAILABLE


def _config(app: FastAPI | str, settings: Settings) -> Config:
    import uvicorn

    from app.api.patience import PatientProtocol

    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=settings.workers,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=PatientProtocol,
        log_config=None,  # our own, JSON: `configure_logs`
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the edge believes TRUSTED_PROXIES and nobody else
        timeout_keep_alive=65,
        timeout_graceful_shutdown=DRAIN_S,
        timeout_worker_healthcheck=WORKER_STARTS_S,
        ws="none",
    )
