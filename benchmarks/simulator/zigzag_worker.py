"""Run in an environment with zigzag-dse: one layer as JSON on stdin, its cycles and DRAM traffic on stdout.

The accelerator is vsq-accel-int8 in ZigZag's terms: 16 elements of the reduction times 16 output channels,
an accumulator behind each column, scratchpads of our sizes, one DRAM port of 16 bytes a cycle for everything.
ZigZag chooses tiles and loop order itself (LOMA). By latency alone it would be indifferent to traffic that
computation hides, so it minimizes latency times energy, and a DRAM access costs as much as 100 others.
"""

import contextlib
import json
import logging
import sys
import tempfile
from pathlib import Path

from zigzag.api import get_hardware_performance_zigzag

LANES = 16
DRAM_BITS = 128  # a cycle
DRAM_COST = {"r_cost": 100.0, "w_cost": 100.0}


def memory(kib, operand, read_bits, write_bits, served=("D1", "D2")):
    """A scratchpad of one operand; accumulators are read and written from both sides."""
    moves = (
        {"read": ("tl", "th"), "write": ("fh", "fl")}
        if operand == "O"
        else {"read": ("tl",), "write": ("fh",)}
    )
    widths = {"read": read_bits, "write": write_bits}
    ports = [
        {
            "name": f"{kind[0]}_port_{number}",
            "type": kind,
            "bandwidth_min": widths[kind],
            "bandwidth_max": widths[kind],
            "allocation": [f"{operand}, {move}"],
        }
        for kind in ("read", "write")
        for number, move in enumerate(moves[kind], 1)
    ]
    return {
        "size": int(kib * 8192),
        "r_cost": 1.0,
        "w_cost": 1.0,
        "area": 0.0,
        "latency": 1,
        "operands": [operand],
        "ports": ports,
        "served_dimensions": list(served),
    }


def accelerator():
    dram = memory(1 << 20, "O", DRAM_BITS, DRAM_BITS)
    operands = ("I1", "I2", "O")
    moves = [f"{name}, {move}" for name in operands for move in ("fh", "tl")] + ["O, fl", "O, th"]
    port = {"name": "rw_port_1", "type": "read_write", "allocation": moves}
    port |= {"bandwidth_min": DRAM_BITS, "bandwidth_max": DRAM_BITS}
    return {
        "name": "vsq-accel-int8",
        "memories": {
            "register": memory(4 / 1024, "O", 32, 32, ("D1",)),
            "inp": memory(32, "I1", 8 * LANES, DRAM_BITS),
            "wgt": memory(128, "I2", 8 * LANES * LANES, DRAM_BITS),
            "acc": memory(64, "O", 32 * LANES, 32 * LANES),
            "dram": {**dram, **DRAM_COST, "operands": list(operands), "ports": [port]},
        },
        "operational_array": {
            "unit_energy": 1.0,
            "unit_area": 1.0,
            "dimensions": ["D1", "D2"],
            "sizes": [LANES] * 2,
        },
    }


MAPPING = [
    {
        "name": "default",
        "spatial_mapping": {"D1": [f"C, {LANES}"], "D2": [f"K, {LANES}"]},
        "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
    }
]


def workload(shape):
    (down, across), (top, left) = shape["stride"], shape["padding"]
    return [
        {
            "id": 0,
            "name": "layer",
            "operator_type": "Conv",
            "equation": "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]",
            "dimension_relations": [f"ix={across}*ox+1*fx", f"iy={down}*oy+1*fy"],
            "loop_dims": ["B", "K", "C", "OY", "OX", "FY", "FX"],
            "loop_sizes": [1, shape["k"], shape["c"], *shape["result"], *shape["kernel"]],
            "pr_loop_dims": ["IX", "IY"],
            "pr_loop_sizes": [shape["w"], shape["h"]],
            "padding": [[left, left], [top, top]],
            "operand_precision": {"W": 8, "I": 8, "O": 32, "O_final": 8},
        }
    ]


def main():
    shape = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(sys.stderr):
        paths = []
        for part, content in (
            ("workload", workload(shape)),
            ("accelerator", accelerator()),
            ("mapping", MAPPING),
        ):
            paths.append(Path(name, f"{part}.yaml"))
            paths[-1].write_text(json.dumps(content))  # JSON is YAML
        logging.disable(logging.INFO)
        answer = get_hardware_performance_zigzag(
            *map(str, paths), opt="EDP", dump_folder=str(Path(name, "out")), loma_show_progress_bar=False
        )
    cost = answer[2][0][1][0][0]
    words = {str(operand): levels[-1] for operand, levels in cost.memory_word_access.items()}
    traffic = {operand: sum(level.data.values()) * DRAM_BITS // 8 for operand, level in words.items()}
    print(
        json.dumps(
            {
                "compute": float(cost.ideal_temporal_cycle),
                "stalled": float(cost.latency_total0),
                "total": float(cost.latency_total2),
                "dram_bytes": sum(traffic.values()),
                **{f"{operand}_bytes": count for operand, count in traffic.items()},
                "mapping": str(cost.temporal_mapping),
            }
        )
    )


if __name__ == "__main__":
    main()
