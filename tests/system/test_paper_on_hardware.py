"""The nine layers of the paper in full size on simulated hardware of 64 PEs: outputs, counters, how busy it is."""

import numpy as np
import pytest

import eie
from eie.paper import BENCHMARKS
from eie.paper.machines import best_machine


@pytest.mark.full
def test_hardware_keeps_its_pes_as_busy_as_the_cycle_model_says():
    config = best_machine()
    with eie.Accelerator(eie.RtlDevice(config)) as accelerator:
        utilisations = []
        for benchmark in BENCHMARKS:
            layer, a = benchmark.random_layer()
            model = eie.Model([layer])
            accelerator.clear_counters()
            outputs = accelerator.run_raw(a[None], model=model)
            counters = accelerator.counters
            assert np.array_equal(outputs, eie.reference(model, a[None])), benchmark.name
            (expected,) = eie.cycles(layer, a, config)
            for name in ("cycles", "broadcasts", "work", "padding", "starved", "blocked"):
                assert np.array_equal(getattr(counters, name), getattr(expected, name)), (benchmark.name, name)
            utilisation = expected.useful / (config.num_pes * counters.cycles)
            print(f"{benchmark.name}: {counters.cycles} cycles, utilisation {utilisation:.3f}")
            utilisations.append(utilisation)
    assert min(utilisations) >= 0.90
    assert np.exp(np.log(utilisations).mean()) >= 0.95
