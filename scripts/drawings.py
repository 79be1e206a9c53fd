"""Draws the array, a cluster and a processing element with the latencies between their parts: docs/figures/*.svg.

The latencies are those of `eie.contract.pipeline` for the array of the boards; a test finds stale drawings.

    python scripts/drawings.py
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from eie.atomic import replacing
from eie.contract import pipeline
from eie.contract.config import ACCUMULATOR_BITS, ArrayConfig

FIGURES = Path(__file__).resolve().parents[1] / "docs/figures"

CONTROL, MEMORY, UNIT = ("#f7f7f7", "#777777"), ("#fff4df", "#c77c00"), ("#eef3f8", "#0072b2")
"""Fill and stroke of what decides, what remembers, what computes."""

INK, FAINT, CYCLES = "#1a1a1a", "#444444", "#9a3b00"


@dataclass
class Drawing:
    """An SVG in the making; boxes have names, arrows go from box to box."""

    title: str
    width: int
    height: int
    boxes: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)

    def box(self, name: str, x: int, y: int, width: int, kind: tuple[str, str], *lines: str, height: int = 62) -> None:
        """Draw a box with its name and small lines below it."""
        fill, stroke = kind
        self.boxes[name] = (x, y, width, height)
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="7" fill="{fill}" stroke="{stroke}" '
            'stroke-width="1.6"/>'
        )
        top = y + (height - 18 * len(lines)) / 2 + 4
        self.text(x + width / 2, top, name, bold=True)
        for i, line in enumerate(lines):
            self.text(x + width / 2, top + 18 * (i + 1), line, size=12, fill=FAINT)

    def shadow(self, x: int, y: int, width: int, height: int, kind: tuple[str, str]) -> None:
        """Draw an empty box, behind another."""
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="7" fill="#ffffff" stroke="{kind[1]}"/>'
        )

    def text(
        self, x: float, y: float, text: str, size: int = 14, fill: str = INK, bold: bool = False, anchor: str = "middle"
    ) -> None:
        """Write a line."""
        style = f'text-anchor="{anchor}" font-size="{size}"' + ' font-weight="bold"' * bold
        self.parts.append(f'<text x="{x:g}" y="{y:g}" {style} fill="{fill}">{escape(text)}</text>')

    def legend(self, config: ArrayConfig) -> None:
        """Say what the numbers are."""
        note = f"numbers in brown: clock cycles; an array of {config.num_pes} PEs"
        self.text(20, self.height - 14, note, size=12, fill=CYCLES, anchor="start")

    def path(
        self,
        points: list[tuple[float, float]],
        label: str = "",
        at: tuple[float, float] | None = None,
        anchor: str = "middle",
    ) -> None:
        """Draw an arrow along points, with a label; above the middle of the first piece, if no place is given."""
        line = "L".join(f"{x:g} {y:g}" for x, y in points)
        self.parts.append(f'<path d="M{line}" stroke="#444" stroke-width="1.6" fill="none" marker-end="url(#arrow)"/>')
        (x0, y0), (x1, y1) = points[:2]
        x, y = at or ((x0 + x1) / 2, (y0 + y1) / 2 - 7)
        if label:
            self.text(x, y, label, size=12, fill=CYCLES, anchor=anchor)

    def across(self, start: str, end: str, label: str = "", dy: int = 0) -> None:
        """Draw an arrow from a box to the one on its right."""
        x0, y0, w0, h0 = self.boxes[start]
        x1 = self.boxes[end][0]
        y = y0 + h0 / 2 + dy
        self.path([(x0 + w0, y), (x1, y)], label)

    def down(self, start: str, end: str, label: str = "", dx: int = 0) -> None:
        """Draw an arrow from a box to the one below it, or above it."""
        x0, y0, w0, h0 = self.boxes[start]
        _, y1, _, h1 = self.boxes[end]
        x = x0 + w0 / 2 + dx
        first, last = (y0 + h0, y1) if y1 > y0 else (y0, y1 + h1)
        self.path([(x, first), (x, last)], label, (x + 7, (first + last) / 2 + 4), "start")

    def svg(self) -> str:
        """Return the whole."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            'font-family="Helvetica, Arial, sans-serif">',
            f"<title>{escape(self.title)}</title>",
            '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="#444"/></marker></defs>',
            f'<rect width="{self.width}" height="{self.height}" fill="#ffffff"/>',
        )
        return "\n".join([*head, *self.parts, "</svg>"]) + "\n"


