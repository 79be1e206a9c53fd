"""How a layer's sums become outputs row by row: a scale for each row, and the range that outputs are clipped to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import real_array, whole_number
from eie.contract.config import PRE_SHIFTS, SCALE_BITS
from eie.contract.fixed_point import ACTIVATION_MAX, ACTIVATION_MIN, finish_scaled
from eie.errors import LayerError

_SCALE_LIMIT = 1 << SCALE_BITS - 1


@dataclass(frozen=True, eq=False)
class Scaling:
    """A scale for each row of a layer, and the range of its outputs.

    Parameters
    ----------
    scale : array_like, shape (R,), int16
        Factor of each row's sum; with the layer's `shift`, a row's output is its sum times ``scale / 2**shift``.
    pre_shift : int
        Bits that sums lose before they are scaled: 0, 8, 16 or 24. What is left should fit 25 bits; it saturates.
    low, high : int
        Range of the outputs, int16 with ``low <= 0 <= high``: 0 and 7 for activations of three bits.

    Raises
    ------
    LayerError
        If a value does not fit the hardware.
    """

    scale: NDArray[np.int16]
    pre_shift: int = 0
    low: int = ACTIVATION_MIN
    high: int = ACTIVATION_MAX

    def __init__(
        self, scale: ArrayLike, pre_shift: int = 0, low: int = ACTIVATION_MIN, high: int = ACTIVATION_MAX
    ) -> None:
        values = real_array(scale, "scale", LayerError)
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise LayerError(f"scale is {values.dtype} of shape {values.shape}; it must be integers, one for each row")
        if len(values) and not (values.min() >= -_SCALE_LIMIT and values.max() < _SCALE_LIMIT):
            raise LayerError(
                f"scales from {values.min()} to {values.max()} do not fit int{SCALE_BITS}; lower the shift"
            )
        if pre_shift not in PRE_SHIFTS:
            raise LayerError(f"pre_shift {pre_shift} is not one of {', '.join(map(str, PRE_SHIFTS))}")
        low, high = whole_number(low, "low", LayerError), whole_number(high, "high", LayerError)
        if not ACTIVATION_MIN <= low <= 0 <= high <= ACTIVATION_MAX:
            raise LayerError(
                f"outputs cannot be clipped to {low}..{high}; 0 must lie within, and both ends within "
                f"{ACTIVATION_MIN}..{ACTIVATION_MAX}"
            )
        fixed = values.astype(np.int16)
        fixed.flags.writeable = False
        object.__setattr__(self, "scale", fixed)
        object.__setattr__(self, "pre_shift", int(pre_shift))
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def finish(self, sums: NDArray[np.int64], shift: int, relu: bool) -> NDArray[np.int16]:
        """Return the outputs of sums, shape (B, R), that have their biases."""
        return finish_scaled(sums, self.scale, self.pre_shift, shift, relu, self.low, self.high)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scaling):
            return NotImplemented
        mine, others = ((s.pre_shift, s.low, s.high) for s in (self, other))
        return mine == others and np.array_equal(self.scale, other.scale)

    def __hash__(self) -> int:
        return hash((len(self.scale), self.pre_shift, self.low, self.high))

    def reordered(self, order: NDArray[np.intp]) -> Scaling:
        """Return the scaling of a layer whose row i is row ``order[i]`` of this one."""
        return Scaling(self.scale[order], self.pre_shift, self.low, self.high)
