"""The service that one would write first: FastAPI with a response model, the SQLAlchemy ORM on SQLite, a session a request.

It looks the key and the address up and gives the details of a hit. It has no labels, no quota, no access log, no request id and no
checksums of addresses. `NAIVE_DATABASE` names the file; `fill` makes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi import Path as InPath
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

DATABASE = "NAIVE_DATABASE"


class Base(DeclarativeBase):
    """The tables."""


class Key(Base):
    """A client's key."""

    __tablename__ = "keys"
    text: Mapped[str] = mapped_column(String, primary_key=True)


class Entry(Base):
    """One listing."""

    __tablename__ = "entries"
    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(String, index=True)
    issuer: Mapped[str]
    typology: Mapped[str]
    severity: Mapped[int]
    listed_at: Mapped[str]


class Details(BaseModel):
    """One listing in an answer."""

    model_config = ConfigDict(from_attributes=True)
    issuer: str
    typology: str
    severity: int
    listed_at: str


class Answer(BaseModel):
    """The answer."""

    address: str
    match: str
    statements: list[Details]


def fill(file: Path, key: str, addresses: Iterable[str]) -> None:
    """A database with one key and a listing for each address."""
    engine = create_engine(f"sqlite:///{file}")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Key(text=key))
        session.add_all(
            Entry(address=one, issuer="zz.bench", typology="fraud", severity=3, listed_at="2026-11-22T00:00:00Z") for one in addresses
        )
        session.commit()
    engine.dispose()


def session() -> Iterator[Session]:
    """A session for one request."""
    with Session(_engine()) as opened:
        yield opened


@lru_cache(1)
def _engine() -> Engine:
    return create_engine(f"sqlite:///{os.environ[DATABASE]}", connect_args={"check_same_thread": False})


Opened = Annotated[Session, Depends(session)]
Given = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


def known(opened: Opened, given: Given) -> Key:
    """The caller; 401 for a key that is not there."""
    key = opened.get(Key, given.credentials)
    if key is None:
        raise HTTPException(401)
    return key


app = FastAPI()


@app.get("/v1/screen/{address}")
def screen(address: Annotated[str, InPath(pattern="^0x[0-9a-f]{40}$")], opened: Opened, _key: Annotated[Key, Depends(known)]) -> Answer:
    """Look one address up."""
    found = opened.scalars(select(Entry).where(Entry.address == address)).all()
    statements = [Details.model_validate(entry) for entry in found]
    return Answer(address=address, match="listed" if found else "not_listed", statements=statements)
