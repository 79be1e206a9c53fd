"""scikit-learn's networks, exported by skl2onnx as they are, compute here what ONNX Runtime makes of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie

pytest.importorskip("sklearn")
runtime = pytest.importorskip("onnxruntime")
to_onnx = pytest.importorskip("skl2onnx").to_onnx
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import MinMaxScaler, StandardScaler  # noqa: E402

X = np.random.default_rng(0).standard_normal((160, 6)).astype(np.float32)


@st.composite
def estimators(draw):
    """Return a fitted network, with what people put before it."""
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    columns = draw(st.integers(1, 3))
    values = np.tanh(X @ rng.standard_normal((6, columns)))
    how = {
        "hidden_layer_sizes": tuple(draw(st.lists(st.integers(2, 12), min_size=1, max_size=3))),
        "activation": draw(st.sampled_from(["relu", "tanh", "logistic", "identity"])),
        "max_iter": 8,
        "random_state": 0,
    }
    if draw(st.booleans()):
        values = values.argmax(axis=1) if columns > 2 else (values[:, 0] > 0).astype(np.int64)
        last = MLPClassifier(**how)
    else:
        values = values[:, 0] if columns == 1 else values
        last = MLPRegressor(**how)
    before = draw(st.lists(st.sampled_from([StandardScaler, MinMaxScaler, PCA]), max_size=2, unique=True))
    return make_pipeline(*(part() for part in before), last).fit(X, values)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=10, deadline=None)
@given(estimators())
def test_an_estimator_computes_what_onnx_runtime_makes_of_it(estimator):
    network = to_onnx(estimator, X[:1])
    session = runtime.InferenceSession(network.SerializeToString())
    want = dict(zip((o.name for o in session.get_outputs()), session.run(None, {"X": X}), strict=True))
    model = eie.compress(network, 1.0, X, terms=2)
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        got = accelerator.run(X, model=model, verify=True)
    got = got if isinstance(got, dict) else {next(iter(want)): got}
    assert list(got) == list(want)
    for name, wanted in want.items():
        if name == "output_label":
            assert np.mean(got[name] == wanted) > 0.95
            continue
        if name == "output_probability":  # a dict of each row, by class
            wanted = np.array([list(row.values()) for row in wanted])
        assert np.abs(got[name].reshape(wanted.shape) - wanted).max() < 0.03 * np.abs(wanted).max()
