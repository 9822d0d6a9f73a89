"""Whether an accelerator is built for the formats of a quantized module."""

from __future__ import annotations

from tvm_vsq.errors import ConfigError
from tvm_vsq.formats import LayerFormats, VectorFormat
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.arithmetic import arithmetic_of
from tvm_vsq.layers.node import Node
from tvm_vsq.network import taps_of
from tvm_vsq.transform.fusable import fusable_nodes
from tvm_vsq.tvm_compat import IRModule


def check_target(module: IRModule, hardware: HardwareConfig) -> None:
    """Raise ConfigError naming the layer and the field in which `hardware` is not built for `module`.

    The formats of every layer must be among those that it takes (`HardwareConfig.misfits`), and the rounding
    of scale products and the width of the multiplier just its own, where the module says what it was
    quantized for.
    """
    wanted = arithmetic_of(module)
    for node in fusable_nodes(module, hardware):
        _check_formats(node, hardware)
        _check_arithmetic(node, wanted, hardware)
        _check_window(node, hardware)


def _check_window(node: Node, hardware: HardwareConfig) -> None:
    taps = taps_of(node.call)
    if taps > hardware.window_taps:
        raise ConfigError(
            f"layer '{node.name}': its kernel has {taps} taps, but the window of target '{hardware.label}' "
            f"holds window_taps={hardware.window_taps}; raise it, or leave the layer in fp32 by a rule"
        )


def _check_arithmetic(node: Node, wanted: dict[str, int | None], hardware: HardwareConfig) -> None:
    if not wanted:
        return  # from elsewhere: it is what `hardware` makes of it
    has = node.formats(hardware)
    kept = LayerFormats.of(has.weight, has.activation, wanted.get("scale_product_bits")).product_bits
    multiplier = wanted.get("multiplier_bits") or hardware.multiplier_bits
    fields = [
        ("scale_product_bits", kept if node.multiplies_scales else has.product_bits, has.product_bits),
        ("multiplier_bits", multiplier, hardware.multiplier_bits),
    ]
    for field, found, built in fields:
        if found != built:
            raise ConfigError(
                f"layer '{node.name}' is quantized for {field}={found}, but target '{hardware.label}' is "
                f"built with {field}={built}; quantize the model for this target, or compile for the one "
                f"that it is quantized for"
            )


def _check_formats(node: Node, hardware: HardwareConfig) -> None:
    for field, found, wanted in hardware.misfits(node.formats(hardware)):
        passes = hardware.precision_passes
        one_set = (
            "A target has one set of formats, unless it has precision_passes; without, a mix is evaluated by "
            "tvm_vsq.fake_quantize alone"
        )
        several = f"with precision_passes={passes} it takes " + (
            "scales of no more bits where it rounds no products of them, or none (8/8/-/-)"
            if "scale" in field
            else f"elements of up to {passes} times as many bits"
        )
        raise ConfigError(
            f"layer '{node.name}' is quantized with {field}={found}, but target '{hardware.label}' is "
            f"built with {field}={wanted}; give the layer the target's formats, leave it in fp32 by "
            f"a rule, or take a target that has them (HardwareConfig.with_formats). "
            f"{one_set if passes == 1 else several}"
        )
    if node.has_second_operand and node.other is not None:
        _check_second(node, node.other.format, hardware)
    elif node.other is not None and node.other.format.with_sign(node.x.format.signed) != node.x.format:
        raise ConfigError(
            f"layer '{node.name}' reads two tensors in different formats, of {node.other.format.bits} and of "
            f"{node.x.format.bits} bits, but target '{hardware.label}' has one format of activations; give "
            f"both the target's"
        )
    stored = [] if node.output is None else node.output.scales
    is_saturated = node.chain.transposed and set(stored) == {1}  # which needs no unit of its own
    if node.x.scales or (stored and not is_saturated):
        raise ConfigError(
            f"layer '{node.name}' has activation_scales='static', but target '{hardware.label}' takes each "
            f"vector scale from the vector's own content; use activation_scales='dynamic', or evaluate it "
            f"with tvm_vsq.fake_quantize"
        )


def _check_second(node: Node, fmt: VectorFormat, hardware: HardwareConfig) -> None:
    built, passes = hardware.formats.second, hardware.precision_passes
    most = passes * hardware.formats.second_record.bits
    is_narrower = passes > 1 and fmt.bits <= most and fmt.scale_width <= built.scale_width
    if fmt != built and not is_narrower:
        raise ConfigError(
            f"layer '{node.name}' reads a second operand of {fmt.bits} bits with scales of "
            f"{fmt.scale_width}, but target '{hardware.label}' takes {most if passes > 1 else built.bits} "
            f"and {built.scale_width}; quantize the model for this target"
        )
