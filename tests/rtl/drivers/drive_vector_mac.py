"""Sums of products with scales, as many as there are transactions, by Python's integers."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from wires import number, packed, rounded, setting, tick


def scale_product(weight: int, activation: int, shift: int, bits: int) -> int:
    return min(rounded(weight * activation, shift), (1 << bits) - 1)


@cocotb.test()
async def sums_are_those_of_integers(dut: Any) -> None:
    block, rng = setting(), random.Random(0)
    size, late = block["V"], block["latency"] - 1
    operands, controls, sums = [], [], [0]
    for t in range(block["count"]):
        is_unsigned = rng.random() < 0.5
        low_digits = block["LOW_DIGITS"] and rng.random() < 0.5
        unscaled = block["UNSCALED"] and rng.random() < 0.3
        weights = [number(rng, block["NW"], low_digits) for _ in range(size)]
        activations = [number(rng, block["NA"], is_unsigned) for _ in range(size)]
        scales = [number(rng, block[width], True) if block[width] else 1 for width in ("MW", "MA")]
        reset, fresh, forward = rng.random() < 0.1, t == 0 or rng.random() < 0.2, rng.random() < 0.5
        before = number(rng, block["ACC"], False)
        dot = sum(w * x for w, x in zip(weights, activations, strict=True))
        is_scaled = block["P"] and not unscaled
        product = scale_product(*scales, block["SHIFT"], block["P"]) if is_scaled else 1
        shift = rng.randint(0, 16) if rng.random() < 0.3 else 0
        base = 0 if fresh else sums[-1] if forward else before
        sums.append(0 if reset else base + (product * dot << shift))
        operands.append(
            {
                "weights": packed(weights, block["NW"]),
                "activations": packed(activations, block["NA"]),
                "weight_scale": scales[0],
                "activation_scale": scales[1],
                "weight_unsigned": int(low_digits),
                "activation_unsigned": int(is_unsigned),
                "unscaled": int(unscaled),
            }
        )
        controls.append(
            {
                "reset": int(reset),
                "fresh": int(fresh),
                "forward": int(forward),
                "shift": shift,
                "acc_in": packed([before], block["ACC"]),
            }
        )
    for t in range(len(operands) + late):
        operand = operands[min(t, len(operands) - 1)]
        await tick(dut, {**operand, **controls[max(0, t - late)]})
        if t >= late:
            wanted = packed([sums[t - late + 1]], block["ACC"])
            assert int(dut.acc.value) == wanted, f"sum {t - late}: {int(dut.acc.value):x}, not {wanted:x}"
