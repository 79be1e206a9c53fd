"""What public functions are given is checked at the door: the right answer, or an error of the package."""

import dataclasses

import numpy as np
import pytest

import eie
from eie.errors import EieError, LayerError
from eie.network.graph import Graph, Node, Value

MODEL = eie.Model([eie.Layer.from_dense_codes(np.ones((4, 4), int), np.arange(16))])
ODD = [None, 3, "x", [[1, 2], [3]], object(), eie.ArrayConfig()]


@pytest.mark.parametrize("what", ODD, ids=lambda what: type(what).__name__)
@pytest.mark.parametrize(
    "call",
    [
        lambda x: eie.pack(x, eie.ArrayConfig()),
        lambda x: eie.pack(MODEL, x) if not isinstance(x, eie.ArrayConfig) else eie.pack(x, x),
        lambda x: eie.reference(x, np.ones((1, 4), np.int16)),
        lambda x: eie.reference(MODEL, x),
        lambda x: eie.cycles(x, np.ones((1, 4), np.int16)),
        lambda x: eie.cycles(MODEL, x),
        lambda x: eie.estimate(x),
        lambda x: eie.estimate(MODEL, x) if not isinstance(x, eie.ArrayConfig) else eie.estimate(x, x),
        lambda x: eie.estimate(MODEL, activations=x if x is not None else "x"),
        lambda x: eie.estimate(MODEL, batch=x if x not in (None, 3) else 0.5),
        lambda x: eie.explore(x, np.ones((1, 4), np.int16), {"num_pes": 4}, jobs=1),
        lambda x: eie.explore(MODEL, x, {"num_pes": 4}, jobs=1),
        lambda x: eie.explore(MODEL, np.ones((1, 4), np.int16), x, jobs=1),
        lambda x: eie.explore(MODEL, np.ones((1, 4), np.int16), {"num_pes": x}, jobs=1) if x != 3 else eie.load(x),
        lambda x: eie.Accelerator("emulated").load(x),
        lambda x: eie.Accelerator("emulated").run(x, model=MODEL),
        lambda x: eie.Accelerator("emulated").run_raw(x, model=MODEL),
        lambda x: eie.EmulatedDevice(x if x is not None and not isinstance(x, eie.ArrayConfig) else 64),
        lambda x: eie.Accelerator(x),
        lambda x: eie.compress(x),
        lambda x: eie.compress([eie.Dense(np.ones((3, 3)))], x if x is not None else "a"),
        lambda x: eie.compress(
            [eie.Dense(np.ones((3, 3)))], 1.0, config=5 if isinstance(x, eie.ArrayConfig) else x or 5
        ),
        lambda x: eie.compress([eie.Dense(np.ones((3, 3)))], 1.0, progress=x or 5),
        lambda x: eie.compress([eie.Dense(np.ones((3, 3)))], 1.0, calibration=iter([x])),
        lambda x: eie.Layer.from_dense_codes(x, np.arange(16)),
        lambda x: eie.Layer.from_dense_codes([[1]], x),
        lambda x: eie.Layer.from_dense_codes([[1]], np.arange(16), x or "x"),
        lambda x: eie.Layer.from_dense_codes([[1]], np.arange(16), relu=x),
        lambda x: eie.Layer.from_dense_codes([[1]], np.arange(16), scaling=x or 5),
        lambda x: eie.Layer.from_dense_codes([[1]], np.arange(16), second=x or 5),
        lambda x: eie.Scaling(x),
        lambda x: eie.Scaling([1], high=x if x != 3 else "3"),
        lambda x: eie.Accelerator("emulated").stream(x),
        lambda x: eie.Dense(x),
        lambda x: eie.save(x, "never.eie"),
        lambda x: eie.load(x),
    ],
)
def test_what_is_of_another_kind_is_refused(call, what):
    with pytest.raises(EieError):
        call(what)


