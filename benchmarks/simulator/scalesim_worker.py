"""Run in an environment with scalesim 3.0.0: one layer as JSON on stdin, its cycles and DRAM traffic on
stdout.

A 16 x 16 weight-stationary array: rows take 16 elements of the reduction, columns 16 output channels, pixels
follow one another, which is the layout of our array. Buffers are the sizes of vsq-accel-int8. An interface of
16 bytes a cycle cannot be shared in this package: each of the three buffers gets one.
"""

import contextlib
import csv
import json
import sys
import tempfile
from pathlib import Path

from scalesim.scale_sim import scalesim

CONFIG = """
[general]
run_name = run
[architecture_presets]
ArrayHeight = 16
ArrayWidth = 16
IfmapSramSzkB = 32
FilterSramSzkB = 128
OfmapSramSzkB = 64
IfmapOffset = 0
FilterOffset = 100000000
OfmapOffset = 200000000
Dataflow = ws
Bandwidth = 16
ReadRequestBuffer = 60
WriteRequestBuffer = 60
[layout]
IfmapCustomLayout = False
FilterCustomLayout = False
IfmapSRAMBankBandwidth = 16
IfmapSRAMBankNum = 1
IfmapSRAMBankPort = 2
FilterSRAMBankBandwidth = 16
FilterSRAMBankNum = 1
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = false
[run_presets]
InterfaceBandwidth = USER
UseRamulatorTrace = False
"""


def last_row(path):
    """The numbers of a report's only layer, by column."""
    with path.open() as stream:
        rows = list(csv.reader(stream, skipinitialspace=True))
    return dict(zip(rows[0], map(float, filter(None, rows[-1])), strict=False))


def main():
    shape = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.cfg").write_text(CONFIG)
        (folder / "layout.csv").write_text("no custom layout,\n")
        # The package knows no padding, so the image comes with its border; it rounds the number of outputs
        # up, so the image ends with the last output; and it has one stride: columns between are skipped.
        kernel, stride = shape["kernel"], max(shape["stride"])
        image = [(count - 1) * stride + taps for count, taps in zip(shape["result"], kernel, strict=True)]
        row = ["layer", *image, *kernel, shape["c"], shape["k"], stride]
        (folder / "topology.csv").write_text("a header line,\n" + ",".join(map(str, row)) + ",\n")
        with contextlib.redirect_stdout(sys.stderr):
            simulation = scalesim(
                save_disk_space=True,
                verbose=False,
                config=str(folder / "config.cfg"),
                topology=str(folder / "topology.csv"),
                layout=str(folder / "layout.csv"),
            )
            simulation.run_scale(top_path=str(folder / "out"))
        compute = last_row(folder / "out" / "run" / "COMPUTE_REPORT.csv")
        detail = last_row(folder / "out" / "run" / "DETAILED_ACCESS_REPORT.csv")
    result = {
        "compute": compute["Total Cycles"] - compute["Stall Cycles"],
        "total": compute["Total Cycles (incl. prefetch)"],
        "ifmap_bytes": detail["DRAM IFMAP Reads"],
        "filter_bytes": detail["DRAM Filter Reads"],
        "ofmap_bytes": detail["DRAM OFMAP Writes"],
    }
    result["dram_bytes"] = result["ifmap_bytes"] + result["filter_bytes"] + result["ofmap_bytes"]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
