"""The whole way of a model through the compiler, on one page.

`tvm_vsq.compile` runs all phases in the order in which they stand here. `quantize_model` runs those up to
"quantized", `tune` those up to "partitioned"; a module that is quantized already enters behind "quantized",
and so does TVM's own `tvm.compile(module, target=...)` (`tvm_hooks`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tvm
import tvm_ffi
from tvm import relax

from tvm_vsq.dump import Dump
from tvm_vsq.errors import ModelError, QuantizationError, phase
from tvm_vsq.frontend import is_quantized
from tvm_vsq.generate import generate
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.importing import import_checked
from tvm_vsq.placement.regions import is_region
from tvm_vsq.progress import steps
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.quantize.alike import quantize_alike
from tvm_vsq.quantize.data import rereadable
from tvm_vsq.quantize.quantizer import prepare, quantize_prepared
from tvm_vsq.runtime import Executable, Profile, native
from tvm_vsq.runtime.executable import profile_of
from tvm_vsq.schedule import Database
from tvm_vsq.threads import compiling
from tvm_vsq.transform import check_target, fuse, legalize_reference, partition
from tvm_vsq.transform.as_vectors import as_vectors
from tvm_vsq.transform.on_chip import require_on_chip
from tvm_vsq.tvm_compat import IRModule

HOST = "llvm"
"""TVM's target for what stays on the CPU."""


@dataclass(frozen=True)
class Phase:
    """One step, from a module (the first one from the user's model) to a module.

    name: what the module then is, in the names of dumped files. what: the same in more words.
    changes_results: whether these may have other types then.
    """

    name: str
    what: str
    run: Callable[[Any], IRModule]
    changes_results: bool = False


def import_phases(example_inputs: Any, check_import: bool) -> list[Phase]:
    """From the user's model to the canonical graph."""
    return [
        Phase(
            "imported",
            "fp32 Relax: batch norm folded, channels last, layers named; run once beside the model",
            lambda model: import_checked(model, example_inputs, check_import),
        )
    ]


def quantize_phases(config: QuantConfig, hardware: HardwareConfig, data: Any) -> list[Phase]:
    """From the canonical graph to the fake-quantized one. data: calibration data, not an iterator."""
    return [
        Phase(
            "prepared",
            "clips that quantization makes unnecessary taken out, moves aligned with vectors, thin inputs "
            "packed, channels of like magnitude side by side",
            lambda module: prepare(module, config, hardware, data),
        ),
        Phase(
            "quantized",
            "layers planned, tensors calibrated and encoded, weights chosen: vsq.quantize / vsq.dequantize "
            "around every layer",
            lambda module: quantize_prepared(module, config, hardware, data),
        ),
    ]


def alike_phases(config: QuantConfig, hardware: HardwareConfig, like: IRModule) -> list[Phase]:
    """The same with the numbers of `like`, a fake-quantized module, in place of data."""
    return [
        Phase(
            "prepared",
            "as for the network whose numbers are taken",
            lambda module: prepare(module, config, hardware, None),
        ),
        Phase(
            "quantized",
            "layers planned, encoded, and given weights as those of the same names",
            lambda module: quantize_alike(module, config, hardware, like),
        ),
    ]


def region_phases(
    hardware: HardwareConfig, strict: bool = False, vectors: Sequence[str | int] = ()
) -> list[Phase]:
    """From the fake-quantized graph to regions for the accelerator.

    strict: these have to be the whole network. vectors: see `transform.as_vectors`.
    """

    def checked(module: IRModule) -> IRModule:
        if not is_quantized(module):
            raise ModelError(
                "the module is not quantized: use tvm_vsq.quantize_model first, or tvm_vsq.compile for both"
            )
        check_target(module, hardware)
        return module

    return [
        Phase("checked", "whether the accelerator is built for the formats of every layer", checked),
        Phase(
            "fused",
            "integer layers with bias, residual, ReLU and requantization inside",
            lambda module: fuse(module, hardware),
        ),
        *([_vectors_phase(vectors)] if vectors else []),
        Phase("partitioned", "neighbouring integer layers merged into regions", partition),
        *([Phase("whole", "nothing between layers on the CPU", require_on_chip)] if strict else []),
    ]


def _vectors_phase(vectors: Sequence[str | int]) -> Phase:
    return Phase(
        "as_vectors",
        "inputs and results that are vectors outside, too",
        lambda module: as_vectors(module, vectors),
        changes_results=True,
    )


