"""The resource estimate against a synthesis of today's design."""

import pytest

from eie.boards.resources import estimate
from eie.contract.config import ArrayConfig
from eie_hw.estimates.utilisation import total, utilisation


@pytest.mark.full
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rows": 128, "queue_depth": 64, "index_bits": 4},
        {"num_pes": 32, "activations": 2048, "rows": 16, "stream_bits": 128},
    ],
)
def test_the_estimate_is_close_to_a_synthesis(changes, tmp_path):
    pytest.importorskip("pyosys")
    config = ArrayConfig(**{"num_pes": 4, "activations": 1024} | changes)
    found, usage = estimate(config), total(utilisation(config, tmp_path))
    assert found.luts == pytest.approx(usage.luts, rel=0.1), "fit again: scripts/fit_resources.py"
    assert found.flip_flops == pytest.approx(usage.flip_flops, rel=0.2), "fit again: scripts/fit_resources.py"
    assert (found.ramb36, found.dsps) == (usage.ramb36, usage.dsps)
