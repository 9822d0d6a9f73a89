"""Products of probabilities, and what chooses zeros for rows that a mask closes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm import relax

from tvm_vsq.graph import bindings, constant, op_name
from tvm_vsq.layers.chains import find_chains

op = relax.op


@pytest.mark.parametrize("is_own", [True, False])
def test_only_the_guard_of_its_own_mask_is_part_of_a_product(relax_functions, is_own):
    zero, least = (constant(np.array(number, np.float32)) for number in (0.0, np.finfo(np.float32).min))

    def body(emit: Any, scores: Any, mask: Any, another: Any, v: Any) -> Any:
        passes, others = (emit(op.greater(each, zero)) for each in (mask, another))
        masked = emit(op.add(scores, emit(op.where(passes, zero, least))))
        counted = emit(op.astype(passes if is_own else others, "float32"))
        is_open = emit(op.greater(emit(op.sum(counted, [-1], keepdims=True)), zero))
        product = emit(op.matmul(emit(op.nn.softmax(masked, -1)), v))
        return op.where(is_open, product, zero)

    function = relax_functions.function(body, (2, 3, 4), (2, 1, 4), (2, 1, 4), (2, 4, 5))["main"]
    (anchor,) = [b.var for b in bindings(function) if op_name(b.value) == "relax.matmul"]
    (probabilities,) = [b.var for b in bindings(function) if op_name(b.value) == "relax.nn.softmax"]
    chain = find_chains(function, [anchor], lambda _other: True)[anchor]
    if is_own:
        assert chain.guarded.same_as(probabilities)
        assert not chain.output.same_as(anchor)
    else:
        assert chain.guarded is None
        assert chain.output.same_as(anchor)
