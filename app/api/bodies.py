"""Reading what callers send: strict JSON before pydantic, one content type a route, bounded everywhere (trust-and-ops S-08, S-09).

The edge has bounded the bytes already; here they become values or a `Refused` that says what is wrong.
"""

from __future__ import annotations

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from app.api.problems import from_pydantic
from app.domain.canonical import JsonValue, read_json
from app.domain.errors import Malformed, UnsupportedMediaType

JSON_DEPTH = 16
JSON_TOKENS = 10_000
JSON_TOKENS_BULK = 200_000

M = TypeVar("M", bound=BaseModel)


def media_type(request: Request) -> str:
    """The media type without parameters, lower case; a charset other than UTF-8 is refused."""
    return kind_of(request.headers.get("content-type", ""))


def kind_of(value: str) -> str:
    """The same of a Content-Type field."""
    kind, _, parameters = value.partition(";")
    if "charset" in parameters.lower() and parameters.partition("=")[2].strip().strip('"').lower() not in ("utf-8", "us-ascii"):
        raise UnsupportedMediaType("only UTF-8 is read here: leave the charset out")
    return kind.strip().lower()


def read_body(request: Request, body: bytes, *, bulk: bool = False) -> JsonValue:
    """The value of a JSON body: by our own reader, without control characters in strings."""
    if media_type(request) != "application/json":
        raise UnsupportedMediaType("send `Content-Type: application/json`")
    return read_json(body, max_depth=JSON_DEPTH, max_tokens=JSON_TOKENS_BULK if bulk else JSON_TOKENS, controls=False)


def as_model(value: JsonValue, model: type[M]) -> M:
    """The value as `model`, in pydantic's strict mode; Schema with a pointer to each fault."""
    try:
        return model.model_validate(value, strict=True)
    except ValidationError as error:
        raise from_pydantic(error, "body") from error


def read_ascii(body: bytes) -> str:
    """The body as ASCII text; statements are nothing else."""
    try:
        return body.decode("ascii")
    except UnicodeDecodeError as error:
        raise Malformed("a statement is ASCII: base64url, dots and tildes") from error
