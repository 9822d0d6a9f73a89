"""The instruction set, declared once. Encoder, decoder, C++ header and docs/isa.md derive from these rows."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_vsq.formats import ELEMENT_BITS, MAX_DIGITS, SCALE_BITS
from tvm_vsq.hardware import LOADED, MEMORIES, STORED, Memory
from tvm_vsq.hardware.engines import ENGINES
from tvm_vsq.hardware.memories import PARAMETER_BITS


@dataclass(frozen=True)
class Field:
    """One field: `width` is a number of bits, or the name of a width that the hardware config determines."""

    name: str
    width: int | str
    meaning: str
    names: tuple[str, ...] = ()
    """Symbolic values, in order from 0, where the field is an enumeration."""
    at_least: int = 0
    at_most: int | None = None
    """The values that the accelerator accepts; None: all that the width holds."""
    only_if: str = ""
    """The flag without which the field has no meaning, and any value is accepted."""
    signed: bool = False
    """In two's complement; other fields hold no negative numbers."""

    def bounds(self, width: int) -> tuple[int, int]:
        """The least and the largest value that `width` bits hold."""
        return (-1 << (width - 1), (1 << (width - 1)) - 1) if self.signed else (0, (1 << width) - 1)


@dataclass(frozen=True)
class Token(Field):
    """A bit that pops or pushes a token; `engine` is at the other end of the queue."""

    engine: str = ""


@dataclass(frozen=True)
class Route:
    """A queue of tokens: with which bit instructions of `source` push, and with which those of `sink` pop."""

    source: str
    push: str
    sink: str
    pop: str


@dataclass(frozen=True)
class Instruction:
    """One instruction: `fields` from bit 0 upwards, behind the opcode and the token bits."""

    name: str
    opcode: int
    engine: str
    semantics: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Width:
    """A field width that follows from the hardware: enough bits for an index into `depths` entries."""

    name: str
    depths: tuple[str, ...]
    meaning: str


def _depths(memories: tuple[Memory, ...]) -> tuple[str, ...]:
    return tuple(f"{memory.name}_depth" for memory in memories)


WIDTHS = (
    *(Width(m.name, (f"{m.name}_depth",), f"index into the {m.title} scratchpad") for m in MEMORIES),
    Width("source", ("inp_depth", "acc_depth"), "index into the input or the accumulator scratchpad"),
    Width("load_sram", _depths(LOADED), "index into any scratchpad that LOAD fills"),
    Width("store_sram", _depths(STORED), "index into any scratchpad that STORE reads"),
    Width("dram", ("dram_bytes",), "byte address in DRAM"),
)

COUNT_BITS = 10
PAD_BITS = 4
X_STRIDE_BITS = 12
Y_STRIDE_BITS = 16
PIXEL_BITS = 12
BLOCK_BITS = 8
SHIFT_BITS = 6
MEMORY_BITS = 4
TAP_BITS = 7
LANE_BITS = 8
DIGITS_BITS = (MAX_DIGITS - 1).bit_length()

UNITS = ("fetch", *(engine.name for engine in ENGINES))

OPCODE = Field("opcode", 5, "selects the instruction")
TOKENS = (
    *(Token(f"pop_{e.name}", 1, f"wait for a token from {e.name}", engine=e.name) for e in ENGINES),
    *(Token(f"push_{e.name}", 1, f"on completion give a token to {e.name}", engine=e.name) for e in ENGINES),
)
COMMON = (OPCODE, *TOKENS)

# A queue from every engine to every other one.
ROUTES = tuple(
    Route(source.name, f"push_{sink.name}", sink.name, f"pop_{source.name}")
    for sink in ENGINES
    for source in ENGINES
    if source is not sink
)

LOAD_MEMORIES = tuple(memory.name for memory in LOADED)
STORE_MEMORIES = tuple(memory.name for memory in STORED)


def _strided(*, groups_at_least: int) -> tuple[Field, ...]:
    return (
        Field("z_size", COUNT_BITS, "entries that are contiguous on both sides", at_least=1),
        Field("x_size", COUNT_BITS, "groups of z_size entries in a row", at_least=groups_at_least),
        Field("y_size", COUNT_BITS, "rows", at_least=groups_at_least),
        Field("x_stride", X_STRIDE_BITS, "DRAM distance of two groups, in entries"),
        Field("y_stride", Y_STRIDE_BITS, "DRAM distance of two rows, in entries"),
    )