def array(config: ArrayConfig) -> Drawing:
    """From the stream to the clusters and back."""
    d = Drawing("The array: an instruction, a broadcast, and what comes back", 1120, 540)
    clusters, levels = config.words_per_group, pipeline.lane_levels(config)
    d.box("Stream", 20, 40, 130, CONTROL, "AXI4-Stream in")
    d.box("Control unit", 240, 40, 190, CONTROL, "checks, holds loads back")
    d.box("Execute queue", 540, 40, 190, CONTROL, f"{pipeline.EXECUTE_QUEUE} instructions, in order")
    d.box("Registers", 900, 40, 192, CONTROL, "AXI4-Lite; counters, errors")
    d.box("Load unit", 240, 180, 190, CONTROL, "words become beats", f"of {config.beat_bytes} bytes", height=76)
    d.box("Codebooks", 240, 420, 190, MEMORY, f"{config.codebooks} of 16 weights")
    d.box("Non-zero groups", 540, 180, 190, UNIT, f"{pipeline.GROUPS_AT_ONCE} looked at a cycle")
    d.box("Leading non-zero", 540, 300, 190, UNIT, f"quadtree, {levels} levels;", "a lane a cycle", height=76)
    d.box("Broadcast", 540, 420, 190, UNIT, "value, pointer addresses")
    d.box("Result stream", 20, 300, 130, CONTROL, "AXI4-Stream out")
    for i in (2, 1):
        d.shadow(900 + 8 * i, 180 - 8 * i, 192, 302, MEMORY)
    members = f"of {config.num_pes // clusters} PEs, with their", "part of the activations"
    d.box(f"{clusters} clusters", 900, 180, 192, MEMORY, *members, height=302)

    d.across("Stream", "Control unit", "a word a cycle")
    d.across("Control unit", "Execute queue", "headers")
    d.down("Control unit", "Load unit", "payloads")
    d.down("Load unit", "Codebooks", "CODEBOOK")
    start = pipeline.START_LATENCY + 2 + pipeline.start_delay(config)
    d.down("Execute queue", "Non-zero groups")
    d.text(642, 130, f"COMPUTE: {start}", size=12, fill=CYCLES, anchor="start")
    d.down("Non-zero groups", "Leading non-zero")
    d.down("Leading non-zero", "Broadcast", f"{levels}")
    d.path([(730, 71), (830, 71), (830, 130), (960, 130), (960, 164)], f"STORE: {pipeline.STORE_BEGIN}", (900, 123))
    d.path([(430, 205), (480, 205), (480, 152), (840, 152), (840, 236), (900, 236)], "loads", (780, 145))
    d.path([(900, 211), (730, 211)], "a bit a group", (785, 204))
    d.path(
        [(900, 283), (85, 283), (85, 300)], f"READ: {pipeline.read_latency(config)}, then a word a cycle", (215, 276)
    )
    d.path([(900, 338), (730, 338)], "masks of their lanes")
    d.path([(900, 398), (700, 398), (700, 420)], "a queue is full", (800, 391))
    d.path([(730, 451), (900, 451)], f"{pipeline.broadcast_latency(config)} to the queues")
    d.path(
        [(430, 466), (500, 466), (500, 512), (860, 512), (860, 468), (900, 468)], f"{pipeline.COPY_CYCLES}", (690, 505)
    )
    d.legend(config)
    return d


