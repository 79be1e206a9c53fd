"""One layer: its weights chosen by magnitude, its fixed point, its error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.compression.allocation import Density, is_number
from eie.compression.codebooks import codes_of_terms, holds, share_among
from eie.compression.compensation import Compensated
from eie.compression.pruning import keep_count
from eie.compression.report import sqnr_db
from eie.compression.scaling import BIAS_MAX, ROW_SHIFT, choose_scales, finest_inputs, row_scaling
from eie.contract.config import SHIFT_LIMIT
from eie.errors import NetworkError
from eie.network.dense import Dense
from eie.network.model import Layer
from eie.network.term import Term


def fixed_point(
    chosen: Compensated,
    relu: bool,
    input_fraction_bits: int,
    output_peak: float,
    name: str,
    bits_together: int | None = None,
    may_be_coarser: bool = False,
) -> Layer:
    """Return the layer whose weights, shared values and biases were chosen, in fixed point.

    One of several with the same codebooks has as many terms as the others, and `bits_together` at most for weights.
    Inputs that `may_be_coarser` have fewer bits where these would leave the weights none.
    """
    rows, columns = np.nonzero(chosen.codes)
    codes, units = chosen.codes[rows, columns], chosen.units
    bias = chosen.shared_bias if units is None else (chosen.shared_bias / units).astype(np.float32)
    largest_shift = SHIFT_LIMIT if units is None else ROW_SHIFT
    row_indices = rows.astype(np.int32)
    if may_be_coarser:
        finest = finest_inputs(chosen.codebooks, bias, output_peak, largest_shift)
        input_fraction_bits = min(input_fraction_bits, finest)
    scales = choose_scales(
        chosen.codebooks, codes, row_indices, bias, input_fraction_bits, output_peak, name, largest_shift,
        bits_together,
    )  # fmt: skip
    scaling, shift = (None, scales.shift) if units is None else row_scaling(units, scales.shift)
    rounding = 0 if scaling is None else 1 << scaling.pre_shift >> 1
    stored = [scales.codebook(codebook) for codebook in chosen.codebooks]
    parts = codes_of_terms(chosen.codes, len(stored))
    has_second = len(parts) > 1 and (bits_together is not None or bool(parts[1].any()))
    return Layer.from_dense_codes(
        parts[0],
        stored[0],
        np.minimum(scales.bias(bias) + rounding, BIAS_MAX),
        shift,
        relu,
        input_fraction_bits=scales.input_fraction_bits,
        output_fraction_bits=scales.output_fraction_bits,
        weight_fraction_bits=scales.weight_fraction_bits,
        name=name,
        scaling=scaling,
        second=Term.from_dense_codes(parts[1], stored[1]) if has_second else None,
    )


def is_exact(weight: NDArray[np.float32], count: int | None, terms: int = 1) -> bool:
    """Tell whether a layer loses nothing: all its weights stay, and so many codebooks hold their values."""
    kept = weight[weight != 0]
    return (count is None or count >= len(kept)) and holds(kept, terms)


def distinct_weights(weight: NDArray[np.float32]) -> int:
    """Return how many values the weights have, 0 not counted."""
    return len(np.unique(weight[weight != 0]))


def by_magnitude(
    dense: Dense,
    count: int | None,
    sharing: str,
    tell: Callable[[str], None],
    terms: int = 1,
    factors: NDArray[np.float32] | None = None,
) -> Compensated:
    """Keep the largest weights as they are, and share values among them.

    Where `factors` are given, shape (C,), weights of each column are so many times as large as those of the network,
    whose sizes are compared.
    """
    weight = dense.weight if factors is None else dense.weight / factors
    mask = weight != 0 if count is None else keep_count([weight], count)[0]
    tell("share")
    codes = np.zeros(mask.shape, np.uint8)
    codebooks, codes[mask] = share_among(dense.weight[mask], sharing, terms)
    bias = np.zeros(len(mask), np.float32) if dense.bias is None else dense.bias
    return Compensated(dense.weight, bias, mask, codes, codebooks, bias)


def weight_sqnr(chosen: Compensated, layer: Layer) -> float | None:
    """Absent weights are exact, so only the stored ones count."""
    values = chosen.weight[chosen.mask]
    return sqnr_db(values, layer.dense_weights()[chosen.mask])


def plain_density(density: Density) -> Any:
    """Return a density without numpy's types, for JSON."""
    if isinstance(density, Mapping):
        return {name: plain_density(share) for name, share in density.items()}
    if density is None:
        return None
    if isinstance(density, (Sequence, np.ndarray)) and not isinstance(density, str):
        return [plain_density(share) for share in density]
    if not is_number(density):
        raise NetworkError(f"density holds {density!r}; it must be numbers above 0 and at most 1")
    return float(density)
