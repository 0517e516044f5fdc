"""`python -m app.api.openapi [FILE]` writes `openapi.json`; a test compares the kept file with the code."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from app.api.description import document


def text() -> bytes:
    """The document as it is kept: indented, so that a difference is read line by line."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_bytes(text())
    else:
        sys.stdout.buffer.write(text())
