"""`eie.estimate` against the simulated hardware's counters; streamed layers keep the stream busy."""

import numpy as np
import pytest

import eie
from eie.contract.config import WORD_BITS
from eie.contract.fixed_point import quantise
from eie.data.mnist import DATA
from eie.data.mnist import test_digits as digits
from eie.paper import BENCHMARKS

full = pytest.mark.full
LENET = {
    "4 PEs": eie.ArrayConfig(num_pes=4, entries=8192, pointers=1024, rows=128, activations=4096),
    "16 PEs": eie.ArrayConfig(num_pes=16, entries=4096, pointers=1024, rows=64, activations=4096),
    "64 PEs": eie.ArrayConfig(),
}
STREAMED = {
    "4 PEs": eie.ArrayConfig(num_pes=4, entries=1024, pointers=256, rows=16, activations=512),
    "16 PEs": eie.ArrayConfig(num_pes=16, queue_depth=4),
    "64 PEs": eie.ArrayConfig(),
}


def measure(config, model, activations):
    """Return the counters of a batch on the simulated hardware, weights loaded before if they stay."""
    with eie.Accelerator(eie.RtlDevice(config)) as accelerator:
        accelerator.load(model)
        _ = accelerator.counters  # waits until the array is idle
        accelerator.clear_counters()
        accelerator.run_raw(activations, verify=True)
        return accelerator.counters


def random_layer(rows, columns, density, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, 16, (rows, columns)) * (rng.random((rows, columns)) < density)
    layer = eie.Layer.from_dense_codes(codes, np.arange(16), shift=6, relu=False, name="layer")
    activations = rng.integers(1, 99, (2, columns)) * (rng.random((2, columns)) < 0.35)
    return eie.Model([layer]), activations.astype(np.int16)


@pytest.mark.parametrize("name", [n if n == "4 PEs" else pytest.param(n, marks=full) for n in LENET])
def test_the_resident_lenet_takes_the_cycles_that_the_estimate_says(name):
    config, model = LENET[name], eie.load(DATA / "lenet-300-100.eie")
    inputs = quantise(digits().inputs()[:20], model.input_fraction_bits)
    found = eie.estimate(model, config, inputs)
    assert found.resident
    assert found.batch_cycles == measure(config, model, inputs).busy
    assert found.latency_cycles == measure(config, model, inputs[:1]).busy


@pytest.mark.parametrize("name", [n if n == "4 PEs" else pytest.param(n, marks=full) for n in STREAMED])
def test_a_streamed_layer_takes_the_cycles_that_the_estimate_says(name):
    config = STREAMED[name]
    model, inputs = random_layer(300, 600, 0.2) if name == "4 PEs" else random_layer(1500, 3000, 0.15)
    found = eie.estimate(model, config, inputs)
    assert not found.resident
    assert found.batch_cycles == measure(config, model, inputs).busy


def stream_use(config, model, activations):
    """Return the share of cycles in which the stream brings a word, of those in which words remain; and counters."""
    segment = eie.pack(model, config).segments[0]
    words = np.zeros(segment.words(1), np.uint64)
    segment.fill(activations[:1], words)
    with eie.Accelerator(eie.RtlDevice(config)) as accelerator:
        _ = accelerator.counters
        accelerator.clear_counters()
        device = accelerator.device
        before = device.cycles
        device.send(words.view(np.uint8))
        device.play_out()
        streaming = device.cycles - before
        outputs = segment.unpack(device.receive(segment.output_words * WORD_BITS // 8), 1)
        assert np.array_equal(outputs, eie.reference(model, activations[:1]))
        return len(words) / streaming, len(words), accelerator.counters


@pytest.mark.parametrize(
    ("config", "layer"),
    [
        pytest.param(STREAMED["4 PEs"], lambda: random_layer(256, 600, 0.3), id="4 PEs"),
        pytest.param(eie.ArrayConfig(), BENCHMARKS[0].random_layer, id="Alex-6 on 64 PEs", marks=full),
    ],
)
def test_the_stream_is_busy_while_weights_remain_and_computing_is_in_the_shade_of_loading(
    config, layer, record_property
):
    model, activations = layer()
    if isinstance(model, eie.Layer):
        model, activations = eie.Model([model]), activations[None]
    busy_share, words, counters = stream_use(config, model, activations)
    record_property("stream busy", busy_share)
    assert busy_share >= 0.95
    # The counters say the same: the stream waits for the array in few cycles, and little remains to be done after it.
    assert counters.stalled <= 0.05 * words
    assert counters.cycles > 0.02 * words, "there is computing to overlap"
    assert counters.busy - words / busy_share < 0.1 * counters.cycles, "computing that is not in the shade of loading"
    print(
        f"{model.name}: {words} words in {words / busy_share:.0f} cycles, stream busy {busy_share:.2%}; stalled "
        f"{counters.stalled}, computing {counters.cycles}, all {counters.busy}"
    )
