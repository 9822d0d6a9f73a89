"""Code generation: regions of a partitioned module -> one runtime module that holds their programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import tvm_ffi
from tvm import relax

from tvm_vsq.codegen import Program, lower_region
from tvm_vsq.dump import Dump
from tvm_vsq.errors import ModelError
from tvm_vsq.graph import bindings
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.importing import import_note
from tvm_vsq.network.inputs import inputs_of
from tvm_vsq.placement.regions import CODEGEN, is_region
from tvm_vsq.runtime import LayerInfo, Metadata, Placement, ProgramInfo, ResultSpec, TensorSpec, native
from tvm_vsq.schedule import Database
from tvm_vsq.transform import explain
from tvm_vsq.tvm_compat import Call, IRModule


def generate(
    module: IRModule, hardware: HardwareConfig, database: Database, dump: Dump | None = None
) -> IRModule:
    """Replace every region by calls of one runtime module that holds all programs."""
    programs: list[Program] = []
    compiled: list[Any] = []

    def generator(functions: Any, _options: Any, _constants: Any) -> list[Any]:
        regions = {str(function.attrs["global_symbol"]): function for function in functions}
        for region in (regions[f"region{number}"] for number in range(len(regions))):
            programs.append(lower_region(region, hardware, database))
            if dump is not None:
                dump.program(region, programs[-1])
        metadata = _metadata(module, hardware, programs)
        native_programs = [program.to_native() for program in programs]
        compiled.append(
            native.create_module(hardware.sim_params(), native_programs, metadata.model_dump_json())
        )
        return compiled

    with _hook(generator):
        module = relax.transform.RunCodegen()(_numbered(module))
    # The weights live in the runtime module; TVM would export them a second time.
    return module.without_attr("const_name_to_constant")


def _numbered(module: IRModule) -> IRModule:
    """Regions called "region0", "region1", ... in the order of their calls. TVM joins the names of all layers
    of a region to its symbol, which may so have any length."""
    calls = [binding.value for binding in bindings(module["main"]) if isinstance(binding.value, Call)]
    functions = dict(module.functions_items())
    for number, call in enumerate(call for call in calls if is_region(functions.get(call.op))):
        functions[call.op] = functions[call.op].with_attr("global_symbol", f"region{number}")
    return IRModule(functions, attrs=module.attrs)


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
    inputs = [TensorSpec(**asdict(each)) for each in inputs_of(module["main"])]
    return Metadata(
        hardware=hardware,
        import_note=import_note(module),
        inputs=tuple(inputs),
        results=tuple(_results(module["main"].body.body.ty)),
        placements=tuple(Placement(**asdict(row)) for row in explain(module)),
        layers=tuple(LayerInfo(**asdict(layer)) for program in programs for layer in program.layers),
        programs=tuple(ProgramInfo(**asdict(program.record)) for program in programs),
    )


def _results(kind: Any) -> Iterator[ResultSpec]:
    """Tensors of the results, in order, those of tuples in tuples too; shapes are static."""
    if isinstance(kind, relax.TupleType):
        for field in kind.fields:
            yield from _results(field)
    elif isinstance(kind, relax.TensorType):
        shape = tuple(int(extent) for extent in kind.shape)
        yield ResultSpec(shape=shape, dtype=str(kind.dtype).removeprefix("T."))
