"""What compression did to a network: sizes, padding and errors of every layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eie.contract.config import BIAS_BITS, CODE_BITS, CODEBOOK_SIZE, WEIGHT_BITS, ArrayConfig
from eie.network.model import Layer, Model
from eie.network.recurrent_model import RecurrentModel
from eie.program.tiling import tile_model
from eie.text import columns

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class LayerReport:
    """Figures of one layer.

    Parameters
    ----------
    name : str
    rows, columns : int
    nonzeros : int
        Stored codes, of all terms.
    code_bits, index_bits : int
        Bits of an entry's code and relative index.
    padding_entries : int
        Entries of code 0 that bridge gaps too long for an index.
    float_bytes : int
        The dense layer as float32, with its bias.
    compressed_bytes : int
        Entries with padding, packed without gaps, codebook and 32-bit biases; without pointers.
    pointer_bytes : int
        Pointer words of all PEs, packed.
    input_fraction_bits, weight_fraction_bits, output_fraction_bits, shift : int
    weight_sqnr_db : float, optional
        Signal to error ratio of the stored weights as the array computes with them (fixed point) against the pruned
        floats. Infinite without an error, None where unknown (layers without weights, files without a report).
    output_sqnr_db : float, optional
        That of the outputs on calibration inputs: integers against the network as it was given, errors of the layers
        before included. The next three say where it comes from. Of gates that were refitted through time it is that of
        the recurrent layer which they are part of.
    pruning_sqnr_db : float, optional
        The pruned float network against the given one.
    sharing_sqnr_db : float, optional
        The float network with shared weights against the pruned one.
    fixed_point_sqnr_db : float, optional
        Integers against the float network with shared weights: the part that the fixed-point scales cause.
    pruned_sqnr_db : float, optional
        Integers against the pruned float network: sharing and fixed point together.
    terms : int
        Codes that a weight may be the sum of, 1 or 2.
    kept : int, optional
        Weights with a code; None, as in files of earlier releases, if every code is one.
    unequal : float, optional
        Of a quantised network's layer that puts out the integers of the next: share of the reachable sums whose integer
        is one less or more than the network's; 0 if all are proved equal.
    """

    name: str
    rows: int
    columns: int
    nonzeros: int
    code_bits: int
    index_bits: int
    padding_entries: int
    float_bytes: int
    compressed_bytes: int
    pointer_bytes: int
    input_fraction_bits: int
    weight_fraction_bits: int
    output_fraction_bits: int
    shift: int
    weight_sqnr_db: float | None = None
    output_sqnr_db: float | None = None
    pruning_sqnr_db: float | None = None
    sharing_sqnr_db: float | None = None
    fixed_point_sqnr_db: float | None = None
    pruned_sqnr_db: float | None = None
    terms: int = 1
    kept: int | None = None
    unequal: float | None = None

    @property
    def weights(self) -> int:
        """Weights with a code."""
        return self.nonzeros if self.kept is None else self.kept

    @property
    def density(self) -> float:
        """Weights kept over rows times columns."""
        return self.weights / (self.rows * self.columns)

    @property
    def padding(self) -> float:
        """Padding entries over all entries."""
        return self.padding_entries / max(1, self.padding_entries + self.nonzeros)

    @property
    def ratio(self) -> float:
        """Bytes before over bytes after, pointers not counted."""
        return self.float_bytes / self.compressed_bytes


@dataclass(frozen=True)
class CompressionReport:
    """Figures of all layers for one array.

    Parameters
    ----------
    layers : tuple of LayerReport
    end_sqnr_db : float, optional
        Of a graph's outputs, behind what the host computes: the worst of them; None of a chain.
    """

    layers: tuple[LayerReport, ...]
    end_sqnr_db: float | None = None

    @property
    def output_sqnr_db(self) -> float:
        """Of the network's outputs against the given network's; infinite without an error or a signal."""
        ratio = self.layers[-1].output_sqnr_db if self.end_sqnr_db is None else self.end_sqnr_db
        return math.inf if ratio is None else ratio

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON; an infinite ratio is written as the string "inf" or "-inf"."""
        rows = [{name: _for_json(value) for name, value in asdict(row).items()} for row in self.layers]
        end = {} if self.end_sqnr_db is None else {"end_sqnr_db": _for_json(self.end_sqnr_db)}
        return {"layers": rows, **end}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CompressionReport:
        """Return the report of `to_dict`, as stored in ``model.metadata["compression"]``; other keys are ignored."""
        names = {field.name for field in fields(LayerReport)}
        rows: Any = (
            {k: float(v) if v in _INFINITE else v for k, v in row.items() if k in names} for row in values["layers"]
        )
        return cls(tuple(LayerReport(**row) for row in rows), _ratio(values.get("end_sqnr_db")))

    def table(self) -> str:
        """Return the figures as text, one line a layer and a total."""
        header: tuple[str, ...] = (
            "layer",
            "rows x columns",
            "kept",
            "bits",
            "padding",
            "float32",
            "compressed",
            "ratio",
            "pointers",
        )
        header += ("weights", "outputs", "pruning", "sharing", "fixed point")
        return "\n".join(columns([header, *map(_cells, self.layers), self._total()]))

    def _total(self) -> tuple[str, ...]:
        stored = sum(row.nonzeros for row in self.layers)
        padding = sum(row.padding_entries for row in self.layers)
        before = sum(row.float_bytes for row in self.layers)
        after = sum(row.compressed_bytes for row in self.layers)
        kept = sum(row.weights for row in self.layers) / sum(row.rows * row.columns for row in self.layers)
        padded = padding / max(1, stored + padding)
        pointers = sum(row.pointer_bytes for row in self.layers)
        sizes = (_bytes(before), _bytes(after), f"{before / after:.1f}", _bytes(pointers))
        return ("total", "", f"{kept:.2%}", "", f"{padded:.2%}", *sizes, *[""] * len(_SHOWN))


