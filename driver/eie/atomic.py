"""Files that appear under their name only when they are complete, and never in the place of anything but a file."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eie.errors import EieError

Name = str | os.PathLike[str]


@contextmanager
def replacing(path: Name) -> Iterator[Path]:
    """Yield a temporary name beside `path`, of the same ending; rename the file there to `path` at the end.

    A symbolic link is followed and stays; a file that is replaced keeps its mode.

    Raises
    ------
    EieError
        If the file cannot be written, or if `path` is anything else than a regular file; nothing is left behind then,
        and an older file stays as it was.
    """
    target = _target(path)
    partial = target.with_name(f".{uuid.uuid4().hex}.partial{target.suffix}")
    try:
        try:
            yield partial
            with open(partial, "r+b") as file:
                os.fsync(file.fileno())
            if target.exists():
                partial.chmod(stat.S_IMODE(target.stat().st_mode))
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise EieError(f"{path}: cannot be written ({error.strerror or error})") from error


def require_output(path: Name, *inputs: Name | None, endings: tuple[str, ...] = ()) -> None:
    """Raise `EieError` if a file must not or cannot be written; before long work, rather than after it.

    Parameters
    ----------
    path : path
    *inputs : path or None
        Files that are read and so must stay.
    endings : tuple of str
        Endings that `path` may have; default: any.
    """
    if endings and Path(path).suffix not in endings:
        raise EieError(f"{path}: its ending is {Path(path).suffix!r}; it is written as {' or '.join(endings)}")
    target = _target(path)
    if not target.parent.is_dir():
        raise EieError(f"{path}: there is no folder {target.parent}; create it first")
    if target.exists() and not os.access(target, os.W_OK):
        raise EieError(f"{path}: is there already and may not be written; name another file, or change its mode")
    for given in inputs:
        if given is not None and _same(target, Path(given)):
            raise EieError(f"{path}: is also the input {given}, which would be lost; name another file")


def make_folder(path: Name) -> Path:
    """Return a folder, created with its parents if it is not there yet, or raise `EieError`."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EieError(f"{path}: no such folder, and it cannot be created ({reason})") from error
    return path


def _target(path: Name) -> Path:
    """Return the file itself, every symbolic link followed, or refuse what is no regular file."""
    try:
        target = Path(os.path.realpath(path))
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    except OSError as error:
        raise EieError(f"{path}: cannot be written ({error.strerror or error})") from error
    except ValueError as error:  # no path at all: a zero byte, or a lone surrogate
        raise EieError(f"{path}: cannot be written ({error})") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a device or the like"
        raise EieError(f"{path}: is {kind}, not a regular file; name a file")
    return target


def _same(target: Path, other: Path) -> bool:
    try:
        return os.path.samefile(target, other)
    except (OSError, ValueError):  # one of them is not there
        return False
