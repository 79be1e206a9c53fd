"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eie.errors import EieError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name beside `path`, of the same ending; rename the file there to `path` at the end.

    Raises
    ------
    EieError
        If the file cannot be written; nothing is left behind then, and an older file stays as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{uuid.uuid4().hex}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise EieError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)


def require_folder(path: str | os.PathLike[str]) -> None:
    """Raise `EieError` if the folder of a file to be written is not there; before long work, rather than after it."""
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise EieError(f"{path}: there is no folder {folder}; create it first")


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Return a folder, created with its parents if it is not there yet, or raise `EieError`."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EieError(f"{path}: no such folder, and it cannot be created ({error.strerror or error})") from error
    return path
