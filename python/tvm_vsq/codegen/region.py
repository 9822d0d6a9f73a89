"""A Relax region -> Program. A region is a Function of composites, each around one vsq.* call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from tvm_vsq.codegen.build import build_program
from tvm_vsq.codegen.forms import OWN, Form
from tvm_vsq.codegen.join_rows import join_rows
from tvm_vsq.codegen.join_sums import join_sums
from tvm_vsq.codegen.join_twins import join_twins
from tvm_vsq.codegen.layer import DramTensor, Layer, ScheduledLayer
from tvm_vsq.codegen.lowering import Lowering
from tvm_vsq.codegen.operator import read_layer
from tvm_vsq.codegen.program import Program
from tvm_vsq.errors import ProgramError, ScheduleError, phase
from tvm_vsq.graph import dtype_of, is_constant, op_name, static_shape
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.placement.homes import Home
from tvm_vsq.placement.regions import Item, formats_of, homes_of, items_of, numbered, results_of
from tvm_vsq.progress import steps
from tvm_vsq.registry import NAMES, aspects
from tvm_vsq.schedule import Database, Workload, default_knobs


def lower_region(function: Any, hardware: HardwareConfig, database: Database) -> Program:
    """Compile one region; its program has the function's name, and takes its parameters, then its results.

    Layers that `database` knows take their schedule from it, the others the default one. ProgramError for a
    region made for other hardware, ScheduleError for a layer that does not fit; both name the layer.
    """
    region = _Region(hardware)
    outputs = region.read(function)
    joined = _joined(region.layers, outputs, hardware)
    layers = [region.scheduled(layer, database) for layer in steps("scheduling layers", joined, len(joined))]
    gone = {layer.result for layer in region.layers} - {name for layer in layers for name in layer.results}
    tensors = {name: tensor for name, tensor in region.tensors.items() if name not in gone}
    name = str(function.attrs["global_symbol"])
    return build_program(name, layers, tensors, region.inputs, outputs, hardware)


def region_workloads(function: Any, hardware: HardwareConfig) -> list[tuple[str, Workload]]:
    """(layer name, workload) of each layer of a region, in program order. ProgramError as in lower_region."""
    return [(layer.name, layer.workload) for layer in region_layers(function, hardware)]


def region_layers(function: Any, hardware: HardwareConfig) -> list[Layer]:
    """Each layer of a region, joined as in `lower_region`, in program order. ProgramError as there."""
    region = _Region(hardware)
    outputs = region.read(function)
    return _joined(region.layers, outputs, hardware)


def _joined(layers: list[Layer], outputs: list[str], hardware: HardwareConfig) -> list[Layer]:
    """Layers in which there is less to load and to store."""
    return join_sums(join_rows(join_twins(layers), outputs, hardware), outputs, hardware)


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
    _in_place_of_weights: Mapping[Any, bool] = field(default_factory=dict)
    """Whether layers read a variable in place of weights; those that nobody here reads are left out."""

    def read(self, function: Any) -> list[str]:
        """Take in the whole region and return the names of its results."""
        self._in_place_of_weights = _readings(function)
        for parameter, widths in zip(function.params, formats_of(function), strict=True):
            name = f"input {len(self.inputs)}"
            self.inputs.append(name)
            # The layer that reads it will say whether it is signed.
            self._declare(parameter, name, signed=True, form=self._form(parameter, widths, name))
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

    def _form(self, var: Any, widths: tuple[int, int] | None, what: str) -> Form:
        """Of an input with elements and scales of these widths; of the hardware's own if None."""
        if dtype_of(var) == "int32":
            return OWN
        is_second, formats = self._in_place_of_weights.get(var), self.hardware.formats
        fmt = formats.second if is_second else formats.activation
        if widths is not None:
            fmt = replace(fmt, bits=widths[0], scale_bits=widths[1])
        return Form.of(fmt, is_second, self.hardware, what)

    def _declare(self, var: Any, name: str, signed: bool, form: Form) -> None:
        self.tensors[name] = replace(_tensor(name, var, signed, self.hardware), form=form)
        self._names[var] = name

    def _move(self, item: Item) -> None:
        name = f"moved {len(self._names)}"
        stored = tuple(s for tensor in item.tensors for s in self._stored(self._names[tensor]))
        self._declare(item.var, name, signed=True, form=self.tensors[stored[0]].form)
        self._stored_in[name] = stored

    def _stored(self, name: str) -> tuple[str, ...]:
        return self._stored_in.get(name, (name,))

    def _layer(self, item: Item) -> None:
        operands = [x if is_constant(x) else self._names[x] for x in item.operands]
        name = f"result {len(self.layers)} of '{dict(item.call.attrs).get('layer', '')}'"
        forms = {name: tensor.form for name, tensor in self.tensors.items()}
        is_second = self._in_place_of_weights.get(item.var)
        layer = read_layer(item.call, operands, name, self.hardware, forms, is_second)
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
        self.tensors[name] = replace(made, form=layer.post.form)
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
        """What is read in place of weights is stored in that form, and is read so by all."""
        formats = self.hardware.formats
        second = second and formats.second_record != formats.activation.with_sign(True)
        found = [self.tensors[stored].form for stored in self._stored(name)]
        if any(form.second != second for form in found):
            wanted = "second operand" if second else "input"
            raise ProgramError(
                f"layer '{layer}' reads {name} as a {wanted} of products, and it is stored in another "
                f"format; give each form a tensor of its own"
            )
        if any(form.digits != found[0].digits for form in found):
            raise ProgramError(
                f"layer '{layer}' reads {name}, whose parts have different formats; give them the same"
            )

    def _settle(self, function: Any) -> None:
        """Give tensors that lie in others their place there, and the sign of what they are made of."""
        for name, stored in self._stored_in.items():
            first = self.tensors[stored[0]]
            self.tensors[name] = replace(self.tensors[name], signed=first.signed)
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


def _readings(function: Any) -> dict[Any, bool]:
    """Whether the layers of a region read a variable, or what it is moved to make, in place of weights.

    What is read both ways counts as read in place of weights; the layer that does not is refused.
    """
    made_of = {item.var: item.tensors for item in items_of(function) if item.is_moved}
    lowerings = aspects("lower", Lowering)
    pending: list[tuple[Any, bool]] = []
    for item in items_of(function):
        if not item.is_moved and (op := NAMES.get(op_name(item.call))) is not None:
            second = 1 if lowerings[op].other_is_second else None
            pending += [(x, i == second) for i, x in enumerate(item.operands) if not is_constant(x)]
    found: dict[Any, bool] = {}
    while pending:
        var, is_second = pending.pop()
        if var not in found or (is_second and not found[var]):
            found[var] = is_second
            pending += [(part, is_second) for part in made_of.get(var, [])]
    return found


def _tensor(name: str, var: Any, signed: bool, hardware: HardwareConfig) -> DramTensor:
    """Vectors, or rows of numbers of 32 bits."""
    *leading, last = static_shape(var)
    if dtype_of(var) == "int32":
        return DramTensor(name, prod(leading), -(-last // hardware.output_lanes), True, channels=last)
    return DramTensor(name, prod(leading[:-1]), leading[-1], signed)
