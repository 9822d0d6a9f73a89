"""Encode and decode instruction words and micro-ops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tvm_vsq.errors import ProgramError
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.hardware.engines import INSTRUCTION_BITS
from tvm_vsq.isa.layout import Slot, layout_of
from tvm_vsq.isa.table import (
    COMMON,
    INSTRUCTIONS,
    LOAD_MEMORIES,
    MEMORY_BITS,
    OPCODE,
    STORE_MEMORIES,
    TOKENS,
    Field,
)

INSTRUCTION_BYTES = INSTRUCTION_BITS // 8
_BY_OPCODE = {instruction.opcode: instruction.name for instruction in INSTRUCTIONS}
_OPCODES = {instruction.name: instruction.opcode for instruction in INSTRUCTIONS}
_TOKEN_NAMES = tuple(token.name for token in TOKENS)


@dataclass
class Insn:
    """One instruction: its name, the values of its fields, and the names of the token bits that are set.

    Fields that are not given are 0. Enumerated fields take their number.
    """

    name: str
    fields: dict[str, int] = field(default_factory=dict)
    tokens: frozenset[str] = frozenset()


def _put(value: int, slot: Slot, where: str) -> int:
    least, most = slot.field.bounds(slot.width)
    if not least <= value <= most:
        raise ProgramError(
            f"{where}: field '{slot.field.name}': value {value} does not fit in {slot.width} bits, "
            f"{least} to {most}"
        )
    _check_code(value, slot.field, where)
    return (value & slot.mask) << slot.shift


def _get(word: int, slot: Slot) -> int:
    value = (word >> slot.shift) & slot.mask
    return value if value <= slot.limit else value - slot.mask - 1


def _check_code(value: int, field: Field, where: str) -> None:
    if field.names and value >= len(field.names):
        codes = ", ".join(f"{code} = {name}" for code, name in enumerate(field.names))
        raise ProgramError(f"{where}: field '{field.name}' has no code {value}; its codes are {codes}")


def encode(insn: Insn, hardware: HardwareConfig) -> bytes:
    """The bytes of `insn`, little-endian. ProgramError names the field that is unknown, does not fit, or has
    no such code."""
    slots = layout_of(hardware).slots.get(insn.name)
    if slots is None:
        raise ProgramError(f"unknown instruction '{insn.name}'; known are {', '.join(_OPCODES)}")
    unknown = (set(insn.fields) - set(slots)) | (set(insn.fields) & {OPCODE.name, *_TOKEN_NAMES})
    if unknown or not insn.tokens <= set(_TOKEN_NAMES):
        bad = sorted(unknown | (insn.tokens - set(_TOKEN_NAMES)))
        raise ProgramError(f"{insn.name}: unknown field {', '.join(bad)}")
    word = _put(_OPCODES[insn.name], slots[OPCODE.name], insn.name)
    for token in insn.tokens:
        word |= 1 << slots[token].shift
    for name, value in insn.fields.items():
        word |= _put(int(value), slots[name], insn.name)
    return word.to_bytes(INSTRUCTION_BYTES, "little")


def encode_all(insns: Iterable[Insn], hardware: HardwareConfig) -> bytes:
    """The concatenated words of a program."""
    return b"".join(encode(insn, hardware) for insn in insns)


def opcodes(program: bytes) -> npt.NDArray[np.int64]:
    """The opcode of each instruction in the words of a program, int64[instructions]."""
    words = np.frombuffer(program, np.uint8).reshape(-1, INSTRUCTION_BYTES)
    return (words[:, 0] & ((1 << int(OPCODE.width)) - 1)).astype(np.int64)  # within the first byte


def memories(program: bytes) -> npt.NDArray[np.str_]:
    """The scratchpad that each LOAD fills and each STORE reads, "" of other instructions; str [instructions].

    For programs of any accelerator: the field comes first behind what all instructions have.
    """
    codes = _bits(program, sum(int(field.width) for field in COMMON), MEMORY_BITS)
    found, kinds = np.full(len(codes), "", dtype="<U8"), opcodes(program)
    for name, known in (("LOAD", LOAD_MEMORIES), ("STORE", STORE_MEMORIES)):
        own = kinds == _OPCODES[name]
        found[own] = np.array(known)[codes[own]]
    return found


def field_values(
    program: bytes, instruction: str, field: str, hardware: HardwareConfig
) -> npt.NDArray[np.int64]:
    """An unsigned field of every instruction of this name, 0 of all others; int64 [instructions]."""
    slot = layout_of(hardware).slots[instruction][field]
    return np.where(opcodes(program) == _OPCODES[instruction], _bits(program, slot.shift, slot.width), 0)


def _bits(program: bytes, lowest: int, width: int) -> npt.NDArray[np.int64]:
    """So many bits of each word, as unsigned numbers."""
    words = np.frombuffer(program, np.uint8).reshape(-1, INSTRUCTION_BYTES)
    places = np.arange(lowest, lowest + width)
    found: npt.NDArray[np.int64] = ((words[:, places // 8] >> (places % 8)) & 1) @ (1 << np.arange(width))
    return found


def decode(word: bytes, hardware: HardwareConfig) -> Insn:
    """The instruction in one word. ProgramError for an unknown opcode or code, a wrong length or set bits
    outside all fields."""
    if len(word) != INSTRUCTION_BYTES:
        raise ProgramError(f"an instruction has {INSTRUCTION_BYTES} bytes, not {len(word)}")
    bits = int.from_bytes(word, "little")
    opcode = bits & ((1 << int(OPCODE.width)) - 1)
    name = _BY_OPCODE.get(opcode)
    if name is None:
        raise ProgramError(f"opcode {opcode} is not an instruction (word {word.hex()})")
    slots = layout_of(hardware).slots[name]
    values = {key: _get(bits, slot) for key, slot in slots.items()}
    used = sum(slot.mask << slot.shift for slot in slots.values())
    if bits & ~used:
        raise ProgramError(f"{name}: reserved bits are set (word {word.hex()})")
    for key, slot in slots.items():
        _check_code(values[key], slot.field, name)
    tokens = frozenset(token for token in _TOKEN_NAMES if values[token])
    return Insn(name, {k: v for k, v in values.items() if k != OPCODE.name and k not in _TOKEN_NAMES}, tokens)


def decode_all(program: bytes, hardware: HardwareConfig) -> list[Insn]:
    """All instructions of a program; ProgramError names the index of a bad one."""
    if len(program) % INSTRUCTION_BYTES:
        raise ProgramError(
            f"{len(program)} bytes are not a whole number of {INSTRUCTION_BYTES}-byte instructions"
        )
    insns = []
    for start in range(0, len(program), INSTRUCTION_BYTES):
        try:
            insns.append(decode(program[start : start + INSTRUCTION_BYTES], hardware))
        except ProgramError as error:
            raise ProgramError(f"instruction {start // INSTRUCTION_BYTES}: {error}") from None
    return insns


def encode_uops(
    uops: Sequence[tuple[int, int, int]] | npt.NDArray[np.int64], hardware: HardwareConfig
) -> bytes:
    """DRAM bytes of micro-ops given as rows (acc, inp, wgt); ProgramError names an index that does
    not fit."""
    layout = layout_of(hardware)
    table = np.asarray(uops, dtype=np.int64).reshape(-1, 3)
    words = np.zeros(len(table), dtype=np.uint64)
    for column, slot in zip(table.T, layout.uop.values(), strict=True):
        if len(column) and (column.min() < 0 or column.max() > slot.limit):
            raise ProgramError(
                f"micro-op: index '{slot.field.name}' up to {column.max()} does not fit in {slot.width} bits"
            )
        words |= column.astype(np.uint64) << np.uint64(slot.shift)
    return words.astype("<u8").view(np.uint8).reshape(-1, 8)[:, : layout.uop_bytes].tobytes()


def decode_uops(data: bytes, hardware: HardwareConfig) -> list[tuple[int, int, int]]:
    """Rows (acc, inp, wgt) from DRAM bytes."""
    layout = layout_of(hardware)
    if len(data) % layout.uop_bytes:
        raise ProgramError(f"{len(data)} bytes are not a whole number of {layout.uop_bytes}-byte micro-ops")
    rows = []
    for start in range(0, len(data), layout.uop_bytes):
        word = int.from_bytes(data[start : start + layout.uop_bytes], "little")
        acc, inp, wgt = (_get(word, slot) for slot in layout.uop.values())
        rows.append((acc, inp, wgt))
    return rows
