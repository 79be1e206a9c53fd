"""How a network is compressed, apart from how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eie.compression.allocation import ALLOCATIONS, Density, is_number
from eie.compression.compensation import EFFORTS
from eie.compression.terms import Terms, plain_terms
from eie.errors import NetworkError

METHODS = ("compensated", "magnitude")

WHOLE = "whole"
"""A refit of all linear maps together, see `eie.compression.whole`."""

DEFAULT_DENSITY = 0.09


@dataclass(frozen=True)
class Recipe:
    """See `eie.compress`."""

    method: str
    allocation: str
    effort: str
    sharing: str
    terms: Any
    headroom: float
    row_scales: bool | None = None
    refit: bool | str = False
    shared_gates: bool = False

    @classmethod
    def of(
        cls,
        density: Density,
        calibrated: bool,
        method: str | None,
        allocation: str | None,
        effort: str,
        sharing: str,
        terms: Terms,
        headroom: float,
        row_scales: bool | None = None,
        refit: bool | str | None = None,
        shared_gates: bool = False,
    ) -> Recipe:
        """Check what a caller asks for, and fill in the defaults."""
        if not is_number(headroom) or not 1 <= headroom < np.inf:
            raise NetworkError(f"headroom is {headroom!r}; it must be at least 1 and finite")
        method = method or ("compensated" if calibrated else "magnitude")
        if allocation is None:
            allocation = "loss" if method == "compensated" and is_number(density) else "uniform"
        for what, value, known in (
            ("method", method, METHODS),
            ("allocation", allocation, ALLOCATIONS),
            ("effort", effort, EFFORTS),
        ):
            if value not in known:
                raise NetworkError(f"{what} {value!r} is not known; {', '.join(map(repr, known))} are")
        if method == "compensated" and not calibrated:
            raise NetworkError('method="compensated" needs calibration inputs: what is pruned is made up for on them')
        if allocation == "loss" and (method != "compensated" or not is_number(density)):
            raise NetworkError('allocation="loss" takes one density for the network, and method="compensated"')
        if terms == "loss" and method != "compensated":
            raise NetworkError('terms="loss" needs method="compensated", and calibration inputs to measure the loss on')
        if row_scales is not None and not isinstance(row_scales, bool):
            raise NetworkError(f"row_scales is {row_scales!r}; it must be True, False or None")
        if row_scales and method != "compensated":
            raise NetworkError('row_scales=True needs method="compensated", and calibration inputs to choose scales on')
        if refit not in (None, WHOLE) and not isinstance(refit, bool):
            raise NetworkError(f"refit is {refit!r}; it must be True, False, {WHOLE!r} or None")
        if refit and method != "compensated":
            raise NetworkError(f'refit={refit!r} needs method="compensated", and calibration sequences to fit to')
        refit = method == "compensated" if refit is None else refit
        if not isinstance(shared_gates, bool):
            raise NetworkError(f"shared_gates is {shared_gates!r}; it must be True or False")
        numbers = plain_terms(terms), float(headroom)
        return cls(method, allocation, effort, sharing, *numbers, row_scales, refit, shared_gates)
