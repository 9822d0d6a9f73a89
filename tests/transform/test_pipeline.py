"""The phases run in order, and show their work if asked."""

from __future__ import annotations

from tvm.ir import assert_structural_equal

from tvm_vsq.hardware import load_hardware
from tvm_vsq.transform import partition, quantized_phases, run_phases

HARDWARE = load_hardware("vsq-accel")


def test_the_phases_lead_from_the_quantized_module_to_regions(stages, networks, tmp_path):
    stage = stages(networks.Mlp)
    found = run_phases(stage.quantized, quantized_phases(HARDWARE), dump=tmp_path / "dump")
    assert_structural_equal(found, partition(stage.fused))
    written = sorted(path.name for path in (tmp_path / "dump").iterdir())
    assert written == ["0_input.py", "1_fused.py", "2_partitioned.py"]
    assert "vsq.dense" in (tmp_path / "dump" / "1_fused.py").read_text()
