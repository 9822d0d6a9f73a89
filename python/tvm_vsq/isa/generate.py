"""Writes what derives from the table: `python -m tvm_vsq.isa.generate [--check] [--root DIR]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import jinja2
import typer

from tvm_vsq.formats import ELEMENT_BITS
from tvm_vsq.formats.table import TABLE_INPUT_BITS, TABLE_SEGMENTS, TABLE_VALUE_BITS
from tvm_vsq.hardware import HardwareConfig, list_targets, load_hardware
from tvm_vsq.hardware.engines import ENGINES
from tvm_vsq.hardware.events import EVENTS
from tvm_vsq.hardware.memories import SCRATCHPADS
from tvm_vsq.isa import table
from tvm_vsq.isa.codec import INSTRUCTION_BYTES, Insn
from tvm_vsq.isa.golden import golden_words, size_names
from tvm_vsq.isa.layout import layout_of, widths
from tvm_vsq.isa.text import disassemble

_TEXT_EXAMPLE = Insn(
    "LOAD",
    {
        "mem": table.code_of("LOAD", "mem", "inp"),
        "dram_base": 4096,
        "z_size": 2,
        "x_size": 8,
        "y_size": 1,
        "x_stride": 4,
    },
    frozenset({"pop_compute", "push_vector"}),
)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.lower().split("_"))


def _range(field: table.Field) -> str:
    """The values that a field accepts, for the documents; "" for all numbers from 0 that fit."""
    limits = [f"at least {field.at_least}"] * (field.at_least > 0)
    limits += [f"at most {field.at_most}"] * (field.at_most is not None)
    condition = f" if {field.only_if} is set" if field.only_if else ""
    signed = "; signed, in two's complement" if field.signed else ""
    return signed + (f"; {' and '.join(limits)}{condition}" if limits else "")


def _type(field: table.Field) -> str:
    """The C++ type of a decoded field."""
    if field.names:
        return "Pad" if set(field.names) <= set(SCRATCHPADS) else _camel(field.name)
    if field.width == 1:
        return "bool"
    return "uint64_t" if field.width == "dram" else "uint32_t"


def _slot(hardware: HardwareConfig, instruction: str, field: str) -> str:
    slot = layout_of(hardware).slots[instruction][field]
    last = slot.shift + slot.width - 1
    return str(last) if slot.width == 1 else f"{slot.shift}..{last}"


def render() -> dict[str, str]:
    """Text of every generated file, by its path below the repository root."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "camel": _camel,
        "dashes": lambda _: "---",
        "bits": lambda hardware, width: widths(hardware)[width],
        "slot": _slot,
        "range": _range,
        "type": _type,
        "width": lambda field: field.width if isinstance(field.width, int) else f"{field.width}_width",
    }
    targets = [load_hardware(name) for name in list_targets()]
    context = {
        "instructions": table.INSTRUCTIONS,
        "common": table.COMMON,
        "uop_fields": table.UOP_FIELDS,
        "par_fields": table.PAR_FIELDS,
        "widths": table.WIDTHS,
        "depths": size_names(),
        "scratchpads": [name.removesuffix("_depth") for name in size_names() if name.endswith("_depth")],
        "tokens": table.TOKENS,
        "engines": ENGINES,
        "ports": [engine.name for engine in ENGINES if engine.dram],
        "routes": table.ROUTES,
        "units": table.UNITS,
        "events": EVENTS,
        "instruction_bytes": INSTRUCTION_BYTES,
        "targets": targets,
        "text_example": disassemble(_TEXT_EXAMPLE),
        "element_bits": ELEMENT_BITS[1],
        "table_segments": TABLE_SEGMENTS,
        "table_input_bits": TABLE_INPUT_BITS,
        "table_value_bits": TABLE_VALUE_BITS,
    }
    return {
        "tvm_vsq/isa/isa.h": environment.get_template("isa.h.j2").render(context),
        "rtl/vsq_isa.sv": environment.get_template("vsq_isa.sv.j2").render(context),
        "docs/isa.md": environment.get_template("isa.md.j2").render(context),
        "tests/cpp/golden_words.inc": golden_words(targets),
    }


def main(
    root: Annotated[Path, typer.Option(help="Repository root.")] = Path("."),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a file is stale.")] = False,
) -> None:
    """Generate tvm_vsq/isa/isa.h, rtl/vsq_isa.sv, docs/isa.md and tests/cpp/golden_words.inc."""
    stale = []
    for name, text in render().items():
        path = root / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if check and stale:
        sys.exit(f"stale generated files: {', '.join(stale)}; run `make isa` and commit the result")
    print("fresh" if not stale else f"wrote {', '.join(stale)}")


if __name__ == "__main__":
    typer.run(main)
