"""The house's words, for who reads a page and no documentation."""

from __future__ import annotations

from tvm_vsq.pages.parts import Glossary

TERMS = {
    "accumulator": "Holds the sum of a dot product while it grows, wide enough for all of its terms.",
    "bound": "What a layer's speed ends at in the roofline: its engine, or DRAM.",
    "calibration": "Runs of the network on samples, from which the ranges of its activations follow.",
    "clipped": "Values larger than their format holds; they become the largest one that it does.",
    "coarse scale": "The scale in floating point that all vectors of a weight's output channel, or of a "
    "whole activation, share. The small integer scale of each vector multiplies it.",
    "critical path": "The chain of steps, each waiting for the one before, that reaches from the first "
    "cycle to the last. Only what lies on it makes the inference faster.",
    "cycle": "One tick of the accelerator's clock. A layer's cycles are those from the end of the layer "
    "before it to its own end.",
    "dependency token": "What one engine sends another to say that data are there, or that room is. An "
    "engine waits until all tokens that an instruction asks for have come.",
    "DRAM": "The memory beside the chip. Constants, inputs and results lie in it, and what does not fit "
    "scratchpads in between.",
    "engine": "A unit that executes instructions in their order, beside the others: load, compute, "
    "vector, ppu, store.",
    "gate equivalent": "The area of a two-input NAND gate, in which logic is counted.",
    "intensity": "Operations for each byte that is moved between DRAM and the chip.",
    "MAC": "A multiply-accumulate: one product, added to a sum.",
    "micro-op": "The indices of one step of an instruction: which entries of the scratchpads it reads "
    "and writes. Instructions run through a list of them.",
    "padding": "Work on zeros, which fill up channels to whole vectors and blocks.",
    "Pareto front": "The points that no other one beats in everything at once.",
    "PPU": "The post-processing unit: bias, scale, activation function, residual and requantization of "
    "accumulators.",
    "roofline": "A plot of what is attained over intensity. No layer can be above the roofs: what the engine "
    "calculates in a cycle, and what DRAM moves in one.",
    "scale product": "The product of a weight vector's scale and an activation vector's, rounded to few "
    "bits. It multiplies the dot product of the two vectors.",
    "schedule": "In which order and in which tiles a layer is calculated. Default ones follow a rule, "
    "tuned ones were searched for.",
    "scratchpad": "A memory on the chip that programs manage themselves: inp for activations, wgt for "
    "weights, acc for accumulators, par for parameters, out for results, uop for micro-ops.",
    "SQNR": "Signal to quantization noise: how large values are beside the error that quantization makes, in "
    "dB. 6 dB more are half the error.",
    "stall": "Cycles in which a unit has something to do and cannot: it waits.",
    "tile": "The part of a layer that is in the scratchpads at once.",
    "utilization": "Useful multiply-accumulates over those that the array could have done in the same time.",
    "vector size": "V, the number of elements along the channels that share one scale.",
    "VS-Quant": "Quantization with a scale for every small vector of elements (Dai et al., MLSys 2021).",
    "W/A/ws/as": "A number format: bits of weights, activations, scales of weight vectors, and scales of "
    "activation vectors; - stands for no scales.",
}


def glossary(*terms: str) -> Glossary:
    """Those of `TERMS`, in alphabetical order; all of them if none is named."""
    names = sorted(terms or TERMS, key=str.lower)
    return Glossary({name: TERMS[name] for name in names})
