"""The file of an exploration's results, CSV or Parquet, and a journal beside it for every point as it is finished.

A row is a point. The file is written whole, under its name only when complete; a run that is killed leaves the journal,
which the next run reads. Points of earlier explorations in the file stay there.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from eie.atomic import replacing, require_output
from eie.contract.config import ArrayConfig
from eie.errors import EieError, MissingExtraError

Row = dict[str, Any]

ENDINGS = (".csv", ".parquet")

_IDENTITY: dict[str, type] = {"key": str, "version": str, "model": str, "workload": str, "inferences": int}
_ARRAY: dict[str, type] = {p.name: bool if p.type == "bool" else int for p in fields(ArrayConfig)}
_MEASURED: dict[str, type] = {
    **dict.fromkeys(("cycles", "stream_words"), int),
    "resident": bool,
    **dict.fromkeys(("broadcasts", "useful", "padding", "starved", "blocked"), int),
    **dict.fromkeys(("utilisation", "load_balance"), float),
}
_ESTIMATED: dict[str, type] = {
    "luts": int,
    "slicem_luts": int,
    "flip_flops": int,
    "ramb36": float,
    "dsps": int,
    "ultra_rams": int,
    "fits": str,
}
COLUMNS: dict[str, type] = {**_IDENTITY, **_ARRAY, **_MEASURED, **_ESTIMATED}
"""Columns and their types; docs/explore.md says what each means."""


def key_of(workload: str, config: ArrayConfig, version: str) -> str:
    """Return what a point is known by: the hash of model and activations, the array, and the version of the code."""
    text = json.dumps([workload, config.to_dict(), version], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Results:
    """The points of a results file; a context that holds it while points are added, and writes it at the end.

    Parameters
    ----------
    path : path, optional
        ``.csv`` or ``.parquet``; without one, points are kept in memory only.

    Raises
    ------
    EieError
        If the file is none of those, not of this version's columns, or in use by another exploration.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path is not None else None
        self._rows: dict[str, Row] = {}
        self._first: list[str] = []
        self._file: IO[str] | None = None
        if self.path:
            if self.path.suffix not in ENDINGS:
                raise EieError(f"{path}: results are written as {' or '.join(ENDINGS)}; name the file so")
            if self.path.suffix == ".parquet":
                _pyarrow()
            require_output(self.path)

    def __enter__(self) -> Results:
        if self.path:
            self._file = _open_journal(self._journal)
            left = _read_journal(self._journal)
            try:
                found = read_results(self.path) if self.path.exists() else []
            except EieError:
                self._file.close()
                if not left:
                    self._journal.unlink()
                raise
            self._rows = {row["key"]: row for row in [*found, *left]}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.path and self._file:
            try:
                if self._rows:
                    write_results(self.path, self.rows)
                self._journal.unlink(missing_ok=True)
            finally:
                self._file.close()

    @property
    def _journal(self) -> Path:
        assert self.path is not None
        return self.path.with_name(self.path.name + ".journal")

    @property
    def rows(self) -> list[Row]:
        """All points: those of other explorations as they were found, then those asked for, in that order."""
        asked = set(self._first)
        others = [row for key, row in self._rows.items() if key not in asked]
        return others + [self._rows[key] for key in self._first if key in self._rows]

    def ask(self, keys: Iterable[str]) -> list[str]:
        """Say which points are asked for, and return those that are not there yet."""
        self._first = list(keys)
        return [key for key in self._first if key not in self._rows]

    def get(self, key: str) -> Row | None:
        """Return a point, if it is there."""
        return self._rows.get(key)

    def add(self, rows: Iterable[Row]) -> None:
        """Add points; when this returns they survive the end of the process and of the machine."""
        rows = list(rows)
        if self._file and rows:
            self._file.write("".join(json.dumps(row) + "\n" for row in rows))
            self._file.flush()
            os.fsync(self._file.fileno())
        self._rows |= {row["key"]: row for row in rows}

    def revise(self, key: str, **values: Any) -> None:
        """Change columns of a point that follow from others, and so need no journal."""
        self._rows[key] |= values


def read_results(path: str | Path) -> list[Row]:
    """Return the rows of a results file.

    Raises
    ------
    EieError
        If it cannot be read or has other columns than `COLUMNS`.
    """
    path = Path(path)
    try:
        names, rows = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except OSError as error:
        raise EieError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise EieError(f"{path}: not a results file ({error}); move it away, or name another") from error
    if names != list(COLUMNS):
        different = ", ".join(sorted(set(names) ^ set(COLUMNS))) or "their order"
        raise EieError(
            f"{path}: its columns are not those of this version ({different}); move it, or name another file"
        )
    return rows


def write_results(path: str | Path, rows: list[Row]) -> None:
    """Write a results file, whole or not at all."""
    path = Path(path)
    with replacing(path) as partial:
        if path.suffix == ".parquet":
            pa, parquet = _pyarrow()
            types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
            schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
            parquet.write_table(pa.Table.from_pylist(rows, schema=schema), partial)
        else:
            with partial.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(COLUMNS), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


def _read_csv(path: Path) -> tuple[list[str], list[Row]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, strict=True)
        names = list(reader.fieldnames or [])
        if names != list(COLUMNS):
            return names, []
        try:
            return names, [{name: _parse(kind, row[name]) for name, kind in COLUMNS.items()} for row in reader]
        except (csv.Error, AttributeError, TypeError) as error:
            raise ValueError(str(error)) from error


def _parse(kind: type, text: str) -> Any:
    if kind is bool:
        if text not in ("True", "False"):
            raise ValueError(f"{text!r} is neither True nor False")
        return text == "True"
    return kind(text)


def _read_parquet(path: Path) -> tuple[list[str], list[Row]]:
    _, parquet = _pyarrow()
    # Its errors are OSErrors and ValueErrors.
    table = parquet.read_table(path)
    return table.column_names, table.to_pylist()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("Parquet needs pyarrow: pip install 'eie-pynq[explore]', or name a .csv") from error
    return pyarrow, pyarrow.parquet


def _open_journal(path: Path) -> IO[str]:
    """Open a journal for this process alone. A last line that a crash cut short is closed, and so not read."""
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise EieError(f"{path}: cannot be written ({error.strerror or error})") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise EieError(f"{path}: another exploration is writing it; wait for it, or name another file") from error
    file.seek(0)
    if not file.read().endswith("\n"):
        file.write("\n")
    return file


def _read_journal(path: Path) -> list[Row]:
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # cut short: its points are computed again
        if isinstance(row, dict) and list(row) == list(COLUMNS):
            rows.append(row)
    return rows
