"""What TVM says of itself on stderr is not shown; whatever others say there is."""

from __future__ import annotations

import os

import pytest
import torch
from torch import nn

import tvm_vsq
from tvm_vsq.runtime.stderr import without_scopes

SCOPE = b"[22:02:00] /project/src/runtime/vm/executable.cc:276: Warning: Scope Saving:\n"


def test_only_lines_of_scopes_are_held_back(capfd):
    def say():
        os.write(2, b"before\n" + SCOPE + SCOPE)
        os.write(2, b"[22:02:00] /project/src/runtime/vm/executable.cc:9: Warning: damaged\n")
        raise ValueError("as it was")

    with pytest.raises(ValueError, match="as it was"):
        without_scopes()(say)()
    os.write(2, b"behind\n")
    assert capfd.readouterr().err.splitlines() == [
        "before",
        "[22:02:00] /project/src/runtime/vm/executable.cc:9: Warning: damaged",
        "behind",
    ]


def test_compiling_saving_and_loading_a_network_of_token_ids_says_nothing(capfd, tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.first, self.last = nn.Embedding(9, 16), nn.Linear(16, 16), nn.Linear(16, 4)

        def forward(self, ids):
            y = self.first(self.table(ids))
            return self.last(0.5 * y * (1 + torch.tanh(0.8 * (y + 0.04 * torch.pow(y, 3.0)))))

    ids = torch.randint(0, 9, (4, 8))
    data = [torch.randint(0, 9, (4, 8)) for _ in range(4)]
    exe = tvm_vsq.compile(Net().eval(), example_inputs=ids, calibration=data)
    exe.save(tmp_path / "net.so")
    tvm_vsq.load(tmp_path / "net.so")(ids)
    assert capfd.readouterr().err == ""
