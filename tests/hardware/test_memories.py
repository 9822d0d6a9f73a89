"""What is declared of the scratchpads is what instructions and parameter records say of them."""

from __future__ import annotations

import pytest
from tests.accelerators import accelerator

from tvm_vsq.hardware import EVENTS, LOADED, MEMORIES, STORED, list_targets, load_hardware
from tvm_vsq.isa import layout_of
from tvm_vsq.isa.table import LOAD_MEMORIES, PAR_FIELDS, STORE_MEMORIES

HARDWARE = [load_hardware(name) for name in list_targets()]
# Where micro-ops index more accumulators than inputs.
DEEP = accelerator({"name": "deep", "output_lanes": 4, "vector_size": 64})


@pytest.mark.parametrize("hardware", [*HARDWARE, DEEP], ids=lambda hardware: hardware.name)
def test_an_entry_is_as_wide_as_what_it_holds(hardware) -> None:
    entries = hardware.entry_bits
    assert entries["uop"] == sum(slot.width for slot in layout_of(hardware).uop.values())
    assert entries["par"] == hardware.output_lanes * sum(int(field.width) for field in PAR_FIELDS)
    assert entries["inp"] == entries["out"] == hardware.formats.activation.record_bits


def test_an_index_of_a_source_is_one_of_inputs_and_of_accumulators() -> None:
    assert DEEP.depths["acc"] > 2 * DEEP.depths["inp"]
    for hardware in (*HARDWARE, DEEP):
        most = max(hardware.depths["inp"], hardware.depths["acc"]) - 1
        slots = layout_of(hardware).slots
        sources = [slots[name][step] for name in ("VEC", "REDUCE") for step in ("inp_out", "inp_in")]
        for slot in (*sources, layout_of(hardware).uop["inp"]):
            assert slot.limit // 2 < most <= slot.limit


def test_codes_of_a_memory_field_are_its_numbers() -> None:
    # part of the encoding: 0 uop, 1 inp, 2 wgt, 3 par, 4 acc of LOAD, 0 out, 1 acc of STORE
    assert LOAD_MEMORIES == ("uop", "inp", "wgt", "par", "acc")
    assert STORE_MEMORIES == ("out", "acc")
    assert [memory.load_code for memory in LOADED] == list(range(len(LOADED)))
    assert [memory.store_code for memory in STORED] == list(range(len(STORED)))


def test_each_scratchpad_has_its_keys_and_events() -> None:
    pads = HARDWARE[0].scratchpads
    assert {memory.kib_field for memory in MEMORIES} == set(pads.model_dump()) - {"banks"}
    assert {memory.name for memory in MEMORIES} == set(pads.banks.model_dump())
    events = [event for memory in MEMORIES for event in (memory.read_event, memory.write_event)]
    assert list(EVENTS[-len(events) :]) == events
