"""A Relax region -> Program. A region is a Function of composites, each around one vsq.* call."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from tvm_vsq.codegen.build import build_program
from tvm_vsq.codegen.join_rows import join_rows
from tvm_vsq.codegen.layer import DramTensor, Layer, ScheduledLayer
from tvm_vsq.codegen.operator import read_layer
from tvm_vsq.codegen.program import Program
from tvm_vsq.errors import ProgramError, ScheduleError, phase
from tvm_vsq.graph import dtype_of, is_constant, static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.placement.homes import Home
from tvm_vsq.placement.regions import Item, homes_of, items_of, numbered, results_of
from tvm_vsq.progress import steps
from tvm_vsq.schedule import Database, Workload, default_knobs


def lower_region(function: Any, hardware: HardwareConfig, database: Database) -> Program:
    """Compile one region; its program has the function's name, and takes its parameters, then its results.

    Layers that `database` knows take their schedule from it, the others the default one. ProgramError for a
    region made for other hardware, ScheduleError for a layer that does not fit; both name the layer.
    """
    region = _Region(hardware)
    outputs = region.read(function)
    joined = join_rows(region.layers, outputs, hardware)
    layers = [region.scheduled(layer, database) for layer in steps("scheduling layers", joined, len(joined))]
    gone = {layer.result for layer in region.layers} - {layer.result for layer in layers}
    tensors = {name: tensor for name, tensor in region.tensors.items() if name not in gone}
    name = str(function.attrs["global_symbol"])
    return build_program(name, layers, tensors, region.inputs, outputs, hardware)


def region_workloads(function: Any, hardware: HardwareConfig) -> list[tuple[str, Workload]]:
    """(layer name, workload) of each layer of a region, in program order. ProgramError as in lower_region."""
    region = _Region(hardware)
    outputs = region.read(function)
    return [(layer.name, layer.workload) for layer in join_rows(region.layers, outputs, hardware)]


@dataclass
class _Region:
    hardware: HardwareConfig
    layers: list[Layer] = field(default_factory=list)
    tensors: dict[str, DramTensor] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    _names: dict[Any, str] = field(default_factory=dict)
    _stored_in: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The stored tensors of which one is made that is moved."""
    _read: set[str] = field(default_factory=set)
    """The inputs that some layer has read."""

    def read(self, function: Any) -> list[str]:
        """Take in the whole region and return the names of its results."""
        for parameter in function.params:
            name = f"input {len(self.inputs)}"
            self.inputs.append(name)
            # The layer that reads it will say whether it is signed.
            self._declare(parameter, name, signed=True)
        for item in items_of(function):
            if item.is_moved:
                self._move(item)
            else:
                self._layer(item)
        self._settle(function)
        return self._results(function)

    def scheduled(self, layer: Layer, database: Database) -> ScheduledLayer:
        """The layer with its schedule."""
        with phase(f"scheduling layer '{layer.name}'", ScheduleError):
            tuned = database.lookup(layer.workload, self.hardware)
            knobs = tuned or default_knobs(layer.workload, self.hardware, layer.name)
        return ScheduledLayer.of(layer, knobs, tuned is not None)

    def _declare(self, var: Any, name: str, signed: bool) -> None:
        self.tensors[name] = _tensor(name, var, signed, self.hardware)
        self._names[var] = name

    def _move(self, item: Item) -> None:
        name = f"moved {len(self._names)}"
        self._declare(item.var, name, signed=True)
        self._stored_in[name] = tuple(
            stored for tensor in item.tensors for stored in self._stored(self._names[tensor])
        )

    def _stored(self, name: str) -> tuple[str, ...]:
        return self._stored_in.get(name, (name,))

    def _layer(self, item: Item) -> None:
        operands = [x if is_constant(x) else self._names[x] for x in item.operands]
        name = f"result {len(self.layers)} of '{dict(item.call.attrs).get('layer', '')}'"
        layer = read_layer(item.call, operands, name, self.hardware)
        post = layer.post
        for operand, unsigned in (
            ("inp", post.act_unsigned),
            ("other", post.other_unsigned),
            ("res", post.res_unsigned),
            ("wgt", False),
        ):
            if operand in layer.inputs:
                self._check_sign(layer.inputs[operand], not unsigned, layer.name)
                self._check_form(layer.inputs[operand], operand == "wgt", layer.name)
        made = _tensor(name, item.var, not layer.post.out_unsigned, self.hardware)
        self.tensors[name] = replace(made, second=layer.post.second)
        self._names[item.var] = name
        self.layers.append(layer)

    def _check_sign(self, name: str, signed: bool, layer: str) -> None:
        """An input is signed if its first reader says so, be it moved or not; everyone after has to agree."""
        for stored in self._stored(name):
            tensor = self.tensors[stored]
            if stored in self.inputs and stored not in self._read:
                self._read.add(stored)
                self.tensors[stored] = replace(tensor, signed=signed)
            elif tensor.signed != signed:
                wanted, found = (("unsigned", "signed")[flag] for flag in (signed, tensor.signed))
                raise ProgramError(
                    f"layer '{layer}' reads {name} as {wanted} elements, but it is stored with {found} ones; "
                    f"correct act_signed, other_signed or res_signed"
                )

    def _check_form(self, name: str, second: bool, layer: str) -> None:
        """An input has the form in which it is read; what a layer stored has its own."""
        formats = self.hardware.formats
        second = second and formats.second != formats.activation.with_sign(True)
        for stored in self._stored(name):
            if stored in self.inputs:
                self.tensors[stored] = replace(self.tensors[stored], second=second)
            elif self.tensors[stored].second != second:
                wanted = "second operand" if second else "input"
                raise ProgramError(
                    f"layer '{layer}' reads {name} as a {wanted} of products, and it is stored in "
                    f"another format; give each form a tensor of its own"
                )

    def _settle(self, function: Any) -> None:
        """Give tensors that lie in others their place there, and the sign of what they are made of."""
        for name, stored in self._stored_in.items():
            first = self.tensors[stored[0]]
            self.tensors[name] = replace(self.tensors[name], signed=first.signed, second=first.second)
        homes = homes_of(function)
        if homes is None and any(item.is_moved for item in items_of(function)):
            raise ProgramError("the region moves vectors, but does not say where they are; partition it anew")
        names = {number: self._names[var] for var, number in numbered(function).items()}
        for number, home in (homes or {}).items():
            name, root = names[number], names[home.root]
            if root != name or home.strides != Home.own(number, home.shape).strides:
                self.tensors[name] = replace(self.tensors[name], home=replace(home, root=root))

    def _results(self, function: Any) -> list[str]:
        """Names of the results."""
        names = [self._names[result] for result in results_of(function)]
        for name in names:
            if name in self.inputs or names.count(name) > 1:
                raise ProgramError(f"the region returns '{name}' unchanged or twice; return results once")
        return names


def _tensor(name: str, var: Any, signed: bool, hardware: HardwareConfig) -> DramTensor:
    """Vectors, or rows of numbers of 32 bits."""
    *leading, last = static_shape(var)
    if dtype_of(var) == "int32":
        return DramTensor(name, prod(leading), -(-last // hardware.output_lanes), True, channels=last)
    return DramTensor(name, prod(leading[:-1]), leading[-1], signed)
