"""The package's version, and hashes that tell one state of its sources from another."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

__version__ = "0.1.0"


def source_hash(folder: Path, suffixes: Sequence[str] = (".py",)) -> str:
    """Return a hash of the files with these suffixes in a folder and all below, and of their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in suffixes):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@cache
def code_version() -> str:
    """Return the package's version with a hash of its modules, lest results of other code are taken for this one's."""
    return f"{__version__}+{source_hash(Path(__file__).parent)[:8]}"
