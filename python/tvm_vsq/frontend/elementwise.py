"""Operators that act on each element alone, so that layout changes may move past them."""

from __future__ import annotations

UNARY = frozenset(
    "relax." + name
    for name in [
        "abs",
        "ceil",
        "clip",
        "cos",
        "erf",
        "exp",
        "floor",
        "log",
        "negative",
        "round",
        "rsqrt",
        "sigmoid",
        "sign",
        "sin",
        "sqrt",
        "square",
        "tanh",
        "nn.gelu",
        "nn.gelu_tanh",
        "nn.leakyrelu",
        "nn.relu",
        "nn.relu6",
        "nn.silu",
        "nn.softplus",
    ]
)
"""One tensor operand, first argument; further arguments are numbers."""

BINARY = frozenset(
    "relax." + name for name in ["add", "divide", "maximum", "minimum", "multiply", "power", "subtract"]
)
"""Two broadcasting tensor operands."""
