"""Which layers are quantized to what, and which tensors that makes quantized."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from tvm_vsq.errors import QuantizationError
from tvm_vsq.formats import LayerFormats
from tvm_vsq.frontend.given import given_limits
from tvm_vsq.graph import bindings, definitions, op_name, static_shape, tensors
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.layers.chains import Chain, ChainFinder, find_chains
from tvm_vsq.layers.on_cpu import product_not_between_layers
from tvm_vsq.layers.rows import row_layers, sums_of_rows
from tvm_vsq.layers.second_operand import before_transposition
from tvm_vsq.layers.weightless import weightless_misfit
from tvm_vsq.network import layer_names, source_of, taps_of
from tvm_vsq.placement.moves import move_of, moved_operands
from tvm_vsq.quantize.config import UNFITTED_LAYER, LayerConfig, QuantConfig
from tvm_vsq.quantize.rules import Candidate, Kind, resolve
from tvm_vsq.tvm_compat import IRModule, Var

_DYNAMIC = {"one": "dynamic"}
"""How a layer that stores second operands finds their scales, where it is not told that they are 1."""

_FUSABLE = (Kind.ORDINARY, Kind.DEPTHWISE)
"""Layers with weights that have an integer form."""


@dataclass(frozen=True)
class ActivationSettings:
    """How a layer reads activations: two that agree in this share one quantized tensor.

    is_second: in place of weights, which are signed. scales "one": all are 1.
    """

    bits: int
    scale_bits: int | None
    vector_size: int
    calibration: str
    percentile: float
    scales: str
    is_second: bool = False

    @property
    def needs_values(self) -> bool:
        """Whether more than the range of a tensor has to be known."""
        return self.calibration != "max" or self.scales == "static"


@dataclass(frozen=True)
class Reading:
    """A tensor stored as vectors, in one of the forms in which it is read.

    limit: what a reader's own model says that the coarse scale covers; None where calibration decides.
    """

    tensor: Var
    settings: ActivationSettings
    limit: float | None = None


@dataclass(frozen=True)
class QuantizedLayer:
    """A layer with its epilogue, its name, the variable that it reads, and what it is quantized to.

    A convolution with groups has no epilogue: it is computed on the CPU, from quantized operands. limits: of
    what it reads, see `Reading`. other: a second activation that its operator reads. has_rows: what it reads
    are rows of numbers (`layers.rows`), which nothing quantizes. has_second_operand: whether it reads
    `other` in place of weights. multiplies_scales: as of a `layers.node.Node`, where it runs on the
    accelerator. along_tokens: whether vectors of `other` run along tokens, of which none is to
    depend on others. apart: how it reads the residual, and `other` in place of weights, where that is not as
    it would by itself, by role (`roles`).
    """

    name: str
    x: Var
    chain: Chain
    has_weights: bool
    config: LayerConfig
    formats: LayerFormats
    limits: tuple[float | None, ...] = ()
    other: Var | None = None
    has_rows: bool = False
    has_second_operand: bool = False
    multiplies_scales: bool = False
    along_tokens: bool = False
    apart: Mapping[str, ActivationSettings] = field(default_factory=dict)

    @property
    def settings(self) -> ActivationSettings:
        """How it reads activations."""
        config, formats = self.config, self.formats
        return ActivationSettings(
            formats.activation.bits,
            formats.activation.scale_bits,
            config.vector_size,
            config.activation_calibration,
            config.activation_percentile,
            config.activation_scales,
        )

    @property
    def second(self) -> ActivationSettings:
        """How it reads an activation in place of weights, or stores its result for layers that do."""
        fmt = self.formats.second
        return replace(
            self.settings, bits=fmt.bits, scale_bits=fmt.scale_bits, scales="dynamic", is_second=True
        )

    @property
    def reads(self) -> list[Reading]:
        """What it reads as vectors: x, the residual if there is one, and the other one if there is one."""
        return list(self.roles.values())

    @property
    def roles(self) -> dict[str, Reading]:
        """The same by what they are: "x", "residual", and "other" or, in place of weights, "second"."""
        if self.has_rows:
            return {}
        other = "second" if self.has_second_operand else "other"
        tensors = {"x": self.x, "residual": self.chain.residual, other: self.other}
        found = {role: tensor for role, tensor in tensors.items() if tensor is not None}
        limits = self.limits + (None,) * (len(found) - len(self.limits))
        has_scales = self.along_tokens and self.formats.second.smax > 1
        usual = {"second": replace(self.second, scales="one") if has_scales else self.second}
        settings = {**usual, **self.apart}
        return {
            role: Reading(tensor, settings.get(role, self.settings), limit)
            for (role, tensor), limit in zip(found.items(), limits[: len(found)], strict=True)
        }


@dataclass(frozen=True)
class Plan:
    """The layers in program order. strict: as in `QuantConfig`. on_cpu: see `layers.on_cpu`.

    moved: tensors that move whole vectors of `vector_size` of others, stored as such, with these
    (`placement.moves`): they are where those are, and have one coarse scale with them.
    """

    layers: tuple[QuantizedLayer, ...]
    strict: bool = False
    on_cpu: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[Var, tuple[Var, ...]] = field(default_factory=dict)
    vector_size: int = 0

    @property
    def readings(self) -> list[Reading]:
        """Every tensor that is stored as vectors, in each form in which layers read it, moved or not."""
        read = (reading for layer in self.layers for reading in layer.reads)
        return list(dict.fromkeys(source for reading in read for source in self.sources(reading)))

    def parts(self, reading: Reading) -> list[Reading]:
        """What a tensor that is moved is made from, in the same form; empty if it is stored itself."""
        if reading.settings.vector_size != self.vector_size:
            return []
        return [replace(reading, tensor=operand) for operand in self.moved.get(reading.tensor, ())]

    def sources(self, reading: Reading) -> Iterator[Reading]:
        """Tensors that are stored, of which the one that is read is made; itself if it is one."""
        parts = self.parts(reading)
        if not parts:
            yield reading
        for part in parts:
            yield from self.sources(part)

    @property
    def requantized(self) -> dict[Var, Reading]:
        """The results that their layers requantize: those that are read in one form, the layer's own, or any
        where elements may have several digits.
        """
        forms: dict[Var, set[Reading]] = {}
        for reading in self.readings:
            forms.setdefault(reading.tensor, set()).add(reading)
        found = {}
        for layer in self.layers:
            readings = forms.get(layer.chain.output, set())
            given = [
                replace(
                    reading.settings, scales=_DYNAMIC.get(reading.settings.scales, reading.settings.scales)
                )
                for reading in readings
            ]
            is_one = len(given) == 1 and layer.formats.passes > 1 and given[0].scales == "dynamic"
            if is_one or given in ([layer.settings], [layer.second]):
                (found[layer.chain.output],) = readings
        return found

    @property
    def points(self) -> list[Var]:
        """The tensors whose range has to be calibrated, in a fixed order."""
        stored = [reading.tensor for reading in self.readings]
        read = [reading.tensor for layer in self.layers for reading in layer.reads]
        chains = [layer.chain for layer in self.layers]
        made = [var for chain in chains for var in (chain.argument, chain.output) if var is not None]
        rows = [layer.x for layer in self.layers if layer.has_rows]
        return list(dict.fromkeys([*stored, *read, *made, *rows]))


def make_plan(module: IRModule, config: QuantConfig, hardware: HardwareConfig) -> Plan:
    """The layers that `config` does not leave in fp32, of those that can be quantized.

    Raises ConfigError for a rule that matches none of them, QuantizationError if there is none, or if
    `config` is strict and a layer's input channels are no multiple of its vector size.
    """
    function = module["main"]
    values = definitions(function)
    settings = _settings(module, config)
    finder = ChainFinder(function, lambda _other: True, sums_of_rows(function))
    on_cpu = _too_large(settings, values, hardware)
    settings = {var: found for var, found in settings.items() if found[0].name not in on_cpu}
    kinds = {var: layer.kind for var, (layer, _) in settings.items()}
    chains: dict[Var, Chain] = {var: Chain.of(var) for var, kind in kinds.items() if kind is Kind.GROUPED}
    ordinary = [var for var, kind in kinds.items() if kind in _FUSABLE]
    chains |= {var: chain for var in finder.in_order(ordinary) if (chain := finder.grow(var))}
    stored = {chain.output for chain in chains.values()}
    moved: dict[Var, tuple[Var, ...]] = {}
    names = layer_names(module)
    rows = row_layers(function, chains.values())
    # what was computed before, and is put together with what is new
    given = {param for param in function.params if config.attention == "cached"}
    for binding in bindings(function):
        var, operands = binding.var, moved_operands(binding.value)
        is_moved = bool(operands) and source_of(binding.value) is None  # else it is a layer, after all
        known = stored | given if op_name(binding.value) == "relax.concat" else stored
        if (
            is_moved
            and known.issuperset(operands)
            and not stored.isdisjoint(operands)
            and move_of(binding.value, config.vector_size)
        ):
            moved[var] = tuple(operands)
            stored.add(var)
        if var in rows:
            if var in kinds and (misfit := _row_misfit(values[var], config, hardware)):
                on_cpu[names[var]] = misfit
            elif var in kinds:
                chains[var] = Chain.of(var)
                stored.add(var)
            else:
                on_cpu[names[var]] = "left in fp32 by a rule"
            continue
        # without weights, it only pays between layers, where its operands are vectors already
        if _kind(values[var]) is not Kind.WEIGHTLESS:
            continue
        name = names[var]
        if not stored.issuperset(_operands(values[var], values)):
            if _has_second_operand(values[var]):
                on_cpu[name] = product_not_between_layers(values[var], values, config.vector_size)
            continue
        if var not in kinds:
            on_cpu[name] = "left in fp32 by a rule"
        elif misfit := _misfit(values[var], settings[var][1], hardware):
            on_cpu[name] = misfit
        elif chain := finder.grow(var):
            chains[var] = chain
            stored.add(chain.output)
    limits = given_limits(module)
    transposed = {chain.output for chain in chains.values() if chain.transposed}
    layers = []
    for var, (candidate, layer_config) in settings.items():
        if var not in chains:
            continue
        function = chains[var].function
        if function is not None and function.offset:
            # fitting would bring weights below 0, and make of the number that the function adds a bias
            layer_config = layer_config.model_copy(update=UNFITTED_LAYER)
        formats = layer_config.formats(hardware)
        if candidate.kind is Kind.DEPTHWISE:
            formats = _along_taps(formats, static_shape(values[var].args[1]), hardware)
        layers.append(
            QuantizedLayer(
                name=candidate.name,
                x=values[var].args[0],
                chain=chains[var],
                has_weights=candidate.kind is not Kind.WEIGHTLESS,
                config=layer_config,
                formats=formats,
                limits=(limits.get(candidate.name),),
                other=_other(values[var], values),
                has_rows=var in rows,
                has_second_operand=_has_second_operand(values[var]),
                multiplies_scales=candidate.kind is Kind.ORDINARY or _has_second_operand(values[var]),
                along_tokens=layer_config.attention == "cached"
                and _is_made_of(transposed, _other(values[var], values), moved),
            )
        )
        if config.strict and layers[-1].has_weights:
            require_whole_vectors(candidate.name, layers[-1].x, layer_config.vector_size)
    return Plan(tuple(layers), config.strict, on_cpu, moved, config.vector_size)


def choose_layers(module: IRModule, config: QuantConfig) -> dict[Var, tuple[Candidate, LayerConfig]]:
    """The layers with weights that `config` quantizes, with their settings, by the variable each is bound to.

    Raises ConfigError for a rule that matches no layer, QuantizationError if there is none to quantize.
    """
    settings = _settings(module, config)
    return {var: found for var, found in settings.items() if found[0].kind is not Kind.WEIGHTLESS}


def grouped_layers(module: IRModule, config: QuantConfig) -> dict[Var, LayerConfig]:
    """The settings of convolutions with groups, where no rule leaves them in fp32, once they are others."""
    values = definitions(module["main"])
    grouped = {var for var in layer_names(module) if _kind(values[var]) is Kind.GROUPED}
    if not grouped:
        return {}
    settings = _settings(module, config, Kind.DEPTHWISE)
    return {var: found for var, (_, found) in settings.items() if var in grouped}


def _settings(
    module: IRModule, config: QuantConfig, grouped: Kind = Kind.GROUPED
) -> dict[Var, tuple[Candidate, LayerConfig]]:
    """Of all layers that can be quantized and are not left in fp32. grouped: what to take those for."""
    values = definitions(module["main"])
    names = layer_names(module)
    kinds = {
        var: grouped if kind is Kind.GROUPED else kind
        for var in names
        if (kind := _kind(values[var])) is not None
    }
    taken = _taken_along(module, [var for var, kind in kinds.items() if kind in _FUSABLE])
    candidates = {var: Candidate(names[var], kind) for var, kind in kinds.items() if var not in taken}
    settings = resolve(config, list(candidates.values()))
    chosen = {
        var: (layer, found)
        for var, layer in candidates.items()
        if (found := settings[layer.name]) is not None
    }
    if all(layer.kind is Kind.WEIGHTLESS for layer, _ in chosen.values()):
        raise QuantizationError(
            "the model has no layer to quantize (a convolution over one or two axes, or a linear "
            "layer, with constant weights, that no rule leaves in fp32); compile it with TVM alone"
        )
    return chosen


def _taken_along(module: IRModule, layers: list[Var]) -> set[Var | None]:
    """Sums and functions that one of `layers` has in its epilogue: no layers that a rule could name."""
    chains = find_chains(module["main"], layers, lambda _other: True).values()
    return {var for chain in chains for var in (chain.residual_add, *chain.applied)}


def _kind(call: Any) -> Kind | None:
    """None for a layer that cannot be quantized."""
    source = source_of(call)
    if source is None:
        return None
    if source.refusal(call, source.has_constant_weights(call)):
        return Kind.GROUPED if source.is_grouped(call) else None
    if source.weights is None:
        return Kind.WEIGHTLESS
    return Kind.DEPTHWISE if source.weights.along_taps else Kind.ORDINARY


def _other(call: Any, values: Mapping[Any, Any]) -> Any:
    """The second activation that the operator of `call` reads, as vectors run along it."""
    source = source_of(call)
    if source is None or source.other is None:
        return None
    operand = call.args[source.other]
    return before_transposition(operand, values) if source.other_is_transposed else operand


def _has_second_operand(call: Any) -> bool:
    source = source_of(call)
    return source is not None and source.other_is_transposed


def _operands(call: Any, values: Mapping[Any, Any]) -> set[Any]:
    """What a layer without weights reads."""
    if not _has_second_operand(call):
        return set(tensors(call))
    return {call.args[0], _other(call, values)}


def _too_large(
    settings: Mapping[Var, tuple[Candidate, LayerConfig]], values: Mapping[Any, Any], hardware: HardwareConfig
) -> dict[str, str]:
    """Depthwise layers whose kernels the accelerator's window does not hold, with the reason, by name."""
    found = {}
    for var, (layer, _) in settings.items():
        taps = taps_of(values[var])
        if taps > hardware.window_taps:
            found[layer.name] = (
                f"its kernel has {taps} taps, the window of '{hardware.label}' holds window_taps="
                f"{hardware.window_taps}"
            )
    return found


