"""The RTL of an accelerator as files for other tools: sources, a top level for each block, and a list."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tvm_vsq.errors import ConfigError
from tvm_vsq.files import check_output_folder, write_text
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.rtl.blocks import Block, Port, blocks
from tvm_vsq.rtl.rendering import render
from tvm_vsq.rtl.sources import sources

LIST = "files.f"


def write_rtl(hardware: HardwareConfig, folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write the sources, `<target>_<block>.sv` for each block, and `files.f`, the list of them; all paths.

    A top level has the block's ports and no parameters. `folder` is new or empty. Raises InputError if it is
    not, and ConfigError for what `blocks` refuses, and for a target whose name makes one of a source's.
    """
    target, shipped = check_output_folder(folder), sources()
    texts = {path.name: path.read_text(encoding="utf-8") for path in shipped}
    for block in blocks(hardware).values():
        name = top_level(hardware, block)
        if f"{name}.sv" in texts:
            raise ConfigError(f"{hardware.label}: {name} is a module already; give the target another name")
        texts[f"{name}.sv"] = render(
            "wrapper.sv.j2", block=block, name=name, label=hardware.label, meaning=_meaning
        )
    texts[LIST] = "".join(f"{name}\n" for name in texts)
    target.mkdir(exist_ok=True)
    for name, text in texts.items():
        write_text(target / name, text)
    return tuple(target / name for name in texts)


def top_level(hardware: HardwareConfig, block: Block) -> str:
    """The module that is `block` of `hardware`: Verilog's names have no signs and begin with a letter."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", f"{hardware.name}_{block.name}")
    return f"t{name}" if name[0].isdigit() else name


def _meaning(port: Port) -> str:
    lanes = f"{port.lanes} x " if port.lanes > 1 else ""
    parts = f" ({' + '.join(map(str, port.parts))})" if port.parts else ""
    unit = "bit" if port.bits == 1 else "bits"
    return f"{lanes}{port.bits} {unit}{parts}" + (f", clock {port.delay}" if port.delay else "")
