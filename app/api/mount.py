"""Every route of the HTTP floor, in one flat table: nested routers cost time and tell no more."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from app.api import compat, health, keys, log, policies, receipts, registry, screening, statements, subjects, views, watching
from app.api import federation as fed

ROUTERS: tuple[APIRouter, ...] = (
    watching.router,
    screening.router,
    views.router,
    receipts.router,
    statements.router,
    subjects.router,
    log.router,
    registry.router,
    keys.router,
    policies.router,
    *compat.ROUTERS,
)


def mount(app: FastAPI, *, operations: bool = True, federation: bool = True) -> None:
    """Put the routes in; `operations`: health and metrics, too; `federation`: what peers ask for, too."""
    for router in (*ROUTERS, *([fed.router] if federation else []), *([health.router] if operations else [])):
        app.router.routes.extend(router.routes)


def mount_operations(app: FastAPI) -> None:
    """Health and metrics alone, for a port of their own."""
    app.router.routes.extend(health.router.routes)
