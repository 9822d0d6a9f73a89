"""What holds from phase to phase."""

from __future__ import annotations

import pytest
from tvm import relax

from tvm_vsq.errors import ModelError
from tvm_vsq.pipeline import Phase, run_phases


def test_a_phase_that_changes_the_shape_of_a_result_is_an_error(relax_functions):
    whole = relax_functions.function(lambda emit, x: relax.op.abs(x), (2, 3))
    part = relax_functions.function(lambda emit, x: relax.op.strided_slice(x, [0], [0], [1]), (2, 3))
    same = Phase("kept", "", lambda module: module)
    assert run_phases(whole, [same]) is whole
    with pytest.raises(ModelError, match=r"'cut', the result is .*1, 3.* in place of .*2, 3"):
        run_phases(whole, [same, Phase("cut", "", lambda module: part)])
