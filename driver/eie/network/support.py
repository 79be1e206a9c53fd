"""The operators that are read, as the table of docs/networks.md."""

from __future__ import annotations

from eie.network.graph import CONDITIONAL
from eie.network.operators import OPERATORS

_READERS = {
    "Quant": "QONNX",
    "BipolarQuant": "QONNX",
    "MultiThreshold": "QONNX",
    "ArrayFeatureExtractor": "ONNX-ML",
}
"""Readers of operators that are not of ONNX itself."""
_EXTENSIONS = ("flattened", "weight_rank", "cell", "input_bits")
"""Attributes that the package adds."""


def support_table() -> str:
    """Return a line of Markdown for each operator: where it runs, who reads it, which attributes are known."""
    lines = ["| operator | family | runs on | read from | attributes |", "|---|---|---|---|---|"]
    for name, operator in sorted(OPERATORS.items()):
        known = ", ".join(f"`{key}`" for key in operator.attributes if key not in _EXTENSIONS)
        where = "array, where its weights are constant" if operator.where == "array" else "host"
        reader = _READERS.get(name, "ONNX, PyTorch")
        lines.append(f"| {name} | {operator.family} | {where} | {reader} | {known} |")
    lines.append(f"| {CONDITIONAL} | graph | where its branches do | ONNX, PyTorch | `then_branch`, `else_branch` |")
    return "\n".join(lines)
