"""The C++ simulator runs the programs: same numbers, no race, no deadlock, no token left."""

from __future__ import annotations

import numpy as np
import pytest
import tvm

from tvm_vsq.runtime import native


def run_native(network, program):
    module = native.create_module(network.hw.sim_params(), [program.to_native()], "{}")
    arguments = [tvm.runtime.tensor(network.values[name]) for name in network.inputs]
    results = [tvm.runtime.tensor(np.zeros_like(network.values[name])) for name in network.outputs]
    module[program.name](*arguments, *results)
    return [result.numpy() for result in results], module["get_timing"]()[0]


@pytest.mark.parametrize("seed", range(20, 40))
def test_random_networks(cases, seed):
    network = cases.random_network(seed)
    results, profile = run_native(network, network.program())
    for name, result in zip(network.outputs, results, strict=True):
        np.testing.assert_array_equal(result, network.values[name])
    ends = [int(end) for end in profile["layer_end"]]
    assert ends == sorted(ends)
    assert ends[-1] == int(profile["cycles"])
