"""The blocks of the datapath in `rtl/`: parameters and ports of each, for an accelerator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tvm_vsq.errors import ConfigError
from tvm_vsq.formats import ELEMENT_BITS
from tvm_vsq.formats.digits import digit_count
from tvm_vsq.formats.rows import ROW_BITS
from tvm_vsq.hardware import LOADED, HardwareConfig, Memory
from tvm_vsq.hardware.memories import PARAMETER_BITS
from tvm_vsq.hardware.pipeline import check_pipelines, pipelines

_WORD = 32  # of y, a bias, a clip, an immediate
VECTOR_LANE_CYCLES = 5
"""From what a lane reads to the accumulator that it leaves."""

_SHIFT_BITS, _OP_BITS, _SEGMENT_BITS, _SEGMENT_INDEX_BITS, _COUNT_BITS = 6, 4, 48, 7, 20
_DIGIT_SHIFT_BITS = 5  # of what GEMM adds
_DIGITS_BITS, _FORM_BITS = 2, 4  # of fields that count digits; of those that say how many bits a result has
_LAST_LANES_BITS = 8


@dataclass(frozen=True)
class Port:
    """`lanes` numbers of `bits` bits side by side, lane 0 lowest.

    parts: widths of the numbers that a lane consists of, if it is several. delay: clocks behind the
    transaction's first input at which it is read, or, of an output, there.
    """

    name: str
    bits: int
    lanes: int = 1
    delay: int = 0
    parts: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """Bits in all."""
        return self.bits * self.lanes

    @property
    def numbers(self) -> tuple[int, ...]:
        """Width of each number, the lowest first."""
        return (self.parts or (self.bits,)) * self.lanes


@dataclass(frozen=True)
class Block:
    """A module of `rtl/` with its parameters, and its ports besides the clock, if it is `clocked`."""

    name: str
    module: str
    parameters: Mapping[str, int]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    clocked: bool = True


def blocks(hardware: HardwareConfig) -> dict[str, Block]:
    """Every block of `hardware`, by name.

    Raises ConfigError if a pipeline's stages do not fit into its cycles, or the DRAM is not 2^n bytes wide.
    """
    check_pipelines(hardware)
    found = [build(hardware) for build in _BLOCKS] + [_unpack(hardware, memory) for memory in LOADED]
    return {block.name: block for block in found if block is not None}


def most_digits(hardware: HardwareConfig, width: int) -> int:
    """Most digits of `width` bits that an element has."""
    return min(hardware.precision_passes, digit_count(ELEMENT_BITS[1], width))


def _multiplier(hardware: HardwareConfig) -> Block:
    weight, activation = hardware.multiplied_weight_bits, hardware.activation_bits
    return Block(
        "multiplier",
        "multiplier",
        {"A": weight, "B": activation},
        (Port("a", weight), Port("b", activation), Port("b_unsigned", 1)),
        (Port("product", weight + activation),),
        clocked=False,
    )


def _adder_tree(hardware: HardwareConfig) -> Block:
    size, bits = hardware.vector_size, hardware.multiplied_weight_bits + hardware.activation_bits
    stages = pipelines(hardware)
    return Block(
        "adder_tree",
        "adder_tree",
        {"INPUTS": size, "WIDTH": bits, "REGISTERS": stages.tree_registers},
        (Port("terms", bits, size),),
        (Port("sum", bits + size.bit_length() - 1, delay=len(stages.tree_levels)),),
    )


def _dot_bits(hardware: HardwareConfig) -> int:
    return hardware.multiplied_weight_bits + hardware.activation_bits + hardware.vector_size.bit_length() - 1


def _scale_unit(hardware: HardwareConfig) -> Block | None:
    formats, dot = hardware.formats, _dot_bits(hardware)
    if not formats.product_bits:
        return None
    cycles = 1 + len(pipelines(hardware).tree_levels)
    weight, activation = formats.weight.scale_width, formats.activation.scale_width
    return Block(
        "scale_unit",
        "scale_unit",
        {
            "DOT": dot,
            "WEIGHT": weight,
            "ACTIVATION": activation,
            "SHIFT": formats.product_shift,
            "P": formats.product_bits,
            "DOT_CYCLES": cycles,
            "UNSCALED": int(hardware.precision_passes > 1),
        },
        (
            Port("weight_scale", max(1, weight)),
            Port("activation_scale", max(1, activation)),
            Port("unscaled", 1),
            Port("dot", dot, delay=cycles),
        ),
        (Port("scaled", dot + formats.product_bits, delay=cycles + 1),),
    )


def _accumulator(hardware: HardwareConfig) -> Block:
    bits, addend = hardware.accumulator_bits, _dot_bits(hardware) + hardware.product_bits
    return Block(
        "accumulator",
        "accumulator",
        {"ACC": bits, "ADDEND": addend},
        (
            Port("reset", 1),
            Port("fresh", 1),
            Port("forward", 1),
            Port("acc_in", bits),
            Port("addend", addend),
            Port("shift", _DIGIT_SHIFT_BITS),
        ),
        (Port("acc", bits, delay=1),),
    )


def _vector_mac(hardware: HardwareConfig) -> Block:
    formats, size, stages = hardware.formats, hardware.vector_size, pipelines(hardware)
    weight, activation, bits = formats.weight, formats.activation, hardware.accumulator_bits
    latency = 3 + len(stages.tree_levels) + bool(formats.product_bits)
    late = latency - 1
    return Block(
        "vector_mac",
        "vector_mac",
        {
            "V": size,
            "NW": weight.bits,
            "NA": activation.bits,
            "MW": weight.scale_width,
            "MA": activation.scale_width,
            "SHIFT": formats.product_shift,
            "P": formats.product_bits,
            "ACC": bits,
            "TREE_REGISTERS": stages.tree_registers,
            "TREE_CYCLES": len(stages.tree_levels),
            "LOW_DIGITS": hardware.multiplied_weight_bits - hardware.weight_bits,
            "UNSCALED": int(hardware.precision_passes > 1),
        },
        (
            Port("weights", weight.bits, size),
            Port("weight_scale", max(1, weight.scale_width)),
            Port("weight_unsigned", 1),
            Port("activations", activation.bits, size),
            Port("activation_scale", max(1, activation.scale_width)),
            Port("activation_unsigned", 1),
            Port("unscaled", 1),
            *(Port(name, 1, delay=late) for name in ("reset", "fresh", "forward")),
            Port("shift", _DIGIT_SHIFT_BITS, delay=late),
            Port("acc_in", bits, delay=late),
        ),
        (Port("acc", bits, delay=latency),),
    )


def _parameters(lanes: int) -> Port:
    parts = tuple(PARAMETER_BITS.values())
    return Port("par", sum(parts), lanes, parts=parts)


def _residual_ports(lanes: int, scales: int, hardware: HardwareConfig, plural: str) -> tuple[Port, ...]:
    activation = hardware.formats.activation
    digits = most_digits(hardware, activation.bits)
    return (
        Port("relu", 1),
        Port("residual", 1),
        Port("res_unsigned", 1),
        Port(f"res_element{plural}", activation.bits, digits * lanes),
        Port("res_digits", _DIGITS_BITS),
        Port(f"res_scale{plural}", max(1, activation.scale_width), scales),
        Port("res_mult", PARAMETER_BITS["mult"]),
        Port("res_shift", _SHIFT_BITS),
    )


def _ppu_lane(hardware: HardwareConfig) -> Block:
    activation, stages = hardware.formats.activation, pipelines(hardware)
    return Block(
        "ppu_lane",
        "ppu_lane",
        {
            "ACC": hardware.accumulator_bits,
            "MULT": hardware.multiplier_bits,
            "N": hardware.widest_activation_bits,
            "M": activation.scale_width,
            "DIGIT": activation.bits,
            "DIGITS": most_digits(hardware, activation.bits),
            "MULTIPLY_CYCLES": stages.multiply_cycles,
        },
        (
            Port("acc", hardware.accumulator_bits),
            _parameters(1),
            *_residual_ports(1, 1, hardware, ""),
        ),
        (Port("y", _WORD, delay=3 + stages.multiply_cycles),),
    )


def _quantizer_cycles(hardware: HardwareConfig) -> int:
    stages = pipelines(hardware)
    scaled = hardware.formats.activation.scale_bits is not None
    return stages.vector_blocks + 1 + stages.divide_cycles if scaled else 1


def _record_bits(hardware: HardwareConfig) -> int:
    """Of a block of results: the vectors in it, or its part of one, for each digit."""
    activation, lanes = hardware.formats.activation, hardware.output_lanes
    vectors = max(1, lanes // activation.vector_size)
    digits = most_digits(hardware, hardware.formats.second_record.bits)
    return digits * (lanes * activation.bits + vectors * activation.scale_width)


def _form_ports(sign: str) -> tuple[Port, ...]:
    """What results are quantized to; and which blocks are a vector."""
    return (
        Port(sign, 1),
        Port("second", 1),
        Port("out_bits", _FORM_BITS),
        Port("out_scale_bits", _FORM_BITS),
        Port("digits", _DIGITS_BITS),
        Port("first", 1),
        Port("last", 1),
    )


def _quantizer(hardware: HardwareConfig) -> Block:
    activation, lanes = hardware.formats.activation, hardware.output_lanes
    second = hardware.formats.second_record
    return Block(
        "quantizer",
        "quantizer",
        {
            "LANES": lanes,
            "V": activation.vector_size,
            "N": hardware.widest_activation_bits,
            "M": activation.scale_width,
            "G": hardware.guard_bits,
            "N2": second.bits,
            "M2": second.scale_width,
            "DIGIT": activation.bits,
            "DIGITS": most_digits(hardware, second.bits),
            "ANY_FORM": int(hardware.precision_passes > 1),
            "DIVIDE_CYCLES": pipelines(hardware).divide_cycles,
        },
        (Port("y", _WORD, lanes), *_form_ports("is_unsigned")),
        (Port("record", 1, _record_bits(hardware), delay=_quantizer_cycles(hardware)),),
    )


def _ppu(hardware: HardwareConfig) -> Block:
    lane, quantizer = _ppu_lane(hardware), _quantizer(hardware)
    lanes, late = hardware.output_lanes, lane.outputs[0].delay
    vectors = max(1, lanes // hardware.vector_size)
    return Block(
        "ppu",
        "ppu",
        {
            **lane.parameters,
            **quantizer.parameters,
            "RES_DIGITS": lane.parameters["DIGITS"],
        },
        (
            Port("acc", hardware.accumulator_bits, lanes),
            _parameters(lanes),
            *_residual_ports(lanes, vectors, hardware, "s"),
            *_form_ports("out_unsigned"),
        ),
        (
            Port("y", _WORD, lanes, delay=late),
            Port("record", 1, _record_bits(hardware), delay=late + _quantizer_cycles(hardware)),
        ),
    )


def _transposer(hardware: HardwareConfig) -> Block:
    lanes, size = hardware.output_lanes, hardware.vector_size
    return Block(
        "transposer",
        "transposer",
        {"LANES": lanes, "V": size},
        (*(Port(name, 1) for name in ("reset", "valid", "start", "absent")), Port("y", _WORD, lanes)),
        (
            Port("turned", _WORD, lanes, delay=size),
            *(Port(name, 1, delay=size) for name in ("first", "last")),
        ),
    )


def _vector_lane(hardware: HardwareConfig) -> Block:
    activation, bits = hardware.formats.activation, hardware.accumulator_bits
    digits = most_digits(hardware, activation.bits)
    return Block(
        "vector_lane",
        "vector_lane",
        {
            "ACC": bits,
            "N": hardware.widest_activation_bits,
            "M": activation.scale_width,
            "DIGIT": activation.bits,
            "DIGITS": digits,
        },
        (
            Port("op", _OP_BITS),
            Port("src_imm", 1),
            Port("src_acc", 1),
            Port("src_unsigned", 1),
            Port("acc_in", bits),
            Port("acc_late", bits, delay=VECTOR_LANE_CYCLES - 1),
            Port("forward", 1, delay=VECTOR_LANE_CYCLES - 1),
            Port("second", bits),
            Port("element", activation.bits, digits),
            Port("digits", _DIGITS_BITS),
            Port("scale", max(1, activation.scale_width)),
            Port("imm", _WORD),
            Port("shift", _SHIFT_BITS),
            Port("fill", 1),
            Port("fill_address", _SEGMENT_INDEX_BITS),
            Port("fill_segment", _SEGMENT_BITS),
        ),
        (Port("acc", bits, delay=VECTOR_LANE_CYCLES),),
    )


_REDUCE_CYCLES, _RESULT_CYCLES = 4, 6  # of REDUCE without its tree; from a row's sum to its result


def _reduce_tree(hardware: HardwareConfig) -> Block:
    lanes, stages = hardware.output_lanes, pipelines(hardware)
    cycles = len(stages.row_levels)
    return Block(
        "reduce_tree",
        "reduce_tree",
        {
            "LANES": lanes,
            "ACC": hardware.accumulator_bits,
            "TREE_REGISTERS": stages.row_registers,
            "TREE_CYCLES": cycles,
        },
        (
            Port("acc", hardware.accumulator_bits, lanes),
            Port("op", _OP_BITS),
            Port("shift", _SHIFT_BITS),
            Port("first", 1),
            Port("last", 1),
            Port("last_lanes", _LAST_LANES_BITS),
        ),
        (Port("total", ROW_BITS, delay=_REDUCE_CYCLES + cycles),),
    )


def _row_ports(hardware: HardwareConfig, begin: int) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Of what becomes of a row, which is there at clock `begin`."""
    lanes = hardware.output_lanes
    inputs = (
        Port("to", _OP_BITS, delay=begin),
        Port("exponent", _SHIFT_BITS, delay=begin),
        Port("mult", PARAMETER_BITS["mult"], delay=begin),
        Port("imm", _WORD, delay=begin),
        replace(_parameters(lanes), delay=begin + _RESULT_CYCLES - 2),
    )
    entries = _SEGMENT_INDEX_BITS - (lanes.bit_length() - 1)
    outputs = (
        Port("entry", entries, delay=begin + _RESULT_CYCLES - 3),
        Port("result", _WORD, delay=begin + _RESULT_CYCLES),
    )
    return inputs, outputs


