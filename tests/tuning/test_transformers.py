"""Layers of transformers under any schedule: `tune` measures what they do, and results stay the same."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import pytest
import torch
from tests.codegen.cases import any_schedule
from tests.seeds import first_of
from tests.transformers_models import Decoder, Encoder, batch

import tvm_vsq
from tvm_vsq.codegen import emit_layer, lower_region, region_layers
from tvm_vsq.hardware import HardwareConfig, load_hardware
from tvm_vsq.isa import decode_all
from tvm_vsq.pipeline import regions_of
from tvm_vsq.schedule import Database, Knobs, Record, default_knobs, fingerprint
from tvm_vsq.schedule.space import space_of
from tvm_vsq.tuning import measure, tuner

MIX = (tvm_vsq.Rule(layers="matmul*", formats="8/8/4/4"),)
CASES = (
    ("Encoder", "vsq-accel", 1, ()),
    ("Decoder", "vsq-accel", 1, ()),
    ("Encoder", "vsq-accel", 2, MIX),
    ("Encoder", "vsq-accel-int8", 1, ()),
    ("Encoder", "vsq-accel-w4a8", 2, ()),
    ("Decoder", "vsq-accel-w4a8", 2, ()),
)
"""A network, a target, its passes, and rules."""

PLACES = re.compile("^(push|pop)_|_base$|^uop_begin$")
"""Fields that say where operands are and what waits for what."""


def small(name: str, passes: int) -> HardwareConfig:
    """Scratchpads so small that there are many tiles; parameters of rows come piece by piece."""
    fields = load_hardware(name).model_dump()
    fields["scratchpads"] |= {"inp_kib": 4, "wgt_kib": 24, "acc_kib": 6, "par_kib": 4, "out_kib": 2}
    return HardwareConfig.checked({**fields, "precision_passes": passes, "accumulator_bits": 40}, "test")


def quantized(network: str, hardware: HardwareConfig, rules: tuple[tvm_vsq.Rule, ...]):
    """(as `fake_quantize` makes it, what it is given)."""
    torch.manual_seed(0)
    if network == "Encoder":
        model, given = Encoder("sdpa", width=256, heads=4), batch(2, 17)
        data = [batch(2, 17) for _ in range(2)]
    else:
        model, given = Decoder(64, heads=2, groups=1), {"input_ids": torch.randint(0, 50, (1, 9))}
        data = [given]
    config = tvm_vsq.QuantConfig.parse(hardware.notation, rules=rules).unfitted()
    fake = tvm_vsq.fake_quantize(
        model.eval(), quant=config, target=hardware, example_inputs=given, calibration=data
    )
    return fake, given


def calculations(insns):
    """What engines compute, without where."""
    return [
        (insn.name, {name: value for name, value in insn.fields.items() if not PLACES.search(name)})
        for insn in insns
        if insn.name in ("GEMM", "VEC", "REDUCE", "PPU")
    ]


def stored(insns):
    """Entries that go to DRAM from each scratchpad, in each form."""
    found = Counter()
    for insn in insns:
        if insn.name == "STORE":
            sizes = [insn.fields[name] for name in ("x_size", "y_size", "z_size")]
            found[insn.fields["mem"], insn.fields.get("second", 0)] += math.prod(sizes)
    return found


def layers_of(fake, hardware):
    """Its regions, and their layers in order."""
    regions = regions_of(fake.to_relax(), hardware)
    return regions, [layer for region in regions for layer in region_layers(region, hardware)]


def recorded(workload, knobs, hardware):
    """As the tuner would."""
    return Record(
        workload=workload.key,
        hardware=fingerprint(hardware),
        knobs=knobs.to_dict(),
        cycles=1,
        default_cycles=1,
        trials=1,
    )


@pytest.mark.parametrize(("network", "target", "passes", "rules"), first_of(CASES, 0))
def test_any_schedules_give_the_same_bits(network, target, passes, rules, tmp_path):
    """Of records in a file, every layer runs under its own."""
    rng, hardware = np.random.default_rng(0), small(target, passes)
    fake, given = quantized(network, hardware, rules)
    with torch.no_grad():
        expected = torch.utils._pytree.tree_leaves(fake(**given))
    cycles = set()
    for draw in range(3):
        _, layers = layers_of(fake, hardware)
        database = Database()
        for workload in {layer.workload: None for layer in layers}:
            database = database.updated(recorded(workload, any_schedule(rng, workload, hardware), hardware))
        assert len(database.records) == len({layer.workload for layer in layers})
        file = tmp_path / f"{draw}.json"
        database.save(file)
        exe = tvm_vsq.compile(fake, hardware, schedules=file)
        assert all(layer.tuned for layer in exe.timing().layers)
        for result, value in zip(torch.utils._pytree.tree_leaves(exe(**given)), expected, strict=True):
            np.testing.assert_array_equal(result, value)
        cycles.add(exe.timing().cycles)
    assert len(cycles) == 3


@pytest.mark.parametrize(("network", "target", "passes", "rules"), first_of(CASES, 1))
def test_a_layer_by_itself_does_what_it_does_in_a_program(network, target, passes, rules):
    """The same calculations in the same order, and as many results go to DRAM."""
    hardware = small(target, passes)
    regions, _ = layers_of(quantized(network, hardware, rules)[0], hardware)
    for region in regions:
        program = lower_region(region, hardware, Database())
        insns = decode_all(program.instructions, hardware)
        for index, layer in enumerate(region_layers(region, hardware)):
            knobs = default_knobs(layer.workload, hardware, layer.name)
            alone = emit_layer(layer.workload, knobs, hardware, layer.name, layer.post)
            mine = [insn for insn, at in zip(insns, program.layer_ids, strict=True) if at == index]
            assert calculations(decode_all(alone.instructions, hardware)) == calculations(mine), layer.name
            assert stored(decode_all(alone.instructions, hardware)) == stored(mine), layer.name


@pytest.mark.large
def test_cases_have_every_kind_of_layer():
    """Whole and in pieces, with digits and without; each leaves a choice."""
    found = []
    for network, target, passes, rules in CASES[:3]:
        hardware = small(target, passes)
        _, layers = layers_of(quantized(network, hardware, rules)[0], hardware)
        found += [(layer.workload, hardware) for layer in layers]
    keys = " ".join(work.key for work, _ in found)
    for kind in (
        "matmul",
        "+softmax",
        "norm",
        "+rms",
        "+rotary",
        "+sum",
        "transposed",
        "-beside-shared",
        "-digits",
    ):
        assert kind in keys, kind
    operands = [operand for work, hardware in found for operand in work.nest(hardware).operands]
    assert {bool(operand.streamed) for operand in operands} == {False, True}
    assert all(len(space_of(work, hardware)) > 1 for work, hardware in found)


@pytest.mark.large
@pytest.mark.parametrize(("network", "target", "passes", "rules"), CASES)
def test_tune_covers_whole_transformers(network, target, passes, rules, tmp_path, monkeypatch):
    """A record for each layer, of what was measured; a program that takes all of them, and is no slower."""
    measured = {}

    def spy(workload, knobs, hardware, post):
        measured[workload.key, knobs] = measure(workload, knobs, hardware, post)
        return measured[workload.key, knobs]

    monkeypatch.setattr(tuner, "measure", spy)
    hardware, file = small(target, passes), tmp_path / "tuned.json"
    fake, given = quantized(network, hardware, rules)
    database = tvm_vsq.tune(fake.to_relax(), hardware, trials=6, database=file, progress=False)
    _, layers = layers_of(fake, hardware)
    assert {record.workload for record in database.records} == {layer.workload.key for layer in layers}
    for layer in layers:
        record = database.find(layer.workload, hardware)
        assert record.cycles == measured[record.workload, Knobs.from_dict(record.knobs)]
        default = default_knobs(layer.workload, hardware, layer.name)
        assert record.default_cycles == measured[record.workload, default]
    default, tuned = (tvm_vsq.compile(fake, hardware, schedules=each) for each in ("default", file))
    assert all(layer.tuned for layer in tuned.timing().layers)
    assert tuned.timing().cycles <= default.timing().cycles
    with torch.no_grad():
        expected = torch.utils._pytree.tree_leaves(fake(**given))
    for result, value in zip(torch.utils._pytree.tree_leaves(tuned(**given)), expected, strict=True):
        np.testing.assert_array_equal(result, value)
