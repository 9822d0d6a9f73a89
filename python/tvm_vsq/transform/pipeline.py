"""The way of a quantized module through the compiler, on one page; `quantize.quantize` comes before it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.transform.fuse import fuse
from tvm_vsq.transform.partition import partition
from tvm_vsq.tvm_compat import IRModule


@dataclass(frozen=True)
class Phase:
    """One named step from module to module."""

    name: str
    run: Callable[[IRModule], IRModule]


def quantized_phases(hardware: HardwareConfig) -> list[Phase]:
    """From a fake-quantized module (`quantize.quantize`, or one that came so from outside) to regions."""
    return [
        Phase("fused", lambda module: fuse(module, hardware)),
        Phase("partitioned", partition),
    ]


def run_phases(
    module: IRModule, phases: Iterable[Phase], dump: str | os.PathLike[str] | None = None
) -> IRModule:
    """Run the phases in order; with `dump`, write the input and each result to `<dump>/<n>_<phase>.py`."""
    _write(module, dump, "0_input")
    for number, phase in enumerate(phases, start=1):
        module = phase.run(module)
        _write(module, dump, f"{number}_{phase.name}")
    return module


def _write(module: IRModule, dump: str | os.PathLike[str] | None, name: str) -> None:
    if dump is None:
        return
    directory = Path(dump)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.py").write_text(module.script(show_meta=False), encoding="utf-8")
