"""What a compilation does, as files: Relax after every phase, TensorIR and instructions of every layer."""

from __future__ import annotations

import os
import re
from typing import Any

from tvm_vsq.codegen import Program, region_workloads
from tvm_vsq.errors import InputError, shown
from tvm_vsq.files import check_output_folder, write_text
from tvm_vsq.isa import decode_all, disassemble
from tvm_vsq.schedule import Knobs, Workload, schedule_layer
from tvm_vsq.tvm_compat import IRModule

_INDEX = "index.txt"
_LAYERS = "layers"
_LONGEST_NAME = 80


class Dump:
    """A folder that fills while a model is compiled, so that it holds what was done before an error, too.

    `<number>_<phase>.py` is the module as a phase left it. `layers/<number>_<layer>.tensorir.py` is the
    scheduled TensorIR of a layer, the first of those that are scheduled alike; `.instructions.txt` what each
    layer became, with the place of each instruction in the program. Layers are counted in program order.
    `index.txt` says what each file is, with the full names of layers. Large constants are left out.

    folder: new or empty. Raises InputError if it cannot be written to, at once; all methods raise it, too.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = check_output_folder(folder)
        self._index = ""
        self._modules = 0
        self._layers = 0
        self._scheduled: dict[tuple[Workload, Knobs], str] = {}

    def module(self, name: str, what: str, module: IRModule) -> None:
        """The module that the phase `name` leaves; what: that phase in words."""
        self._modules += 1
        self._write(f"{self._modules:02}_{name}.py", what, _script(module))
        self._write_index()

    def program(self, region: Any, program: Program) -> None:
        """The layers of `program`, which is that of `region`."""
        listings: list[list[str]] = [[] for _ in program.layers]
        for index, insn in enumerate(decode_all(program.instructions, program.hardware)):
            listings[program.layer_ids[index]].append(f"{disassemble(insn)}  # {index}\n")
        workloads = [workload for _, workload in region_workloads(region, program.hardware)]
        for record, workload, listing in zip(program.layers, workloads, listings, strict=True):
            file = f"{_LAYERS}/{self._layers:04}_{_in_file_names(record.name)}"
            self._layers += 1
            title = f"layer {record.name!r} of {program.name}: {record.op} {record.shape}"
            knobs = Knobs(**record.knobs)
            if (workload, knobs) not in self._scheduled:
                self._scheduled[workload, knobs] = f"{file}.tensorir.py"
                script = _script(schedule_layer(workload, knobs, program.hardware))
                self._write(f"{file}.tensorir.py", f"{title}, {workload.key}, {knobs}", script)
            what = f"{title}, {len(listing)} of {len(program)} instructions, from "
            what += self._scheduled[workload, knobs]
            self._write(f"{file}.instructions.txt", what, "".join(listing))
        self._write_index()

    def _write(self, file: str, what: str, text: str) -> None:
        path = self._folder / file
        try:
            for folder in (self._folder, path.parent):
                folder.mkdir(exist_ok=True)
        except OSError as problem:
            raise InputError(f"cannot write {shown(str(path))}: {problem.strerror}") from None
        write_text(path, f"# {what}\n{text}")
        self._index += f"{file}\n    {what}\n"

    def _write_index(self) -> None:
        write_text(self._folder / _INDEX, self._index)


def _script(module: IRModule) -> str:
    """TVMScript without large constants, and without long lists in attributes, such as orders of channels."""
    script = str(module.script(show_meta=False))
    return re.sub(
        r"\[(\d+), (\d+), (?:\d+, ){13,}(\d+)\]",
        lambda found: "[{}, {}, ..., {}]".format(*found.groups()),
        script,
    )


def _in_file_names(name: str) -> str:
    """What is left of a layer's name in the name of a file, which a number makes unique."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:_LONGEST_NAME]
