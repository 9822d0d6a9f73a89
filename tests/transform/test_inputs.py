"""A region is told in what formats the vectors are that it is given, whoever made them."""

from __future__ import annotations

import pytest
import torch
from tests.quantizing import quantize
from tests.seeds import one_of
from torch import nn

import tvm_vsq
from tvm_vsq.frontend import import_model
from tvm_vsq.hardware import HardwareConfig, load_hardware
from tvm_vsq.transform import fuse, partition
from tvm_vsq.transform.inputs import region_inputs


def in_passes():
    fields = load_hardware("vsq-accel").model_dump() | {"precision_passes": 2, "accumulator_bits": 40}
    return HardwareConfig.checked(fields, "test")


class Detour(nn.Module):
    """An operator of the host between two regions, of which the second adds what the first gives: a tensor,
    one that the host puts together from two, or another than the host reads.
    """

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.first, self.last = nn.Linear(32, 32), nn.Linear(32, 32)
        self.left, self.right = nn.Linear(32, 16), nn.Linear(32, 16)

    def forward(self, x):
        if self.kind == "joined":
            y = torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], 1)
            return self.last(torch.sin(y)) + y
        y = torch.relu(self.first(x))
        shown = y if self.kind == "one" else torch.cat([self.left(y), self.right(y)], 1)
        return self.last(torch.sin(shown)) + y


@pytest.mark.parametrize(
    ("kind", "given"),
    one_of(
        [
            ("one", [[(4, 4)], [(6, 0), (6, 0)]]),
            ("joined", [[(4, 4)], [(4, 4)], [(6, 0), (6, 0)]]),
            ("another", [[(4, 4)], [(6, 0), (4, 4)]]),
        ]
    ),
)
def test_what_another_region_gives_has_the_format_that_this_one_stores(kind, given):
    torch.manual_seed(0)
    model, x, hardware = Detour(kind).eval(), torch.randn(16, 32), in_passes()
    rules = [tvm_vsq.Rule(layers="last", formats="8/6/-/-")]
    config = tvm_vsq.QuantConfig.parse("4/4/4/4", rules=rules).unfitted()
    quantized = quantize(import_model(model, (x,)), config, hardware, [(x,)])
    module = partition(fuse(quantized, hardware))
    assert sorted(region_inputs(module).values(), key=len) == given
    network = tvm_vsq.fake_quantize(
        model, quant=config, target=hardware, example_inputs=(x,), calibration=[(x,)]
    )
    exe = tvm_vsq.compile(network, hardware)
    with torch.no_grad():
        assert torch.equal(exe(x), network(x))
    assert torch.equal(exe(x), exe.reference(x))
