"""Linear models, norms and labels as scikit-learn's exporter writes them."""

import numpy as np
import pytest
from onnx import TensorProto, helper

import eie
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph

onnxruntime = pytest.importorskip("onnxruntime")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6)).astype(np.float32)
COEFFICIENTS = RNG.standard_normal(18).round(3).tolist()
CLASSES = {
    "classlabels_ints": [4, 7, 9],
    "coefficients": COEFFICIENTS,
    "intercepts": [0.5, -1.0, 0.25],
}


def model(operator, outputs, **attributes):
    node = helper.make_node(operator, ["x"], outputs, domain="ai.onnx.ml", **attributes)
    labels = TensorProto.STRING if "classlabels_strings" in attributes else TensorProto.INT64
    types = [labels, TensorProto.FLOAT] if len(outputs) == 2 else [TensorProto.FLOAT]
    infos = [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(outputs, types, strict=True)]
    graph = helper.make_graph(
        [node], "ml", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 6])], infos
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def by_onnx_runtime(network):
    return onnxruntime.InferenceSession(network.SerializeToString()).run(None, {"x": X})


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC"])
def test_linear_classifiers_are_a_layer_of_the_array(transform):
    network = model("LinearClassifier", ["label", "scores"], post_transform=transform, **CLASSES)
    label, scores = by_onnx_runtime(network)
    found = evaluate(read_graph(network), {"x": X})
    assert np.array_equal(found["label"], label) and found["label"].dtype == label.dtype
    np.testing.assert_allclose(found["scores"], scores, atol=1e-6)
    compressed = eie.compress(network, 1.0, X, terms=2)
    assert len(compressed.layers) == 1
    np.testing.assert_allclose(eie.reference(compressed, X)["scores"], scores, atol=0.1)


@pytest.mark.parametrize(
    "operator, attributes",
    [
        (
            "LinearRegressor",
            {"coefficients": COEFFICIENTS, "intercepts": [1.0, 2.0, 3.0], "targets": 3},
        ),
        ("LinearRegressor", {"coefficients": COEFFICIENTS[:6]}),
        ("Imputer", {"imputed_value_floats": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "replaced_value_float": float("nan")}),
        ("Imputer", {"imputed_value_floats": [7.0], "replaced_value_float": float(X[3, 2])}),
        ("Normalizer", {"norm": "L1"}),
        ("Normalizer", {"norm": "L2"}),
        ("Normalizer", {"norm": "MAX"}),
    ],
)
def test_regressors_and_norms_are_onnx_runtimes(operator, attributes):
    network = model(operator, ["y"], **attributes)
    x = X.copy()
    x[2, 1] = np.nan if operator == "Imputer" else x[2, 1]
    (want,) = onnxruntime.InferenceSession(network.SerializeToString()).run(None, {"x": x})
    np.testing.assert_allclose(evaluate(read_graph(network), {"x": x})["y"], want, atol=1e-5)


def test_labels_of_text_are_left_out_by_naming_the_scores():
    texts = {key: value for key, value in CLASSES.items() if key != "classlabels_ints"}
    network = model("LinearClassifier", ["label", "scores"], classlabels_strings=["a", "b", "c"], **texts)
    with pytest.raises(NetworkError, match=r"output 'label'.*outputs=\['scores'\]"):
        read_graph(network)
    found = evaluate(read_graph(network, outputs=["scores"]), {"x": X})
    np.testing.assert_allclose(found["scores"], by_onnx_runtime(network)[1], atol=1e-5)


@pytest.mark.parametrize(
    "operator, attributes, words",
    [
        ("Normalizer", {"norm": "L3"}, "'L3' is not supported"),
        ("Imputer", {"imputed_value_int64s": [1]}, "imputed_value_floats"),
        ("LinearRegressor", {"coefficients": [1.0] * 6, "post_transform": "PROBIT"}, "PROBIT"),
        ("LinearRegressor", {"coefficients": [1.0] * 7, "targets": 2}, "do not divide"),
        ("LinearRegressor", {"coefficients": [1.0] * 6, "intercepts": [1.0, 2.0]}, "2 intercepts"),
    ],
)
def test_what_is_not_supported_is_named(operator, attributes, words):
    with pytest.raises(NetworkError, match=words):
        read_graph(model(operator, ["y"], **attributes))


def test_a_classifier_with_one_row_for_two_classes_is_refused():
    one = {"classlabels_ints": [0, 1], "coefficients": [1.0] * 6, "intercepts": [1.0]}
    with pytest.raises(NetworkError, match="1 rows of coefficients for 2 classes"):
        read_graph(model("LinearClassifier", ["label", "scores"], **one))
