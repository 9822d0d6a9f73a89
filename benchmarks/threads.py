"""A fake-quantized network beside one other busy process, by how torch's threads wait for one another.

Prints times over that of one thread. OpenMP's threads spin at the end of every operator until the last one
is done: where that one has lost its core to another process, for as long as that runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
WAYS = {
    "one thread (OMP_NUM_THREADS=1)": {"OMP_NUM_THREADS": "1"},
    "a thread a core, sleeping (OMP_WAIT_POLICY=passive)": {"OMP_WAIT_POLICY": "passive"},
    "a thread a core, spinning (torch's default)": {},
}
_ROUNDS = 3


def main() -> None:
    if sys.argv[1:] == ["measure"]:
        print(_measure())
        return
    settings = {"OMP_NUM_THREADS", "OMP_WAIT_POLICY"}
    plain = {name: value for name, value in os.environ.items() if name not in settings}
    seconds = {}
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            for way, setting in WAYS.items():
                command = [sys.executable, __file__, "measure"]
                run = subprocess.run(command, env=plain | setting, capture_output=True, text=True, check=True)
                seconds[way] = float(run.stdout)
        finally:
            busy.kill()
    table = Table(title="ResNet-8, fake-quantized, beside one busy process", title_justify="left")
    table.add_column("torch's threads", no_wrap=True)
    table.add_column("time", justify="right")
    first = next(iter(seconds.values()))
    for way, taken in seconds.items():
        table.add_row(way, f"{taken / first:.1f}")
    Console(width=100).print(table)


def _measure() -> float:
    import torch

    import tvm_vsq

    sys.path.append(str(ROOT / "examples" / "resnet8_mnist"))
    from model import load_trained

    images = torch.randn(64, 1, 28, 28)
    config = tvm_vsq.QuantConfig.parse("4/4/4/4").unfitted()
    network = tvm_vsq.fake_quantize(
        load_trained(), quant=config, example_inputs=(images,), calibration=images
    )
    network(images)
    start = time.perf_counter()
    for _ in range(_ROUNDS):
        network(images)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