def _misfit(call: Any, config: LayerConfig, hardware: HardwareConfig) -> str:
    """Why `hardware` cannot accumulate what a layer without weights does, whatever the sign of its input."""
    fmt = config.formats(hardware).activation
    return next(
        filter(None, (weightless_misfit(call, fmt.with_sign(signed), hardware) for signed in (True, False))),
        "",
    )


def _is_made_of(tensors: set[Var], x: Var | None, moved: Mapping[Var, tuple[Var, ...]]) -> bool:
    """Whether `x` is one of `tensors`, or some of them moved."""
    return x in tensors or any(_is_made_of(tensors, part, moved) for part in moved.get(x, ()))


def _row_misfit(call: Any, config: QuantConfig, hardware: HardwareConfig) -> str:
    """Why `hardware` cannot do to rows what `call` does."""
    source: Any = source_of(call)
    found: str = source.rows.misfit(call, max(config.vector_size, hardware.output_lanes))
    return found


def _along_taps(formats: LayerFormats, kernel: tuple[int, ...], hardware: HardwareConfig) -> LayerFormats:
    """`formats` with weight scales so narrow that accumulators of depthwise kernels [C, R, S, 1] fit, and
    that the scaling multiplier takes them.
    """
    weight, activation = formats.weight, formats.activation
    if weight.scale_bits is None:
        return formats
    largest = prod(kernel[1:]) * weight.qmax * activation.with_sign(False).qmax * activation.smax
    room = ((1 << (hardware.accumulator_bits - 1)) - 1) // largest
    bits = min(weight.scale_bits, formats.product_bits, (room + 1).bit_length() - 1)
    return replace(formats, weight=replace(weight, scale_bits=max(1, bits)))


def require_whole_vectors(name: str, x: Var, size: int) -> None:
    """Raise QuantizationError if the channels of `x`, which the layer `name` reads, fill no whole vectors."""
    channels = static_shape(x)[-1]
    if channels % size:
        raise QuantizationError(
            f"layer '{name}': {channels} input channels are no multiple of vector_size={size}, and "
            f"strict=True allows no padding; choose another vector_size, leave the layer in fp32 by a rule, "
            f"or drop strict"
        )
