"""`tvm-vsq rtl`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tvm_vsq.cli import options
from tvm_vsq.cli.printing import print_result
from tvm_vsq.errors import VsqError
from tvm_vsq.files import check_output_folder


def command(
    target: options.TargetName,
    output: Annotated[Path, typer.Option("--output", "-o", help="A new or empty folder for the files.")],
    check: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            max=10_000_000,
            help="Then simulate each block in Verilator, with its corners and N random transactions, 100 or "
            "more, and compare with the NumPy reference.",
        ),
    ] = 0,
    as_json: options.Json = False,
) -> None:
    """Write the datapath of TARGET as SystemVerilog: its sources, a top level for each block, and files.f."""
    from tvm_vsq.hardware import load_hardware
    from tvm_vsq.rtl import blocks, require_tool, write_rtl
    from tvm_vsq.rtl import check as check_block

    check_output_folder(output)
    hardware = load_hardware(target)
    if 0 < check < 100:
        raise typer.BadParameter(
            "give 100 or more: fewer hardly get through a pipeline", param_hint="--check"
        )
    if check:
        require_tool("verilator")
    paths = write_rtl(hardware, output)
    parts = blocks(hardware).values()
    found = [check_block(hardware, block, check, folder=output) for block in parts] if check else []
    if wrong := [result.summary(hardware.label) for result in found if result.wrong]:
        raise VsqError("\n".join(wrong))
    data = {
        "output": str(output),
        "target": hardware.label,
        "files": [path.name for path in paths],
        "clocks": {result.block: result.clocks for result in found},
    }
    lines = [f"{result.block}: {result.clocks:,} clocks as NumPy has them" for result in found]
    print_result(
        data, "\n".join([*lines, f"wrote {output}: {len(parts)} blocks of {hardware.label}"]), as_json
    )
