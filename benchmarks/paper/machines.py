"""What is compared: formats, vector sizes, widths P, and accelerators for them at equal throughput."""

from __future__ import annotations

from tvm_vsq.hardware import MEMORIES, HardwareConfig, load_hardware

Key = tuple[str, int, int | None]
"""W/A/ws/as, vector size, P (None: whole products of scales)."""

BASELINE = "8/8/-/-"
FORMATS = ("4/4/4/4", "4/8/6/10", "6/8/4/-", "6/6/4/4", "8/8/-/-", "8/8/8/8", "4/4/-/-", "4/4/4/6")
SIZES = (16, 32, 64)
PRODUCT_BITS = {"4/4/4/4": (4, 6), "4/8/6/10": (4, 6, 8, 12), "6/6/4/4": (4, 6), "8/8/8/8": (4, 8, 12)}
MACS_PER_CYCLE = 256  # of every accelerator
DRAM_MIB = {"BERT-large": 512}  # the others fit the 256 of vsq-accel


def array(key: Key) -> HardwareConfig:
    """vsq-accel in other formats: its lanes are what benchmarks/rtl synthesises."""
    notation, size, product_bits = key
    return load_hardware("vsq-accel").with_formats(
        notation, vector_size=size, scale_product_bits=product_bits
    )


def accelerator(key: Key, network: str = "") -> HardwareConfig:
    """As many multipliers as the others, and as many entries in each scratchpad as the 8-bit one has.

    So all have the same tiles and compute in the same cycles; only what DRAM has to deliver differs. A PPU
    pipeline is as long as V requires, in all formats alike. DRAM holds the network.
    """
    notation, size, product_bits = key
    base = _with_lanes(MACS_PER_CYCLE // size, size)
    wide = base.with_formats(BASELINE, vector_size=size)
    found = base.with_formats(notation, vector_size=size, scale_product_bits=product_bits)
    kib = {
        memory.kib_field: -(-wide.depths[memory.name] * found.entry_bits[memory.name] // 8192)
        for memory in MEMORIES
    }
    fields = found.model_dump()
    fields["dram"]["capacity_mib"] = DRAM_MIB.get(network, fields["dram"]["capacity_mib"])
    while True:
        fields["scratchpads"] |= kib
        built = HardwareConfig.checked(fields, f"formats '{notation}'")
        # Indices are as wide as scratchpads are deep, and micro-ops hold three of them.
        short = [m for m in MEMORIES if built.depths[m.name] < wide.depths[m.name]]
        if not short:
            return built
        kib |= {memory.kib_field: kib[memory.kib_field] + 1 for memory in short}


def _with_lanes(lanes: int, size: int) -> HardwareConfig:
    fields = {**load_hardware("vsq-accel").model_dump(), "name": "equal-macs", "output_lanes": lanes}
    more = max(1, size // lanes) + lanes.bit_length()  # blocks of a vector, and more than enough
    cycles = fields["timing"]["ppu_pipeline_cycles"] + more
    fields["timing"] = {**fields["timing"], "ppu_pipeline_cycles": cycles}
    return HardwareConfig.checked(fields, "vsq-accel")
