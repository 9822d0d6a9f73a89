"""What the simulator counts per layer; energy is these counts times a table (docs/energy.md)."""

from tvm_vsq.hardware.memories import MEMORIES

EVENTS = (
    "instructions",
    "macs",
    "scale_products",
    "scale_macs",
    "shift_lane_ops",
    "window_macs",
    "window_lanes",
    "vector_lane_ops",
    "unpack_lane_ops",
    "coefficient_lane_ops",
    "product_lane_ops",
    "table_lane_ops",
    "table_fill_bits",
    "factor_lane_ops",
    "reduce_lane_ops",
    "square_lane_ops",
    "row_ops",
    "ppu_lane_ops",
    "residual_lane_ops",
    "quantize_lane_ops",
    "transpose_lane_ops",
    "dram_read_bytes",
    "dram_write_bytes",
    *(event for memory in MEMORIES for event in (memory.read_event, memory.write_event)),
)
