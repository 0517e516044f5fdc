"""What one would write first: FastAPI, pydantic models in and out, one row of SQLAlchemy's ORM an address, SQLite. No quota, no audit."""

from __future__ import annotations

import os
from collections.abc import Iterator

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = create_engine(f"sqlite:///{os.environ['BENCH_NAIVE']}", connect_args={"check_same_thread": False})
app = FastAPI()


class Base(DeclarativeBase):
    """The tables."""


class Entry(Base):
    """A listed address."""

    __tablename__ = "entry"
    address: Mapped[str] = mapped_column(String, primary_key=True)
    severity: Mapped[int]


class Asked(BaseModel):
    """A list of addresses."""

    items: list[str]


class Answer(BaseModel):
    """What is said of one."""

    address: str
    listed: bool
    severity: int | None = None


def session() -> Iterator[Session]:
    """One session a request."""
    with Session(engine) as opened:
        yield opened


@app.post("/bulk")
def bulk(asked: Asked, db: Session = Depends(session)) -> list[Answer]:  # noqa: B008, FAST002
    """One answer an address, 900 to a query."""
    found: list[Answer] = []
    for start in range(0, len(asked.items), 900):
        texts = asked.items[start : start + 900]
        entries = {one.address: one for one in db.scalars(select(Entry).where(Entry.address.in_(texts)))}
        found += [Answer(address=t, listed=t in entries, severity=entries[t].severity if t in entries else None) for t in texts]
    return found


@app.get("/one/{address}")
def one(address: str, db: Session = Depends(session)) -> Answer:  # noqa: B008, FAST002
    """One of them."""
    entry = db.get(Entry, address)
    return Answer(address=address, listed=entry is not None, severity=entry.severity if entry else None)


def make(addresses: list[str]) -> None:
    """Fill the table."""
    Base.metadata.create_all(engine)
    with Session(engine) as opened:
        opened.execute(Entry.__table__.insert(), [{"address": text, "severity": 3} for text in addresses])
        opened.commit()
