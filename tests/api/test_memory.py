"""What reports say of DRAM: what programs take there, and what they move beside what they have to."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import tvm_vsq
from tvm_vsq.cli import app

VECTOR, WEIGHTS, PARAMETERS, WIDE = 9, 136, 176, 64
"""Bytes of a record at 4/4/4/4, V = 16 and 16 lanes."""
PIXELS, BURST = 36, 64


def whole(size):
    return -(-size // BURST) * BURST


@pytest.fixture(scope="module")
def exe():
    """16 channels, twice more 16, then 5: vectors between three layers, and a result of int32."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 5, 1))
    x = torch.randn(1, 16, 6, 6)
    config = tvm_vsq.QuantConfig.of_hardware(tvm_vsq.load_hardware("vsq-accel")).unfitted()
    return tvm_vsq.compile(network, "vsq-accel", example_inputs=(x,), calibration=x, quant=config)


def test_every_layer_has_its_minimum(exe):
    profile = exe.timing()
    vectors, wide = PIXELS * VECTOR, PIXELS * WIDE
    minimum = [
        vectors + 9 * WEIGHTS + PARAMETERS + vectors,
        vectors + WEIGHTS + PARAMETERS + vectors,
        vectors + WEIGHTS + PARAMETERS + wide,
    ]
    assert [layer.minimum_dram_bytes for layer in profile.layers] == minimum
    assert profile.minimum_dram_bytes == sum(minimum)
    assert profile.on_chip_minimum_dram_bytes == sum(minimum) - 4 * vectors
    for layer in (*profile.layers, profile):
        assert layer.dram_ratio == pytest.approx(layer.dram_bytes / layer.minimum_dram_bytes)
        assert layer.dram_ratio > 1


def test_the_arena_is_what_its_largest_layer_needs(exe):
    memory = exe.timing().memory
    vectors, wide = whole(PIXELS * VECTOR), whole(PIXELS * WIDE)
    assert memory.arena_bytes == exe.timing().arena_bytes == vectors + wide
    assert memory.separate_bytes == 3 * vectors + wide
    assert memory.constant_bytes == whole(9 * WEIGHTS) + 2 * whole(WEIGHTS) + 3 * whole(PARAMETERS)


def test_what_is_printed_is_what_the_simulator_allocates(exe):
    memory = exe.timing().memory
    (program,) = exe._accelerator["get_programs"]()
    assert memory.total_bytes == program["dram_bytes"]
    assert memory.total_bytes == memory.constant_bytes + memory.micro_op_bytes + memory.arena_bytes
    assert memory.micro_op_bytes > 0


def test_profile_explain_and_json_say_it(exe, tmp_path):
    exe.save(tmp_path / "net.so")
    loaded, profile = tvm_vsq.load(tmp_path / "net.so").timing(), exe.timing()
    assert loaded == profile
    memory, bytes_moved, minimum = profile.memory, profile.dram_bytes, profile.minimum_dram_bytes
    sizes = (memory.total_bytes, memory.constant_bytes, memory.micro_op_bytes)
    total, constants, micro_ops = (f"{size:,}" for size in sizes)
    arena, separate = f"{memory.arena_bytes:,}", f"{memory.separate_bytes:,}"
    taken = (
        f"DRAM: {total} bytes, {constants} of them constants, {micro_ops} micro-ops and {arena} the arena of "
        f"inputs, results and what lies between layers ({separate} if they shared none)"
    )
    moved = (
        f"DRAM traffic: {bytes_moved:,} bytes, {bytes_moved / minimum:.2f} times the {minimum:,} "
        f"that layers, one by one, move in any schedule; {profile.on_chip_minimum_dram_bytes:,} if nothing "
        f"between layers left the chip"
    )
    shown = CliRunner().invoke(app, ["profile", str(tmp_path / "net.so")]).stdout
    for text in (str(profile), shown):
        assert taken in " ".join(text.split())
        assert moved in " ".join(text.split())
    assert f"{taken}." in " ".join(str(exe.explain()).split())
    for layer in profile.layers:
        row = next(line for line in profile.to_str(wide=True).splitlines() if f" {layer.name} " in line)
        assert f" {layer.dram_bytes:,} " in row
        assert f" {layer.dram_bytes / layer.minimum_dram_bytes:.2f} " in row
    data = json.loads(profile.to_json())
    for key in ("arena_bytes", "separate_bytes", "constant_bytes", "micro_op_bytes", "total_bytes"):
        assert data["memory"][key] == getattr(memory, key)
    for key in ("minimum_dram_bytes", "dram_ratio"):
        assert data[key] == getattr(profile, key)
        assert [layer[key] for layer in data["layers"]] == [getattr(layer, key) for layer in profile.layers]
    assert data["on_chip_minimum_dram_bytes"] == profile.on_chip_minimum_dram_bytes
