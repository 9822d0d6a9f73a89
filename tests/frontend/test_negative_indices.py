"""`x[:, -1]` reads the last element, not memory before the first."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import tvm
from tests.seeds import first_of
from tvm import relax

from tvm_vsq.frontend import import_model


class Pick(torch.nn.Module):
    def __init__(self, index: int) -> None:
        super().__init__()
        self.layer, self.index = torch.nn.Linear(8, 8), index

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.layer(x))[:, self.index]


@pytest.mark.parametrize("index", first_of([0, 3, -1, -2, -5], 3))
def test_an_index_from_the_end_equals_torch(index: int) -> None:
    torch.manual_seed(0)
    model, x = Pick(index).eval(), torch.randn(2, 5, 8)
    built = tvm.compile(import_model(model, (x,)), target="llvm")
    result = relax.VirtualMachine(built, tvm.cpu())["main"](tvm.runtime.tensor(x.numpy()))
    array = result.numpy() if hasattr(result, "numpy") else result[0].numpy()
    assert np.allclose(array, model(x).detach().numpy(), atol=1e-5)
