"""Saved modules: round trip, truncation, damage; and damaged programs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tvm_ffi
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runtime.conftest import Conv, Program, hardware, insn

from tvm_vsq.errors import ProgramError
from tvm_vsq.runtime import native


def call(module: tvm_ffi.Module, *arrays: np.ndarray) -> None:
    module["main"](*(tvm_ffi.from_dlpack(array) for array in arrays))


def ones() -> Conv:
    """The same as `small_conv`, for tests that hypothesis drives."""
    params = np.tile(np.array([1, 0, 0, 2**31 - 1], np.int32), (8, 1))
    return Conv(hardware(), np.ones((4, 4, 1, 9), np.int16), np.ones((8, 3, 3, 1, 9), np.int16), params)


def saved(module: tvm_ffi.Module) -> bytes:
    """What export_library embeds: the module's own bytes, behind their length in TVM's container."""
    packed: bytes = tvm_ffi.get_global_func("runtime.ModulePackImportsToTensor")(module).numpy().tobytes()
    start = packed.index(b"VSQACCEL")
    return packed[start : start + int.from_bytes(packed[start - 8 : start], "little")]


def restore(blob: bytes) -> tvm_ffi.Module:
    module: tvm_ffi.Module = tvm_ffi.get_global_func("ffi.Module.load_from_bytes.vsq_accel")(blob)
    return module


def resealed(blob: bytes) -> bytes:
    """With the checksum made right again, so that the parser itself meets the damage."""
    checksum = 0xCBF29CE484222325
    for byte in blob[24:]:
        checksum = (checksum ^ byte) * 0x100000001B3 % 2**64
    return blob[:16] + checksum.to_bytes(8, "little") + blob[24:]


def test_a_module_survives_saving(small_conv: Conv) -> None:
    module = small_conv.program().module()
    again = restore(saved(module))
    assert saved(again) == saved(module)
    assert again["get_metadata"]() == "metadata"
    output = np.zeros((2, 2, 1, 9), np.int16)
    call(again, small_conv.x, output)
    np.testing.assert_array_equal(output, small_conv.expected())


def test_truncation_at_any_byte_is_an_error() -> None:
    blob = saved(Program(hardware(), [insn("FINISH")]).module())
    assert resealed(blob) == blob
    for size in range(len(blob)):
        with pytest.raises(ValueError, match="truncated"):
            restore(blob[:size])
        if size >= 24:
            with pytest.raises(ValueError, match="truncated at byte"):
                restore(resealed(blob[:size]))
    with pytest.raises(ValueError, match="1 bytes behind its end"):
        restore(resealed(blob + b"x"))
    with pytest.raises(ValueError, match="not a saved accelerator module"):
        restore(b"x" + blob[1:])
    with pytest.raises(ValueError, match="format version 4, this library reads 2 and 3"):
        restore(blob[:8] + b"\4" + blob[9:])


# Flips bytes of a saved module in a process of its own: a crash is a failed test. Prints the outcomes.
FLIPS = """
import collections, sys
import numpy as np
from tests.runtime.test_saving import call, ones, resealed, restore, saved

conv = ones()
blob = saved(conv.program().module(max_cycles=100_000))
rng = np.random.default_rng(2)
ends = collections.Counter()
for _ in range(5000):
    damaged = bytearray(blob)
    damaged[int(rng.integers(len(blob)))] ^= int(rng.integers(1, 256))
    try:
        restore(bytes(damaged))
        ends["noticed nothing"] += 1
    except ValueError as error:
        assert "saved accelerator module" in str(error), error
        ends["as is: refused"] += 1
    output = np.full((2, 2, 1, 9), -1, np.int16)
    try:
        call(restore(resealed(bytes(damaged))), conv.x, output)
        ends["resealed: equal" if (output == conv.expected()).all() else "resealed: other values"] += 1
    except (ValueError, AttributeError) as error:  # AttributeError: the damage renamed the program
        ends["resealed: refused"] += 1
    except MemoryError:
        ends["resealed: out of memory"] += 1
print(dict(ends))
"""


@pytest.mark.large
def test_ten_thousand_flips_end_in_an_error_or_in_a_run() -> None:
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run([sys.executable, "-c", FLIPS], cwd=root, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    ends = ast.literal_eval(run.stdout)
    assert ends.pop("as is: refused") == 5000
    # Other values come from damaged weights, which are as good as any.
    assert set(ends) == {"resealed: equal", "resealed: other values", "resealed: refused"}
    assert sum(ends.values()) == 5000


WHERE = re.compile(r"instruction \d|layer 'conv1'|tokens left over at FINISH|max_cycles|FINISH")


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 127)), min_size=1, max_size=4, unique=True))
def test_flipped_instruction_bits_end_in_an_error_that_says_where_or_in_a_run_that_repeats(
    flips: list[tuple[int, int]],
) -> None:
    conv = ones()
    data = conv.program().data()
    code = bytearray(data["instructions"])
    for index, bit in flips:
        code[16 * index + bit // 8] ^= 1 << bit % 8
    params = {**conv.hw.sim_params(), "max_cycles": 100_000}
    results = [np.full((2, 2, 1, 9), filler, np.int16) for filler in (-1, 7)]
    refusal = ""
    try:
        module = native.create_module(params, [{**data, "instructions": bytes(code)}], "")
        for result in results:
            call(module, conv.x, result)
    except (ValueError, ProgramError) as error:
        refusal = str(error)
    assert not refusal or WHERE.search(refusal)
    assert refusal or np.array_equal(*results)


def test_loading_verifies_unless_switched_off() -> None:
    program = Program(hardware(), [insn("PPU", "push_store", pixels=1, blocks=1), insn("FINISH", "pop_ppu")])
    blob = saved(program.module(verify=False))
    with native.verification(False):
        restore(blob)
    with pytest.raises(ValueError, match="reads entry 0 of scratchpad par, which nothing has written"):
        restore(blob)
