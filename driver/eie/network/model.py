"""Networks before and after compression: `Dense`, `Layer` and `Model`, and the arithmetic contract they obey."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.contract.config import ACCUMULATOR_BITS, BIAS_BITS, CODEBOOK_SIZE, SHIFT_LIMIT
from eie.contract.fixed_point import ACTIVATION_MIN
from eie.errors import LayerError

_ACCUMULATOR_LIMIT = 1 << (ACCUMULATOR_BITS - 1)


@dataclass(frozen=True)
class Dense:
    """A fully connected layer of float weights, before compression: ``activation(weight @ x + bias)``.

    Parameters
    ----------
    weight : array_like, shape (R, C), float
    bias : array_like, shape (R,), float, optional
    activation : {"relu", None}
    name : str, optional
        Shown in reports.

    Raises
    ------
    LayerError
        If shapes disagree, a value is not finite, or the activation is not one of the two.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    activation: str | None = None
    name: str = ""

    def __init__(
        self, weight: ArrayLike, bias: ArrayLike | None = None, activation: str | None = None, name: str = ""
    ) -> None:
        weight = np.asarray(weight, dtype=np.float32)
        label = f"layer {name!r}" if name else "layer"
        if weight.ndim != 2 or 0 in weight.shape:
            raise LayerError(f"{label}: weight has shape {weight.shape}; it must be (rows, columns), neither 0")
        if not np.isfinite(weight).all():
            raise LayerError(f"{label}: weight holds NaN or infinity")
        if bias is not None:
            bias = np.asarray(bias, dtype=np.float32)
            if bias.shape != weight.shape[:1]:
                raise LayerError(
                    f"{label}: bias has shape {bias.shape}; {weight.shape[0]} rows need ({weight.shape[0]},)"
                )
            if not np.isfinite(bias).all():
                raise LayerError(f"{label}: bias holds NaN or infinity")
        if activation not in ("relu", None):
            raise LayerError(f'{label}: activation {activation!r} is not supported; "relu" and None are')
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)
        object.__setattr__(self, "activation", activation)
        object.__setattr__(self, "name", name)


@dataclass(frozen=True, eq=False)
class Layer:
    """A compressed layer: non-zero 4-bit codes by column, a codebook, and fixed-point scales.

    Parameters
    ----------
    rows, columns : int
        R outputs, C inputs.
    column_starts : ndarray, shape (C + 1,), intp
        Column j's non-zeros are elements column_starts[j] to column_starts[j + 1] - 1 of the next two.
    row_indices : ndarray, shape (nnz,), int32
        Strictly ascending in each column.
    codes : ndarray, shape (nnz,), uint8
        1 to 15.
    codebook : ndarray, shape (16,), int16
        Shared weights; entry 0 is 0.
    bias : ndarray, shape (R,), int64
        In the accumulator's scale; its values fit int32.
    shift : int
        Rounding shift of the output, 0 to 47.
    relu : bool
    input_fraction_bits, output_fraction_bits, weight_fraction_bits : int
        A stored integer i stands for i / 2**fraction_bits.
    name : str

    Raises
    ------
    LayerError
        If anything breaks the arithmetic contract, including a 48-bit accumulator that could overflow.
    """

    rows: int
    columns: int
    column_starts: NDArray[np.intp]
    row_indices: NDArray[np.int32]
    codes: NDArray[np.uint8]
    codebook: NDArray[np.int16]
    bias: NDArray[np.int64]
    shift: int
    relu: bool
    input_fraction_bits: int = 0
    output_fraction_bits: int = 0
    weight_fraction_bits: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        for name, dtype in _ARRAYS.items():
            array = np.asarray(getattr(self, name))
            if array.dtype.kind not in "iu":
                raise LayerError(f"layer {self.name!r}: {name} is {array.dtype}; it must hold integers")
            converted = array.astype(dtype)
            if not np.array_equal(converted, array):
                raise LayerError(f"layer {self.name!r}: {name} has values outside {np.dtype(dtype)}")
            converted.flags.writeable = False
            object.__setattr__(self, name, converted)
        check_layer(self)

    @classmethod
    def from_dense_codes(
        cls,
        dense_codes: ArrayLike,
        codebook: ArrayLike,
        bias: ArrayLike | None = None,
        shift: int = 0,
        relu: bool = False,
        **scales: int | str,
    ) -> Layer:
        """Return a layer from codes, shape (R, C), uint8 0 to 15; ``scales`` are the other fields."""
        dense = np.asarray(dense_codes, dtype=np.uint8)
        if dense.ndim != 2:
            raise LayerError(f"dense_codes has shape {dense.shape}; it must be (rows, columns)")
        rows, columns = dense.shape
        by_column = np.ascontiguousarray(dense.T)
        flat = np.flatnonzero(by_column)
        starts = np.zeros(columns + 1, np.intp)
        np.cumsum(np.count_nonzero(by_column, axis=1), out=starts[1:])
        return cls(
            rows=rows,
            columns=columns,
            column_starts=starts,
            row_indices=(flat % rows).astype(np.int32),
            codes=by_column.ravel()[flat],
            codebook=np.asarray(codebook),
            bias=np.zeros(rows, np.int64) if bias is None else np.asarray(bias),
            shift=shift,
            relu=relu,
            **scales,  # type: ignore[arg-type]
        )

    @property
    def nonzeros(self) -> int:
        """Stored weights."""
        return len(self.codes)

    @property
    def density(self) -> float:
        """Stored weights over rows times columns."""
        return self.nonzeros / (self.rows * self.columns)

    def dense_codes(self) -> NDArray[np.uint8]:
        """Return the codes as a matrix, shape (R, C), uint8; 0 is an absent weight."""
        dense = np.zeros((self.rows, self.columns), np.uint8)
        dense[self.row_indices, self.column_indices()] = self.codes
        return dense

    def column_indices(self) -> NDArray[np.intp]:
        """Return the column of every non-zero, shape (nnz,), intp."""
        return np.repeat(np.arange(self.columns), np.diff(self.column_starts))

    def dense_weights(self) -> NDArray[np.float64]:
        """Return the weights that the codes stand for, shape (R, C), float64, in the units of the network."""
        return self.codebook.astype(np.float64)[self.dense_codes()] * 2.0**-self.weight_fraction_bits


