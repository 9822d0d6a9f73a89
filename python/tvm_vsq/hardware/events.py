"""What the simulator counts per layer; energy is these counts times a table (docs/energy.md)."""

SCRATCHPADS = ("uop", "inp", "wgt", "acc", "par", "out")

EVENTS = (
    "instructions",
    "macs",
    "scale_products",
    "scale_macs",
    "ppu_lane_ops",
    "quantize_lane_ops",
    "dram_read_bytes",
    "dram_write_bytes",
    *(f"{pad}_{access}_bits" for pad in SCRATCHPADS for access in ("read", "write")),
)
