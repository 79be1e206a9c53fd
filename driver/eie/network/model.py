"""Networks before and after compression: `Layer` and `Model`, and the arithmetic contract they obey."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import require_type, whole_number
from eie.contract.fixed_point import finish
from eie.errors import LayerError
from eie.network.dense import Dense as Dense
from eie.network.layer_check import accumulator_bound as accumulator_bound
from eie.network.layer_check import check_layer
from eie.network.limits import ALL_LINES_LIMIT, LAYERS_LIMIT, check_name, metadata_text
from eie.network.scaling import Scaling
from eie.network.term import Term, frozen_integers


@dataclass(frozen=True, eq=False, repr=False)
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
    scaling : Scaling, optional
        A scale for each row, and the range of the outputs; by default, outputs are the sums shifted.
    second : Term, optional
        Weights of the same shape that are added to those above, in the same scale, from a codebook of their own.
    input_fraction_bits, output_fraction_bits, weight_fraction_bits : int
        A stored integer i stands for i / 2**fraction_bits.
    name : str

    Raises
    ------
    LayerError
        If anything breaks the arithmetic contract, including a 48-bit accumulator that could overflow, or exceeds
        `eie.network.limits`.
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
    scaling: Scaling | None = None
    second: Term | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "name of a layer")
        for name in _NUMBERS:
            number = whole_number(getattr(self, name), f"layer {self.name!r}: {name}", LayerError)
            object.__setattr__(self, name, number)
        if not isinstance(self.relu, (int, np.integer, np.bool_)) or self.relu not in (0, 1):
            raise LayerError(f"layer {self.name!r}: relu is {self.relu!r}; it must be True or False")
        object.__setattr__(self, "relu", bool(self.relu))
        require_type(self.scaling, (Scaling, NoneType), f"layer {self.name!r}: scaling", "an eie.Scaling", LayerError)
        require_type(self.second, (Term, NoneType), f"layer {self.name!r}: second", "an eie.Term", LayerError)
        for name, dtype in _ARRAYS.items():
            what = f"layer {self.name!r}: {name}"
            object.__setattr__(self, name, frozen_integers(getattr(self, name), dtype, what))
        check_layer(self)

    @classmethod
    def from_dense_codes(
        cls,
        dense_codes: ArrayLike,
        codebook: ArrayLike,
        bias: ArrayLike | None = None,
        shift: int = 0,
        relu: bool = False,
        **scales: Any,
    ) -> Layer:
        """Return a layer from codes, shape (R, C), uint8 0 to 15; ``scales`` are the other fields."""
        term = Term.from_dense_codes(dense_codes, codebook)
        rows, columns = np.shape(dense_codes)
        return cls(
            rows=rows,
            columns=columns,
            column_starts=term.column_starts,
            row_indices=term.row_indices,
            codes=term.codes,
            codebook=term.codebook,
            bias=np.zeros(rows, np.int64) if bias is None else bias,  # type: ignore[arg-type]
            shift=shift,
            relu=relu,
            **scales,
        )

    def __repr__(self) -> str:
        return f"<Layer {self.name!r}: {self.rows} x {self.columns}, {self.nonzeros} weights{', ReLU' * self.relu}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layer):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    def __hash__(self) -> int:
        return hash((self.rows, self.columns, self.nonzeros, self.shift, self.name))

    def finish(self, sums: NDArray[np.int64]) -> NDArray[np.int16]:
        """Return the outputs, shape (B, R), of sums that have their biases."""
        if self.scaling is not None:
            return self.scaling.finish(sums, self.shift, self.relu)
        return finish(sums, self.shift, self.relu)

    @property
    def terms(self) -> tuple[Term, ...]:
        """The matrices that the weights are the sum of: one, or two."""
        first = Term(self.column_starts, self.row_indices, self.codes, self.codebook)
        return (first,) if self.second is None else (first, self.second)

    def with_terms(self, terms: Iterable[Term], **changes: Any) -> Layer:
        """Return a layer of other terms, and with other changes."""
        first, *others = terms
        given = {name: getattr(first, name) for name in ("column_starts", "row_indices", "codes", "codebook")}
        return replace(self, **given, second=others[0] if others else None, **changes)

    @property
    def nonzeros(self) -> int:
        """Stored codes of all terms: the array's work if no input is 0."""
        return len(self.codes) + (0 if self.second is None else len(self.second.codes))

    @property
    def kept(self) -> int:
        """Weights for which a code is stored."""
        if self.second is None:
            return len(self.codes)
        cells = (term.column_indices().astype(np.int64) * self.rows + term.row_indices for term in self.terms)
        return len(np.unique(np.concatenate(list(cells))))

    @property
    def density(self) -> float:
        """Weights kept over rows times columns."""
        return self.kept / (self.rows * self.columns)

    def dense_codes(self) -> NDArray[np.uint8]:
        """Return the codes of the first term as a matrix, shape (R, C), uint8; 0 is an absent weight."""
        dense = np.zeros((self.rows, self.columns), np.uint8)
        dense[self.row_indices, self.column_indices()] = self.codes
        return dense

    def column_indices(self) -> NDArray[np.intp]:
        """Return the column of every non-zero of the first term, shape (nnz,), intp."""
        return np.repeat(np.arange(self.columns), np.diff(self.column_starts))

    def dense_integers(self, dtype: type = np.int32) -> NDArray[Any]:
        """Return the weights as the array multiplies with them, shape (R, C), all terms added up."""
        dense: NDArray[Any] = np.zeros((self.rows, self.columns), dtype)
        for term in self.terms:
            dense[term.row_indices, term.column_indices()] += term.weights.astype(dtype)
        return dense

    def dense_weights(self) -> NDArray[np.float64]:
        """Return the weights that the codes stand for, shape (R, C), float64, in the units of the network."""
        return self.dense_integers(np.float64) * self.row_units()[:, None]

    def row_units(self) -> NDArray[np.float64]:
        """Return what a weight's integer stands for in each row, shape (R,), float64."""
        if self.scaling is None:
            return np.full(self.rows, 2.0**-self.weight_fraction_bits)
        bits = self.input_fraction_bits - self.output_fraction_bits - self.scaling.pre_shift - self.shift
        return np.ldexp(self.scaling.scale.astype(np.float64), bits)

    def to_dense(self) -> Dense:
        """Return the layer in floating point, as training may go on from it."""
        bias = np.ldexp(self.bias.astype(np.float64), -self.input_fraction_bits) * self.row_units()
        return Dense(self.dense_weights(), bias, "relu" if self.relu else None, self.name)


