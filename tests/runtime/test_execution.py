"""How programs are executed changes nothing: kernels, threads, runs before and beside."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import tvm_ffi
from tests.runtime.conftest import Conv, Program, hardware, insn

from tvm_vsq import numerics
from tvm_vsq.errors import ProgramError
from tvm_vsq.runtime import native

MAX_CLIP = 2**31 - 1


@pytest.fixture
def any_kernel() -> Iterator[list[str]]:
    """The kernels; afterwards the fastest is in use again."""
    names = native.kernels()
    yield names
    native.use_kernel(names[0])


def random_conv(seed: int, size: int) -> Conv:
    """3x3 over `size` pixels squared, 32 channels in, 16 out."""
    draw = np.random.default_rng(seed)
    x = draw.integers(-7, 8, (size, size, 4, 9)).astype(np.int16)
    w = draw.integers(-7, 8, (16, 3, 3, 4, 9)).astype(np.int16)
    x[..., -1] = draw.integers(0, 16, x.shape[:-1])
    w[..., -1] = draw.integers(0, 16, w.shape[:-1])
    params = np.tile(np.array([1, 6, 0, MAX_CLIP], np.int32), (16, 1))
    hw = hardware(scratchpads={"inp_kib": 32, "acc_kib": 64, "out_kib": 16})
    return Conv(hw, x, w, params, padding=(1, 1, 1, 1))


def run(module: tvm_ffi.Module, conv: Conv) -> npt.NDArray[np.int16]:
    result = np.zeros((*conv.out_size, 2, 9), np.int16)
    module["main"](tvm_ffi.from_dlpack(conv.x), tvm_ffi.from_dlpack(result))
    return result


def test_all_kernels_and_any_number_of_threads_compute_the_same(any_kernel: list[str]) -> None:
    conv = random_conv(0, 31)  # large enough that one instruction is shared by threads
    module, expected = conv.program().module(), conv.expected()
    assert any_kernel[-1] == "portable"
    for name in any_kernel:
        native.use_kernel(name)
        for threads in (0, 1, 2, 5):
            module["set_threads"](threads)
            assert np.array_equal(run(module, conv), expected)


def test_kernels_and_threads_are_checked(small_conv: Conv) -> None:
    with pytest.raises(
        ProgramError, match=r"no GEMM kernel 'abacus' on this processor; there are .*portable"
    ):
        native.use_kernel("abacus")
    module = small_conv.program().module()
    with pytest.raises(ValueError, match="-1 threads, must be 0"):
        module["set_threads"](-1)


def test_calls_side_by_side_do_not_disturb_each_other() -> None:
    convs = [random_conv(seed, 6) for seed in range(4)]
    module = convs[0].program().module()
    convs = [replace(conv, w=convs[0].w) for conv in convs]
    expected = [conv.expected() for conv in convs]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: run(module, convs[i % 4]), range(80)))
    assert all(np.array_equal(result, expected[i % 4]) for i, result in enumerate(results))


def test_every_run_starts_from_the_image(small_conv: Conv) -> None:
    # The input is part of the image, and the output overwrites it.
    program, hw = small_conv.program(), small_conv.hw
    at = program.inputs[0][1]
    packed = numerics.pack_activations(small_conv.x, hw.formats.activation)
    stored = program.insns[-2]
    program = replace(
        program.replaced(
            len(program.insns) - 2,
            [insn("STORE", " ".join(stored.tokens), **{**stored.fields, "dram_base": at})],
        ),
        image=program.image + packed.tobytes(),
        inputs=[],
        outputs=[[0, at, *program.outputs[0][2:]]],
    )
    module, expected = program.module(), small_conv.expected()
    for _ in range(3):
        result = np.zeros_like(expected)
        module["main"](tvm_ffi.from_dlpack(result))
        assert np.array_equal(result, expected)


def test_verification_is_on_unless_switched_off() -> None:
    program = Program(hardware(), [insn("PPU", "push_store", pixels=1, blocks=1), insn("FINISH", "pop_ppu")])
    with pytest.raises(ProgramError, match="reads entry 0 of scratchpad par, which nothing has written"):
        program.module()
    program.module(verify=False)