def code_phases(hardware: HardwareConfig, database: Database, dump: Dump | None = None) -> list[Phase]:
    """From regions to what the Relax VM runs. dump: shows the layers, too."""
    return [
        Phase(
            "generated",
            "regions scheduled, lowered to instructions, and replaced by calls of their programs",
            lambda module: generate(module, hardware, database, dump),
        ),
        Phase(
            "lowered",
            "by TVM: what stays on the CPU fused, lowered to TensorIR, its memory planned",
            _host_pipeline(),
        ),
    ]


def run_phases(model: Any, phases: Sequence[Phase], dump: Dump | None = None) -> IRModule:
    """Run `phases` in order; `dump` shows the module after each.

    Raises ModelError if a phase changes the shape or dtype of a result.
    """
    for step in steps("compiling", phases, len(phases), name=lambda step: step.name):
        before, model = model, step.run(model)
        _check_results(step, before, model)
        if dump is not None and model is not before:
            dump.module(step.name, step.what, model)
    return model


def _check_results(step: Phase, before: Any, module: IRModule) -> None:
    if not isinstance(before, IRModule) or step.changes_results:
        return
    wanted, got = (each["main"].ret_ty for each in (before, module))
    if not tvm_ffi.structural_equal(wanted, got):
        raise ModelError(
            f"'{step.name}', the result is {got} in place of {wanted}: this is an error of tvm_vsq; report "
            "it with the model"
        )


@compiling
def quantized_of(
    model: Any,
    hardware: HardwareConfig,
    quant: str | QuantConfig | None,
    calibration: Any,
    *,
    example_inputs: Any = None,
    check_import: bool = True,
    dump: Dump | None = None,
    like: IRModule | None = None,
) -> IRModule:
    """The fake-quantized module of the user's fp32 `model`; arguments as those of `tvm_vsq.compile`."""
    config = QuantConfig.of(quant, hardware)
    config.check_hardware(hardware)
    canonical = run_phases(model, import_phases(example_inputs, check_import), dump)
    with phase("quantizing the model", QuantizationError):
        if like is not None:
            return run_phases(canonical, alike_phases(config, hardware, like), dump)
        return run_phases(canonical, quantize_phases(config, hardware, rereadable(calibration)), dump)


@compiling
def build_executable(
    quantized: IRModule,
    hardware: HardwareConfig,
    database: Database,
    verify: bool = True,
    dump: Dump | None = None,
    strict: bool = False,
    vectors: Sequence[str | int] = (),
) -> Executable:
    """Compile a fake-quantized module (`quantized_of`) for the simulator."""
    phases = [*region_phases(hardware, strict, vectors), *code_phases(hardware, database, dump)]
    with phase(f"compiling the model for {hardware.name}", ModelError), native.verification(verify):
        built = tvm.compile(
            quantized, target=HOST, relax_pipeline=lambda module: run_phases(module, phases, dump)
        )
    return Executable(built, reference=lambda: build_reference(quantized, hardware, vectors))


@compiling
def timing_of(quantized: IRModule, hardware: HardwareConfig, database: Database) -> Profile:
    """What `Executable.timing` says of a fake-quantized module, without making code for the host.

    Raises ModelError if no layer runs on the accelerator, and what `build_executable` raises.
    """
    generated, *_ = code_phases(hardware, database)
    with phase(f"compiling the model for {hardware.name}", ModelError):
        module = run_phases(quantized, [*region_phases(hardware), generated])
    programs = (module.attrs or {}).get("external_mods")
    if not programs:
        raise ModelError(f"no layer of the network runs on the accelerator '{hardware.label}'")
    return profile_of(programs[0])


@compiling
def build_reference(quantized: IRModule, hardware: HardwareConfig, vectors: Sequence[str | int] = ()) -> Any:
    """The same integer layers as plain TensorIR on the CPU; a Relax executable."""
    reference = legalize_reference(as_vectors(fuse(quantized, hardware), vectors))
    return tvm.compile(reference, target=HOST, relax_pipeline=_host_pipeline())


def _host_pipeline() -> tvm.transform.Pass:
    return tvm.transform.Sequential([relax.pipeline.zero_pipeline(), relax.pipeline.default_build_pipeline()])


def regions_of(quantized: IRModule, hardware: HardwareConfig) -> list[relax.Function]:
    """The accelerator regions of a fake-quantized module, as `codegen.lower_region` takes them."""
    partitioned = run_phases(quantized, region_phases(hardware))
    return [function for _, function in partitioned.functions_items() if is_region(function)]
