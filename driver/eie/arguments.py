"""What public functions are given, checked at the door: arrays of real numbers, whole numbers, objects of a kind."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.errors import EieError

_REAL = "fiub"
"""Kinds of dtype that hold real numbers."""


def real_array(value: Any, what: str, error: type[EieError]) -> NDArray[Any]:
    """Return what is given as an array of real numbers, of its own dtype, or raise `error`.

    Taken are arrays and nested sequences, tensors of torch (bfloat16 becomes float32), and sparse matrices of scipy.
    Text, complex numbers, objects, masked values and sequences of unequal length are refused: numpy would convert some
    in silence.
    """
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = (value.float() if value.dtype.is_floating_point and value.dtype.itemsize < 4 else value).numpy()
        elif hasattr(value, "toarray"):
            value = value.toarray()
        array = np.asarray(value)
    except Exception as failure:  # of whatever library the value comes from
        raise error(f"{what} is no array of numbers: {failure}") from failure
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise error(f"{what} has masked values; fill them first, say by its filled(0)")
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind not in _REAL:
        raise error(f"{what} holds {array.dtype}; it must hold real numbers")
    return array


def whole_number(value: Any, what: str, error: type[EieError]) -> int:
    """Return an integer, numpy's included, as int, or raise `error`."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise error(f"{what} is {value!r}, a {type(value).__name__}; it must be an integer") from None


def require_type(value: Any, kinds: type | tuple[type, ...], what: str, wanted: str, error: type[EieError]) -> None:
    """Raise `error` unless `value` is an instance of `kinds`, which the message calls `wanted`."""
    if not isinstance(value, kinds):
        raise error(f"{what} is a {type(value).__name__}; it must be {wanted}")
