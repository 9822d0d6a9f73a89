"""What is computed stays what it is: hashes of compiled networks, by network, target, kind of fact and layer.

A failure names them. A commit that means to change any of it says so, and writes the hashes anew: `make
freeze`.

They are the same on every x86-64 processor. Programs, images, timing and events are integers, made with
integers and elementwise arithmetic, whose bits IEEE 754 prescribes: no sum in fp32 decides a coarse scale
(tests/frozen/networks.py). Results come from the simulator in integers; the CPU's operators before and behind
it are compiled by TVM for any x86-64, in one order and without fused multiply-adds. `make freeze` computes
all with and without AVX, and writes nothing if the two differ.
"""

from __future__ import annotations

import copy
import json

import pytest
from tests.frozen.freeze import CASES, HASHES, LARGE, key
from tests.frozen.record import BY_LAYER, WHOLE, differences, record


@pytest.fixture(scope="module")
def frozen():
    return json.loads(HASHES.read_text())


@pytest.mark.parametrize(
    ("network", "target"),
    [pytest.param(*case, marks=[pytest.mark.large] * (case in LARGE)) for case in CASES],
)
def test_what_is_computed_is_what_was_frozen(frozen, network, target):
    changed = differences(frozen[key(network, target)], record(network, target))
    assert not changed, f"{network} on {target}: {'; '.join(changed)}"


@pytest.mark.parametrize("kind", [*BY_LAYER, *WHOLE])
def test_a_difference_names_its_kind_and_the_first_layer(frozen, kind):
    old = frozen[key("resnet8", "vsq-accel")]
    new = copy.deepcopy(old)
    new["whole"][kind] = "other"
    if kind in WHOLE:
        assert differences(old, new) == [f"{kind} changed"]
        return
    for index in (3, 7):
        name, hashes = old["layers"][index].split(": ")
        columns = hashes.split()
        columns[BY_LAYER.index(kind)] = "other"
        new["layers"][index] = f"{name}: {' '.join(columns)}"
    layers = f"in 2 of {len(old['layers'])} layers, first in '{old['layers'][3].split(': ')[0]}'"
    assert differences(old, new) == [f"{kind} changed, {layers}"]
