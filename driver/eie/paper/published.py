"""What the paper states: figures of its tables and text (Han et al., ISCA 2016, arXiv:1602.01528v2).

Curves and bars of its figures are graphics without numbers; of those only what the text says is here.
"""

from __future__ import annotations

ENERGY_PJ = {
    "int32 add": 0.1,
    "float32 add": 0.9,
    "int32 multiply": 3.1,
    "float32 multiply": 3.7,
    "SRAM 32 KB, read 32 bits": 5.0,
    "DRAM, read 32 bits": 640.0,
}
"""Table I: energy of an operation in 45 nm CMOS, in picojoules."""

PE_POWER_MW = {
    "activation queue": 0.112,
    "pointer read": 1.807,
    "sparse-matrix read": 4.955,
    "arithmetic": 1.162,
    "activation read/write": 1.122,
}
"""Table II: power of a PE, unit by unit."""

PE_TOTAL_MW = 9.157
LNZD_MW, LNZD_NODES = 0.023, 21
"""Table II and section VI: a node of the leading non-zero detection, and nodes for 64 PEs."""

POWER_W = 0.59
"""Table V: 64 PEs in 45 nm."""
FRAMES_PER_SECOND = {64: 81967, 256: 426230}
FRAMES_PER_JOULE = {64: 138927, 256: 180606}
"""Table V: AlexNet FC7 on 64 PEs (45 nm, 800 MHz) and on 256 PEs (28 nm, 1.2 GHz)."""
POWER_256_W, CLOCK_256_MHZ = 2.36, 1200

CPU_DENSE_US = dict(
    zip(
        ("Alex-6", "Alex-7", "Alex-8", "VGG-6", "VGG-7", "VGG-8", "NT-We", "NT-Wd", "NT-LSTM"),
        (7516.2, 6187.1, 1134.9, 35022.8, 5372.8, 774.2, 605.0, 1361.4, 470.5),
        strict=True,
    )
)
"""Table IV: Core i7-5930K, batch 1, dense."""

SPEEDUP_OVER_CPU = dict(zip(CPU_DENSE_US, (248, 507, 115, 1018, 618, 92, 63, 98, 60), strict=True))
SPEEDUP_OVER_CPU_MEAN = 189
"""Figure 6: EIE over that CPU, labels of the bars, and of their geometric mean."""

PRECISION_ACCURACY = {"float32": 80.3, "int16": 79.8, "int8": 53.0}
"""Figure 10: accuracy on ImageNet in percent; the text gives none for int32."""

WORD_BITS = 64
"""Section VI: word of the sparse-matrix memory, at which Figure 9 has its least energy."""

STATEMENTS = {
    "queue": "With a queue of depth 1 about half of all cycles are idle; beyond depth 8 the gain diminishes; NT-We is "
    "poorer than the others.",
    "width": "A word of 64 bits takes the least energy in total.",
    "precision": "16-bit fixed point loses less than 0.5 % against float32; 8 bits lose 27 %.",
    "speedup": "Nearly linear in the number of PEs, except NT-We; 256 PEs are 3.25 times as fast as 64.",
    "padding": "With more PEs there is less padding.",
    "balance": "With more PEs the load is balanced less well.",
}
"""What the text says of Figures 8 to 13."""

AUTHORS_ALEX_8_ENTRIES, AUTHORS_ALEX_8_PRODUCTS = 453_748, 1.003
"""Of the authors' own vector of Alex-8: entries, and products over what the densities make (`AUTHORS_ALEX_8` has the
times)."""

INCONSISTENCIES = (
    "NT-We: the bar of Figure 6 is labelled 63 times, Table IV gives 605.0 / 8.0 = 75.6 times. NT-LSTM: 60 against "
    "62.7.",
    "Alex-8: 8.9 us of 64 PEs at 800 MHz are 455,680 entries, but 4096 x 1000 weights at Table III's 25 % and 37.5 % "
    "make 384,000 products, and 16 rows a PE never need padding. The authors' own vector has 42.9 % non-zeros.",
    "VGG-6 and Alex-6 have the same theoretical time, 28.1 us, though VGG-6 has 37 % fewer products by Table III.",
    "A 13-bit row address and a 3-bit entry select reach 65,536 entries, 64 KB; the sparse-matrix memory has 128 KB.",
    "The pointer memory holds 16,384 pointers of 16 bits; VGG-6 has 25,088 columns.",
    "256 PEs over 64 PEs: 3.25 times by the text of section VIII; Table V's frames/s give 426,230 / 81,967 = 5.20 "
    "times, which are 3.47 times once the clocks of 1.2 GHz and 800 MHz are divided out.",
    "The actual times of AlexNet's three layers add up to 52.4 us, 19,084 frames/s; the text says 18,800.",
    "Power is 590 mW in Table V and 600 mW in the text; 64 PEs and 21 LNZD nodes of Table II are 586.5 mW.",
    "A padding zero comes after more than 15 zeros (section III) or more than 16 (section VII).",
    "The energy saved by skipping zero activations is 65.16 % in the introduction and 65.14 % in section VI.",
)
"""Where the paper disagrees with itself, as far as it matters here."""
