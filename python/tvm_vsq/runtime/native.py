"""The native library: the simulator as TVM runtime module and as timing oracle (docs/simulator.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm_ffi

from tvm_vsq.errors import ProgramError

LIBRARY_VARIABLE = "TVM_VSQ_LIBRARY"
_LIBRARY_NAME = "libtvm_vsq_runtime.so"


def library_path() -> Path:
    """Where the library is: `$TVM_VSQ_LIBRARY` if set (for work on C++), else in the installed package.

    Raises ProgramError if there is no such file.
    """
    override = os.environ.get(LIBRARY_VARIABLE)
    path = Path(override) if override else Path(__file__).resolve().parents[1] / "lib" / _LIBRARY_NAME
    if not path.is_file():
        remedy = (
            f"correct {LIBRARY_VARIABLE}" if override else f"install the package, or set {LIBRARY_VARIABLE}"
        )
        raise ProgramError(f"the native library '{path}' does not exist; {remedy}")
    return path


@lru_cache(maxsize=1)
def library() -> tvm_ffi.Module:
    """Load the library, once in a process; this registers its functions and its module kind with TVM.

    Raises ProgramError if it is missing or cannot be loaded.
    """
    path = library_path()
    try:
        return tvm_ffi.load_module(path)
    except (RuntimeError, OSError) as error:
        raise ProgramError(f"the native library '{path}' cannot be loaded: {error}") from None


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the ValueError of the native library into ProgramError with the same message."""
    try:
        yield
    except ValueError as error:
        raise ProgramError(str(error)) from None


@contextmanager
def verification(enabled: bool) -> Iterator[None]:
    """Within the block, modules that this thread creates or loads are proven free of races, or not.

    The proof costs some milliseconds for a large model. Without it, a program that is not ordered by its
    tokens, or reads what it never wrote, gives results that mean nothing; it still touches no memory but its
    own.
    """
    library()
    set_verify = tvm_ffi.get_global_func("tvm_vsq.set_verify")
    before = set_verify(enabled)
    try:
        yield
    finally:
        set_verify(before)


def kernels() -> list[str]:
    """The GEMM kernels of the simulator that this processor runs, fastest first; all compute the same."""
    library()
    return [str(name) for name in tvm_ffi.get_global_func("tvm_vsq.kernels")()]


def use_kernel(name: str) -> None:
    """Simulate with this kernel from now on, or with a slower one where it does not fit the hardware.

    Raises ProgramError for a name that is not one of `kernels()`.
    """
    library()
    with translated_errors():
        tvm_ffi.get_global_func("tvm_vsq.use_kernel")(name)


def create_module(
    params: Mapping[str, int],
    programs: Sequence[Mapping[str, Any]],
    metadata: str,
    *,
    verify: bool | None = None,
) -> tvm_ffi.Module:
    """Make the TVM runtime module (kind `vsq_accel`) that runs `programs` on the simulator.

    `params` is HardwareConfig.sim_params(). A program has the keys `name`, `instructions` (bytes),
    `layer_ids` (bytes, uint32 little-endian for each instruction), `layer_names`, `image` (bytes, DRAM from
    address 0), `dram_bytes`, `inputs` and `outputs`: rows [kind, dram_offset, rows, lanes, signed], where
    kind 0 is a vector tensor int16[rows, V+1] and kind 1 accumulators int32[rows, lanes],
    kind 2 vectors int16[rows, V+1] in the second-operand form. Vectors of another width have three more
    integers, [..., bits, scale_bits, digits]: of elements, of scales (0: they are 1), and records of a
    vector.
    Raises ProgramError for a malformed program (bad field, address or order, deadlock), naming layer and
    instruction; for a race on a scratchpad only if `verify` (default: what `verification` says, else yes).
    """
    library()
    with translated_errors(), verification(verify) if verify is not None else nullcontext():
        create = tvm_ffi.get_global_func("tvm_vsq.create_module")
        module: tvm_ffi.Module = create(dict(params), [dict(program) for program in programs], metadata)
    return module


def simulate_timing(
    params: Mapping[str, int], instructions: bytes, layer_ids: bytes, num_layers: int
) -> dict[str, Any]:
    """Time a program without data; keys as in a row of `get_timing` (docs/simulator.md, section 6).

    `layer_ids` holds a uint32 (little-endian) below `num_layers` for each instruction.
    Raises ProgramError as `create_module` does.
    """
    library()
    with translated_errors():
        simulate = tvm_ffi.get_global_func("tvm_vsq.simulate_timing")
        return dict(simulate(dict(params), instructions, layer_ids, num_layers))


def record_operands(
    module: tvm_ffi.Module,
    program: str,
    layer: str,
    unit: str,
    lane: int,
    skip: int,
    cycles: int,
    tensors: Sequence[Any],
) -> dict[str, Any]:
    """Run `program` of `module` until the cycles [skip, skip + cycles) of `unit` in `layer` are recorded
    (docs/simulator.md, section 7).

    tensors: the program's inputs; what follows them is ignored.

    Raises ProgramError for a layer, unit or lane that there is not, and for no cycle behind `skip`.
    """
    with translated_errors():
        return dict(module["record_operands"](program, layer, unit, lane, skip, cycles, *tensors))


def stall_rows(run: Mapping[str, Any]) -> npt.NDArray[np.int64]:
    """Rows [layer, unit, stall, cause, cycles] of a timing; the numbers are those of `timing_names`."""
    return np.frombuffer(bytes(run["stalls"]), np.int64).reshape(-1, 5)


@lru_cache(maxsize=1)
def timing_names() -> Mapping[str, tuple[str, ...]]:
    """Names of what timings hold as numbers.

    These are `units`, `stalls` (what a unit waits for), `causes` (what goes on meanwhile) and `steps` (of a
    critical path).
    """
    library()
    names = tvm_ffi.get_global_func("tvm_vsq.timing_names")()
    return {str(kind): tuple(str(name) for name in group) for kind, group in names.items()}
