"""Recurrent layers of floats: LSTM and GRU, gate by gate.

    model = eie.compress(eie.LSTM(w_ih, w_hh, b_ih, b_hh), density, calibration, terms=2)
    y = accelerator.run(x, model=model)                       # (T, C) or (B, T, C) -> (.., T, H)
    more = accelerator.run(x2, model=model, keep_states=True)  # goes on where the last call ended

Gates come in PyTorch's order; ONNX has i, o, f, c and z, r, h.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from eie.errors import LayerError
from eie.network.cells import CELLS
from eie.network.dense import Dense
from eie.network.limits import check_name


class _Recurrent:
    """What LSTM and GRU share: weights checked, cut by gate."""

    blocks = 0

    def __init__(
        self,
        w_ih: ArrayLike,
        w_hh: ArrayLike,
        b_ih: ArrayLike | None = None,
        b_hh: ArrayLike | None = None,
        name: str = "",
    ) -> None:
        check_name(name, "name of a layer")
        self.name = name
        label = f"{type(self).__name__} {name!r}" if name else type(self).__name__
        inputs, states = Dense(w_ih, b_ih, name=f"{label} w_ih"), Dense(w_hh, b_hh, name=f"{label} w_hh")
        rows, hidden = states.weight.shape
        if rows != self.blocks * hidden or inputs.weight.shape[0] != rows:
            raise LayerError(
                f"{label}: w_ih is {inputs.weight.shape}, w_hh {states.weight.shape}; they must be "
                f"({self.blocks} H, C) and ({self.blocks} H, H)"
            )
        self.hidden, self.columns = hidden, inputs.weight.shape[1]
        self._weights = {"x": inputs.weight, "h": states.weight}
        nothing = np.zeros(rows, np.float32)
        self._biases = {
            "x": nothing if inputs.bias is None else inputs.bias,
            "h": nothing if states.bias is None else states.bias,
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.columns} -> {self.hidden}>"

    @property
    def kind(self) -> str:
        """Key of `CELLS`."""
        raise NotImplementedError

    def _part(self, block: int, operands: tuple[str, ...], name: str) -> Dense:
        rows = slice(block * self.hidden, (block + 1) * self.hidden)
        kinds = ["x" if operand == "x" else "h" for operand in operands]
        weight = np.concatenate([self._weights[kind][rows] for kind in kinds], axis=1)
        bias = np.sum([self._biases[kind][rows] for kind in kinds], axis=0, dtype=np.float32)
        return Dense(weight, bias, name=name)

    def dense_gates(self) -> list[Dense]:
        """Return the gates as layers, in the order of the cell's steps."""
        blocks = {name: number for number, name in enumerate("ifgo" if self.blocks == 4 else "rzn")}
        blocks["m"] = 2
        return [
            self._part(blocks[gate.target], gate.operands, f"{self.name} {gate.target}".strip())
            for gate in CELLS[self.kind].gates
        ]


class LSTM(_Recurrent):
    """A long short-term memory layer of floats, as `torch.nn.LSTM` has it; compress it to run it.

    Parameters
    ----------
    w_ih : array_like, shape (4 H, C), float
        Gates i, f, g, o.
    w_hh : array_like, shape (4 H, H), float
    b_ih, b_hh : array_like, shape (4 H,), float, optional
    name : str, optional
    """

    blocks = 4

    @property
    def kind(self) -> str:
        """Key of `CELLS`."""
        return "lstm"


class GRU(_Recurrent):
    """A gated recurrent unit of floats; compress it to run it.

    Parameters
    ----------
    w_ih : array_like, shape (3 H, C), float
        Gates r, z, n.
    w_hh : array_like, shape (3 H, H), float
    b_ih, b_hh : array_like, shape (3 H,), float, optional
    name : str, optional
    reset_after : bool
        The reset gate acts on the product with the state, as in `torch.nn.GRU`; False: on the state before it, as in
        ONNX with ``linear_before_reset=0``.
    """

    blocks = 3

    def __init__(
        self,
        w_ih: ArrayLike,
        w_hh: ArrayLike,
        b_ih: ArrayLike | None = None,
        b_hh: ArrayLike | None = None,
        name: str = "",
        reset_after: bool = True,
    ) -> None:
        super().__init__(w_ih, w_hh, b_ih, b_hh, name)
        self.reset_after = bool(reset_after)

    @property
    def kind(self) -> str:
        """Key of `CELLS`."""
        return "gru" if self.reset_after else "gru, reset before"
