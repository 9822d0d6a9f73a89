"""The C++ simulator runs the programs: same numbers, no race, no deadlock, no token left."""

from __future__ import annotations

import pytest
from tests.seeds import first_of


@pytest.mark.parametrize("seed", first_of(range(20, 40), 3))
def test_random_networks(cases, seed):
    network = cases.random_network(seed)
    profile = network.simulate(network.program())
    ends = [int(end) for end in profile["layer_end"]]
    assert ends == sorted(ends)
    assert ends[-1] == int(profile["cycles"])
