"""From a quantized module to an Executable: TVM's code generation hook, pipeline and target names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import relax

from tvm_vsq import errors
from tvm_vsq.codegen import Program, lower_region
from tvm_vsq.errors import ConfigError, ModelError, VsqError, phase
from tvm_vsq.frontend import is_quantized
from tvm_vsq.graph import bindings
from tvm_vsq.hardware import HardwareConfig, hardware_of, list_targets, load_hardware, target_options
from tvm_vsq.importing import import_note
from tvm_vsq.runtime import Executable, LayerInfo, Metadata, Placement, TensorSpec, native
from tvm_vsq.schedule import Database, shipped_database
from tvm_vsq.threads import compiling
from tvm_vsq.transform import check_target, explain, legalize_reference, quantized_phases, run_phases
from tvm_vsq.transform.partition import CODEGEN
from tvm_vsq.tvm_compat import Call, IRModule

_HOST = "llvm"


@compiling
def build_executable(
    quantized: IRModule, hardware: HardwareConfig, database: Database, verify: bool = True
) -> Executable:
    """Compile a fake-quantized module (`quantize.quantize`) for the simulator."""
    with native.verification(verify):
        pipeline = accelerator_pipeline(hardware, database)
        built = tvm.compile(quantized, target=_HOST, relax_pipeline=pipeline)
    return Executable(built, reference=lambda: build_reference(quantized, hardware))


@compiling
def build_reference(quantized: IRModule, hardware: HardwareConfig) -> Any:
    """The same integer layers as plain TensorIR on the CPU; a Relax executable."""
    fused = run_phases(quantized, quantized_phases(hardware)[:1])
    return tvm.compile(legalize_reference(fused), target=_HOST, relax_pipeline=_host_pipeline())


def accelerator_pipeline(hardware: HardwareConfig, database: Database) -> tvm.transform.Pass:
    """Everything from the quantized module to what the Relax VM runs: phases, code generation, TVM's
    own passes."""

    @compiling  # TVM's own compile comes here by itself
    @phase(f"compiling the model for {hardware.name}", ModelError)
    def run(module: IRModule, _context: tvm.transform.PassContext) -> IRModule:
        if not is_quantized(module):
            raise ModelError(
                "the module is not quantized: use tvm_vsq.quantize_model first, or tvm_vsq.compile for both"
            )
        check_target(module, hardware)
        partitioned = run_phases(module, quantized_phases(hardware))
        generated = _generate(partitioned, hardware, database)
        return _host_pipeline()(generated)

    return tvm.transform.module_pass(run, opt_level=0, name=CODEGEN)


def _host_pipeline() -> tvm.transform.Pass:
    """What TVM does with the operators that stay on the CPU: fuse, lower, plan memory."""
    return tvm.transform.Sequential([relax.pipeline.zero_pipeline(), relax.pipeline.default_build_pipeline()])


def regions_of(quantized: IRModule, hardware: HardwareConfig) -> list[relax.Function]:
    """The accelerator regions of a fake-quantized module, as `codegen.lower_region` takes them."""
    check_target(quantized, hardware)
    partitioned = run_phases(quantized, quantized_phases(hardware))
    return [function for _, function in partitioned.functions_items() if _is_region(function)]


def program_cycles(regions: list[relax.Function], hardware: HardwareConfig, database: Database) -> int:
    """Simulated cycles of all regions together under the schedules of `database`."""
    params, cycles = hardware.sim_params(), 0
    for region in regions:
        with compiling:
            program = lower_region(region, hardware, database)
        ids = np.array(program.layer_ids, dtype="<u4").tobytes()
        run = native.simulate_timing(params, program.instructions, ids, len(program.layer_names))
        cycles += int(run["cycles"])
    return cycles


def _generate(module: IRModule, hardware: HardwareConfig, database: Database) -> IRModule:
    """Replace every region by calls of one runtime module that holds all programs."""
    programs: list[Program] = []
    compiled: list[Any] = []

    def generate(functions: Any, _options: Any, _constants: Any) -> list[Any]:
        regions = {str(function.attrs["global_symbol"]): function for function in functions}
        programs.extend(lower_region(regions[f"region{n}"], hardware, database) for n in range(len(regions)))
        metadata = _metadata(module, hardware, programs)
        native_programs = [program.to_native() for program in programs]
        compiled.append(
            native.create_module(hardware.sim_params(), native_programs, metadata.model_dump_json())
        )
        return compiled

    with _hook(generate):
        module = relax.transform.RunCodegen()(_numbered(module))
    # The weights live in the runtime module; TVM would export them a second time.
    return module.without_attr("const_name_to_constant")


def _numbered(module: IRModule) -> IRModule:
    """Regions called "region0", "region1", ... in the order of their calls. TVM joins the names of all layers
    of a region to its symbol, which may so have any length."""
    calls = [binding.value for binding in bindings(module["main"]) if isinstance(binding.value, Call)]
    functions = dict(module.functions_items())
    for number, call in enumerate(call for call in calls if _is_region(functions.get(call.op))):
        functions[call.op] = functions[call.op].with_attr("global_symbol", f"region{number}")
    return IRModule(functions, attrs=module.attrs)


def _is_region(function: Any) -> bool:
    return isinstance(function, relax.Function) and (function.attrs or {}).get("Codegen") == CODEGEN


class _hook:
    """RunCodegen finds its code generator by a name that is one for the process; it is ours only for the
    length of a `with`, in which the thread holds the lock `compiling`."""

    def __init__(self, generate: Callable[..., list[Any]]) -> None:
        self._generate = generate

    def __enter__(self) -> None:
        tvm_ffi.register_global_func(f"relax.ext.{CODEGEN}", self._generate, override=True)

    def __exit__(self, *_error: object) -> None:
        tvm_ffi.register_global_func(f"relax.ext.{CODEGEN}", _outside, override=True)


def _outside(*_arguments: Any) -> list[Any]:
    raise ModelError(
        "regions for the accelerator are compiled by tvm_vsq.compile or tvm.compile(module, target=...)"
    )


def _metadata(module: IRModule, hardware: HardwareConfig, programs: list[Program]) -> Metadata:
    inputs = [
        TensorSpec(
            name=p.name, shape=tuple(int(n) for n in p.ty.shape), dtype=str(p.ty.dtype).removeprefix("T.")
        )
        for p in module["main"].params
    ]
    return Metadata(
        hardware=hardware,
        import_note=import_note(module),
        inputs=tuple(inputs),
        placements=tuple(Placement(**asdict(row)) for row in explain(module)),
        layers=tuple(LayerInfo(**asdict(layer)) for program in programs for layer in program.layers),
    )


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
        tvm.target.register_tag(name, target_options(load_hardware(name), _HOST), True)
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
            return _pipeline_of(hardware)(module)

        return tvm.transform.module_pass(run, opt_level=0, name=CODEGEN)

    def default() -> tvm.transform.Pass:
        def run(module: IRModule, _context: tvm.transform.PassContext) -> IRModule:
            hardware = _current_accelerator()
            return (stock() if hardware is None else _pipeline_of(hardware))(module)

        return tvm.transform.module_pass(run, opt_level=0, name="default")

    pipelines[CODEGEN] = ours
    pipelines["default"] = default


def _current_accelerator() -> HardwareConfig | None:
    """What TVM's current target stands for, if it is one of ours."""
    return hardware_of(tvm.target.Target.current(allow_none=True))


def _pipeline_of(hardware: HardwareConfig) -> tvm.transform.Pass:
    return accelerator_pipeline(hardware, shipped_database(hardware))
