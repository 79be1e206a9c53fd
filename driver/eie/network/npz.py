"""Arrays in .npy and .npz files: names, shapes and types first, so that no memory is taken for what is refused."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eie.errors import EieError

_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_SUFFIX = ".npy"
_LONGEST_HEADER = 1 << 17


class Header(NamedTuple):
    """What an array in a file is, before it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def elements(self) -> int:
        """Product of the shape."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@contextmanager
def readable(path: Path, kind: str, error: type[EieError]) -> Iterator[None]:
    """Turn whatever a damaged or hostile file can cause into one error of the package that names the file."""
    try:
        yield
    except EieError:
        raise
    except FileNotFoundError as failure:
        raise error(f"{path}: cannot be read ({failure.strerror})") from failure
    except MemoryError as failure:
        raise error(f"{path}: there is not enough memory for what it holds") from failure
    except Exception as failure:  # in zipfile, zlib, the header's parser, protobuf or the allocation
        raise error(f"{path}: not a readable {kind} file ({type(failure).__name__}: {failure})") from failure


def npz_headers(path: Path) -> dict[str, Header]:
    """Return the arrays of a .npz file by name, in the file's order, reading none; may raise anything."""
    with zipfile.ZipFile(path) as archive:
        headers = {}
        for member in archive.infolist():
            name = member.filename[: -len(_SUFFIX)]
            if not member.filename.endswith(_SUFFIX) or name in headers:
                raise ValueError(f"it holds {member.filename!r}, which is no array or is there twice")
            with archive.open(member) as file:
                headers[name] = header = _header(file)
            if not 0 <= member.file_size - header.elements * header.dtype.itemsize < _LONGEST_HEADER:
                raise ValueError(f"{member.filename} has {member.file_size} bytes for {header}")
        return headers


def npy_header(path: Path) -> Header:
    """Return what the array of a .npy file is; may raise anything."""
    with open(path, "rb") as file:
        header = _header(file)
        if os.fstat(file.fileno()).st_size != file.tell() + header.elements * header.dtype.itemsize:
            raise ValueError(f"its size does not fit {header}")
        return header


def read_npz(path: Path, name: str) -> NDArray[Any]:
    """Return one array of a .npz file; may raise anything."""
    with np.load(path, allow_pickle=False) as archive:
        return np.asarray(archive[name])


def _header(file: IO[bytes]) -> Header:
    version = npy.read_magic(file)
    if version not in _READERS:
        raise ValueError(f"version {version} of the .npy format has no numbers")
    shape, _, dtype = _READERS[version](file)
    return Header(shape, dtype)
