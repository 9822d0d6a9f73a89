"""Moves dequantization into the layers: fp32 chains between vsq.* tensors become layers on vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_vsq.formats import OUTPUT
from tvm_vsq.formats.rows import TURN_BITS
from tvm_vsq.graph import Rebuilder, constant, constant_array, is_constant, op_name, replace_main
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.node import Node, RowNode, Vectors
from tvm_vsq.layers.reader import read_row_nodes
from tvm_vsq.layers.weightless import product_rounding
from tvm_vsq.network import layer_names, with_layer_names
from tvm_vsq.network.names import weighted_layers, weightless_layers
from tvm_vsq.numerics import turning_factors
from tvm_vsq.relax_ops import layer_operators
from tvm_vsq.transform.fusable import fusable_nodes
from tvm_vsq.transform.post_processing import PostProcessing, post_processing
from tvm_vsq.transform.row_processing import RowProcessing, row_processing, units_of_rows
from tvm_vsq.tvm_compat import IRModule, Var


def fuse(module: IRModule, hardware: HardwareConfig) -> IRModule:
    """Turn every quantized layer of `module` (see `quantize.quantize`) into one integer operator.

    A layer takes its constant bias, a residual that is stored as vectors, a clamp at 0 from below, at a
    positive number from above, or at both, however it is written, or else a function that can be looked up
    (`layers.functions`), and the quantize that follows, if that is
    the only reader; integers then flow from layer to layer. Otherwise the result is wide: int32, cast and
    scaled to fp32 on the CPU.

    hardware: for its accumulator, multiplier and scale products. The formats are those of the module, layer
    by layer, whatever `hardware` is built for; see `check_target`.
    Raises QuantizationError naming the layer if its numbers do not fit the accumulator, multiplier or bias.
    """
    nodes, rows = fusable_nodes(module, hardware), read_row_nodes(module, hardware.formats.weight)
    function = module["main"]
    names = layer_names(module)
    gone = {var for node in nodes for var in (node.anchor, node.chain.residual_add, *node.chain.applied)}
    weighted, weightless = weighted_layers(function), weightless_layers(function)
    # what rows are made of may be a product that stays, and not a sum that they take along
    gone |= {var for row in rows for var in (row.anchor, row.total)}.difference(weighted)
    remaining = ([names[var] for var in layers if var not in gone] for layers in (weighted, weightless))
    fused = replace_main(module, _Fuse(function, nodes, rows, hardware).run())
    fused = relax.transform.DeadCodeElimination()(relax.transform.CanonicalizeBindings()(fused))
    return with_layer_names(fused, *remaining)


_HOST_LIMIT = 1 << 30
"""Magnitude of what the host rounds to integers; masks are beyond it."""


class _Fuse(Rebuilder):
    def __init__(
        self, function: relax.Function, nodes: list[Node], rows: list[RowNode], hardware: HardwareConfig
    ) -> None:
        super().__init__(function)
        self._at = {node.result: node for node in nodes}
        self._rows = {row.result: row for row in rows}
        self._units = units_of_rows(nodes, rows, hardware)
        self._numbers = {
            node.result: post_processing(node, hardware, self._units.get(node.chain.output)) for node in nodes
        }
        self._hardware = hardware
        self._moved: dict[Var, Any] = {}
        self._turning: dict[Var, Any] = {}  # factors, by cosines and sines
        self._wide: dict[Var, Any] = {}  # int32, by the fp32 tensor that they stand for

    def rewrite(self, var: Var, value: Any) -> Any:
        # the fp32 members of the chain are copied too; nothing reads them any more, so they are removed as
        # dead code
        if var in self._rows:
            row = self._rows[var]
            numbers = row_processing(row, self._units[row.x], self._units.get(row.anchor), self._hardware)
            return self._finished(var, self._row_call(row, numbers), row.output is None, numbers.step)
        if var not in self._at:
            return value
        node = self._at[var]
        processing = self._numbers[var]
        return self._finished(var, self._call(node, processing), node.output is None, processing.step)

    def _finished(self, var: Var, call: Any, is_wide: bool, step: np.float32) -> Any:
        """The call, and what brings a wide result to fp32."""
        if not is_wide:
            return call
        self._wide[var] = self.emit(call)
        steps = relax.op.astype(self._wide[var], "float32")
        return relax.op.multiply(self.emit(steps), constant(np.asarray(step)))

    def _row_call(self, row: RowNode, numbers: RowProcessing) -> Any:
        formats, output = self._hardware.formats, row.output
        attributes: dict[str, Any] = {
            **numbers.attributes,
            "layer": row.name,
            "vector_size": formats.activation.vector_size,
            "product_shift": formats.product_shift,
            "product_bits": formats.product_bits,
            "wide": int(output is None),
            "guard_bits": self._hardware.guard_bits,
        }
        if output is not None:
            attributes |= {**OUTPUT.write(output.format), "out_scales": output.scales}
        unit = self._units[row.x]
        operands = [self._integers(row.x, unit), constant(numbers.params)]
        if numbers.tables is not None:
            operands.insert(1, constant(numbers.tables))
        if row.turns is not None:
            operands.append(self._factors(row.turns))
        if row.added is not None:
            operands.append(self._integers(row.added, unit))
        return layer_operators()[row.operator].from_source(row.call, operands, attributes)

    def _integers(self, tensor: Any, unit: float) -> Any:
        """An fp32 tensor of the old function in steps of `unit`: a layer's result, or what the host
        rounds, or a constant.
        """
        if is_constant(tensor):
            with np.errstate(over="ignore"):  # of masks
                numbers = constant_array(tensor) * np.float32(1 / unit)
            steps = np.rint(np.clip(numbers, -_HOST_LIMIT, _HOST_LIMIT))
            return constant(steps.astype(np.int32))
        if tensor in self._wide:
            return self._wide[tensor]
        value = relax.op.multiply(self.new(tensor), constant(np.asarray(np.float32(1 / unit))))
        bound = float(_HOST_LIMIT)
        value = self.emit(relax.op.clip(self.emit(value), -bound, bound))
        self._wide[tensor] = self.emit(relax.op.astype(self.emit(relax.op.round(value)), "int32"))
        return self._wide[tensor]

    def _factors(self, turns: Any) -> Any:
        """Of 1 + cos and 1 + sin, for cosines and sines of the old function: mantissa, and shift above it."""
        if is_constant(turns):
            return constant(turning_factors(constant_array(turns)))
        if turns not in self._turning:
            self._turning[turns] = self._computed_factors(turns)
        return self._turning[turns]

    def _computed_factors(self, turns: Any) -> Any:
        value = relax.op.multiply(self.new(turns), constant(np.asarray(np.float32(1 << TURN_BITS))))
        whole = relax.op.astype(self.emit(relax.op.round(self.emit(value))), "int32")
        return self.emit(relax.op.add(self.emit(whole), constant(turning_factors(np.zeros((), np.float32)))))

    def _call(self, node: Node, numbers: PostProcessing) -> Any:
        formats, output = node.formats(self._hardware), node.output
        attributes: dict[str, Any] = {
            "layer": node.name,
            "channels": node.channels,
            "product_shift": formats.product_shift,
            "product_bits": formats.product_bits,
            "relu": int(node.chain.relu),
            "res_mult": numbers.res_mult,
            "res_shift": numbers.res_shift,
            "wide": int(output is None),
            "guard_bits": self._hardware.guard_bits,
            "act_signed": int(node.x.format.signed),
            "res_signed": 1 if node.residual is None else int(node.residual.format.signed),
        }
        if node.chain.transposed:
            attributes["transposed"] = 1
        if node.other is not None and not node.has_second_operand:
            rounding = product_rounding(node.x.format, node.other.format, self._hardware)
            attributes |= {"rounding": rounding, "other_signed": int(node.other.format.signed)}
        if numbers.table is not None:
            attributes |= {
                "tab_mult": numbers.tab_mult,
                "tab_shift": numbers.tab_shift,
                "function": str(node.chain.function),
            }
        if output is not None:
            attributes |= {**OUTPUT.write(output.format), "out_scales": output.scales}
        operands = [self._vectors(node.x)]
        if node.other is not None:
            operands.append(self._vectors(node.other))
        if node.weights is not None:
            operands.append(constant(node.weights.vectors))
        operands.append(constant(numbers.params))
        if node.residual is not None:
            operands.append(self._vectors(node.residual))
        if numbers.table is not None:
            operands.append(constant(numbers.table))
        return layer_operators()[node.operator].from_source(node.call, operands, attributes)

    def _vectors(self, read: Vectors) -> Any:
        """What a layer reads: a result, or results moved as vectors, once for all who read them."""
        if read.move is None:
            return self.new(read.vectors)
        if read.vectors not in self._moved:
            parts = [self._vectors(part) for part in read.parts]
            self._moved[read.vectors] = self._of_records(read, parts)
        return self._moved[read.vectors]

    def _of_records(self, read: Vectors, parts: list[Any]) -> Any:
        call = read.move.on_records(parts) if read.move else parts[0]
        is_same = len(parts) == 1 and op_name(call) == "relax.reshape" and _shape(call) == _shape(parts[0])
        return parts[0] if is_same else self.emit(call)


def _shape(expr: Any) -> tuple[int, ...]:
    shape = expr.args[1] if op_name(expr) == "relax.reshape" else expr.ty.shape
    return tuple(int(extent) for extent in shape)