def _row_unit(hardware: HardwareConfig) -> Block:
    inputs, outputs = _row_ports(hardware, 0)
    parameters = {"LANES": hardware.output_lanes}
    return Block("row_unit", "row_unit", parameters, (Port("total", ROW_BITS), *inputs), outputs)


def _reduce(hardware: HardwareConfig) -> Block:
    tree = _reduce_tree(hardware)
    inputs, outputs = _row_ports(hardware, tree.outputs[0].delay)
    return Block("reduce", "reduce", tree.parameters, (*tree.inputs, *inputs), outputs)


def _bus(hardware: HardwareConfig) -> int:
    """Bytes of a word of the DRAM."""
    bus = hardware.dram.bytes_per_cycle
    if bus < 2 or bus & (bus - 1):
        raise ConfigError(
            f"{hardware.label}: dram.bytes_per_cycle={bus}: RTL has buses of 2, 4, 8, ... bytes"
        )
    return bus


def _words(bus: int) -> tuple[Port, ...]:
    """Of what LOAD unpacks."""
    return (
        *(Port(name, 1) for name in ("reset", "valid", "first", "last")),
        Port("offset", bus.bit_length() - 1),
        Port("count", _COUNT_BITS),
        Port("word", 8, bus),
    )


def _records(bus: int, record: int) -> dict[str, int]:
    """How records of so many bytes are cut out of words."""
    step = math.gcd(bus, record)
    return {
        "BUS": bus,
        "RECORD": record,
        "ENTRIES": (record - step + bus) // record,
        "STEP": step,
        "COUNT": _COUNT_BITS,
    }


