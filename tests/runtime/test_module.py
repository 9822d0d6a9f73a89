"""The runtime module: arguments, profiles, listings, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tvm_ffi
from tests.runtime.conftest import Conv, Program, hardware, insn

from tvm_vsq.errors import ProgramError
from tvm_vsq.runtime import native


def call(module: tvm_ffi.Module, *arrays: np.ndarray) -> None:
    module["main"](*(tvm_ffi.from_dlpack(array) for array in arrays))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((4, 4, 1, 9), np.int32), "must be int16"),
        (np.ones((4, 4, 9, 1), np.int16), "expected 16 rows .* of 9"),
        (np.ones((4, 3, 1, 9), np.int16), r"shape \[4, 3, 1, 9\], expected 16 rows"),
        (np.ones((4, 4, 1, 18), np.int16)[..., ::2], "must be contiguous"),
        (np.full((4, 4, 1, 9), 8, np.int16), "vector 0, element 0 is 8; 4-bit signed elements are -7 to 7"),
        (np.full((4, 4, 1, 9), -8, np.int16), "element 0 is -8"),
        (
            np.repeat([[1] * 8 + [16]], 16, axis=0).astype(np.int16),
            "vector 0: scale 16; 4-bit scales are 0 to 15",
        ),
    ],
)
def test_inputs_that_do_not_fit_their_format(small_conv: Conv, x: np.ndarray, message: str) -> None:
    module = small_conv.program().module()
    with pytest.raises(ValueError, match=f"program 'main', input 0: .*{message}"):
        call(module, x, np.zeros((2, 2, 1, 9), np.int16))


def test_wrong_argument_counts_and_outputs(small_conv: Conv) -> None:
    module = small_conv.program().module()
    with pytest.raises(ValueError, match="takes 1 inputs and 1 outputs, got 1"):
        call(module, small_conv.x)
    with pytest.raises(ValueError, match="output 0: the tensor must be int16"):
        call(module, small_conv.x, np.zeros((2, 2, 1, 9), np.int32))
    with pytest.raises(ValueError, match="input 0: not a tensor"):
        module["main"](1, 2)


def test_without_scales_the_scale_lane_must_be_one(small_conv: Conv) -> None:
    hw = hardware(weight_scale_bits=None, activation_scale_bits=None)
    module = Conv(hw, small_conv.x, small_conv.w, small_conv.params).program().module()
    with pytest.raises(ValueError, match="scale 2; 0-bit scales are 1 to 1"):
        call(module, small_conv.x * 2, np.zeros((2, 2, 1, 9), np.int16))


def test_timing_is_known_before_any_run(small_conv: Conv) -> None:
    program = small_conv.program()
    (timing,) = program.module()["get_timing"]()
    assert timing["name"] == "main"
    assert timing["cycles"] == program.timing()["cycles"]


def test_timing_only_runs_zero_the_outputs(small_conv: Conv) -> None:
    module, output = small_conv.program().module(), np.ones((2, 2, 1, 9), np.int16)
    module["set_functional"](False)
    call(module, small_conv.x, output)
    assert not output.any()
    module["set_functional"](True)
    call(module, small_conv.x, output)
    np.testing.assert_array_equal(output, small_conv.expected())


def test_programs_are_listed_for_disassembly(small_conv: Conv) -> None:
    program = small_conv.program()
    (listing,) = program.module()["get_programs"]()
    assert listing["name"] == "main"
    assert bytes(listing["instructions"]) == program.data()["instructions"]
    assert list(listing["layers"]) == [0] * len(program.insns)
    assert list(listing["layer_names"]) == ["conv1"]


def test_names_must_be_unique_and_not_reserved() -> None:
    data = Program(hardware(), [insn("FINISH")]).data()
    params = hardware().sim_params()
    with pytest.raises(ProgramError, match="two programs are called 'main'"):
        native.create_module(params, [data, data], "")
    with pytest.raises(ProgramError, match="must not be called 'get_timing'"):
        native.create_module(params, [{**data, "name": "get_timing"}], "")
    with pytest.raises(ProgramError, match="key 'image' is missing"):
        native.create_module(params, [{key: data[key] for key in data if key != "image"}], "")
    with pytest.raises(ProgramError, match="key 'image' has type"):
        native.create_module(params, [{**data, "image": 1}], "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vector_size": 12}, "vector_size must be 8, 16, 32 or 64, not 12"),
        ({"vector_size": 128}, "vector_size is 128, allowed are 8 to 64"),
        ({"inp_record_bytes": 6}, "inp_record_bytes is 6, but its 36 bits need 5"),
        ({"product_shift": 1}, "must add up to 8"),
        (
            {"wgt_depth": 1 << 19, "uop_record_bytes": 5},
            "hold .* elements together .*; the simulator takes at most 33554432",
        ),
        ({"color": 1}, "unknown hardware parameter color"),
    ],
)
def test_hardware_parameters_are_checked(change: dict[str, int], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        native.simulate_timing({**hardware().sim_params(), **change}, b"", b"", 0)


def test_a_missing_hardware_parameter_is_named() -> None:
    params = hardware().sim_params()
    del params["guard_bits"]
    with pytest.raises(ProgramError, match="guard_bits is missing"):
        native.simulate_timing(params, b"", b"", 0)


def test_threads_may_share_a_module(small_conv: Conv) -> None:
    module, expected = small_conv.program().module(), small_conv.expected()

    def run(_: int) -> bool:
        output = np.zeros((2, 2, 1, 9), np.int16)
        call(module, small_conv.x, output)
        return bool((output == expected).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(40)))
