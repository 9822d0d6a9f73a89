"""What an accelerator is made of: every unit that computes or stores, how many, and which events use it.

Energy is events times uses times what one operation of the unit costs; area is counts times parts. A unit
takes one operation a cycle, and there are as many as the cycles of docs/simulator.md ask for: an array of one
micro-op and a PPU of one accumulator block in a cycle.
"""

from __future__ import annotations

from tvm_vsq.hardware.components.array import array
from tvm_vsq.hardware.components.component import GROUPS, Component
from tvm_vsq.hardware.components.control import control
from tvm_vsq.hardware.components.memories import memories
from tvm_vsq.hardware.components.post_processing import post_processing
from tvm_vsq.hardware.components.quantizer import quantizer
from tvm_vsq.hardware.components.rows import rows
from tvm_vsq.hardware.components.transfer import transfer
from tvm_vsq.hardware.components.transposer import transposer
from tvm_vsq.hardware.components.vector_unit import vector_unit
from tvm_vsq.hardware.components.window import window
from tvm_vsq.hardware.config import HardwareConfig

__all__ = ["GROUPS", "Component", "components"]


def components(hardware: HardwareConfig) -> tuple[Component, ...]:
    """Everything in `hardware`. What a format does without is left out."""
    return (
        *array(hardware),
        *window(hardware),
        *vector_unit(hardware),
        *rows(hardware),
        *post_processing(hardware),
        *transposer(hardware),
        *quantizer(hardware),
        *memories(hardware),
        *transfer(hardware),
        *control(hardware),
    )
