"""Tensors that lie in one another have one coarse scale, one sign and one limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tvm_vsq.formats import VectorFormat
from tvm_vsq.graph import static_shape
from tvm_vsq.quantize.activations.encodings import Encoding
from tvm_vsq.quantize.plan import Plan, Reading


def shared_scales(plan: Plan) -> dict[Reading, Reading]:
    """For each tensor that is moved together with others, one of them, the same for all."""
    first: dict[Reading, Reading] = {}

    def find(reading: Reading) -> Reading:
        while first.get(reading, reading) != reading:
            reading = first[reading]
        return reading

    for layer in plan.layers:
        for reading in layer.reads:
            sources = list(plan.sources(reading)) if plan.parts(reading) else []
            for source in sources:
                first.setdefault(source, source)
                first[find(source)] = find(sources[0])
    return {reading: find(reading) for reading in first}


def with_one_sign(plan: Plan, formats: Mapping[Reading, VectorFormat]) -> dict[Reading, VectorFormat]:
    """`formats`, signed for all that share a scale if one of them is."""
    shared = shared_scales(plan)
    signed = {shared[reading] for reading in shared if formats[reading].signed}
    return {
        reading: fmt.with_sign(True) if shared.get(reading) in signed else fmt
        for reading, fmt in formats.items()
    }


def with_one_limit(plan: Plan, encodings: Mapping[Reading, Encoding]) -> dict[Reading, Encoding]:
    """`encodings`, with the largest limit of all that share a scale; also of what is made from them."""
    shared = shared_scales(plan)
    largest: dict[Reading, float] = {}
    for reading, first in shared.items():
        largest[first] = max(largest.get(first, 0.0), encodings[reading].limit)
    found = {
        reading: replace(encoding, limit=largest[shared[reading]]) if reading in shared else encoding
        for reading, encoding in encodings.items()
    }
    for layer in plan.layers:
        for reading in layer.reads:
            if plan.parts(reading):
                source = found[next(plan.sources(reading))]
                ones = source.format.vectors(static_shape(reading.tensor)[-1]) if source.ones else 0
                found[reading] = replace(source, vector_peaks=None, ones=ones)
    return found