def _unpack_second(hardware: HardwareConfig) -> Block:
    formats, bus = hardware.formats, _bus(hardware)
    second, weight = formats.second_record, formats.weight
    parameters = _records(bus, hardware.second_record_bytes)
    entries = parameters["ENTRIES"]
    sides = {"N": weight.bits, "M": weight.scale_width, "N2": second.bits, "M2": second.scale_width}
    return Block(
        "unpack_second",
        "unpack_second",
        {
            **parameters,
            "V": second.vector_size,
            **sides,
            "LOW_DIGITS": int(hardware.precision_passes > 1),
        },
        (*_words(bus), Port("is_unsigned", 1)),
        (Port("lanes", 1, entries * weight.record_bits, delay=1), Port("complete", 1, entries, delay=1)),
    )


def _unpack(hardware: HardwareConfig, memory: Memory) -> Block:
    bus, record = _bus(hardware), memory.record_bytes(hardware)
    parameters, inputs = _records(bus, record), _words(bus)
    step = parameters["STEP"]
    if record > bus:
        column = max(1, (record // step - 1).bit_length())
        return Block(
            f"unpack_{memory.name}",
            "unpack_columns",
            {"BUS": bus, "RECORD": record, "STEP": step, "COUNT": _COUNT_BITS},
            inputs,
            (
                Port("aligned", 8, bus, delay=1),
                Port("column", column, delay=1),
                Port("columns", (bus // step).bit_length(), delay=1),
            ),
        )
    entries = parameters["ENTRIES"]
    bits = memory.entry_bits(hardware)
    return Block(
        f"unpack_{memory.name}",
        "unpack",
        {"BUS": bus, "RECORD": record, "BITS": bits, **parameters},
        inputs,
        (Port("entries", 1, entries * bits, delay=1), Port("complete", 1, entries, delay=1)),
    )


_BLOCKS: tuple[Callable[[HardwareConfig], Block | None], ...] = (
    _multiplier,
    _adder_tree,
    _scale_unit,
    _accumulator,
    _vector_mac,
    _ppu_lane,
    _quantizer,
    _ppu,
    _transposer,
    _vector_lane,
    _reduce_tree,
    _row_unit,
    _reduce,
    _unpack_second,
)
