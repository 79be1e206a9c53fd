"""An exploration in this process, which all others must equal."""

import pytest

import eie
from tests.driver.exploration.workloads import AXES, SMALL, network
from tests.strategies import activations


@pytest.fixture(scope="module")
def work():
    model = network()
    return model, activations(model, 2, seed=1)


@pytest.fixture(scope="module")
def alone(work):
    """The exploration in this process, which all others must equal."""
    return eie.explore(*work, AXES, base=SMALL, jobs=1)