_ARRAYS = {
    "column_starts": np.intp,
    "row_indices": np.int32,
    "codes": np.uint8,
    "codebook": np.int16,
    "bias": np.int64,
}


def check_layer(layer: Layer) -> None:
    """Raise `LayerError` if a layer breaks the arithmetic contract."""

    def require(condition: bool, message: str) -> None:
        if not condition:
            raise LayerError(f"layer {layer.name!r} ({layer.rows}x{layer.columns}): {message}")

    starts, rows, codes = layer.column_starts, layer.row_indices, layer.codes
    require(layer.rows >= 1 and layer.columns >= 1, "rows and columns must be at least 1")
    require(starts.shape == (layer.columns + 1,), f"column_starts has shape {starts.shape}, not ({layer.columns + 1},)")
    require(starts[0] == 0 and bool((np.diff(starts) >= 0).all()), "column_starts must ascend from 0")
    require(
        rows.shape == codes.shape == (starts[-1],), f"column_starts ends at {starts[-1]}, there are {len(codes)} codes"
    )
    if len(rows):
        require(rows.min() >= 0 and rows.max() < layer.rows, f"row indices {rows.min()}..{rows.max()} out of range")
        ascending = np.diff(rows) > 0
        ascending[starts[1:-1][(starts[1:-1] > 0) & (starts[1:-1] < len(rows))] - 1] = True
        require(bool(ascending.all()), "row indices must ascend strictly within a column")
        require(bool((codes != 0).all()) and codes.max() < CODEBOOK_SIZE, "stored codes must be 1 to 15")
    require(layer.codebook.shape == (CODEBOOK_SIZE,), f"codebook has shape {layer.codebook.shape}, not (16,)")
    require(
        layer.codebook[0] == 0,
        f"codebook entry 0 is {layer.codebook[0]}; it stands for an absent weight, so it must be 0",
    )
    require(layer.bias.shape == (layer.rows,), f"bias has shape {layer.bias.shape}, not ({layer.rows},)")
    limit = 1 << (BIAS_BITS - 1)
    extreme = int(layer.bias[np.argmax(np.abs(layer.bias))])
    require(-limit <= extreme < limit, f"bias {extreme} does not fit int32; use fewer weight or input fraction bits")
    require(0 <= layer.shift <= SHIFT_LIMIT, f"shift {layer.shift} is outside 0..{SHIFT_LIMIT}")
    bound = accumulator_bound(layer)
    require(
        bound < _ACCUMULATOR_LIMIT,
        f"an accumulator could reach {bound}, beyond 48 bits (2**47 = {_ACCUMULATOR_LIMIT}); "
        "use fewer weight fraction bits or split the layer's columns",
    )


def accumulator_bound(layer: Layer) -> int:
    """Return the largest magnitude that any accumulator, bias and rounding term included, can reach."""
    magnitudes = np.abs(layer.codebook.astype(np.float64))[layer.codes]
    sums = np.bincount(layer.row_indices, weights=magnitudes, minlength=layer.rows).astype(np.int64)
    worst = sums * -ACTIVATION_MIN + np.abs(layer.bias)
    return int(worst.max()) + (1 << layer.shift >> 1)


@dataclass(frozen=True, eq=False)
class Model:
    """A compressed network.

    Parameters
    ----------
    layers : sequence of Layer
        Each layer's columns and input scale are the rows and output scale of the one before.
    name : str
    metadata : dict
        JSON-serialisable facts about the origin (recipe, accuracy, compression report).
    """

    layers: tuple[Layer, ...]
    name: str = "model"
    metadata: dict = field(default_factory=dict)

    def __init__(self, layers: Iterable[Layer], name: str = "model", metadata: dict | None = None) -> None:
        layers = tuple(layers)
        if not layers:
            raise LayerError("a model needs at least one layer")
        for i, (first, second) in enumerate(itertools.pairwise(layers)):
            if first.rows != second.columns:
                raise LayerError(f"layer {i} has {first.rows} rows but layer {i + 1} has {second.columns} columns")
            if first.output_fraction_bits != second.input_fraction_bits:
                raise LayerError(
                    f"layer {i} puts out {first.output_fraction_bits} fraction bits "
                    f"but layer {i + 1} takes {second.input_fraction_bits}"
                )
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "metadata", dict(metadata or {}))

    @property
    def columns(self) -> int:
        """Inputs of the first layer."""
        return self.layers[0].columns

    @property
    def rows(self) -> int:
        """Outputs of the last layer."""
        return self.layers[-1].rows

    @property
    def input_fraction_bits(self) -> int:
        """Fraction bits of the input activations."""
        return self.layers[0].input_fraction_bits

    @property
    def output_fraction_bits(self) -> int:
        """Fraction bits of the output activations."""
        return self.layers[-1].output_fraction_bits
