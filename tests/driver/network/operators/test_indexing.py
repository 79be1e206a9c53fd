"""What indices, equations and sizes do not fit is refused with one clear error."""

import numpy as np
import pytest

from eie.errors import NetworkError
from eie.network.operators import OPERATORS

X = np.arange(12, dtype=np.float32).reshape(3, 4)


def run(name, *inputs, **attributes):
    operator = OPERATORS[name]
    return operator.run(list(inputs), operator.complete(attributes))


@pytest.mark.parametrize(
    "name, inputs, attributes, words",
    [
        ("ScatterElements", (X, np.array([[5]]), np.ones((1, 1), "f")), {}, "do not exist on axis 0"),
        ("ScatterElements", (X, np.zeros((1, 9), int), np.ones((1, 9), "f")), {}, "reach beyond"),
        ("ScatterElements", (X, np.array([[0]]), np.ones((1, 2), "f")), {}, "do not fit"),
        ("ScatterElements", (X, np.array([[0]]), np.ones((1, 1), "f")), {"reduction": "mean"}, "not known"),
        ("ScatterND", (X, np.array([[0, 0, 0]]), np.ones(1, "f")), {}, "name 3 axes"),
        ("ScatterND", (X, np.array([[0]]), np.ones((1, 3), "f")), {}, "do not fit"),
        ("GatherND", (X, np.array([[7]])), {}, "do not exist"),
        ("GatherND", (X, np.array([[0]])), {"batch_dims": 1}, "batch dimensions"),
        ("TopK", (X, np.array([9])), {}, "size 4"),
        ("Trilu", (X[0],), {}, "no triangle"),
        ("Einsum", (X, X), {"equation": "ij,jk->ik"}, "sizes 4 and 3"),
        ("Einsum", (X,), {"equation": "ijk->i"}, "does not fit"),
        ("Einsum", (X,), {"equation": "ij->k"}, "no term has"),
        ("Einsum", (X,), {"equation": "ij,jk->ik"}, "2 terms for 1"),
    ],
)
def test_what_does_not_fit_is_named(name, inputs, attributes, words):
    with pytest.raises(NetworkError, match=words):
        run(name, *inputs, **attributes)


def test_scattering_leaves_its_input_alone_and_adds_up_what_meets():
    before = X.copy()
    (y,) = run("ScatterND", X, np.array([[1], [1]]), np.ones((2, 4), "f"), reduction="add")
    assert np.array_equal(X, before) and np.array_equal(y, X + 2 * (np.arange(3) == 1)[:, None])


@pytest.mark.parametrize("largest", [0, 1])
def test_of_equal_ones_the_first_come_first(largest):
    values, places = run("TopK", np.array([[1, 3, 3, 0, 0]], np.uint8), np.array([4]), largest=largest)
    assert values.tolist() == ([[3, 3, 1, 0]] if largest else [[0, 0, 1, 3]])
    assert places.tolist() == ([[1, 2, 0, 3]] if largest else [[3, 4, 0, 1]])


def test_an_equation_without_an_arrow_has_its_letters_in_order():
    (y,) = run("Einsum", X, X.T, equation="bj,ja")
    assert np.allclose(y, np.einsum("bj,ja", X, X.T))


def test_numbers_may_come_as_vectors_of_one():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(OPERATORS["CumSum"].run([x, np.array([1])], {})[0], np.cumsum(x, 1))
    one, nine, two = (np.array([value], np.int64) for value in (1, 9, 2))
    np.testing.assert_array_equal(OPERATORS["Range"].run([one, nine, two], {})[0], [1, 3, 5, 7])
    with pytest.raises(NetworkError, match="three numbers; it gets 2, 1 and 1"):
        OPERATORS["Range"].run([np.array([1, 2]), nine, two], {})