def layers_of(given: Iterable[Layer]) -> tuple[Layer, ...]:
    """Return the layers of a model, or raise `LayerError` if they are none, or more than a file takes."""
    require_type(given, Iterable, "layers", "a sequence of eie.Layer", LayerError)
    layers = tuple(given)
    for i, layer in enumerate(layers):
        require_type(layer, Layer, f"layer {i} of a model", "an eie.Layer", LayerError)
    if not 1 <= len(layers) <= LAYERS_LIMIT:
        raise LayerError(f"a model of {len(layers)} layers; it needs 1 to {LAYERS_LIMIT}")
    lines = sum(layer.rows + layer.columns for layer in layers)
    if lines > ALL_LINES_LIMIT:
        raise LayerError(f"the layers have {lines} rows and columns; the limit is {ALL_LINES_LIMIT}")
    return layers


_NUMBERS = (
    *("rows", "columns", "shift"),
    *("input_fraction_bits", "output_fraction_bits", "weight_fraction_bits"),
)
_ARRAYS = {
    "column_starts": np.intp,
    "row_indices": np.int32,
    "codes": np.uint8,
    "codebook": np.int16,
    "bias": np.int64,
}


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A compressed network.

    Parameters
    ----------
    layers : sequence of Layer
        Each layer's columns and input scale are the rows and output scale of the one before.
    name : str
    metadata : dict
        JSON-serialisable facts about the origin (recipe, accuracy, compression report).

    Raises
    ------
    LayerError
        If the layers do not follow one another, the metadata are not JSON, or a limit of `eie.network.limits` is
        exceeded: whatever can be made can be saved.
    """

    layers: tuple[Layer, ...]
    name: str = "model"
    metadata: dict = field(default_factory=dict)

    def __init__(self, layers: Iterable[Layer], name: str = "model", metadata: dict | None = None) -> None:
        layers = layers_of(layers)
        check_name(name, "name of a model")
        metadata = {} if metadata is None else metadata
        metadata_text(metadata)
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
        object.__setattr__(self, "metadata", dict(metadata))

    def __repr__(self) -> str:
        sizes = " x ".join(map(str, (self.columns, *(layer.rows for layer in self.layers))))
        return f"<Model {self.name!r}: {sizes}, {sum(layer.nonzeros for layer in self.layers)} weights>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Model):
            return NotImplemented
        return (self.name, self.metadata, self.layers) == (other.name, other.metadata, other.layers)

    def __hash__(self) -> int:
        return hash((self.name, self.layers))

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
