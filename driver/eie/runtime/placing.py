"""Which models are on a device, and where: what fits stays, and what was packed once is remembered."""

from __future__ import annotations

from collections import OrderedDict

from eie.contract.config import ArrayConfig
from eie.network.model import Model
from eie.network.recurrent_model import RecurrentModel
from eie.program.memory import Memory
from eie.program.packing import PackedModel, pack
from eie.program.recurrent import PackedRecurrent, pack_recurrent

REMEMBERED_WEIGHTS = 1 << 23
"""Weights, those absent from the models not counted, of all programs that are remembered."""

Placed = Model | RecurrentModel
Packed = PackedModel | PackedRecurrent
_Before = tuple[Placed, ...]


class Placing:
    """The models on a device.

    A network that does not fit at once loads its layers in turn, over and over; so what a model became is remembered
    along with the models that were there before it, and packed again only if they are others.

    Parameters
    ----------
    config : ArrayConfig

    Attributes
    ----------
    loaded : dict of models to what they are packed as
        In the order of loading.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.loaded: dict[Placed, Packed] = {}
        self._memory = Memory(config)
        self._remembered: OrderedDict[tuple[_Before, Placed], Packed] = OrderedDict()

    def clear(self) -> None:
        """Forget what is on the device, not what was packed."""
        self.loaded.clear()
        self._memory = Memory(self.config)

    def place(self, model: Placed) -> Packed:
        """Return a packed model that is not loaded yet, where it now belongs; others give way if it needs the room."""
        packed = self._packed(model)
        if self.loaded and not all(p.resident for p in (packed, *self.loaded.values())):
            # It needs the array to itself, or the one that is there does.
            self.clear()
            packed = self._packed(model)
        self._memory = packed.memory
        self.loaded[model] = packed
        return packed

    def _packed(self, model: Placed) -> Packed:
        key = (tuple(self.loaded), model)
        if key not in self._remembered:
            self._remembered[key] = (
                pack_recurrent(model, self.config, self._memory)
                if isinstance(model, RecurrentModel)
                else pack(model, self.config, self._memory)
            )
        self._remembered.move_to_end(key)
        kept = sum(_weights(packed.model) for packed in self._remembered.values())
        while kept > REMEMBERED_WEIGHTS and len(self._remembered) > 1:
            _, oldest = self._remembered.popitem(last=False)
            kept -= _weights(oldest.model)
        return self._remembered[key]


def _weights(model: Placed) -> int:
    return sum(layer.nonzeros for layer in model.layers)
