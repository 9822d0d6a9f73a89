"""The accelerators whose blocks are synthesised: formats of the paper and others, vector sizes, widths P."""

from __future__ import annotations

from tvm_vsq.hardware import HardwareConfig, load_hardware, parse_hardware

BASELINE = "8/8/-/-"
PAPER = ("4/4/4/4", "4/8/6/10", "6/8/4/-", "6/6/4/4", "8/8/-/-", "8/8/8/8")
OTHERS = ("4/4/-/-", "4/4/4/6", "6/6/-/-", "6/8/-/-", "4/8/-/10", "8/8/6/-")
# Left out of the fit of the area model, and compared with it: docs/area.md.
HELD_OUT = (
    ("5/7/3/5", 16, None), ("7/5/-/6", 16, 3), ("3/3/4/4", 32, None), ("6/4/5/-", 64, None),
    ("2/6/2/8", 32, 6), ("8/5/8/3", 16, 8), ("4/8/6/10", 32, 8), ("4/4/4/4", 64, 6),
)  # fmt: skip
# With digits, +2 or +4 `precision_passes`: compared with the model, too, and not fitted.
DIGITS = (
    ("4/4/4/4+2", 16, None), ("4/8/6/10+2", 16, None), ("6/6/4/4+2", 16, None), ("8/8/8/8+2", 16, None),
    ("4/4/-/-+2", 16, None), ("2/2/4/4+4", 16, None), ("3/2/4/6+4", 32, 6), ("4/4/4/4+2", 32, 4),
)  # fmt: skip
GATE_DIGITS = ("4/4/4/4+2", "4/8/6/10+2")  # whose gates are measured, too, at V = 16
SIZES = (16, 32, 64)
PRODUCT_BITS = {"4/4/4/4": (4, 6), "4/8/6/10": (4, 6, 8, 12), "6/6/4/4": (4, 6), "8/8/8/8": (4, 8, 12)}

Key = tuple[str, int, int | None]


def hardware(key: Key) -> HardwareConfig:
    """vsq-accel in other formats: (W/A/ws/as, vector size, P or None), behind a + passes over digits."""
    notation, size, product_bits = key
    formats, _, passes = notation.partition("+")
    found = load_hardware("vsq-accel").with_formats(
        formats, vector_size=size, scale_product_bits=product_bits
    )
    if not passes:
        return found
    return parse_hardware({**found.model_dump(), "precision_passes": int(passes)}, notation)


def one_pass(key: Key) -> Key:
    """The same without digits."""
    return key[0].partition("+")[0], *key[1:]


def fitted() -> list[Key]:
    """All but HELD_OUT: each format and vector size with whole products of scales, and with rounded ones."""
    keys: list[Key] = [(notation, size, None) for size in SIZES for notation in (*PAPER, *OTHERS)]
    keys += [(n, size, p) for n, all_p in PRODUCT_BITS.items() for p in all_p for size in SIZES]
    return [key for key in keys if key not in HELD_OUT]
