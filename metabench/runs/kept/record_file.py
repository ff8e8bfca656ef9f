"""How a record lies on disk: gzipped JSON with the rows as columns; records of the first form are plain JSON."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metabench.errors import DataError
from metabench.evaluation.rows import list_columns

SUFFIX = ".json.gz"
PLAIN_SUFFIX = ".json"
"""Of records that were published in the first form; they stay as they are."""

FAILED_SUFFIX = ".failed.json"
"""Results folders also hold the reports of failed cells; they are no records."""

LARGEST = 64 << 20
"""Bytes of a record's JSON: a small file from elsewhere may unpack to any size."""

_GZIP = b"\x1f\x8b"
_WITH_HEADER = 31
"""What zlib calls a stream with the header and the checksum of gzip."""


def is_record_name(name: str) -> bool:
    """Whether a file of this name may be a record."""
    return name.endswith((SUFFIX, PLAIN_SUFFIX)) and not name.endswith(FAILED_SUFFIX)


def strip_suffix(path: Path) -> Path:
    """The path of a record, or of a failed cell's report, without what tells its form: `.../0`."""
    for suffix in (SUFFIX, FAILED_SUFFIX, PLAIN_SUFFIX):
        if path.name.endswith(suffix):
            return path.with_name(path.name.removesuffix(suffix))
    return path


def write_rows_as_columns(result: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON content of a result, with its rows as columns."""
    columns = {
        key: [{**part, "rows": list_columns(part["rows"])} for part in result[key]]
        for key in ("blocks", "collections")
    }
    return {**result, **columns}


def compress(content: Mapping[str, Any]) -> bytes:
    """JSON content as gzipped bytes: the same content gives the same bytes."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=9, mtime=0) as file:
        file.write(text.encode() + b"\n")
    return packed.getvalue()


def read_json(path: Path) -> bytes:
    """The JSON of a record file of either form.

    Raises:
        DataError: it cannot be read, is damaged, or larger than any record; names it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not data.startswith(_GZIP):
        return data
    unpacking = zlib.decompressobj(_WITH_HEADER)
    try:
        text = unpacking.decompress(data, LARGEST)
    except zlib.error as error:
        raise DataError(f"{path}: damaged: {error}; expected gzipped JSON") from error
    if not unpacking.eof:
        problem = "is larger than any record" if unpacking.unconsumed_tail else "is cut short"
        raise DataError(f"{path}: {problem}; expected gzipped JSON")
    if unpacking.unused_data:
        raise DataError(f"{path}: damaged: something follows its end; expected gzipped JSON")
    return text