def compression_report(model: Model | RecurrentModel, config: ArrayConfig | None = None) -> CompressionReport:
    """Return the figures of a model on an array.

    The ratios of signal to error need the float network; they are those that `eie.compress` left in
    ``model.metadata["compression"]``, if it did.

    Parameters
    ----------
    model : Model or RecurrentModel
    config : ArrayConfig, optional
        The default array if not given.
    """
    config = config or ArrayConfig()
    ratios = _known_ratios(model)
    return CompressionReport(tuple(layer_report(row, config, **ratios[i]) for i, row in enumerate(model.layers)))


def _known_ratios(model: Model | RecurrentModel) -> list[dict[str, float | None]]:
    """Return the ratios that a model's metadata hold for each layer; a file's metadata may hold anything."""
    compression = model.metadata.get("compression")
    known = compression.get("layers") if isinstance(compression, Mapping) else None
    if not isinstance(known, list) or len(known) != len(model.layers):
        known = [None] * len(model.layers)
    rows = [row if isinstance(row, Mapping) else {} for row in known]
    ratios = [{name: _ratio(row.get(name)) for name in _RATIOS} for row in rows]
    for row, known in zip(rows, ratios, strict=True):
        if "pruning_sqnr_db" not in row:  # earlier releases measured outputs against the pruned network
            known["pruned_sqnr_db"], known["output_sqnr_db"] = known["output_sqnr_db"], None
    return ratios


_INFINITE = ("inf", "-inf")


def _for_json(value: Any) -> Any:
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _ratio(value: Any) -> float | None:
    if value in _INFINITE:
        return float(value)
    return value if type(value) in (int, float) else None


_SHOWN = ("weight_sqnr_db", "output_sqnr_db", "pruning_sqnr_db", "sharing_sqnr_db", "fixed_point_sqnr_db")
_RATIOS = (*_SHOWN, "pruned_sqnr_db")


def layer_report(layer: Layer, config: ArrayConfig, **ratios: Any) -> LayerReport:
    """Return the figures of one layer; `ratios` are those in dB."""
    padding = sum(row_tile.padding for row_tile in tile_model(Model([layer]), config).row_tiles[0])
    terms = len(layer.terms)
    bits = (layer.nonzeros + padding) * config.entry_bits + terms * CODEBOOK_SIZE * WEIGHT_BITS + layer.rows * BIAS_BITS
    return LayerReport(
        name=layer.name,
        rows=layer.rows,
        columns=layer.columns,
        nonzeros=layer.nonzeros,
        code_bits=CODE_BITS,
        index_bits=config.index_bits,
        padding_entries=padding,
        float_bytes=(layer.rows * layer.columns + layer.rows) * _FLOAT_BYTES,
        compressed_bytes=-(-bits // 8),
        pointer_bytes=-(-terms * (layer.columns + 1) * config.num_pes * config.pointer_bits // 8),
        input_fraction_bits=layer.input_fraction_bits,
        weight_fraction_bits=layer.weight_fraction_bits,
        output_fraction_bits=layer.output_fraction_bits,
        shift=layer.shift,
        terms=terms,
        kept=layer.kept,
        **ratios,
    )


def sqnr_db(signal: ArrayLike, approximation: ArrayLike) -> float | None:
    """Return the ratio of a signal's power to its error's in dB: infinite without an error, None without a signal.

    Infinities and NaN of the signal are left out; those of an approximation elsewhere make the ratio minus infinity.
    """
    given, found = np.asarray(signal, np.float64), np.asarray(approximation, np.float64)
    finite = np.isfinite(given)
    if not finite.all():  # a mask of -inf, say, which has no power that errors could be compared with
        given, found = given[finite], found[finite]
    power = float(np.sum(given**2))
    error = float(np.sum((given - found) ** 2)) if np.isfinite(found).all() else math.inf
    return power_ratio_db(power, error)


def power_ratio_db(power: float, error: float) -> float | None:
    """Return a ratio of powers in dB; see `sqnr_db`."""
    if power == 0:
        return None
    if math.isinf(error):
        return -math.inf
    return math.inf if error == 0 else 10 * math.log10(power / error)


def _cells(row: LayerReport) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.rows} x {row.columns}",
        f"{row.density:.2%}",
        f"{f'{row.terms} x ' if row.terms > 1 else ''}{row.code_bits}+{row.index_bits}",
        f"{row.padding:.2%}",
        _bytes(row.float_bytes),
        _bytes(row.compressed_bytes),
        f"{row.ratio:.1f}",
        _bytes(row.pointer_bytes),
        *("-" if value is None else f"{value:.1f} dB" for value in (getattr(row, name) for name in _SHOWN)),
    )


def _bytes(count: int) -> str:
    for unit, size in (("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