RECURRENT = eie.compress(eie.LSTM(np.ones((4, 2)), np.ones((4, 1))), 1.0)
NODES = [Node("MatMul", ("x", "w"), ("y",)), Node("Sigmoid", ("y",), ("z",))]
GRAPH = Graph(NODES, [Value("x", "float32", ("n", 2))], [Value("z")], {"w": np.eye(2, dtype=np.float32)})
GRAPH = eie.compress(GRAPH, 1.0, np.ones((1, 2), np.float32))
TOO_LONG, NO_JSON = "x" * 300, {"accuracy": float("nan")}


@pytest.mark.parametrize(
    "make",
    [
        lambda: eie.Model(MODEL.layers, TOO_LONG),
        lambda: eie.Model(MODEL.layers, "a", NO_JSON),
        lambda: eie.Model(MODEL.layers * 1025),
        lambda: eie.RecurrentModel("lstm", RECURRENT.layers, name=TOO_LONG),
        lambda: eie.RecurrentModel("lstm", RECURRENT.layers, metadata=NO_JSON),
        lambda: eie.RecurrentModel("lstm", 5),
        lambda: eie.RecurrentModel("lstm", [5] * 4),
        lambda: eie.RecurrentModel(["lstm"], RECURRENT.layers),
        lambda: eie.RecurrentModel("lstm", RECURRENT.layers, 1.5),
        lambda: dataclasses.replace(GRAPH, name=TOO_LONG),
        lambda: dataclasses.replace(GRAPH, metadata=NO_JSON),
        lambda: dataclasses.replace(GRAPH, graph=5),
        lambda: dataclasses.replace(GRAPH, products={"y": GRAPH.products["y"] * 1025}),
    ],
)
def test_what_no_file_takes_is_no_model(make):
    with pytest.raises(LayerError):
        make()


@pytest.mark.parametrize("shown", [MODEL, GRAPH, RECURRENT, MODEL.layers[0], eie.Dense(np.ones((300, 200)))])
def test_what_a_notebook_shows_of_a_model_is_one_line(shown):
    assert len(repr(shown)) < 100 and "\n" not in repr(shown)
    assert str(getattr(shown, "name", "")) in repr(shown)


@pytest.mark.parametrize("model", [MODEL, GRAPH, RECURRENT], ids=["chain", "graph", "recurrent"])
@pytest.mark.parametrize(
    "x", [[[1], [1, 2]], "abc", None, np.ones((1, 2)) * 1j, np.ma.masked_all((1, 2)), {"x": [[1], [1, 2]]}, {1, 2}]
)
def test_inputs_that_are_no_numbers_are_refused_by_all_kinds_of_models(model, x):
    with pytest.raises(EieError):
        eie.Accelerator("emulated").run(x, model=model)


@pytest.mark.parametrize("model", [MODEL, GRAPH, RECURRENT], ids=["chain", "graph", "recurrent"])
def test_no_inputs_give_no_outputs(model):
    accelerator = eie.Accelerator("emulated")
    shape = (2, 2) if model is RECURRENT else (model.layers[0].columns,)
    one, none = (accelerator.run(np.ones((batch, *shape), np.float32), model=model) for batch in (1, 0))
    assert none.shape == (0, *one.shape[1:]) and none.dtype == one.dtype


@pytest.mark.parametrize("name", ["a\0.eie", "\ud800.eie"])
def test_what_can_be_no_path_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EieError):
        eie.save(MODEL, name)
    with pytest.raises(EieError):
        eie.load(name)


def test_masked_values_are_not_taken_for_numbers():
    values = np.ma.masked_array(np.ones((4, 4)), mask=np.eye(4))
    for call in (eie.Dense, lambda x: eie.Accelerator("emulated").run(x, model=MODEL)):
        with pytest.raises(EieError, match="masked values; fill them first"):
            call(values)
    assert np.array_equal(eie.Dense(np.ma.masked_array(np.ones((4, 4)))).weight, np.ones((4, 4)))


def test_integers_of_numpy_are_integers():
    config = eie.ArrayConfig(num_pes=np.int64(8), rows=np.uint16(32), balance_rows=np.bool_(False))
    assert config == eie.ArrayConfig(num_pes=8, rows=32, balance_rows=False)
    assert type(config.num_pes) is int and type(config.balance_rows) is bool
    assert eie.estimate(MODEL, batch=np.int32(3)).batch == 3
