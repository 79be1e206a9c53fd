"""Recurrent layers of floats: LSTM and GRU, gate by gate.

    model = eie.compress(eie.LSTM(w_ih, w_hh, b_ih, b_hh), density, calibration, terms=2)
    y = accelerator.run(x, model=model)                       # (T, C) or (B, T, C) -> (.., T, H)
    more = accelerator.run(x2, model=model, keep_states=True)  # goes on where the last call ended

Gates come in PyTorch's order; ONNX has i, o, f, c and z, r, h.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.errors import LayerError
from eie.network.dense import Dense
from eie.network.limits import check_name


class _Recurrent:
    """What LSTM and GRU share: weights checked, cut by gate."""

    order = ""
    """Of the gates."""

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
        if rows != len(self.order) * hidden or inputs.weight.shape[0] != rows:
            raise LayerError(
                f"{label}: w_ih is {inputs.weight.shape}, w_hh {states.weight.shape}; they must be "
                f"({len(self.order)} H, C) and ({len(self.order)} H, H)"
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

    def in_order(self, gates: str) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return w_ih, w_hh and both biases, one behind the other, the gates in another order: "iofg", "zrn"."""
        rows = np.concatenate([np.arange(self.hidden) + self.order.index(gate) * self.hidden for gate in gates])
        w, r = self._weights["x"][rows], self._weights["h"][rows]
        return w, r, np.concatenate([self._biases["x"][rows], self._biases["h"][rows]])


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

    order = "ifgo"


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

    order = "rzn"

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
