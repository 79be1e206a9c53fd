"""Compressed graphs on a device: the linear maps on the array, the rest in numpy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import ArrayConfig
from eie.errors import VerificationError
from eie.network.evaluation import evaluate, run_node
from eie.network.graph import Array, Node
from eie.network.graph_model import GraphModel, QuantisedProduct, named_inputs, run_products, run_sequences
from eie.network.model import Layer, Model
from eie.network.operators.linear import Product
from eie.network.operators.recurrent import RECURRENT
from eie.network.operators.windows import Geometry, Ints
from eie.network.recurrent_model import RecurrentModel
from eie.network.reference import IntegerProduct, reference_sequence
from eie.program.patches import choose_patch, patch_layer
from eie.program.recurrent import fits_at_once
from eie.runtime.recurrent import saturated_inputs
from eie.runtime.saturation import Saturation


class Runs(Protocol):
    """What runs layers: an `eie.Accelerator`."""

    config: ArrayConfig
    saturation: Saturation

    def run_layers(self, a: Any, *, verify: bool = False, model: Model | None = None) -> NDArray[np.int16]: ...

    def run_sequences(
        self, model: RecurrentModel, inputs: NDArray[np.int16], states: NDArray[np.int16], *, verify: bool = False
    ) -> tuple[NDArray[np.int16], NDArray[np.int16]]: ...


Around = tuple[Callable[[Node, "list[Array | None]"], "list[Array | None]"], Callable[[Node, "list[Array]"], None]]
"""What stands around a recurrent node: is given its inputs and returns others, and is given its outputs."""


class GraphRunner:
    """Runs one compressed graph.

    Parameters
    ----------
    accelerator : Accelerator
    model : GraphModel

    Attributes
    ----------
    models : dict
        What was sent to the array, by node, matrix and patch.
    saturation : Saturation
        Values of the last run at the ends of their range, of all layers.
    vectors : int
        Most vectors that a layer was given in the last run.
    """

    def __init__(self, accelerator: Runs, model: GraphModel) -> None:
        self.accelerator, self.model = accelerator, model
        self.models: dict[tuple[str, int, Ints], Model] = {}
        self.saturation, self.vectors = Saturation(0, ()), 0
        self._counted: dict[tuple[str, int], Saturation] = {}
        self._patches: dict[tuple[str, int, Geometry], Ints] = {}

    def run(self, inputs: Any, verify: bool = False, around: Around | None = None) -> dict[str, Array]:
        """Run the network: inputs as `named_inputs` takes them, outputs by name.

        What stands around may change what recurrent nodes take, and sees what they give.
        """

        def hook(node: Node, values: list[Array | None]) -> list[Array] | None:
            on_array = node.outputs[0] in self.model.products
            if around is None or node.operator not in RECURRENT:
                return self._run(node, values, verify) if on_array else None
            values = around[0](node, values)
            outputs = self._run(node, values, verify) if on_array else run_node(node, values)
            around[1](node, outputs)
            return outputs

        self._counted, self.vectors = {}, 0
        found = evaluate(self.model.graph, named_inputs(self.model.graph, inputs), hook)
        self.saturation = self._all_counted()
        return found

    def _run(self, node: Node, values: list[Array | None], verify: bool) -> list[Array]:
        models = self.model.sequences.get(node.outputs[0])
        if models is not None:
            return run_sequences(node, values, models, partial(self._run_sequence, node.outputs[0], verify))
        outputs = run_products(node, values, self._products(node.outputs[0]))
        if verify:
            self._verify(node, values, outputs)
        return outputs

    def run_product(
        self, key: str, index: int, vectors: NDArray[np.int16], geometry: Geometry | None, verify: bool
    ) -> NDArray[np.int16]:
        """Run vectors through a matrix, and count what saturates."""
        outputs = self.accelerator.run_layers(vectors, verify=verify, model=self.on_array(key, index, geometry))
        found, before = self.accelerator.saturation, self._counted.get((key, index))
        self._counted[key, index] = found if before is None else before + found
        self.vectors = max(self.vectors, len(vectors))
        return outputs

    def _run_sequence(
        self, key: str, verify: bool, model: RecurrentModel, inputs: NDArray[np.int16], states: NDArray[np.int16]
    ) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Run sequences in one go, or gate by gate if the array does not hold a time step; count what saturates."""
        if fits_at_once(model, self.accelerator.config):
            results = self.accelerator.run_sequences(model, inputs, states, verify=verify)
        else:
            gates = {id(product.model.layers[0]): product.model for product in self.model.products[key]}

            def gate(layer: Layer, operands: NDArray[np.int16]) -> NDArray[np.int16]:
                return self.accelerator.run_layers(operands, verify=verify, model=gates[id(layer)])

            results = reference_sequence(model, inputs, states, gate)
        self._count_sequence(key, model, inputs)
        self.vectors = max(self.vectors, inputs.shape[0] * inputs.shape[1])
        return results

    def _count_sequence(self, key: str, model: RecurrentModel, inputs: NDArray[np.int16]) -> None:
        """Count saturated inputs of a direction once, at its first gate."""
        direction = next(number for number, other in enumerate(self.model.sequences[key]) if other is model)
        first = direction * len(model.layers)
        for index in range(first, first + len(model.layers)):
            found = Saturation(saturated_inputs(model, inputs).inputs if index == first else 0, (None,))
            before = self._counted.get((key, index))
            self._counted[key, index] = found if before is None else before + found

    def on_array(self, key: str, index: int, geometry: Geometry | None) -> Model:
        """Return what the array is given for a matrix: its layers, or one that serves a patch."""
        product = self.model.products[key][index]
        patch = self.patch(key, index, geometry) if geometry else ()
        if (key, index, patch) not in self.models:
            if geometry is None or max(patch) == 1:
                found = product.model
            else:
                found = Model([patch_layer(product.model.layers[0], geometry, patch)], product.model.name)
            self.models[key, index, patch] = found
        return self.models[key, index, patch]

    def patch(self, key: str, index: int, geometry: Geometry) -> Ints:
        """Return how many neighbouring outputs of a convolution the array computes at once."""
        if (key, index, geometry) not in self._patches:
            layer = self.model.products[key][index].model.layers[0]
            self._patches[key, index, geometry] = choose_patch(layer, geometry, self.accelerator.config)
        return self._patches[key, index, geometry]

    def _all_counted(self) -> Saturation:
        """Return all counts, layer by layer in the model's order; what did not run has none."""
        outputs: list[int | None] = []
        for node in self.model.graph.walk():
            for index, product in enumerate(self.model.products.get(node.outputs[0], ())):
                found = self._counted.get((node.outputs[0], index))
                outputs += found.outputs if found else [0] * len(product.model.layers)
        counted = self._counted.values()
        return Saturation(sum(found.inputs for found in counted), tuple(outputs), sum(found.lost for found in counted))

    def _products(self, key: str, verify: bool = False) -> list[Product]:
        return [_DeviceProduct(self, key, i, verify) for i in range(len(self.model.products[key]))]

    def _verify(self, node: Node, values: list[Array | None], outputs: list[Array]) -> None:
        """Raise `VerificationError` if a node's outputs differ from the integer reference."""
        products = [IntegerProduct(product) for product in self.model.products[node.outputs[0]]]
        expected = run_products(node, values, list(products))
        wrong = [
            i for i, (got, want) in enumerate(zip(outputs, expected, strict=True)) if not np.array_equal(got, want)
        ]
        if not wrong:
            return
        # Again, each product compared by itself: that names row, PE and tile.
        run_products(node, values, self._products(node.outputs[0], verify=True))
        at = tuple(int(i) for i in np.argwhere(outputs[wrong[0]] != expected[wrong[0]])[0])
        raise VerificationError(
            f"{node}: output {wrong[0]} at {at} is {outputs[wrong[0]][at]}, the reference gives "
            f"{expected[wrong[0]][at]}; each product alone gives the right answer, so the error is transient"
        )


class _DeviceProduct(QuantisedProduct):
    """The product on the array."""

    def __init__(self, runner: GraphRunner, key: str, index: int, verify: bool) -> None:
        super().__init__(runner.model.products[key][index])
        self.runner, self.key, self.index, self.verify = runner, key, index, verify
        self.geometry: Geometry | None = None
        self.side: Ints = ()

    def patch(self, geometry: Geometry) -> Ints:
        self.geometry = geometry
        return self.runner.patch(self.key, self.index, geometry)

    def entered(self, integers: Array) -> Array:
        return self.product.to_floats(
            self.runner.run_product(self.key, self.index, integers, self.geometry, self.verify)
        )
