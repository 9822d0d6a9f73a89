"""Whether a compiled network is whole on the chip, read from the executable."""

from __future__ import annotations

import tvm_vsq


def on_the_cpu_between(exe: tvm_vsq.Executable) -> list[str]:
    """Operators that run on the CPU after the input is quantized and before the last layer on the chip."""
    rows = exe.explain()
    quantizes = [index for index, row in enumerate(rows) if row.op == "vsq.quantize"]
    layers = [index for index, row in enumerate(rows) if row.where == "accelerator"]
    first, last = min(quantizes + layers), max(layers)
    return [row.op for row in rows[first + 1 : last] if row.where == "cpu"]


def described(exe: tvm_vsq.Executable, profile: tvm_vsq.Profile) -> str:
    """In a sentence: which operators run on the CPU between the input's quantization and the last layer."""
    between = on_the_cpu_between(exe)
    named = ", ".join(sorted(set(between))) if between else "no operator"
    layers = sum(row.where == "accelerator" for row in exe.explain())
    return (
        f"between the input's quantization and the last of {layers} layers {named} on the CPU "
        f"({profile.not_counted.macs:,} of {profile.macs + profile.not_counted.macs:,} MACs)"
    )
