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

    They lie behind one another in the order of loading. For one that finds no room, those loaded last give way: of
    models that take turns, over and over, as the layers of a network do, as many as possible stay so. Only if one of
    them has not been used since the new one was last there, all give way, for they may be another network's.

    What a model became is remembered along with the models that were there before it, and packed again only if they
    are others.

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
        self._remembered: OrderedDict[tuple[_Before, Placed], Packed | None] = OrderedDict()
        self._now = 0
        # By the models' hashes, which keep no model alive: when each was last used, and placed.
        self._used: dict[int, int] = {}
        self._placed: dict[int, int] = {}

    def clear(self) -> None:
        """Forget what is on the device, not what was packed."""
        self.loaded.clear()

    def use(self, model: Placed) -> Packed | None:
        """Return a packed model that is to run if it is loaded."""
        self._now += 1
        self._used[hash(model)] = self._now
        return self.loaded.get(model)

    def place(self, model: Placed) -> Packed:
        """Return a packed model that is not loaded yet, where it now belongs; others give way if it needs the room."""
        if self.loaded and not next(reversed(self.loaded.values())).resident:
            self.clear()  # it had the array to itself
        since = self._placed.get(hash(model), -1)
        while (packed := self._packed(model)) is None:
            if any(self._used.get(hash(other), 0) < since for other in self.loaded):
                self.clear()
            else:
                self.loaded.popitem()
        self._placed[hash(model)] = self._now
        self.loaded[model] = packed
        return packed

    def _packed(self, model: Placed) -> Packed | None:
        """Return a model packed behind those that are loaded, or None if that needs more room than they leave."""
        key = (tuple(self.loaded), model)
        if key not in self._remembered:
            last = next(reversed(self.loaded.values()), None)
            memory = last.memory if last else Memory(self.config)
            packed: Packed = (
                pack_recurrent(model, self.config, memory)
                if isinstance(model, RecurrentModel)
                else pack(model, self.config, memory)
            )
            self._remembered[key] = packed if packed.resident or not last else None
        self._remembered.move_to_end(key)
        kept = sum(map(_weights, self._remembered.values()))
        while kept > REMEMBERED_WEIGHTS and len(self._remembered) > 1:
            _, oldest = self._remembered.popitem(last=False)
            kept -= _weights(oldest)
        return self._remembered[key]


def _weights(packed: Packed | None) -> int:
    return sum(layer.nonzeros for layer in packed.model.layers) if packed else 0
