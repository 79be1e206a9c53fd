"""Transfers cut at an instruction, and pairs of faults: an error, never a wrong answer, and the next run is right."""

import random

import numpy as np
import pytest

import eie
from eie.contract import isa
from eie.devices.virtual.faults import KINDS, Fault
from eie.errors import EieError
from tests.pynq.networks import CONFIG, inputs, model

DEADLINE = 0.1
"""Seconds, where a fault is to happen."""

PATIENT = 0.5
"""Seconds, where one may: a busy machine is none."""


def boundaries(words):
    """Words at which an instruction begins, but the first."""
    position, found = 0, []
    while position < len(words):
        header = int(words[position])
        instruction = isa.BY_OPCODE[header & isa.OPCODE_MASK]
        position += 1 + instruction.payload_words(CONFIG, instruction.decode(header))
        found.append(position)
    return found[:-1]


def loaded(virtual):
    accelerator = eie.Accelerator(eie.PynqDevice(virtual.bitfile, deadline=PATIENT))
    return accelerator, accelerator.load(model())


def run_program(network, batch):
    (segment,) = eie.pack(network, CONFIG).segments
    words = np.empty(segment.words(batch), np.uint64)
    segment.fill(inputs(network, batch), words)
    return words


def check(virtual, accelerator, networks, faults):
    """Let faults happen while networks run, the first of them now: what comes is right or, of a fault, an error."""
    for fault in faults:
        virtual.inject(fault)
    for network in (*networks, *networks):
        a, pending = inputs(network, 2), len(virtual.faults.pending)
        try:
            assert np.array_equal(accelerator.run_raw(a, model=network), eie.reference(network, a)), faults
        except EieError:
            assert pending, faults
    virtual.faults.pending.clear()
    for network in networks:
        a = inputs(network, 2)
        assert np.array_equal(accelerator.run_raw(a, model=network), eie.reference(network, a)), faults


@pytest.mark.parametrize("kind", ["truncate", "reset_array"])
def test_a_load_that_is_cut_at_an_instruction_is_no_load(virtual, kind):
    network = model()
    for word in boundaries(eie.pack(network, CONFIG).weights):
        with eie.Accelerator(eie.PynqDevice(virtual.bitfile, deadline=DEADLINE)) as accelerator:
            virtual.inject(Fault(kind, "send", word))
            with pytest.raises(EieError):
                accelerator.load(network)
            assert not virtual.faults.pending
            a = inputs(network, 2)
            assert np.array_equal(accelerator.run_raw(a, model=network), eie.reference(network, a))


@pytest.mark.parametrize("kind", ["truncate", "reset_array"])
def test_a_run_that_is_cut_at_an_instruction_gives_no_wrong_answer(virtual, kind):
    accelerator, network = loaded(virtual)
    with accelerator:
        for word in boundaries(run_program(network, 2)):
            check(virtual, accelerator, [network], [Fault(kind, "send", word)])


def random_fault(rng, words):
    kind = rng.choice([kind for kind in KINDS if kind not in ("flip", "stuck_reset")])
    return Fault(kind, rng.choice(["send", "receive"]), rng.randrange(1, words), rng.randrange(1, 4))


def check_pairs(virtual, count, seed):
    """In runs of a network that is loaded, and of one that is not. Flips are left out: a damaged word that is no error
    is for `verify` to find."""
    rng = random.Random(seed)
    accelerator, network = loaded(virtual)
    run = len(run_program(network, 2))
    load = len(eie.pack(network, CONFIG).weights)
    with accelerator:
        for number in range(count):
            fresh = [model(seed=number + 1)] * (number % 2)
            pair = [random_fault(rng, load if fresh and rng.randrange(2) else run) for _ in range(2)]
            check(virtual, accelerator, [*fresh, network], pair)


def test_pairs_of_faults_give_no_wrong_answer(virtual):
    check_pairs(virtual, 6, seed=1)


@pytest.mark.full
def test_many_pairs_of_faults_give_no_wrong_answer(virtual):
    check_pairs(virtual, 2000, seed=2)


@pytest.mark.parametrize("deadline", [float("nan"), None, "2", 0, -1, float("inf"), True])
def test_a_deadline_that_is_none_is_refused(virtual, deadline):
    with pytest.raises(EieError, match="deadline is"):
        eie.PynqDevice(virtual.bitfile, deadline=deadline)
    with eie.Accelerator(eie.PynqDevice(virtual.bitfile)) as accelerator, pytest.raises(EieError, match="deadline is"):
        accelerator.device.deadline = deadline


def test_a_closed_device_allocates_nothing(virtual):
    device = eie.PynqDevice(virtual.bitfile)
    device.close()
    device.close()
    for use in (lambda: device.allocate(8), lambda: device.read_register(0), lambda: device.receive(8)):
        with pytest.raises(EieError, match="closed"):
            use()


def test_a_stopped_process_takes_a_last_look(virtual, accelerator, monkeypatch):
    """All has come while the process was stopped: that is no timeout."""
    import time

    from eie.devices.pynq_board import device as module

    network = accelerator.load(model())
    a = inputs(network, 2)
    accelerator.device.deadline = 1.0
    real, jumps = time.monotonic, iter([0.0])

    class Stopped:
        @staticmethod
        def monotonic():
            return real() + next(jumps, 1000.0)

    monkeypatch.setattr(module, "time", Stopped)
    assert np.array_equal(accelerator.run_raw(a), eie.reference(network, a))
