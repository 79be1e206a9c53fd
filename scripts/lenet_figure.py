"""The figure of `train_lenet.py --curve`: size against error."""

from __future__ import annotations

from pathlib import Path

from eie.atomic import replacing

DEEP_COMPRESSION = {"factor": 40, "error_percent": 1.58}
"""LeNet-300-100 in Han, Mao and Dally, ICLR 2016, table 1."""
TARGET = {"factor": 75, "error_percent": 1.30}
REACH = {"factor": 100, "error_percent": 1.58}


def draw(result: dict, figures: Path, shipped: dict | None) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    points = sorted(result["points"], key=lambda point: point["factor"])
    factors = [point["factor"] for point in points]
    figure, axes = pyplot.subplots(figsize=(8, 5.6), layout="constrained")
    axes.plot(factors, [p["test_error_percent"] for p in points], "o-", label="test images, 16-bit integers")
    axes.plot(factors, [p["validation_error_percent"] for p in points], "s--", alpha=0.6, label="validation images")
    for point in points:
        axes.annotate(
            f"{point['kept_percent']:.1f} % kept\n{point['bytes'] / 1000:.1f} kB",
            (point["factor"], point["test_error_percent"]),
            xytext=(0, -28),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    dense = result["dense"]["test_error_percent"]
    axes.axhline(dense, color="grey", lw=1, ls=":", label=f"dense float32 network, test images: {dense:.2f} %")
    axes.plot(*DEEP_COMPRESSION.values(), "k^", label="Deep Compression (Han et al., ICLR 2016): 40x, 1.58 %")
    if shipped:
        label = f"shipped model, trained on all 60,000: {shipped['factor']:.0f}x, {shipped['test_error_percent']:.2f} %"
        axes.plot(shipped["factor"], shipped["test_error_percent"], "r*", ms=14, label=label)
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    bottom = max(0.0, bottom - 0.15)
    axes.fill_between(
        [TARGET["factor"], right],
        bottom,
        TARGET["error_percent"],
        color="green",
        alpha=0.08,
        label="target: at least 75x, at most 1.30 %",
    )
    reach = "reached for: at least 100x, at most 1.58 %"
    axes.plot(
        [REACH["factor"], REACH["factor"], right], [bottom, *[REACH["error_percent"]] * 2], "g--", lw=1, label=reach
    )
    axes.set(
        xlim=(left, right),
        ylim=(bottom, top),
        xlabel="compression: float32 weights (1,064,800 bytes) / model file with Huffman coding",
        ylabel="error on 10,000 images (%)",
        title="LeNet-300-100 on MNIST: size against error, 4-bit shared weights",
    )
    axes.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)
    for suffix in ("png", "svg"):
        with replacing(figures / f"lenet_tradeoff.{suffix}") as partial:
            figure.savefig(partial, dpi=150, metadata={"Date": None} if suffix == "svg" else None)
