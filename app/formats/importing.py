"""The formats by the names that `cordon import` takes, and one reading of all files of an import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from app.domain.errors import BadRequest

from .actorpack import read_actorpack
from .files import source
from .interface import Importer, Options, Row, without_repeats
from .ofac import read_ofac
from .sdn import read_sdn
from .tabular import read_csv, read_list
from .tagpack import read_tagpack

FORMATS: Mapping[str, Importer] = {
    "ofac": read_ofac,
    "sdn": read_sdn,
    "tagpack": read_tagpack,
    "actorpack": read_actorpack,
    "list": read_list,
    "csv": read_csv,
}


def read_files(format_name: str, files: Iterable[tuple[str, bytes]], options: Options) -> Iterator[Row]:
    """Rows of all `files` (name, bytes as they came, gzip or not), each subject once.

    Raises, before the first row of a file, BadRequest for an unknown format and Malformed, Schema or TooLarge for a file that
    is not of the format. Sign nothing before the last row has come.
    """
    importer = FORMATS.get(format_name)
    if importer is None:
        raise BadRequest(f"no format `{format_name}`: one of {', '.join(FORMATS)}")
    seen: dict[object, Row] = {}
    for name, data in files:
        yield from without_repeats(importer(source(name, data), options), seen)
