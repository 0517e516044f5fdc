"""HTTP: `install` puts the whole floor into an application; `operations_app` is health and metrics on a port of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import FastAPI
from starlette.types import ASGIApp

from app.api import problems
from app.api.bulk import PATH as LISTS
from app.api.context import Api, Chosen, Federated, FederationPort
from app.api.description import VERSION, document
from app.api.edge import Door, Edge, Shortcut
from app.api.health import Checkup
from app.api.limits import HOUR_S, Callsigns, Limiter, policy
from app.api.logs import configure as configure_logs
from app.api.measures import Measures
from app.api.mount import mount, mount_operations
from app.api.screening import PREFIX, RowsDoor, ScreenOne
from app.api.stamps import Stamps
from app.api.submitting import PATH as SUBMIT
from app.api.submitting import PlainSubmission
from app.api.tiles import FullTiles
from app.api.views import bucket_shortcuts
from app.domain.view import SEGMENTS
from app.services.node import Node

__all__ = ["Chosen", "Federated", "FederationPort", "configure_logs", "install", "operations_app"]


def install(app: FastAPI, node: Node, chosen: Chosen, *, federated: Federated | None = None) -> None:
    """Routes, edge and problems; the node must be started before the first request. `federated`: of a node with federation on."""
    api = Api(
        node=node,
        chosen=chosen,
        measures=Measures(node, data_dir=chosen.data_dir, version=VERSION),
        limiter=Limiter(node.clock),
        stamps=Stamps(node.database),
        public_policy=policy("lookup", chosen.rate_public_per_minute),
        copies_policy=policy("segments", chosen.rate_public_copies_per_hour * SEGMENTS, HOUR_S),
        federated=federated,
    )
    mount(app, operations=not chosen.operations_bind, federation=chosen.federation)
    app.openapi = document  # type: ignore[method-assign]
    _dress(
        app,
        api,
        {PREFIX: ScreenOne(api), **bucket_shortcuts(api)},
        FullTiles(api).find if chosen.log_public else None,
        {("POST", SUBMIT): PlainSubmission(api), ("POST", LISTS): RowsDoor(api)},
    )


def operations_app(app: FastAPI) -> FastAPI:
    """Health and metrics of an installed application, for `OPERATIONS_BIND`; it shares everything with it and has no life of its own."""
    api: Api = app.state.api
    own = FastAPI(title="Cordon operations", version=VERSION, openapi_url=None, redirect_slashes=False)
    mount_operations(own)
    _dress(own, api, {}, None, {})
    return own


def _dress(
    app: FastAPI,
    api: Api,
    shortcuts: Mapping[str, Shortcut],
    find_shortcut: Callable[[str], Shortcut | None] | None,
    doors: Mapping[tuple[str, str], Door],
) -> None:
    """State and problems inside, the edge around everything, also around the framework's last resort for errors."""
    app.state.api = api
    app.state.checkup = Checkup(api)
    problems.install(app)
    build_stack = app.build_middleware_stack

    def with_edge() -> ASGIApp:
        return Edge(
            build_stack(),
            requests=api.measures.requests,
            callsigns=Callsigns(api.chosen.trusted_proxies),
            is_https=api.node.identity.public_url.startswith("https:"),
            shortcuts=shortcuts,
            find_shortcut=find_shortcut,
            doors=doors,
        )

    app.build_middleware_stack = with_edge  # type: ignore[method-assign]
