"""What the commands share: devices, reading inputs, progress, JSON."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.devices.choice import DEVICES
from eie.errors import EieError, PackError
from eie.network.model import Model
from eie.network.recurrent_model import RecurrentModel
from eie.text import printable, printable_lines

Commands = argparse._SubParsersAction  # argparse has no public name for what add_subparsers returns


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add --device, whose value `eie.devices.choice.device_by_name` takes."""
    parser.add_argument(
        "--device",
        type=device_name,
        metavar="NAME",
        default="emulated",
        help="emulated: numpy, bit-exact; rtl: the hardware description, simulated; or a board's overlay, a path that "
        "ends in .bit, whose array is what it is whatever the array options say (default: emulated)",
    )


def device_name(text: str) -> str:
    """Return the name of a device, or of an overlay, that `device_by_name` may take."""
    if text not in (*DEVICES, "auto") and not text.endswith(".bit"):
        raise argparse.ArgumentTypeError(
            f"there is no device {text!r}; there are {', '.join(DEVICES)}, and overlays: paths that end in .bit"
        )
    return text


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write JSON, and nothing else, to stdout")


def print_text(text: str) -> None:
    """Write text to stdout; nothing in it can steer a terminal."""
    print(printable_lines(text))


def print_json(value: Any) -> None:
    """Write a value to stdout as JSON."""
    print(json.dumps(value, indent=2, allow_nan=False, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return str(value)


def read_array(path: str | Path) -> NDArray[Any]:
    """Read the array of real numbers in a .npy file, or the only one in a .npz file; refuse anything else."""
    path = Path(path)
    if path.suffix.lower() not in (".npy", ".npz"):
        raise PackError(f"{path}: its ending is {path.suffix!r}; inputs are read from .npy and .npz")
    try:
        # Mapping the file compares its length with the header before memory is taken.
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(found, np.ndarray):
            array = found
        else:
            with found:
                if len(found.files) != 1:
                    raise PackError(f"{path}: holds arrays {', '.join(found.files) or 'none'}; exactly one is needed")
                array = found[found.files[0]]
    except EieError:
        raise
    except OSError as error:
        raise PackError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # a damaged file fails in zipfile, zlib, the header's parser or the allocation
        raise PackError(f"{path}: not a readable numpy file ({type(error).__name__}: {error})") from error
    if array.dtype.kind not in "fiub":
        raise PackError(f"{path}: holds {array.dtype}; inputs are real numbers")
    return array


def read_batch(path: str | Path, model: Model | RecurrentModel) -> tuple[NDArray[Any], bool]:
    """Read a model's inputs, C numbers each in whatever shape; return them as (B, C), and whether it was one, (C,)."""
    array = read_array(path)
    fits = array.shape == (model.columns,) or (array.ndim > 1 and math.prod(array.shape[1:]) == model.columns)
    if not fits or not len(array):
        raise PackError(f"{path}: shape {array.shape}; model {model.name!r} takes (at least 1, {model.columns})")
    return array.reshape(-1, model.columns), array.ndim == 1


def read_labels(path: str | Path, count: int, classes: int) -> NDArray[Any]:
    """Read the classes of `count` inputs: integers from 0 to ``classes - 1``, shape (count,)."""
    labels = read_array(path)
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise PackError(f"{path}: holds {labels.dtype} of shape {labels.shape}; labels are integers, ({count},)")
    if count and not 0 <= labels.min() <= labels.max() < classes:
        found = f"{labels.min()} to {labels.max()}"
        raise PackError(f"{path}: holds labels from {found}; the network has classes from 0 to {classes - 1}")
    return labels


class Progress:
    """One line on stderr that tells what is going on; silent unless stderr is a terminal."""

    _INTERVAL = 0.1

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._last = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._write("")

    def __call__(self, text: str) -> None:
        """Show a new stage."""
        self._write(text)

    def count(self, text: str, done: int, total: int) -> None:
        """Show how far a stage is, at most ten times a second."""
        now = time.monotonic()
        if now - self._last >= self._INTERVAL or done >= total:
            self._last = now
            self._write(f"{text}: {done:,} of {total:,} ({done / total:.0%})")

    def _write(self, text: str) -> None:
        if self._shown:
            print(f"\r\x1b[K{printable(text)}", end="", file=sys.stderr, flush=True)


def bytes_text(count: int) -> str:
    """Return a number of bytes with its thousands set off."""
    return f"{count:,} bytes"
