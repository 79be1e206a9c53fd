"""Functions compiled by numba (extra "fast"), kept on disk where there is a place for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Return a function compiled by numba; compiled anew in every process where nothing can be kept on disk.

    Raises
    ------
    ImportError
        If numba is not installed.
    """
    import numba

    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # package and home are both read-only
        return numba.njit(**options)(function)  # type: ignore[no-any-return]


def cache_folder(function: Callable[..., Any]) -> str | None:
    """Return where a function of `compiled` is kept on disk, or None if it is not."""
    path = getattr(getattr(function, "_cache", None), "cache_path", None)
    return path if isinstance(path, str) else None
