"""Makes `tvm.compile(quantized_module, target=...)` compile for our accelerators."""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import relax

from tvm_vsq import errors
from tvm_vsq.errors import ConfigError, ModelError, VsqError, phase
from tvm_vsq.hardware import HardwareConfig, hardware_of, list_targets, load_hardware, target_options
from tvm_vsq.pipeline import HOST, code_phases, region_phases, run_phases
from tvm_vsq.placement.regions import CODEGEN
from tvm_vsq.schedule import shipped_database
from tvm_vsq.threads import compiling
from tvm_vsq.tvm_compat import IRModule


def register_with_tvm() -> None:
    """Let `tvm.compile(quantized_module, target=hardware.tvm_target())` work, for every accelerator.

    The shipped ones are TVM target tags too: target="vsq-accel". TVM's "default" pipeline asks the target for
    one of its own only if it is a GPU, so it is wrapped: for our targets it is ours, for all others what it
    was. "vsq_accel" names ours explicitly.
    """
    # Passes and code generation run below C++ frames, which rebuild an exception from its registered name.
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, VsqError):
            tvm_ffi.register_error(kind)
    for name in list_targets():
        tvm.target.register_tag(name, target_options(load_hardware(name), HOST), True)
    pipelines = relax.pipeline.PIPELINE_MAP
    if CODEGEN in pipelines:
        return
    stock = pipelines["default"]

    def ours() -> tvm.transform.Pass:
        def run(module: IRModule, _context: tvm.transform.PassContext) -> IRModule:
            hardware = _current_accelerator()
            if hardware is None:
                raise ConfigError(
                    f"the pipeline '{CODEGEN}' needs an accelerator as target: {', '.join(list_targets())}, "
                    f"or HardwareConfig.tvm_target()"
                )
            return _compile(module, hardware)

        return tvm.transform.module_pass(run, opt_level=0, name=CODEGEN)

    def default() -> tvm.transform.Pass:
        def run(module: IRModule, _context: tvm.transform.PassContext) -> IRModule:
            hardware = _current_accelerator()
            return stock()(module) if hardware is None else _compile(module, hardware)

        return tvm.transform.module_pass(run, opt_level=0, name="default")

    pipelines[CODEGEN] = ours
    pipelines["default"] = default


def _current_accelerator() -> HardwareConfig | None:
    """What TVM's current target stands for, if it is one of ours."""
    return hardware_of(tvm.target.Target.current(allow_none=True))


@compiling
def _compile(module: IRModule, hardware: HardwareConfig) -> IRModule:
    with phase(f"compiling the model for {hardware.name}", ModelError):
        phases = [*region_phases(hardware), *code_phases(hardware, shipped_database(hardware))]
        return run_phases(module, phases)
