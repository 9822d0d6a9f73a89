"""Modules whose forward writes state are refused: a compiled network keeps none between calls."""

import numpy as np
import pytest
import torch
from torch import nn

from tvm_vsq.errors import ModelError
from tvm_vsq.importing import import_checked

X = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))


class Stateful(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.register_buffer("hidden", torch.zeros(4, 8))
        self.last = torch.zeros(4, 8)
        self.calls = 0
        self.known: dict[str, int] = {}
        self._kept = np.zeros(1)
        self.how = how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        if self.how == "buffer":
            y = y + 0.5 * self.hidden
            self.hidden.copy_(y)
        elif self.how == "parameter":
            self.linear.bias.data.add_(1.0)
        elif self.how == "attribute":
            y = y + 0.5 * self.last
            self.last = y
        elif self.how == "counter":
            self.calls += 1
            y = y * self.calls
        elif self.how == "input":
            x.add_(1.0)
        elif self.how == "dict":
            self.known["calls"] = self.known.get("calls", 0) + 1
            y = y * self.known["calls"]
        elif self.how == "array":
            self._kept[0] += 1
            y = y * float(self._kept[0])
        elif self.how == "note":
            self.last = y
        return y


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("buffer", "writes 'hidden'.*keeps no state"),
        ("attribute", "change from call to call.*'last'"),
        ("counter", "change from call to call.*'calls'"),
        ("dict", "change from call to call.*'known'"),
        ("array", "change from call to call.*'_kept'"),
        ("input", "writes its input 'x' in place"),
    ],
)
def test_state_is_refused_by_name(how: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        import_checked(Stateful(how).eval(), X)


def test_an_attribute_that_no_result_depends_on_may_be_written() -> None:
    import_checked(Stateful("note").eval(), X)


def test_the_users_module_is_left_as_it_was() -> None:
    net = Stateful("note")
    before = net.last
    import_checked(net, X)
    assert net.last is before
    assert net.training
