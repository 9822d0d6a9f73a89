"""What was published, read off the papers' figures and tables. Nothing here is used to fit anything.

VS-Quant: S. Dai et al., "VS-Quant: per-vector scaled quantization for accurate low-precision neural network
inference", MLSys 2021, arXiv 2102.04503v1. Numbers of figures 3 to 6 are measured off their pixels, to 0.01.
The chip: B. Keller et al., "A 95.6-TOPS/W deep learning inference accelerator with per-vector scaled 4-bit
quantization in 5 nm", IEEE JSSC 58(4), 2023, table II (simulated, energy of a MAC by part) and table III.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """Of VS-Quant at V = 16, relative to 8/8/-/-: energy of an operation, and area at equal performance.

    product_bits: None for whole products of scales. network: the one whose figure it is in, "" for figure 3.
    """

    figure: int
    network: str
    notation: str
    product_bits: int | None
    energy: float
    area: float | None

    @property
    def key(self) -> tuple[str, int, int | None]:
        """As in machines.py."""
        return self.notation, 16, self.product_bits


POINTS = (
    *(
        Point(3, "", notation, product_bits, energy, None)
        for notation, product_bits, energy in (
            ("4/4/-/-", None, 0.486),
            ("4/4/4/4", 4, 0.364),
            ("4/4/4/4", 6, 0.424),
            ("4/4/4/4", None, 0.640),
            ("6/6/-/-", None, 0.764),
            ("6/6/4/4", 4, 0.626),
            ("6/6/4/4", 6, 0.739),
            ("6/6/4/4", None, 1.042),
            ("6/8/-/-", None, 0.819),
            ("6/8/8/-", 4, 0.798),
            ("6/8/8/-", 6, 0.825),
            ("6/8/8/-", None, 0.979),
            ("8/8/6/-", 4, 0.858),
            ("8/8/6/-", None, 1.042),
        )
    ),
    *(
        Point(figure, network, notation, None, energy, area)
        for figure, network, notation, energy, area in (
            (4, "ResNet-50", "6/6/-/-", 0.764, 0.779),
            (4, "ResNet-50", "6/8/6/-", 0.987, 0.878),
            (4, "ResNet-50", "6/8/8/-", 0.980, 0.883),
            (4, "ResNet-50", "6/4/-/6", 1.080, 0.765),
            (4, "ResNet-50", "4/6/4/-", 0.573, 0.637),
            (4, "ResNet-50", "4/4/4/6", 0.761, 0.629),
            (4, "ResNet-50", "6/3/-/4", 0.552, 0.740),
            (5, "BERT-base", "6/8/-/-", 0.823, 0.812),
            (5, "BERT-base", "4/8/-/10", 0.989, 0.664),
            (5, "BERT-base", "3/8/4/10", 1.042, 0.622),
            (5, "BERT-base", "3/8/6/10", 1.189, 0.643),
            (5, "BERT-base", "4/8/4/10", 1.226, 0.714),
            (5, "BERT-base", "4/8/6/10", 1.344, 0.742),
            (5, "BERT-base", "6/8/-/10", 1.221, 0.847),
            (6, "BERT-large", "3/6/4/10", 1.049, 0.587),
            (6, "BERT-large", "3/6/6/10", 1.000, 0.606),
            (6, "BERT-large", "4/8/-/8", 0.986, 0.657),
        )
    ),
)

# The formats of Keller et al. as this project writes them: 4-bit elements and 8-bit scales of 64, whose
# products keep 8 bits (figure 7). Energy of a MAC, by part, over that of the datapath of INT4 (table II).
KELLER_PARTS = ("datapath", "A buffer", "B buffer", "accumulation collector", "other")
KELLER = {
    "8/8/-/-": (2.76, 0.36, 0.44, 0.71, 1.05),
    "4/4/-/-": (1.00, 0.18, 0.22, 0.30, 0.60),
    "4/4/8/8": (1.01, 0.18, 0.22, 0.30, 0.61),
}
KELLER_PRODUCT_BITS = {"8/8/-/-": None, "4/4/-/-": None, "4/4/8/8": 8}
KELLER_VECTOR_SIZE = 64  # and 16 lanes, as vsq-accel has
# Table III: operations a second and watt at 0.46 V with half of the operands zero, and a second and mm2 at
# 1.05 V. Figure 14, measured off its pixels to 0.5: at 0.67 V with no operand zero.
KELLER_TOPS_PER_WATT = {"8/8/-/-": 39.1, "4/4/-/-": 91.1, "4/4/8/8": 95.6}
KELLER_DENSE = {"8/8/-/-": 12.1, "4/4/-/-": 34.1, "4/4/8/8": 34.0}
KELLER_TOPS_PER_MM2 = {"8/8/-/-": 11.7, "4/4/-/-": 23.3, "4/4/8/8": 23.3}
