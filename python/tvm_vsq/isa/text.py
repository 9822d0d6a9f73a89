"""Assembly text: one instruction a line, `LOAD.inp sram_base=0 z_size=4 ... pop_compute push_vector`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tvm_vsq.errors import ProgramError
from tvm_vsq.isa.codec import Insn
from tvm_vsq.isa.table import INSTRUCTIONS, TOKENS, Field

_FIELDS = {
    instruction.name: {field.name: field for field in instruction.fields} for instruction in INSTRUCTIONS
}
_TOKEN_NAMES = tuple(token.name for token in TOKENS)
_NUMBER = re.compile("-?[0-9]+")


def disassemble(insn: Insn) -> str:
    """One line of text; numbers that are 0 are left out."""
    fields = _FIELDS[insn.name]
    memory = f".{fields['mem'].names[insn.fields.get('mem', 0)]}" if "mem" in fields else ""
    values = [
        f"{key}={field.names[value] if field.names else value}"
        for key, field in fields.items()
        if key != "mem" and ((value := insn.fields.get(key, 0)) or field.names)
    ]
    tokens = [name for name in _TOKEN_NAMES if name in insn.tokens]
    return " ".join([insn.name + memory, *values, *tokens])


def described(insn: Insn) -> dict[str, Any]:
    """The instruction for JSON: `opcode`, all of its `fields`, codes by their names, and its `tokens`."""
    values = {
        key: field.names[insn.fields.get(key, 0)] if field.names else insn.fields.get(key, 0)
        for key, field in _FIELDS[insn.name].items()
    }
    return {"opcode": insn.name, "fields": values, "tokens": [t for t in _TOKEN_NAMES if t in insn.tokens]}


def assemble(line: str) -> Insn:
    """The instruction of one line of text (`#` starts a comment). ProgramError names the word that is
    wrong. Whether a number fits its field, `encode` says."""
    words = line.split("#", 1)[0].split()
    if not words:
        raise ProgramError("an empty line is not an instruction")
    name, _, memory = words[0].partition(".")
    if name not in _FIELDS:
        raise ProgramError(f"unknown instruction '{name}'; known are {', '.join(_FIELDS)}")
    fields, values, tokens = _FIELDS[name], {}, set()
    if ("mem" in fields) != bool(memory):
        raise ProgramError(
            f"{name}: write {name}.<memory>" if "mem" in fields else f"{name} takes no memory '.{memory}'"
        )
    if memory:
        if memory not in fields["mem"].names:
            raise ProgramError(
                f"{name}: unknown memory '{memory}'; known are {', '.join(fields['mem'].names)}"
            )
        values["mem"] = fields["mem"].names.index(memory)
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals and key in _TOKEN_NAMES:
            tokens.add(key)
        elif equals and key in fields and key != "mem" and key not in values:
            values[key] = _value(fields[key], value, f"{name}: cannot read '{word}'")
        else:
            raise ProgramError(
                f"{name}: cannot read '{word}'; fields are {', '.join(f for f in fields if f != 'mem')}"
            )
    return Insn(name, values, frozenset(tokens))


def _value(field: Field, text: str, refusal: str) -> int:
    if text in field.names:
        return field.names.index(text)
    value = int(text) if _NUMBER.fullmatch(text) else None
    if field.names and (value is None or not 0 <= value < len(field.names)):
        raise ProgramError(f"{refusal}; codes of {field.name} are {', '.join(field.names)}")
    if value is None:
        raise ProgramError(f"{refusal}; {field.name} is a decimal number")
    if value < 0 and not field.signed:
        raise ProgramError(f"{refusal}; {field.name} is not signed")
    return value


def assemble_all(text: str) -> list[Insn]:
    """The instructions of a listing; blank and comment lines are skipped. ProgramError names the line."""
    insns = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.split("#", 1)[0].strip():
            continue
        try:
            insns.append(assemble(line))
        except ProgramError as error:
            raise ProgramError(f"line {number}: {error}") from None
    return insns


def disassemble_all(insns: Iterable[Insn]) -> str:
    """A listing that assemble_all reads back."""
    return "".join(disassemble(insn) + "\n" for insn in insns)
