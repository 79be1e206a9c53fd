"""What `eie.compress` takes besides files: state dicts, modules, models of ONNX, tensors and sparse matrices."""

import numpy as np
import pytest

import eie
from eie.errors import NetworkError

RNG = np.random.default_rng(0)
W1, B1, W2 = RNG.normal(size=(8, 12)).astype(np.float32), RNG.normal(size=8).astype(np.float32), RNG.normal(size=(3, 8))
W2 = W2.astype(np.float32)


def layers():
    return eie.compress([eie.Dense(W1, B1, "relu", "0"), eie.Dense(W2, name="2")], 0.5)


def test_a_mapping_of_names_to_arrays_is_read_as_a_file_is():
    model = eie.compress({"0.weight": W1, "0.bias": B1, "2.weight": W2}, 0.5)
    assert model.layers == layers().layers
    with pytest.raises(NetworkError, match=r"'1\.running_mean'.* neither a weight nor a bias"):
        eie.compress({"0.weight": W1, "1.running_mean": B1})
    with pytest.raises(NetworkError, match=r"call prune\.remove on the module first"):
        eie.compress({"0.weight_orig": W1, "0.weight_mask": W1})


def module(torch):
    net = torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3, bias=False))
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), (W1, B1, W2), strict=True):
            parameter.copy_(torch.from_numpy(value))
    return net


def test_a_module_of_torch_and_its_state_dict_are_networks():
    torch = pytest.importorskip("torch")
    net = module(torch)
    assert eie.compress(net.state_dict(), 0.5).layers == layers().layers
    pytest.importorskip("onnx")
    for given in (net, torch.nn.Sequential(torch.nn.Flatten(), *net)):
        model = eie.compress(given, 0.5)
        assert [layer.codes.tolist() for layer in model.layers] == [layer.codes.tolist() for layer in layers().layers]
    with pytest.raises(NetworkError, match="give calibration"):
        eie.compress(torch.nn.Conv2d(1, 2, 3))


def test_tensors_of_torch_and_sparse_matrices_are_weights():
    torch = pytest.importorskip("torch")
    half = torch.from_numpy(W1).to(torch.bfloat16)
    for weight in (torch.nn.Parameter(torch.from_numpy(W1)), half):
        assert np.allclose(eie.Dense(weight).weight, W1, rtol=2**-7)
    sparse = pytest.importorskip("scipy.sparse")
    for kind in (sparse.csr_matrix, sparse.coo_array):
        assert np.array_equal(eie.Dense(kind(W1)).weight, W1)


def test_a_model_of_onnx_is_a_network():
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="only", transB=1)],
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 12])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 8])],
        [onnx.numpy_helper.from_array(W1, "w"), onnx.numpy_helper.from_array(B1, "b")],
    )
    model = eie.compress(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), 0.5)
    assert (model.columns, model.rows) == (12, 8)


def test_densities_go_by_the_names_of_layers():
    network = [eie.Dense(W1, B1, "relu", "first"), eie.Dense(W2, name="last")]
    model = eie.compress(network, {"first": 0.25, "last": None})
    assert [layer.nonzeros for layer in model.layers] == [24, 24]
    with pytest.raises(NetworkError, match="density names the layers 'first'; the network has 'first', 'last'"):
        eie.compress(network, {"first": 0.25})
