"""The phases run in order, and show their work if asked."""

from __future__ import annotations

from tvm.ir import assert_structural_equal

from tvm_vsq.frontend import import_model
from tvm_vsq.hardware import load_hardware
from tvm_vsq.quantize import QuantConfig
from tvm_vsq.transform import all_phases, partition, quantized_phases, run_phases

HARDWARE = load_hardware("vsq-accel")


def test_the_phases_lead_from_fp32_to_regions(networks, stages, tmp_path):
    model, x = networks.build(networks.Mlp)
    config = QuantConfig.of_hardware(HARDWARE)
    phases = all_phases(config, HARDWARE, networks.samples(networks.Mlp))
    found = run_phases(import_model(model, (x,)), phases, dump=tmp_path / "dump")
    assert_structural_equal(found, partition(stages(networks.Mlp).fused))
    assert sorted(path.name for path in (tmp_path / "dump").iterdir()) == [
        "0_input.py",
        "1_quantized.py",
        "2_fused.py",
        "3_partitioned.py",
    ]
    assert "vsq.dense" in (tmp_path / "dump" / "2_fused.py").read_text()


def test_a_quantized_module_enters_in_the_middle(networks, stages):
    stage = stages(networks.Mlp)
    assert_structural_equal(run_phases(stage.quantized, quantized_phases(HARDWARE)), partition(stage.fused))
