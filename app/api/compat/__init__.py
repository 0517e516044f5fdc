"""Drop-in answers: exchanges change the base URL of the API they call today, and nothing else (domain §2, docs/compat.md).

One file a system. They answer from statements of status `confirmed` alone, whoever asks, by the same labels, delays, limits and audit.
"""

from __future__ import annotations

from fastapi import APIRouter

from app.api.compat import chainalysis, hibp, trm, yente

ROUTERS: tuple[APIRouter, ...] = (chainalysis.router, trm.router, yente.router, hibp.router)
