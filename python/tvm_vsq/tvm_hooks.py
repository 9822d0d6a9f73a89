"""Makes `tvm.compile(quantized_module, target=...)` compile for our accelerators, from when TVM is imported.

Modules of ours import TVM while they are imported themselves, so what imports TVM is imported here late.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from tvm_vsq import errors
from tvm_vsq.errors import ConfigError, ModelError, VsqError, phase
from tvm_vsq.hardware import HardwareConfig, hardware_of, list_targets, load_hardware, target_options
from tvm_vsq.hardware.tvm_target import TARGET_KEY
from tvm_vsq.threads import compiling

if TYPE_CHECKING:
    from tvm.transform import Pass, PassContext

    from tvm_vsq.tvm_compat import IRModule


def register_with_tvm() -> None:
    """Let `tvm.compile(quantized_module, target=hardware.tvm_target())` work, for every accelerator.

    The shipped ones are TVM target tags too: target="vsq-accel". TVM's "default" pipeline asks the target for
    one of its own only if it is a GPU, so it is wrapped: for our targets it is ours, for all others what it
    was. "vsq_accel" names ours explicitly. Our Relax operators are registered by their modules, which are
    imported here, unless one of ours is only half imported: then it is that one which imported TVM.
    """
    _register_names()
    ours = [module for name, module in sys.modules.copy().items() if name.startswith("tvm_vsq.")]
    if not any(getattr(module.__spec__, "_initializing", False) for module in ours):
        import_module("tvm_vsq.pipeline")


@lru_cache(maxsize=1)
def _register_names() -> None:
    import tvm
    import tvm_ffi
    from tvm import relax

    # Passes and code generation run below C++ frames, which rebuild an exception from its registered name.
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, VsqError):
            tvm_ffi.register_error(kind)
    for name in list_targets():
        tvm.target.register_tag(name, target_options(load_hardware(name)), True)
    pipelines = relax.pipeline.PIPELINE_MAP
    stock = pipelines["default"]

    def ours() -> Pass:
        def run(module: IRModule, _context: PassContext) -> IRModule:
            hardware = _current_accelerator()
            if hardware is None:
                raise ConfigError(
                    f"the pipeline '{TARGET_KEY}' needs an accelerator as target: "
                    f"{', '.join(list_targets())}, or HardwareConfig.tvm_target()"
                )
            return _compile(module, hardware)

        return tvm.transform.module_pass(run, opt_level=0, name=TARGET_KEY)

    def default() -> Pass:
        def run(module: IRModule, _context: PassContext) -> IRModule:
            hardware = _current_accelerator()
            return stock()(module) if hardware is None else _compile(module, hardware)

        return tvm.transform.module_pass(run, opt_level=0, name="default")

    pipelines[TARGET_KEY] = ours
    pipelines["default"] = default


def _current_accelerator() -> HardwareConfig | None:
    """What TVM's current target stands for, if it is one of ours."""
    import tvm

    return hardware_of(tvm.target.Target.current(allow_none=True))


@compiling
def _compile(module: IRModule, hardware: HardwareConfig) -> IRModule:
    from tvm_vsq.pipeline import code_phases, region_phases, run_phases
    from tvm_vsq.schedule import shipped_database

    with phase(f"compiling the model for {hardware.name}", ModelError):
        phases = [*region_phases(hardware), *code_phases(hardware, shipped_database(hardware))]
        return run_phases(module, phases)
