"""What is declared of the scratchpads is what instructions and parameter records say of them."""

from __future__ import annotations

import pytest

from tvm_vsq.hardware import EVENTS, LOADED, MEMORIES, STORED, list_targets, load_hardware
from tvm_vsq.isa import layout_of
from tvm_vsq.isa.table import LOAD_MEMORIES, PAR_FIELDS, STORE_MEMORIES

HARDWARE = [load_hardware(name) for name in list_targets()]


@pytest.mark.parametrize("hardware", HARDWARE, ids=list_targets())
def test_an_entry_is_as_wide_as_what_it_holds(hardware) -> None:
    entries = hardware.entry_bits
    assert entries["uop"] == sum(slot.width for slot in layout_of(hardware).uop.values())
    assert entries["par"] == hardware.output_lanes * sum(int(field.width) for field in PAR_FIELDS)
    assert entries["inp"] == entries["out"] == hardware.formats.activation.record_bits


def test_codes_of_a_memory_field_are_its_numbers() -> None:
    # part of the encoding: 0 uop, 1 inp, 2 wgt, 3 par of LOAD, 0 out, 1 acc of STORE
    assert LOAD_MEMORIES == ("uop", "inp", "wgt", "par")
    assert STORE_MEMORIES == ("out", "acc")
    assert [memory.load_code for memory in LOADED] == list(range(len(LOADED)))
    assert [memory.store_code for memory in STORED] == list(range(len(STORED)))


def test_each_scratchpad_has_its_keys_and_events() -> None:
    pads = HARDWARE[0].scratchpads
    assert {memory.kib_field for memory in MEMORIES} == set(pads.model_dump()) - {"banks"}
    assert {memory.name for memory in MEMORIES} == set(pads.banks.model_dump())
    events = [event for memory in MEMORIES for event in (memory.read_event, memory.write_event)]
    assert list(EVENTS[-len(events) :]) == events
