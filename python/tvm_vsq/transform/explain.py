"""Which operator runs where, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tvm import relax

from tvm_vsq.formats import OUTPUT
from tvm_vsq.frontend import is_quantized
from tvm_vsq.graph import bindings, definitions, dtype_of, is_constant, op_name, tensors
from tvm_vsq.layers.on_cpu import NOT_BETWEEN_LAYERS, layers_on_cpu
from tvm_vsq.layers.rows import added_rows
from tvm_vsq.network import Elements, facts_of, layer_names, refusal, source_of
from tvm_vsq.network.source import becomes_weighted
from tvm_vsq.placement.regions import MOVED, items_of, results_of
from tvm_vsq.relax_ops import layer_operator
from tvm_vsq.transform.work import Work, work_of
from tvm_vsq.tvm_compat import Call, GlobalVar, IRModule, Var

_TO_STEPS = ("relax.round", "relax.clip", "relax.multiply")
"""What makes 32-bit numbers of an fp32 tensor of which a layer makes rows, from behind (`transform.fuse`)."""

_WITH_CONSTANT = "with a constant that is no bias or scale of a layer: "
_WITH_LAYER = "goes with layer '{}', which runs on the CPU"
_IN_PLACE = "{} of vectors: nothing is moved, results are stored and read where it has them"


@dataclass(frozen=True)
class OpPlacement:
    """One operator of the final module: name, layer ("" if it has none), where it runs, and why there.

    work: of an operator on the CPU, which no simulation counts.
    """

    op: str
    layer: str
    where: Literal["accelerator", "cpu"]
    why: str
    work: Work | None = None


def explain(module: IRModule) -> list[OpPlacement]:
    """Every operator of a fused or partitioned module, in program order."""
    return list(_Explainer(module).rows())


def placements(module: IRModule) -> dict[Var, OpPlacement]:
    """Those of the operators on the CPU, by the variable that each is bound to."""
    explainer = _Explainer(module)
    return {
        binding.var: row
        for binding in bindings(module["main"])
        for row in explainer.rows_of(binding.var, binding.value)
        if row.where == "cpu"
    }


class _Explainer:
    def __init__(self, module: IRModule) -> None:
        self._module = module
        self._main: relax.Function = module["main"]
        self._values = definitions(self._main)
        self._names, self._on_cpu = layer_names(module), layers_on_cpu(module)
        self._inputs = self._laid_out()
        self._numbers = self._becoming_numbers()
        self._sums = self._sums_of_rows()
        self._why_fp32 = (
            "left in fp32 by a rule"
            if is_quantized(module)
            else "its operands are fp32; quantize the module first"
        )

    def rows(self) -> Iterator[OpPlacement]:
        for binding in bindings(self._main):
            yield from self.rows_of(binding.var, binding.value)

    def rows_of(self, var: Var, value: Any) -> Iterator[OpPlacement]:
        if isinstance(value, Call) and isinstance(value.op, GlobalVar):
            items = items_of(self._module[value.op])
            read = {operand for item in items for operand in item.operands if isinstance(operand, Var)}
            for item in items:
                if layer_operator(item.call):
                    name, why = str(item.call.attrs["layer"]), _epilogue(item.call, item.var in read)
                    yield OpPlacement(op_name(item.call), name, "accelerator", why)
            for item in items:
                if item.is_moved:
                    yield OpPlacement(MOVED, "", "accelerator", _IN_PLACE.format(item.move.word))
        elif op_name(value):
            yield OpPlacement(
                op_name(value),
                self._layer(var, value),
                "cpu",
                self._reason(var, value),
                work_of(value, var),
            )

    def _layer(self, var: Var, call: Call) -> str:
        attrs = dict(call.attrs) if op_name(call).startswith("vsq.") else {}
        return str(attrs.get("layer", self._names.get(var, "")))

    def _reason(self, var: Var, call: Call) -> str:
        name = op_name(call)
        if layer_operator(call):
            return "not part of a region; run transform.partition"
        if name == "vsq.quantize":
            return self._why_quantize(call.args[0])
        if name == "vsq.dequantize":
            return "an operator on the CPU, or the caller, reads this tensor as fp32"
        if var in self._numbers:
            return self._numbers[var]
        if var in self._sums:
            return _WITH_LAYER.format(self._sums[var])
        source, why_on_cpu = source_of(call), self._on_cpu.get(self._layer(var, call))
        if why_on_cpu is not None:
            return why_on_cpu
        if source is not None and source.weights is None and not all(map(self._is_result, tensors(call))):
            return NOT_BETWEEN_LAYERS
        why = refusal(call)
        if why is not None:
            return why or self._why_fp32
        wide = self._wide_layer(call)
        if wide is not None:
            return f"the int32 result{wide} leaves the accelerator and becomes fp32"
        if var in self._inputs and name != "relax.permute_dims":
            return f"the host lays out input '{self._inputs[var]}'"
        if name == "relax.permute_dims":
            return "moves data between the caller's layout and the accelerator's, channels last"
        if name == "relax.take" and not is_constant(call.args[1]):
            return "looks up rows of a table (an embedding), which the host does"
        if facts_of(call).elements in (Elements.VIEWED, Elements.COPIED):
            return "moves fp32 data, no accelerator form yet"
        layer = self._layer_in_front(call)
        if layer is not None:
            return _WITH_LAYER.format(layer)
        with_constant = name in ("relax.add", "relax.multiply") and any(map(is_constant, call.args))
        return (_WITH_CONSTANT if with_constant else "") + facts_of(call).no_form

    def _why_quantize(self, x: Any) -> str:
        if x in self._inputs:
            return f"input '{self._inputs[x]}' arrives as fp32"
        source: Any = self._values.get(x)
        while facts_of(source).elements is Elements.VIEWED or op_name(source) == "relax.permute_dims":
            source = self._values.get(source.args[0])
        return f"{op_name(source) or 'its source'} on the CPU gives fp32"

    def _laid_out(self) -> dict[Var, str]:
        """Tensors that hold elements of one input alone, and its name."""
        found = {param: str(param.name) for param in self._main.params}
        for binding in bindings(self._main):
            read = {found.get(each, "") for each in tensors(binding.value)}
            moved = facts_of(binding.value).elements in (Elements.VIEWED, Elements.COPIED)
            if len(read) == 1 and "" not in read and moved:
                found[binding.var] = read.pop()
        return found

    def _becoming_numbers(self) -> dict[Var, str]:
        """What turns fp32 tensors into the numbers of which layers make rows, and why that is on the CPU."""
        found: dict[Var, str] = {}
        for binding in bindings(self._main):
            chain, call = [binding.var], binding.value
            if op_name(call) != "relax.astype" or dtype_of(binding.var) != "int32":
                continue
            for name in _TO_STEPS:
                source = self._values.get(call.args[0])
                if op_name(source) != name:
                    break
                chain.append(call.args[0])
                call = source
            else:
                why = "brings fp32 to the accelerator as 32-bit numbers, of which a layer makes rows"
                if op_name(self._values.get(call.args[0])) == "vsq.dequantize":
                    why = (
                        "rows are made of 32-bit numbers, and these are vectors, since another layer reads "
                        "them, their sums end in neither a norm nor the network's result, or "
                        'QuantConfig(residuals="vectors") has them'
                    )
                found |= dict.fromkeys(chain, why)
        return found

    def _sums_of_rows(self) -> dict[Var, str]:
        """Sums that would be part of a layer on rows, if that were not on the CPU, and its name."""
        found: dict[Var, str] = {}
        for var, name in self._names.items():
            source = source_of(call := self._values[var])
            if name in self._on_cpu and source is not None and source.rows is not None:
                _, added = added_rows(self._main, call.args[0])
                found |= {} if added is None else {call.args[0]: name}
        return found

    def _layer_in_front(self, call: Any) -> str | None:
        """The name of the layer with weights that would do `call`, an operator on each element of its result,
        if that were not on the CPU; None if there is none.
        """
        while facts_of(call).elementwise:
            read = [each for each in tensors(call) if isinstance(each, Var)]
            call = self._values.get(read[0]) if len(read) == 1 else None
            if call is not None and becomes_weighted(call) and not layer_operator(call):
                return self._names.get(read[0]) or None
        return None

    def _is_result(self, x: Any) -> bool:
        """Whether a layer on the accelerator gives `x`, which the CPU reads as fp32."""
        source = self._values.get(x)
        if source is None:
            return False
        return op_name(source) == "vsq.dequantize" or self._wide_layer(source) is not None

    def _wide_layer(self, call: Call) -> str | None:
        """Whose wide result `call` casts or scales, as " of layer ..."; None if it does neither."""
        name = op_name(call)
        source: Any = self._values.get(call.args[0])
        if name == "relax.multiply" and is_constant(call.args[1]) and op_name(source) == "relax.astype":
            return self._wide_layer(source)
        if name != "relax.astype" or str(call.args[0].ty.dtype).removeprefix("T.") != "int32":
            return None
        given = result_layer(self._module, source, self._values)
        if given is not None:
            return f" of layer '{given}'"
        return f" of layer '{source.attrs['layer']}'" if layer_operator(source) else None


def result_layer(module: IRModule, value: Any, values: Mapping[Any, Any]) -> str | None:
    """The layer whose result, moved or not, `value` is: a region's only one, or one of several; else None.

    values: what the variables of "main" are bound to.
    """
    call, index = value, 0
    if isinstance(value, relax.TupleGetItem):
        call, index = values.get(value.tuple_value), int(value.index)
    if not isinstance(call, Call) or not isinstance(call.op, GlobalVar):
        return None
    region = module[call.op]
    names: dict[Any, str] = {}
    for item in items_of(region):
        is_layer = layer_operator(item.call) is not None
        names[item.var] = str(item.call.attrs["layer"]) if is_layer else names.get(item.tensors[0], "")
    return names.get(results_of(region)[index])


def _epilogue(call: Call, is_read_on_chip: bool) -> str:
    attrs = call.attrs
    operator: Any = layer_operator(call)
    parts = ["constant integer weights"] if operator.has_weights else []
    if operator.on_rows:
        parts = ["rows of int32"]
    if len(call.args) > operator.params + 1:
        function = str(dict(attrs).get("function", ""))
        added = "adds others" if operator.on_rows else "adds a residual"
        parts.append(f"looks up {function}" if function else added)
    if int(attrs["relu"]):
        parts.append("clamps at 0")
    reader = "another layer" if is_read_on_chip else "the CPU"
    parts.append(f"int32 result for {reader}" if int(attrs["wide"]) else _requantization(call))
    return ", ".join(parts)


def _requantization(call: Call) -> str:
    fmt = OUTPUT.read(call.attrs, int(call.ty.shape[-1]) - 1)
    scales = f" and {fmt.scale_bits}-bit scales" if fmt.scale_bits else ""
    return f"requantizes to {fmt.bits}-bit elements{scales}"
