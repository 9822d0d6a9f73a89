"""Operands of vector_mac, on which energy depends: uniform ones, and Laplace ones that are quantized."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from tvm_vsq.formats import VectorFormat
from tvm_vsq.hardware import HardwareConfig
from tvm_vsq.numerics import quantize_activations, quantize_weights
from tvm_vsq.rtl import blocks, expected

Ints = npt.NDArray[np.int64]
Inputs = dict[str, Ints]
Kind = Literal["uniform", "laplace", "held", "sparse"]
KINDS: tuple[Kind, ...] = ("uniform", "laplace", "held")

REDUCED = 576  # channels and taps of an output: 64 channels of a window of 3 x 3
ZEROS = 0.7  # of sparse operands
HELD = 16  # cycles for which a vector of weights stays, with an accumulator for each


def operands(hardware: HardwareConfig, kind: Kind, count: int, seed: int = 0) -> Inputs:
    """At least `count` transactions of vector_mac, in whole reductions.

    uniform: all operands of any value, scales from 1. laplace: weights of a Laplace distribution, activations
    of one that is rectified, both quantized; an output after another. held: the same, but each vector of
    weights meets those of HELD pixels one after another, as where weights stay. sparse: held too, but of
    normal distributions, signed both, with ZEROS of all elements zero.
    """
    rng = np.random.default_rng(seed)
    vectors = REDUCED // hardware.vector_size
    groups = -(-count // (vectors * HELD))
    stay = kind in ("held", "sparse")
    channels, pixels = (groups, groups * HELD) if stay else (groups * HELD, groups * HELD)
    weight, activation = hardware.formats.weight, hardware.formats.activation.with_sign(kind == "sparse")
    if kind == "uniform":
        w, x = (_uniform(rng, fmt, (n, vectors)) for fmt, n in ((weight, channels), (activation, pixels)))
    else:
        if kind == "sparse":
            numbers, values = (
                rng.normal(size=shape) * (rng.random(shape) >= ZEROS)
                for shape in ((channels, REDUCED), (pixels, REDUCED))
            )
        else:
            numbers = rng.laplace(size=(channels, REDUCED))
            values = np.maximum(rng.laplace(size=(pixels, REDUCED)), 0)
        w, _ = quantize_weights(numbers, weight)
        values = values.astype(np.float32)
        gamma = np.abs(values).max() / (activation.qmax * activation.smax)
        x = quantize_activations(values, activation, gamma, hardware.guard_bits)
    # Cycles of an output's vectors, or of a vector's pixels, are neighbours.
    if stay:
        group, vector, pixel = (axis.ravel() for axis in np.indices((groups, vectors, HELD)))
        chosen, output = w[group, vector], group * HELD + pixel
    else:
        output, vector = (axis.ravel() for axis in np.indices((groups * HELD, vectors)))
        chosen = w[output, vector]
    return _transactions(
        hardware,
        chosen.astype(np.int64),
        x[output, vector].astype(np.int64),
        vector == 0,
        output,
        activation.signed,
    )


def _transactions(
    hardware: HardwareConfig,
    w: Ints,
    x: Ints,
    fresh: npt.NDArray[np.bool_],
    output: Ints,
    signed: bool,
) -> Inputs:
    """Vectors [cycles, V+1] that belong to an output each; accumulators hold what was added to it before."""
    zeros = np.zeros((len(w), 1), np.int64)
    inputs = {
        "weights": w[:, :-1],
        "weight_scale": w[:, -1:],
        "weight_unsigned": zeros,
        "activations": x[:, :-1],
        "activation_scale": x[:, -1:],
        "activation_unsigned": zeros + (not signed),
        "unscaled": zeros,
        "reset": zeros,
        "fresh": zeros + 1,
        "forward": zeros,
        "shift": zeros,
        "acc_in": zeros,
    }
    addends = expected(hardware, blocks(hardware)["vector_mac"].name, inputs)["acc"][0].ravel()
    order = np.argsort(output, kind="stable")
    added = addends[order].reshape(-1, int(np.count_nonzero(output == 0)))
    acc_in = np.empty_like(addends)
    acc_in[order] = (np.cumsum(added, axis=1) - added).ravel()
    return {**inputs, "fresh": fresh.astype(np.int64)[:, None], "acc_in": acc_in[:, None]}


def _uniform(rng: np.random.Generator, fmt: VectorFormat, shape: tuple[int, int]) -> Ints:
    """int64[n, vectors, V+1]"""
    elements = rng.integers(fmt.lo, fmt.qmax + 1, (*shape, fmt.vector_size))
    scales = rng.integers(1, fmt.smax + 1, (*shape, 1)) if fmt.scale_bits else np.ones((*shape, 1), np.int64)
    return np.concatenate([elements, scales], axis=-1)
