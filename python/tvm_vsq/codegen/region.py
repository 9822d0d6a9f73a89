"""A Relax region -> Program. A region is a Function of composites, each around one vsq.* call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from tvm import relax

from tvm_vsq.codegen.build import build_program
from tvm_vsq.codegen.layer import DramTensor, Layer, ScheduledLayer
from tvm_vsq.codegen.operator import read_layer
from tvm_vsq.codegen.program import Program
from tvm_vsq.errors import ProgramError, ScheduleError, phase
from tvm_vsq.graph import bindings, is_constant, op_name, static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.progress import steps
from tvm_vsq.schedule import Database, Workload, default_knobs, nest_of
from tvm_vsq.tvm_compat import Call, Tuple


def lower_region(function: Any, hardware: HardwareConfig, database: Database) -> Program:
    """Compile one region; its program has the function's name, and takes its parameters, then its results.

    Layers that `database` knows take their schedule from it, the others the default one. ProgramError for a
    region made for other hardware, ScheduleError for a layer that does not fit; both name the layer.
    """
    region = _Region(hardware)
    outputs = region.read(function)
    layers = [
        region.scheduled(layer, database)
        for layer in steps("scheduling layers", region.layers, len(region.layers))
    ]
    name = str(function.attrs["global_symbol"])
    return build_program(name, layers, region.tensors, region.inputs, outputs, hardware)


def region_workloads(function: Any, hardware: HardwareConfig) -> list[tuple[str, Workload]]:
    """(layer name, workload) of each layer of a region, in program order. ProgramError as in lower_region."""
    region = _Region(hardware)
    region.read(function)
    return [(layer.name, layer.workload) for layer in region.layers]


@dataclass
class _Region:
    hardware: HardwareConfig
    layers: list[Layer] = field(default_factory=list)
    tensors: dict[str, DramTensor] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    _values: dict[Any, Any] = field(default_factory=dict)

    def read(self, function: Any) -> list[str]:
        """Take in the whole region and return the names of its results."""
        for parameter in function.params:
            *leading, vectors, _lanes = static_shape(parameter)
            name = f"input {len(self.inputs)}"
            # The layer that reads it will say whether it is signed.
            self.tensors[name] = DramTensor(name, prod(leading), vectors, signed=True)
            self.inputs.append(name)
            self._values[parameter] = name
        for binding in bindings(function):
            self._values[binding.var] = self._bound(binding.value)
        return self._results(function.body.body)

    def scheduled(self, layer: Layer, database: Database) -> ScheduledLayer:
        """The layer with its schedule."""
        with phase(f"scheduling layer '{layer.name}'", ScheduleError):
            tuned = database.lookup(layer.workload, self.hardware)
            knobs = tuned or default_knobs(layer.workload, self.hardware, layer.name)
        return ScheduledLayer.of(layer, knobs, tuned is not None)

    def _bound(self, value: Any) -> Any:
        """What a variable stands for: a composite, a tensor's name, a tuple of those, or a constant."""
        if isinstance(value, relax.Function) or is_constant(value):
            return value
        if isinstance(value, Tuple):
            return tuple(self._bound(item) for item in value.fields)
        if not isinstance(value, Call):
            return self._values[value]
        if op_name(value):
            return self._layer(value, {})
        composite = value.op if isinstance(value.op, relax.Function) else self._values[value.op]
        inner = dict(zip(composite.params, map(self._bound, value.args), strict=True))
        calls = list(_calls(composite))
        if len(calls) != 1:
            raise ProgramError(
                f"a composite of {len(calls)} calls reached code generation; each must be one vsq.* layer"
            )
        return self._layer(calls[0], inner)

    def _layer(self, call: Any, inner: Mapping[Any, Any]) -> str:
        operands = [inner[arg] if arg in inner else self._bound(arg) for arg in call.args]
        name = f"result {len(self.layers)} of '{dict(call.attrs).get('layer', '')}'"
        layer = read_layer(call, operands, name, self.hardware)
        post = layer.post
        for operand, unsigned in (
            ("inp", post.act_unsigned),
            ("other", post.other_unsigned),
            ("res", post.res_unsigned),
        ):
            if operand in layer.inputs:
                self._check_sign(layer.inputs[operand], not unsigned, layer.name)
        self.tensors[name] = _result(layer, self.hardware)
        self.layers.append(layer)
        return name

    def _check_sign(self, name: str, signed: bool, layer: str) -> None:
        """An input is signed if its first reader says so; everyone after has to agree."""
        tensor = self.tensors[name]
        if name in self.inputs and not any(name in layer.inputs.values() for layer in self.layers):
            self.tensors[name] = replace(tensor, signed=signed)
        elif tensor.signed != signed:
            wanted, stored = (("unsigned", "signed")[flag] for flag in (signed, tensor.signed))
            raise ProgramError(
                f"layer '{layer}' reads {name} as {wanted} elements, but it is stored with {stored} ones; "
                f"correct act_signed, other_signed or res_signed"
            )

    def _results(self, body: Any) -> list[str]:
        """Names of the results."""
        found = self._bound(body)
        names = list(found) if isinstance(found, tuple) else [found]
        for name in names:
            if name in self.inputs or names.count(name) > 1:
                raise ProgramError(f"the region returns '{name}' unchanged or twice; return results once")
        return names


def _calls(composite: Any) -> Iterator[Any]:
    for binding in bindings(composite):
        if isinstance(binding.value, Call):
            yield binding.value
    if isinstance(composite.body.body, Call):
        yield composite.body.body


def _result(layer: Layer, hardware: HardwareConfig) -> DramTensor:
    result, channels = nest_of(layer.workload, hardware).result, layer.channels[1]
    pixels = prod(result.extents[:3])
    if result.scratchpad == "acc":
        blocks = nest_of(layer.workload, hardware).blocks
        return DramTensor(layer.result, pixels, blocks, signed=True, channels=channels)
    vectors = hardware.formats.activation.vectors(channels)
    return DramTensor(layer.result, pixels, vectors, not layer.post.out_unsigned)
