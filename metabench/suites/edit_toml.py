"""Writing into a suite.toml: the digests of its datasets, its tasks' references, its next version.

Only the lines concerned change; everything else stays byte for byte, and the result is read back before it replaces
the file.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from metabench.errors import DataError, first_problem
from metabench.suites import Suite
from metabench.suites.folders import archived_path
from metabench.suites.schema import SuiteEntry

_TABLE = re.compile(r"^[ \t]*\[")
_DIGEST = re.compile(r"^[ \t]*digest[ \t]*=")
_REFERENCE = re.compile(r"^[ \t]*(reference|success)[ \t]*=")
_HEADLINE = re.compile(r"^[ \t]*headline[ \t]*=")
_VERSION = re.compile(r"^version[ \t]*=[ \t]*[0-9]+[ \t]*(#.*)?\r?$")
_ID = re.compile(r"^[ \t]*id[ \t]*=[ \t]*(\d+)[ \t]*(#.*)?\r?$")


def write_digests(path: Path, digests: Mapping[str, str]) -> None:
    """Set `digest` in the table `[datasets.NAME]` of each name; raises `DataError` where there is no such table."""
    lines = _read(path).split("\n")
    expected = _parse("\n".join(lines))
    for name, digest in digests.items():
        start, stop = _find_table(lines, f"[datasets.{name}]", path)
        line = f'digest = "{digest}"'
        present = [i for i in range(start, stop) if _DIGEST.match(lines[i])]
        if present:
            lines[present[0]] = line
        else:
            end = max(i for i in range(start - 1, stop) if lines[i].strip())
            lines.insert(end + 1, line)
        expected["datasets"][name]["digest"] = digest
    _replace(path, "\n".join(lines), expected)


def write_references(
    path: Path,
    references: Mapping[int, Mapping[str, Mapping[str, float]]],
    rule: Literal["last", "any"] | None = None,
) -> None:
    """Set values of `reference` and `success` in the `[[task]]` of each id; those that are not given stay.

    A line `success` is put after `reference` where a task has none.

    Args:
        path: a suite.toml.
        references: as `measure_references` returns them.
        rule: of success, by which they were measured; None leaves the suite's own.

    Raises:
        DataError: a task has no line `reference`, or the suite would not be valid with these values; it stays as it is.
    """
    expected = _parse(_read(path))
    missing = {task: dict(kinds) for task, kinds in references.items()}
    written: list[str] = []
    task = -1

    def set_values(kind: str) -> str:
        """The line of `kind` for `task`, with the values that are given."""
        table = expected["task"][task]
        table[kind] = {**table.get(kind, {}), **missing[task].pop(kind)}
        values = ", ".join(f"{name} = {value!r}" for name, value in table[kind].items())
        return f"{kind} = {{ {values} }}"

    lines = _read(path).split("\n")
    if rule is not None:
        _set_rule(lines, rule, path)
        expected["success"] = rule
    for line in lines:
        if _TABLE.match(line):
            task = -1
        elif found := _ID.match(line):
            task = int(found.group(1))
        given, kind = missing.get(task, {}), _REFERENCE.match(line)
        written.append(set_values(kind[1]) if kind and kind[1] in given else line)
        lacks = "success" in given and "success" not in expected["task"][task]
        if lacks and kind and kind[1] == "reference":
            written.append(set_values("success"))
    for task, left in missing.items():
        if left:
            raise DataError(
                f"{path}: task {task}: expected a line `{next(iter(left))} = {{ ... }}` after its id"
            )
    try:
        SuiteEntry.model_validate(expected)
    except ValidationError as error:
        raise DataError(
            f"{path}: unchanged; with these references it would be invalid: {first_problem(error)}"
        ) from error
    _replace(path, "\n".join(written), expected)


def archive_suite_version(suite: Suite) -> Path:
    """Keep the suite.toml of `suite` as an archived version, and raise the version in suite.toml by one.

    Returns:
        The archived file.

    Raises:
        DataError: `suite` is an archived version, another content is archived as this version, or a file cannot be
            written.
    """
    if suite.archived:
        raise DataError(f"{suite.identity} is archived already")
    path, version = suite.folder / "suite.toml", suite.entry.version
    text = _read(path)
    lines = text.split("\n")
    first_table = next((i for i, line in enumerate(lines) if _TABLE.match(line)), len(lines))
    places = [i for i, line in enumerate(lines[:first_table]) if _VERSION.match(line)]
    if len(places) != 1:
        raise DataError(f"{path}: expected one line `version = {version}` before the first table")
    kept = archived_path(suite.folder, version)
    if kept.exists() and kept.read_bytes() != path.read_bytes():
        raise DataError(f"{kept}: exists already, with different content")
    lines[places[0]] = f"version = {version + 1}"
    try:
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(text.encode("utf-8"))
        _replace(path, "\n".join(lines), {**_parse(text), "version": version + 1})
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be written: {error.strerror}") from error
    return kept


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def _parse(text: str) -> dict[str, Any]:
    return tomllib.loads(text.removeprefix("\ufeff"))  # the mark that some editors put first


def _set_rule(lines: list[str], rule: str, path: Path) -> None:
    """Set the suite's own `success` among `lines`, after its `headline`."""
    stop = next((i for i, line in enumerate(lines) if _TABLE.match(line)), len(lines))
    kept = [
        line
        for line in lines[:stop]
        if (found := _REFERENCE.match(line)) is None or found[1] != "success"
    ]
    head = next((i for i, line in enumerate(kept) if _HEADLINE.match(line)), None)
    if head is None:
        raise DataError(f'{path}: expected a line `headline = "success"` before the first table')
    lines[:stop] = [*kept[: head + 1], f'success = "{rule}"', *kept[head + 1 :]]


def _find_table(lines: list[str], header: str, path: Path) -> tuple[int, int]:
    """Lines after `header` and before the next table."""
    headers = [line.split("#")[0].strip() for line in lines]
    if header not in headers:
        raise DataError(f"{path}: expected a line {header}")
    start = headers.index(header) + 1
    return start, next((i for i in range(start, len(lines)) if _TABLE.match(lines[i])), len(lines))


def _replace(path: Path, text: str, expected: Mapping[str, Any]) -> None:
    """Replace the file if `text` says exactly what is `expected` of it."""
    if _parse(text) != expected:
        raise DataError(f"{path}: cannot be edited line by line; edit it by hand")
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(text.encode("utf-8"))
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