def cluster(config: ArrayConfig) -> Drawing:
    """What four PEs share."""
    d = Drawing("A cluster: four PEs, their output unit, their lanes of the activation memory", 1120, 460)
    d.box("Broadcast", 20, 60, 150, CONTROL, "of the array")
    d.box("Loads", 20, 330, 150, CONTROL, "of the array")
    for i in range(4):
        d.box(f"PE {i}", 330, 40 + 90 * i, 150, UNIT, "queue, entries, sums")
    d.box("Output unit", 640, 175, 170, UNIT, "bias, shift, rounding,", "clip", height=80)
    d.box("Activation memory", 920, 175, 180, MEMORY, "4 lanes a group,", "mask of the non-zero", height=80)
    for y in (71, 161, 251, 341):
        d.path([(170, 91), (250, 91), (250, y), (330, y)])
        d.path([(480, y), (560, y), (560, 215), (640, 215)])
    d.text(210, 84, f"{pipeline.broadcast_latency(config)}", size=12, fill=CYCLES)
    step = f"{ACCUMULATOR_BITS} bits; STORE: {pipeline.STORE_SELECT + 1} after its step"
    d.text(490, 62, step, size=12, fill=CYCLES, anchor="start")
    d.text(575, 300, "one PE a cycle, in turns", size=12, fill=FAINT, anchor="start")
    d.across("Output unit", "Activation memory", f"{pipeline.STORE_WRITE - pipeline.STORE_SELECT} + 1")
    d.path([(1010, 175), (1010, 25), (95, 25), (95, 60)], "the word of a group: 1", (640, 18))
    d.path([(170, 361), (330, 361)], "pointers, entries", (248, 380))
    d.path([(95, 392), (95, 424), (1010, 424), (1010, 255)], "activations", (870, 417))
    d.path([(725, 424), (725, 255)], "biases", (732, 350), "start")
    d.legend(config)
    return d


def element(config: ArrayConfig) -> Drawing:
    """One PE, from a column's pointers to its accumulators."""
    d = Drawing("A processing element: from a column to a sum", 1120, 340)
    d.box(
        "Pointers", 150, 90, 150, MEMORY, f"{config.banks} banks of {config.pointers},", "even and odd words", height=80
    )
    d.box(
        "Queue",
        400,
        90,
        140,
        MEMORY,
        f"{pipeline.queue_slots(config)} slots,",
        f"full from {pipeline.queue_high_water(config)}",
        height=80,
    )
    d.box(
        "Entries",
        640,
        90,
        150,
        MEMORY,
        f"{config.banks} banks of {config.entries},",
        f"{config.entries_per_word} a word",
        height=80,
    )
    d.box(
        "Arithmetic unit",
        890,
        90,
        200,
        UNIT,
        "codebook, 16 x 16 bits,",
        f"{config.rows} sums of {ACCUMULATOR_BITS} bits",
        height=80,
    )
    d.path([(20, 130), (150, 130)], "column", (78, 123))
    d.across("Pointers", "Queue", f"{pipeline.COLUMN_LATENCY}")
    d.text(350, 190, "empty: dropped", size=12, fill=FAINT)
    d.across("Queue", "Entries", f"{pipeline.ISSUE_LATENCY}")
    d.across("Entries", "Arithmetic unit", f"{pipeline.ENTRY_LATENCY}")
    d.path(
        [(1040, 90), (1040, 50), (940, 50), (940, 90)],
        f"{pipeline.SUM_LATENCY}; the same row again: no wait",
        (990, 42),
    )
    d.text(765, 190, "an entry a cycle", size=12, fill=FAINT, anchor="start")
    _time(d, config)
    d.legend(config)
    return d


def _time(d: Drawing, config: ArrayConfig) -> None:
    """Draw when an activation picked in cycle 0 arrives where."""
    pushed = pipeline.broadcast_latency(config)
    addressed = pushed - pipeline.COLUMN_LATENCY
    issued = pushed + pipeline.ISSUE_LATENCY
    entered = issued + pipeline.ENTRY_LATENCY
    summed = entered + pipeline.SUM_LATENCY
    d.text(20, 262, "cycle after its pick", size=12, fill=FAINT, anchor="start")
    d.path([(150, 258), (1100, 258)])
    for x, cycle, what in (
        (225, addressed, "pointers addressed"),
        (440, pushed, "in the queue"),
        (650, issued, "first entry issued"),
        (850, entered, "multiplied"),
        (1030, summed, "in the accumulator"),
    ):
        d.parts.append(f'<path d="M{x} 252L{x} 264" stroke="#444" stroke-width="1.6"/>')
        d.text(x, 244, f"{cycle}", bold=True, fill=CYCLES)
        d.text(x, 282, what, size=12, fill=FAINT)


def drawings(config: ArrayConfig | None = None) -> dict[str, str]:
    """Return the drawings as SVG by name."""
    config = config or ArrayConfig()
    return {part.__name__: part(config).svg() for part in (array, cluster, element)}


def main() -> None:
    """Write the drawings."""
    for name, svg in drawings().items():
        with replacing(FIGURES / f"{name}.svg") as partial:
            partial.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
