"""A Relax region -> Program. A region is a Function of composites, each around one vsq.* call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.codegen.build import build_program
from tvm_vsq.codegen.constants import param_records, weight_records
from tvm_vsq.codegen.layer import DramTensor, Layer
from tvm_vsq.codegen.operator import Operator, read_operator
from tvm_vsq.codegen.program import Program
from tvm_vsq.errors import ProgramError, ScheduleError, phase
from tvm_vsq.graph import bindings, constant_array, is_constant, op_name, static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.schedule import Database, Workload, default_knobs
from tvm_vsq.tvm_compat import Call, Tuple


def lower_region(function: Any, hardware: HardwareConfig, database: Database) -> Program:
    """Compile one region; its program has the function's name, and takes its parameters, then its results.

    Layers that `database` knows take their schedule from it, the others the default one. ProgramError for a
    region made for other hardware, ScheduleError for a layer that does not fit; both name the layer.
    """
    region = _Region(hardware)
    outputs = region.read(function)
    layers = [region.finish(node, database) for node in region.nodes]
    name = str(function.attrs["global_symbol"])
    return build_program(name, layers, region.tensors, region.inputs, outputs, hardware)


def region_workloads(function: Any, hardware: HardwareConfig) -> list[tuple[str, Workload]]:
    """(layer name, workload) of each layer of a region, in program order. ProgramError as in lower_region."""
    region = _Region(hardware)
    region.read(function)
    return [(node.operator.layer, node.operator.workload) for node in region.nodes]


@dataclass(frozen=True)
class _Node:
    """One layer with the names of its tensors."""

    operator: Operator
    params: np.ndarray[Any, np.dtype[np.int32]]
    source: str
    result: str
    residual: str | None


@dataclass
class _Region:
    hardware: HardwareConfig
    nodes: list[_Node] = field(default_factory=list)
    tensors: dict[str, DramTensor] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    _values: dict[Any, Any] = field(default_factory=dict)

    def read(self, function: Any) -> list[str]:
        """Take in the whole region and return the names of its results."""
        for parameter in function.params:
            *leading, vectors, _lanes = static_shape(parameter)
            name = f"input {len(self.inputs)}"
            # The layer that reads it will say whether it is signed.
            self.tensors[name] = DramTensor(name, prod(leading), vectors, vectors, signed=True)
            self.inputs.append(name)
            self._values[parameter] = name
        for binding in bindings(function):
            self._values[binding.var] = self._bound(binding.value)
        return self._results(function.body.body)

    def finish(self, node: _Node, database: Database) -> Layer:
        """The layer with its schedule."""
        operator, work = node.operator, node.operator.workload
        with phase(f"scheduling layer '{operator.layer}'", ScheduleError):
            tuned = database.lookup(work, self.hardware)
            knobs = tuned or default_knobs(work, self.hardware, operator.layer)
        return Layer(
            name=operator.layer,
            op=operator.op,
            workload=work,
            knobs=knobs,
            post=operator.post,
            channels=(operator.channels, len(operator.weights)),
            constants={
                "wgt": weight_records(operator.weights, self.hardware),
                "par": param_records(node.params, self.hardware),
            },
            inputs={"inp": node.source} | ({"res": node.residual} if node.residual is not None else {}),
            result=node.result,
            tuned=tuned is not None,
        )

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
        x, weights, params, *rest = (inner[arg] if arg in inner else self._bound(arg) for arg in call.args)
        if not (is_constant(weights) and is_constant(params)):
            raise ProgramError(
                f"layer '{call.attrs['layer']}': weights and params must be constants; bind them before "
                f"partitioning"
            )
        residual = rest[0] if rest else None
        operator = read_operator(call, constant_array(weights), residual is not None, self.hardware)
        self._check_sign(x, not operator.post.act_unsigned, operator.layer)
        if residual is not None:
            self._check_sign(residual, not operator.post.res_unsigned, operator.layer)
        name = f"result {len(self.nodes)} of '{operator.layer}'"
        self.tensors[name] = _result(name, operator, self.hardware)
        self.nodes.append(_Node(operator, constant_array(params), x, name, residual))
        return name

    def _check_sign(self, name: str, signed: bool, layer: str) -> None:
        """An input is signed if its first reader says so; everyone after has to agree."""
        tensor = self.tensors[name]
        if name in self.inputs and not any(name in (node.source, node.residual) for node in self.nodes):
            self.tensors[name] = replace(tensor, signed=signed)
        elif tensor.signed != signed:
            wanted, stored = (("unsigned", "signed")[flag] for flag in (signed, tensor.signed))
            raise ProgramError(
                f"layer '{layer}' reads {name} as {wanted} elements, but it is stored with {stored} ones; "
                f"correct act_signed or res_signed"
            )

    def _results(self, body: Any) -> list[str]:
        """Names of the results, which from now on are stored as the host expects them: without padding."""
        found = self._bound(body)
        names = list(found) if isinstance(found, tuple) else [found]
        for name in names:
            if name in self.inputs or names.count(name) > 1:
                raise ProgramError(f"the region returns '{name}' unchanged or twice; return results once")
            tensor = self.tensors[name]
            if tensor.channels is None:
                self.tensors[name] = replace(tensor, pitch=tensor.vectors)
        return names


def _calls(composite: Any) -> Iterator[Any]:
    for binding in bindings(composite):
        if isinstance(binding.value, Call):
            yield binding.value
    if isinstance(composite.body.body, Call):
        yield composite.body.body


def _result(name: str, operator: Operator, hardware: HardwareConfig) -> DramTensor:
    work, channels = operator.workload, len(operator.weights)
    pixels = work.n * work.oh * work.ow
    if work.wide:
        return DramTensor(name, pixels, 0, work.kb, True, channels)
    vectors = -(-channels // hardware.vector_size)
    pitch = work.kb * hardware.output_lanes // hardware.vector_size
    return DramTensor(name, pixels, vectors, pitch, not operator.post.out_unsigned)
