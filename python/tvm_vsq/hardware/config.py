"""The accelerator as data: number formats, array, scratchpads, DRAM and timing constants."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model, model_validator
from typing_extensions import Self

from tvm_vsq.errors import ConfigError, shown
from tvm_vsq.formats import (
    ELEMENT_BITS,
    MAX_DIGITS,
    SCALE_BITS,
    ElementBits,
    LayerFormats,
    ScaleBits,
    VectorFormat,
    VectorSize,
    parse_notation,
)
from tvm_vsq.frozen import Frozen
from tvm_vsq.hardware.changes import changed, flat
from tvm_vsq.hardware.memories import MAX_BANKS, MEMORIES, Memory
from tvm_vsq.hardware.reading import read_mapping, targets_directory
from tvm_vsq.hardware.technology import Technology, load_technology
from tvm_vsq.terminal import Printed, Table

if TYPE_CHECKING:
    from tvm_vsq.hardware.area import Area

_MAX_INSTRUCTION_INDEX_BITS = 20
_ACCUMULATOR_LIMIT = 46
_REDUCTION_BITS = 13
_SHOWN_DIFFERENCES = 4


def _field_of_each_memory(suffix: str, most: Callable[[Memory], int]) -> Any:
    """A description with a field `<memory><suffix>` for each memory, an integer from 1 to `most`."""
    fields: dict[str, Any] = {
        memory.name + suffix: (int, Field(ge=1, le=most(memory), description=memory.holds))
        for memory in MEMORIES
    }
    return create_model("EachMemory", __base__=Frozen, **fields)


class Banks(_field_of_each_memory("", lambda _: MAX_BANKS)):  # type: ignore[misc]
    """Banks of each scratchpad, interleaved by entry, each with one read and one write port an entry wide."""


class Scratchpads(_field_of_each_memory("_kib", lambda memory: memory.max_kib)):  # type: ignore[misc]
    """On-chip memories, in KiB of payload."""

    banks: Banks


class Dram(Frozen):
    """External memory: one shared channel."""

    capacity_mib: int = Field(ge=1, le=4096)
    bytes_per_cycle: int = Field(ge=1, le=1024)
    latency_cycles: int = Field(ge=0, le=100_000)
    burst_bytes: int = Field(ge=1, le=4096)
    row_bytes: int = Field(ge=64, le=1 << 20)
    row_miss_cycles: int = Field(ge=0, le=10_000)


class Timing(Frozen):
    """Fixed costs and queue depths; docs/simulator.md says where each one enters."""

    fetch_cycles: int = Field(ge=1, le=1000)
    fetch_buffer_bursts: int = Field(ge=1, le=4096)
    dma_setup_cycles: int = Field(ge=0, le=10_000)
    gemm_pipeline_cycles: int = Field(ge=0, le=10_000)
    vector_pipeline_cycles: int = Field(default=6, ge=0, le=10_000)
    row_pipeline_cycles: int = Field(default=16, ge=0, le=10_000)
    ppu_pipeline_cycles: int = Field(ge=0, le=10_000)
    command_queue_depth: int = Field(ge=1, le=65_536)
    token_queue_depth: int = Field(ge=1, le=65_536)


class HardwareConfig(Printed, Frozen):
    """One accelerator. Bits are widths, `*_kib` and `*_mib` are sizes, `*_cycles` are clock cycles.

    `weight_scale_bits` / `activation_scale_bits` are None where the scale unit is absent
    (written `null` in YAML, `-` in the paper's W/A/ws/as notation). Elements wider than the array's are up to
    `precision_passes` digits, each of which takes a pass; 1: there are none.
    """

    example = "tvm-vsq target show vsq-accel"

    name: str = Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    vector_size: VectorSize
    output_lanes: Literal[4, 8, 16, 32, 64]
    weight_bits: ElementBits
    activation_bits: ElementBits
    weight_scale_bits: ScaleBits | None
    activation_scale_bits: ScaleBits | None
    scale_product_bits: int | None = Field(default=None, ge=1, le=2 * SCALE_BITS[1])
    accumulator_bits: int = Field(ge=16, le=_ACCUMULATOR_LIMIT)
    guard_bits: int = Field(ge=0, le=8)
    multiplier_bits: int = Field(default=16, ge=4, le=16)
    window_taps: int = Field(default=32, ge=1, le=128)
    precision_passes: int = Field(default=1, ge=1, le=MAX_DIGITS)
    clock_mhz: int = Field(ge=1, le=10_000)
    scratchpads: Scratchpads
    dram: Dram
    timing: Timing
    technology: str = Field(min_length=1)

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        full = self.formats.full_product_bits
        if self.scale_product_bits is not None and self.scale_product_bits > full:
            raise ValueError(
                f"scale_product_bits={self.scale_product_bits} exceeds the {full} bits that "
                f"weight_scale_bits + activation_scale_bits produce; use null or a value up to {full}"
            )
        if self.dram.burst_bytes > self.dram.row_bytes:
            raise ValueError(
                f"dram.burst_bytes={self.dram.burst_bytes} exceeds dram.row_bytes={self.dram.row_bytes}; "
                f"a burst lies in one row"
            )
        for memory in MEMORIES:
            entries, key = memory.depth(self), memory.kib_field
            if entries < 2:
                raise ValueError(
                    f"scratchpads.{key}: {memory.kib(self)} KiB holds {entries} "
                    f"entries of {memory.entry_bits(self)} bits; raise {key} so that it holds at least 2"
                )
            if entries >= 1 << _MAX_INSTRUCTION_INDEX_BITS:
                raise ValueError(
                    f"scratchpads.{key}: {entries} entries need an index of more than "
                    f"{_MAX_INSTRUCTION_INDEX_BITS} bits; lower {key}"
                )
        return self

    @property
    def summary(self) -> str:
        """Formats, array and memories in one line."""
        from tvm_vsq.hardware.printing import hardware_summary

        return hardware_summary(self)

    def _parts(self, wide: bool) -> Iterator[Table | str]:
        from tvm_vsq.hardware.printing import hardware_parts

        return hardware_parts(self)

    @property
    def label(self) -> str:
        """What reports call it: the name, and if that is a shipped accelerator's, what differs from it."""
        differences = _differences(self)
        if not differences:
            return self.name
        shown = [f"{field}={value}" for field, value in differences.items()]
        rest = [f"{len(shown) - _SHOWN_DIFFERENCES} more"] if len(shown) > _SHOWN_DIFFERENCES else []
        return f"{self.name} (modified: {', '.join([*shown[:_SHOWN_DIFFERENCES], *rest])})"

    @property
    def notation(self) -> str:
        """The paper's W/A/ws/as, for example `4/4/4/4` or `8/8/-/-`."""
        return self.formats.notation

    @property
    def built_for(self) -> str:
        """The formats that layers may have, in words: `4/4/4/4`, or `4/4/4/4 in up to 2 passes`."""
        passes = self.precision_passes
        return self.notation if passes == 1 else f"{self.notation} in up to {passes} passes"

    @cached_property  # every depth and record asks for it, thousands of times a layer
    def formats(self) -> LayerFormats:
        """The formats that the array takes."""
        size = self.vector_size
        return LayerFormats.of(
            VectorFormat(self.weight_bits, self.weight_scale_bits, size),
            VectorFormat(self.activation_bits, self.activation_scale_bits, size),
            self.scale_product_bits,
            self.precision_passes,
        )

    def with_formats(
        self, notation: str, *, vector_size: int | None = None, scale_product_bits: int | None = None
    ) -> HardwareConfig:
        """This accelerator built for other number formats: a target like any other.

        notation: W/A/ws/as. vector_size: this one's if None. scale_product_bits: the whole product if None.
        The accumulator is widened where a reduction of 8192 elements could overflow it, by less where the
        scale product is rounded, and the pipeline of the PPU by the blocks that a vector has more; all else
        stays, sizes of scratchpads in KiB included.
        Raises ConfigError naming the field that is refused.
        """
        size = self.vector_size if vector_size is None else vector_size
        if type(size) is not int:
            raise ConfigError(f"vector_size must be an integer, not {size!r}")
        formats = parse_notation(notation)
        modified = "-modified" if _differences(self) else ""
        fields = {
            **self.model_dump(),
            **formats,
            "name": f"{self.name}{modified}_{notation.strip().replace('/', '.')}_V{size}",
            "vector_size": size,
            "scale_product_bits": scale_product_bits,
        }
        widths = {name: width for name, width in formats.items() if isinstance(width, int)}
        scales = sum(width for name, width in widths.items() if name.endswith("_scale_bits"))
        # Rounding drops what is below the P bits of a scale product, in sums too.
        dropped = max(0, scales - scale_product_bits) if type(scale_product_bits) is int else 0
        needed = sum(widths.values()) - dropped + _REDUCTION_BITS
        fields["accumulator_bits"] = min(max(self.accumulator_bits, needed), _ACCUMULATOR_LIMIT)
        # The PPU waits for all blocks of a vector before it knows the scale of the first one.
        more = max(1, size // self.output_lanes) - self.group_blocks
        cycles = max(0, self.timing.ppu_pipeline_cycles + more)
        fields["timing"] = {**fields["timing"], "ppu_pipeline_cycles": cycles}
        return HardwareConfig.checked(fields, f"formats '{notation}'")

    def with_(self, /, **changes: Any) -> HardwareConfig:
        """This accelerator with other values for some fields, checked as those of a YAML file are.

        A field of a part is named with a dot, or stands in a mapping of that part: `with_(output_lanes=32,
        dram={"bytes_per_cycle": 32})` is `with_(**{"output_lanes": 32, "dram.bytes_per_cycle": 32})`. All
        else stays, the name included: `label` says what differs. What depends on a field does not follow it
        (`with_formats` widens the accumulator, this does not).
        Raises ConfigError that names each field that is refused or given twice, and near names for one that
        does not exist.
        """
        source = f"{self.name} with other fields"
        return parse_hardware(changed(self.model_dump(), changes, source), source)

    def misfits(self, formats: LayerFormats) -> Iterator[tuple[str, Any, Any]]:
        """In what this accelerator does not take layers of these formats: field, what they have, and what it
        is built with.

        Weights may be narrower, since narrower integers are among those that it holds. With
        `precision_passes` activations may be, too, and elements of either side may have so many times as many
        bits; so may products have no scales.
        """
        built, passes = self.formats, self.precision_passes
        has, own, most = formats.weight, built.weight, passes * built.weight.bits
        x, x_own, x_most = formats.activation, built.activation, passes * built.activation.bits
        is_unscaled = passes > 1 and not formats.product_bits
        rounding, built_rounding = (
            (each.product_shift, each.product_bits if each.product_shift else 0) for each in (formats, built)
        )
        narrower = (x.bits <= x_most, x.scale_width <= x_own.scale_width) if passes > 1 else (False, False)
        fields = (
            ("vector_size", has.vector_size, own.vector_size, False),
            ("weight_bits", has.bits, own.bits, has.bits <= most),
            ("weight_scale_bits", has.scale_bits, own.scale_bits, has.scale_width <= own.scale_width),
            ("activation_bits", x.bits, x_own.bits, narrower[0]),
            ("activation_scale_bits", x.scale_bits, x_own.scale_bits, narrower[1]),
            ("scale product (bits removed, bits kept)", rounding, built_rounding, is_unscaled),
        )
        for field, found, wanted, fits in fields:
            if found != wanted and not fits:
                yield field, found, wanted

    @property
    def product_bits(self) -> int:
        """P: width that is kept of the scale product (VS-Quant, section 5); 0 without scales."""
        return self.formats.product_bits

    @property
    def product_shift(self) -> int:
        """Low bits of the scale product that rounding removes."""
        return self.formats.product_shift

    @property
    def group_channels(self) -> int:
        """Output channels are handled in groups of max(vector_size, output_lanes)."""
        return max(self.vector_size, self.output_lanes)

    @property
    def group_blocks(self) -> int:
        """Accumulator blocks in one channel group."""
        return self.group_channels // self.output_lanes

    @property
    def input_slices(self) -> int:
        """Operands as wide as the multipliers' activation side that make up an element times its scale."""
        activation = self.formats.activation
        return -(-(activation.bits + activation.scale_width) // activation.bits)

    @property
    def widest_activation_bits(self) -> int:
        """Bits of the widest element of activations, which may be several digits."""
        return max(self.activation_bits, min(ELEMENT_BITS[1], self.precision_passes * self.activation_bits))

    @property
    def multiplied_weight_bits(self) -> int:
        """Bits of the weights' side of a multiplier: one more where low digits, which are unsigned, exist."""
        has_low_digits = self.precision_passes > 1 and self.weight_bits < ELEMENT_BITS[1]
        return self.weight_bits + has_low_digits

    @property
    def macs_per_cycle(self) -> int:
        """Element multiply-accumulates of one micro-op."""
        return self.vector_size * self.output_lanes

    @property
    def entry_bits(self) -> dict[str, int]:
        """Bits of one entry of each scratchpad."""
        return {memory.name: memory.entry_bits(self) for memory in MEMORIES}

    @property
    def depths(self) -> dict[str, int]:
        """Entries of each scratchpad."""
        return {memory.name: memory.depth(self) for memory in MEMORIES}

    @property
    def record_bytes(self) -> dict[str, int]:
        """DRAM bytes of one entry; a wide accumulator entry is stored as int32 lanes."""
        return {memory.name: memory.record_bytes(self) for memory in MEMORIES}

    @property
    def second_record_bytes(self) -> int:
        """DRAM bytes of a record in the second-operand form (`formats.second_record`): whole ones."""
        return -(-self.formats.second_record.record_bits // 8)

    def area(self, technology: str | os.PathLike[str] | Technology | None = None) -> Area:
        """What this accelerator takes on a chip, component by component, in mm2 (docs/area.md).

        technology: the description's own if None; a name, the path of a YAML file, or a Technology. Raises
        ConfigError if it has no areas, or a pipeline is too short for its stages.
        """
        from tvm_vsq.hardware.area import area_of

        return area_of(self, load_technology(self.technology if technology is None else technology))

    def tvm_target(self) -> Any:
        """This accelerator as a tvm.target.Target, for `tvm.compile(quantized_module, target=...)`."""
        import tvm  # takes a second, and descriptions are read without it

        from tvm_vsq.hardware.tvm_target import target_options

        return tvm.target.Target(target_options(self))

    def sim_params(self) -> dict[str, int]:
        """Everything the simulator needs, as plain integers (an absent scale unit is 0 bits)."""
        formats = self.formats
        return {
            "vector_size": self.vector_size,
            "output_lanes": self.output_lanes,
            "weight_bits": self.weight_bits,
            "activation_bits": self.activation_bits,
            "weight_scale_bits": formats.weight.scale_width,
            "activation_scale_bits": formats.activation.scale_width,
            "product_bits": formats.product_bits,
            "product_shift": formats.product_shift,
            "accumulator_bits": self.accumulator_bits,
            "guard_bits": self.guard_bits,
            "multiplier_bits": self.multiplier_bits,
            "window_taps": self.window_taps,
            "precision_passes": self.precision_passes,
            **{f"{pad}_depth": depth for pad, depth in self.depths.items()},
            **{f"{memory.name}_banks": memory.banks(self) for memory in MEMORIES},
            **{f"{pad}_record_bytes": size for pad, size in self.record_bytes.items()},
            "second_bits": formats.second_record.bits,
            "second_scale_bits": formats.second_record.scale_width,
            "second_record_bytes": self.second_record_bytes,
            "dram_bytes": self.dram.capacity_mib << 20,
            "dram_bytes_per_cycle": self.dram.bytes_per_cycle,
            "dram_latency_cycles": self.dram.latency_cycles,
            "dram_burst_bytes": self.dram.burst_bytes,
            "dram_row_bytes": self.dram.row_bytes,
            "dram_row_miss_cycles": self.dram.row_miss_cycles,
            **self.timing.model_dump(),
        }


def parse_hardware(data: Any, source: str) -> HardwareConfig:
    """Validate a mapping read from `source`; ConfigError lists each offending key and the remedy.

    So for a technology that is not known or cannot be read.
    """
    return _with_known_technology(HardwareConfig.checked(data, source), source)


def _with_known_technology(hardware: HardwareConfig, source: str) -> HardwareConfig:
    try:
        load_technology(hardware.technology)
    except ConfigError as error:
        raise ConfigError(f"{source}: technology: {error}") from None
    return hardware


def list_targets() -> list[str]:
    """Names of the shipped accelerators, sorted."""
    return sorted(path.stem for path in targets_directory().glob("*.yaml"))


@lru_cache(maxsize=64)
def _shipped_fields(name: str) -> dict[str, Any]:
    """The fields of the shipped accelerator `name`, nested ones by dotted path; none if there is none."""
    return flat(load_hardware(name).model_dump()) if name in list_targets() else {}


def _differences(hardware: HardwareConfig) -> dict[str, Any]:
    """The fields in which `hardware` differs from the shipped accelerator of its name."""
    shipped = _shipped_fields(hardware.name)
    own = flat(hardware.model_dump()) if shipped else {}
    return {field: value for field, value in own.items() if shipped[field] != value}


def load_hardware(target: str | os.PathLike[str] | HardwareConfig) -> HardwareConfig:
    """Resolve `target`: a HardwareConfig, the name of a shipped accelerator, or the path of a YAML file.

    Raises ConfigError if the name is unknown, the file cannot be read, or its content is refused; also for a
    HardwareConfig whose technology is not known.
    """
    if isinstance(target, HardwareConfig):
        return _with_known_technology(target, f"target '{target.label}'")
    if not isinstance(target, str | os.PathLike):
        raise ConfigError(f"target must be a name, a path or a HardwareConfig, not {type(target).__name__}")
    text = os.fspath(target)
    path = (
        Path(text)
        if text.endswith((".yaml", ".yml")) or os.sep in text
        else targets_directory() / f"{text}.yaml"
    )
    if not os.path.isfile(path):
        known = ", ".join(list_targets())
        raise ConfigError(f"unknown target {shown(text)}; known are {known}, or give the path of a YAML file")
    return parse_hardware(read_mapping(path), str(path))
