"""Constants as bytes of a program's image."""

from __future__ import annotations

import numpy as np
from tests.accelerators import accelerator

from tvm_vsq.codegen.constants import image_of, param_records


def test_the_sign_of_a_multiplier_is_the_highest_bit_of_its_shift():
    hardware = accelerator()
    params = np.array([[0x1234, 3, -2, 7], [-0x1234, 3, -2, 7]], np.int32)
    image = image_of(param_records(params, hardware), "par", hardware)
    rest = (-2).to_bytes(4, "little", signed=True) + (7).to_bytes(4, "little")
    assert image[:22] == b"\x34\x12\x03" + rest + b"\x34\x12\x83" + rest
    assert not any(image[22:])