INSTRUCTIONS = (
    Instruction(
        "LOAD",
        1,
        "load",
        "Copies entries (y, x, z) from DRAM byte dram_base + (y * y_stride + x * x_stride + z) * "
        "record_bytes[mem] to the dense block [y_pad_top + y_size + y_pad_bottom][x_pad_left + x_size + "
        "x_pad_right][z_size] that starts at entry sram_base. Border entries become zero: elements 0, scale "
        "0. Elements and their scale travel together. With gather, where mem is wgt, an entry is made of "
        "`lanes` records of the second-operand form, that of output lane b from DRAM byte dram_base + (y * "
        "y_stride + x * x_stride + z + b * lane_stride) * second_record_bytes: elements are sign-extended, "
        "or zero-extended with gather_unsigned, scales zero-extended, and 1 where the form has none. Lanes "
        "from `lanes` on become zero as border entries do. Unless precision_passes is above 1, no element "
        "may be the lowest of its bits.",
        (
            Field("mem", MEMORY_BITS, "destination scratchpad", LOAD_MEMORIES),
            Field("sram_base", "load_sram", "first scratchpad entry"),
            Field("dram_base", "dram", "DRAM byte address of entry (0, 0, 0)"),
            *_strided(groups_at_least=0),
            Field("y_pad_top", PAD_BITS, "zero rows before the first"),
            Field("y_pad_bottom", PAD_BITS, "zero rows behind the last"),
            Field("x_pad_left", PAD_BITS, "zero groups before each row"),
            Field("x_pad_right", PAD_BITS, "zero groups behind each row"),
            Field("gather", 1, "entries of wgt are made of second-operand records"),
            Field("lane_stride", Y_STRIDE_BITS, "DRAM distance of two lanes, in records"),
            Field(
                "lanes", LANE_BITS, "records of an entry, at most output_lanes", at_least=1, only_if="gather"
            ),
            Field("gather_unsigned", 1, "elements of the records are unsigned: low digits; with gather"),
        ),
    ),
    Instruction(
        "STORE",
        2,
        "store",
        "Copies the dense block [y_size][x_size][z_size] from entry sram_base to DRAM, addressed as in LOAD. "
        "Entries of out are packed vectors with their scale; entries of acc are output_lanes "
        "little-endian int32. With second, where mem is out, records are of the second-operand form: the "
        "low second_bits bits of each element, and the low second_scale_bits of the scale.",
        (
            Field("mem", MEMORY_BITS, "source scratchpad", STORE_MEMORIES),
            Field("sram_base", "store_sram", "first scratchpad entry"),
            Field("dram_base", "dram", "DRAM byte address of entry (0, 0, 0)"),
            *_strided(groups_at_least=1),
            Field("second", 1, "records have the second-operand form"),
        ),
    ),
    Instruction(
        "GEMM",
        3,
        "compute",
        "For o < iter_out, i < iter_in, u < uop_count: with micro-op m = uop[uop_begin + u], a = m.acc + o "
        "* acc_out + i * acc_in, x and w likewise from inp and wgt. If reset, acc[a] = 0. Otherwise, for "
        "every output lane b: acc[a][b] += round_P(scale(inp[x]) * scale(wgt[w][b])) * sum_v inp[x][v] * "
        "wgt[w][b][v] * 2^shift. Without scale units, and if unscaled, the factor is 1. If wgt_unsigned, "
        "elements of wgt are the unsigned numbers of their weight_bits bits. A reduction begins where u < "
        "fresh_uops, o = 0 if out_reduces, and i = 0 if in_reduces: = instead of +=. No earlier (o, i, u) "
        "of the instruction may have that a.",
        (
            Field("reset", 1, "write zeros instead of accumulating; inp and wgt stay untouched"),
            Field("act_unsigned", 1, "activation elements are unsigned"),
            Field("fresh_uops", COUNT_BITS + 1, "so many micro-ops, the first ones, begin a reduction"),
            Field(
                "out_reduces", 1, "the outer loop goes on with the reductions that its first iteration began"
            ),
            Field(
                "in_reduces", 1, "the inner loop goes on with the reductions that its first iteration began"
            ),
            Field("uop_begin", "uop", "first micro-op"),
            Field("uop_count", COUNT_BITS + 1, "number of micro-ops", at_least=1),
            Field("iter_out", COUNT_BITS, "extent of the outer loop", at_least=1),
            Field("iter_in", COUNT_BITS, "extent of the inner loop", at_least=1),
            Field("acc_out", "acc", "accumulator step of the outer loop"),
            Field("acc_in", "acc", "accumulator step of the inner loop"),
            Field("inp_out", "inp", "input step of the outer loop"),
            Field("inp_in", "inp", "input step of the inner loop"),
            Field("wgt_out", "wgt", "weight step of the outer loop"),
            Field("wgt_in", "wgt", "weight step of the inner loop"),
            Field("shift", 5, "left shift of what is added", at_most=16),
            Field("wgt_unsigned", 1, "weight elements are unsigned: low digits"),
            Field("unscaled", 1, "the factor is 1, whatever the scales are"),
        ),
    ),
    Instruction(
        "PPU",
        4,
        "ppu",
        "For every pixel p and block b, each lane of acc[acc_base + p * (blocks + acc_skip) + b] becomes y "
        "= clip32(rhu(acc * mult, 2^shift) + bias + r), then max(y, 0) if relu, then min(y, clip), with "
        "mult, shift, bias and clip from par[par_base + b]; r = rhu(element * scale * res_mult, "
        "2^res_shift) of the residual vectors from inp[res_base], in the same order, if residual, else 0. "
        "If wide, y replaces the accumulator. Otherwise each vector j of vector_size consecutive lanes is "
        "requantized (docs/numerics.md) to out[out_base + p * (vectors + vector_skip) + j]. A pixel has "
        "vectors = ceil(blocks * output_lanes / vector_size) - skip_vectors of them, of the residual as "
        "well, which skips as many; lanes of the last one that no block fills are 0. With second, vectors "
        "are requantized to the second-operand form, to elements of second_bits bits, signed, and scales of "
        "second_scale_bits. With transpose, vectors run along pixels: the y of channel c of pixels g * "
        "vector_size to g * vector_size + vector_size - 1, 0 where there is no such pixel, become "
        "out[out_base + c * groups + g], with groups = ceil(pixels / vector_size), for all channels but the "
        "last skip_vectors ones. Neither wide nor residual goes with transpose, nor out_unsigned with "
        "second, nor a skip with transpose. If out_bits is not 0, elements are requantized to so many bits, "
        "and scales to out_scale_bits, or, if that is 0, not at all: the scale is 1, and elements saturate. "
        "A vector is then d = digits + 1 entries of out, one behind the other: what is vector n from "
        "out_base on above is out[out_base + n * d] to out[out_base + n * d + d - 1], its digits from the "
        "lowest one up, each with its scale. So of the residual, whose vectors are res_digits + 1 entries "
        "of inp, with the scale of the first of them. No residual element may have more than 8 bits.",
        (
            Field("wide", 1, "keep y as int32 in the accumulator scratchpad"),
            Field("relu", 1, "clamp below at zero"),
            Field("residual", 1, "add a residual"),
            Field("res_unsigned", 1, "residual elements are unsigned"),
            Field("out_unsigned", 1, "output elements are unsigned"),
            Field("acc_base", "acc", "first accumulator entry"),
            Field("par_base", "par", "first parameter entry"),
            Field("out_base", "out", "first output entry"),
            Field("res_base", "inp", "first residual entry in the input scratchpad"),
            Field("pixels", PIXEL_BITS, "number of pixels", at_least=1),
            Field("blocks", BLOCK_BITS, "accumulator blocks of each pixel", at_least=1),
            Field(
                "skip_vectors",
                BLOCK_BITS,
                "vectors of the last block of each pixel that are left out; with transpose, channels of it",
            ),
            Field("res_mult", 16, "residual multiplier"),
            Field("res_shift", SHIFT_BITS, "residual shift", at_most=62, only_if="residual"),
            Field("second", 1, "vectors have the second-operand form"),
            Field("transpose", 1, "vectors run along pixels"),
            Field(
                "acc_skip", "acc", "accumulator entries between the blocks of a pixel and those of the next"
            ),
            Field("vector_skip", "out", "vectors of out and of the residual between pixels"),
            Field("digits", DIGITS_BITS, "entries of a vector of the result, less one"),
            Field(
                "out_bits",
                4,
                "bits of an element of the result, 0: those of its form",
                at_most=ELEMENT_BITS[1],
            ),
            Field("out_scale_bits", 4, "bits of its scale, with out_bits", at_most=SCALE_BITS[1]),
            Field("res_digits", DIGITS_BITS, "entries of a vector of the residual, less one"),
        ),
    ),
    Instruction("SYNC", 5, "compute", "Nothing but its tokens.", ()),
    Instruction(
        "VEC",
        7,
        "vector",
        "For o < iter_out, i < iter_in, u < uop_count: with micro-op m = uop[uop_begin + u], a = m.acc + o "
        "* acc_out + i * acc_in, x likewise from inp: each lane c of the channel group from acc[a] on, "
        "which has max(vector_size, output_lanes) lanes without its last skip_blocks blocks, becomes s(c) "
        "if op is mov, max(lane, s(c)) if it is max, min(lane, s(c)) if it is min, lane + s(c) if it is "
        "add, lane + imm * s(c) if it is mac, whose src is inp, rhu(lane * s(c), 2^shift) if it is mul, "
        "whose src is not acc, f(rhu(lane - s(c), 2^shift)) if it is table, lane - s(c) if it is sub, and "
        "rhu(lane * m, 2^k) if it is scale, with the 16 bits m and behind them the 6 bits k of s(c); the "
        "src of the last three is not inp. s(c) is imm, element times scale of lane c of the vectors from "
        "inp[x] on, each of which is digits + 1 entries with the scale of the first, or lane c of the "
        "channel group from acc[x] on, all lanes of which are read before any is written. What sub, scale, "
        "and add of acc give saturates to 32 bits. f has 128 segments, in the lanes of par from "
        "par[tab_base] on, as many entries as hold them: with t = clip(lane, -2^15, 2^15 - 1) + 2^15 and "
        "segment i = t / 512, rounded down, f is bias(i) + rhu(clip(i) * (t - 512 * i), 512); both have at "
        "most 24 bits.",
        (
            Field(
                "op",
                4,
                "operation",
                ("mov", "max", "add", "mac", "min", "mul", "table", "sub", "scale"),
            ),
            Field("src", 3, "what s is", ("inp", "imm", "acc")),
            Field("src_unsigned", 1, "elements are unsigned"),
            Field("skip_blocks", BLOCK_BITS, "blocks at the end of the channel group that stay as they are"),
            Field("uop_begin", "uop", "first micro-op"),
            Field("uop_count", COUNT_BITS + 1, "number of micro-ops", at_least=1),
            Field("iter_out", COUNT_BITS, "extent of the outer loop", at_least=1),
            Field("iter_in", COUNT_BITS, "extent of the inner loop", at_least=1),
            Field("acc_out", "acc", "accumulator step of the outer loop"),
            Field("acc_in", "acc", "accumulator step of the inner loop"),
            Field("inp_out", "source", "step of the outer loop in inp, or in acc where s is read"),
            Field("inp_in", "source", "step of the inner loop, likewise"),
            Field("imm", 32, "the immediate, or the coefficient of mac", signed=True),
            Field(
                "shift",
                SHIFT_BITS,
                "right shift of the products of mul, and of the arguments of table",
                at_most=62,
            ),
            Field("tab_base", "par", "first parameter entry of the table"),
            Field("digits", DIGITS_BITS, "entries of a vector of inp, less one"),
        ),
    ),
    Instruction(
        "DWCONV",
        8,
        "compute",
        "Depthwise convolution. For o < iter_out, i < iter_in, u < uop_count: with micro-op m = "
        "uop[uop_begin + u], a = m.acc + o * acc_out + i * acc_in, x and w likewise from inp and wgt: each "
        "lane c of the channel group from acc[a] on, which has max(vector_size, output_lanes) lanes without "
        "its last skip_blocks blocks, becomes the sum over t < tap_rows * tap_columns of X(t) * W(t), times "
        "2^shift; if accumulate, that is added to it. X(t) is element times scale of lane c of the vectors "
        "from inp[x + t / tap_columns * row_step + t % tap_columns * column_step] on. W(t) is element times "
        "scale of tap t in the vectors of output lane c % output_lanes in wgt, from w + c / output_lanes * "
        "n on: n vectors hold the taps one after the other, and with row_vectors each row of the kernel "
        "begins with a vector of its own. Divisions round down. If wgt_unsigned, elements of wgt are read "
        "as GEMM does.",
        (
            Field("act_unsigned", 1, "activation elements are unsigned"),
            Field("skip_blocks", BLOCK_BITS, "blocks at the end of the channel group that stay as they are"),
            Field("row_vectors", 1, "weight vectors hold taps of one row of the kernel each"),
            Field("tap_rows", TAP_BITS, "rows of the kernel", at_least=1),
            Field("tap_columns", TAP_BITS, "columns of the kernel", at_least=1),
            Field("row_step", "inp", "input step of the rows of the kernel"),
            Field("column_step", "inp", "input step of the columns of the kernel"),
            Field("uop_begin", "uop", "first micro-op"),
            Field("uop_count", COUNT_BITS + 1, "number of micro-ops", at_least=1),
            Field("iter_out", COUNT_BITS, "extent of the outer loop", at_least=1),
            Field("iter_in", COUNT_BITS, "extent of the inner loop", at_least=1),
            Field("acc_out", "acc", "accumulator step of the outer loop"),
            Field("acc_in", "acc", "accumulator step of the inner loop"),
            Field("inp_out", "inp", "input step of the outer loop"),
            Field("inp_in", "inp", "input step of the inner loop"),
            Field("wgt_out", "wgt", "weight step of the outer loop"),
            Field("wgt_in", "wgt", "weight step of the inner loop"),
            Field("shift", 5, "left shift of the sums", at_most=16),
            Field("wgt_unsigned", 1, "weight elements are unsigned: low digits"),
            Field("accumulate", 1, "sums are added to the accumulators, in place of replacing them"),
        ),
    ),
    Instruction(
        "REDUCE",
        9,
        "vector",
        "One number for each row of accumulators. For o < iter_out, u < uop_count, one row after the "
        "other: with micro-op m = uop[uop_begin + u], the row is the entries acc[m.inp + o * inp_out + i "
        "* inp_in] for i < iter_in, all lanes of each but of the last one only the first last_lanes. R is"
        " its largest lane if op is max, the sum of clip(lane, -2^31, 2^31 - 1) if it is sum, and the sum"
        " of q^2 with q = clip(rhu(lane, 2^shift), -2^17, 2^17 - 1) if it is squares. The result is sat(R"
        " + imm) if to is value, and sat(rhu(R * mult, 2^exponent)) if it is scaled, where sat saturates "
        "to 32 bits. If it is reciprocal or rsqrt, max(R + imm, 1) is n * 2^e, n "
        "rounded down to an integer with 17 bits, and the result a factor as op scale of VEC takes it, m "
        "+ 2^16 * clip(k, 0, 62): for reciprocal t = n - 2^16 and k = exponent + e, for rsqrt t = (n - "
        "2^16) / 2, rounded down, plus 2^15 where e is odd, and k = exponent + e / 2, rounded down. m = "
        "clip(bias(i) + rhu(clip(i) * (t - 512 * i), 512), 0, 65535) with segment i = t / 512, rounded "
        "down, of the table from par[tab_base] on, which is like VEC's. All lanes of the channel group "
        "from acc[m.acc + o * acc_out] on, which has max(vector_size, output_lanes) lanes, become the "
        "result. Rows have at most 2^14 lanes.",
        (
            Field("op", 4, "what R is", ("max", "sum", "squares")),
            Field("to", 4, "what the result is", ("value", "scaled", "reciprocal", "rsqrt")),
            Field("shift", SHIFT_BITS, "right shift of lanes that are squared", at_most=62),
            Field("exponent", SHIFT_BITS, "right shift of scaled, or what k begins with", at_most=62),
            Field("mult", 16, "what scaled multiplies by"),
            Field("imm", 32, "what is added to R", signed=True),
            Field("last_lanes", LANE_BITS, "lanes of the last entry, at most output_lanes", at_least=1),
            Field("uop_begin", "uop", "first micro-op"),
            Field("uop_count", COUNT_BITS + 1, "number of micro-ops", at_least=1),
            Field("iter_out", COUNT_BITS, "extent of the outer loop", at_least=1),
            Field("iter_in", COUNT_BITS, "entries of a row", at_least=1),
            Field("acc_out", "acc", "step of the outer loop between results"),
            Field("inp_out", "source", "step of the outer loop between rows"),
            Field("inp_in", "source", "step between the entries of a row"),
            Field("tab_base", "par", "first parameter entry of the table"),
        ),
    ),
    Instruction("FINISH", 6, "store", "Ends the program. Exactly one, at the end.", ()),
)

ENGINE_OF = {instruction.name: instruction.engine for instruction in INSTRUCTIONS}


def code_of(instruction: str, field: str, name: str) -> int:
    """The value of an enumerated field that `name` stands for."""
    (fields,) = (each.fields for each in INSTRUCTIONS if each.name == instruction)
    (names,) = (each.names for each in fields if each.name == field)
    return names.index(name)


UOP_FIELDS = (
    Field("acc", "acc", "accumulator entry"),
    Field("inp", "source", "input entry, or accumulator entry that is read"),
    Field("wgt", "wgt", "weight entry"),
)

PAR_FIELDS = (
    Field("mult", PARAMETER_BITS["mult"], "unsigned multiplier"),
    Field("shift", PARAMETER_BITS["shift"], "right shift, 0 to 62; bit 7: the multiplier is negative"),
    Field("bias", PARAMETER_BITS["bias"], "in units of y", signed=True),
    Field("clip", PARAMETER_BITS["clip"], "upper bound of y", signed=True),
)
