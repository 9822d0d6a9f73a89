"""Writes hashes.json. Only for a commit that means to change what is computed, and says so.

    make freeze                                       # everything
    .venv/bin/python -m tests.frozen.freeze random3   # one network

Everything is computed twice, the second time in a process whose torch and BLAS may not use AVX: nothing is
written if the two differ, as then the hashes would be those of one processor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.frozen.networks import NETWORKS
from tests.frozen.record import differences, record

HASHES = Path(__file__).with_name("hashes.json")

TARGETS = ("vsq-accel", "vsq-accel-w4a8", "vsq-accel-int8")

LARGE = (
    *((network, target) for network in NETWORKS for target in TARGETS[1:] if network != "resnet8"),
    *((network, "vsq-accel") for network in ("bert", "resnet50", "random1", "random2")),
)
"""What takes too long for the ordinary tests; CI runs it besides."""

CASES = [(network, target) for network in NETWORKS for target in TARGETS]

WITHOUT_AVX = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F",
    "OPENBLAS_CORETYPE": "Nehalem",
}


def key(network: str, target: str) -> str:
    """Of hashes.json."""
    return f"{network} on {target}"


def hashes(networks: list[str]) -> dict[str, Any]:
    """`record` of the networks on all targets."""
    return {key(*case): record(*case) for case in CASES if case[0] in networks}


def main() -> None:
    if sys.argv[1:2] == ["--print"]:
        print(json.dumps(hashes(sys.argv[2:])))
        return
    networks = sys.argv[1:] or list(NETWORKS)
    new = hashes(networks)
    command = [sys.executable, "-m", "tests.frozen.freeze", "--print", *networks]
    output = subprocess.run(
        command, env={**os.environ, **WITHOUT_AVX}, check=True, stdout=subprocess.PIPE
    ).stdout
    elsewhere = json.loads(output.splitlines()[-1])
    for name, found in new.items():
        if differences(found, elsewhere[name]):
            sys.exit(f"{name}: without AVX, {'; '.join(differences(found, elsewhere[name]))}")
    old = json.loads(HASHES.read_text()) if HASHES.exists() and sys.argv[1:] else {}
    ordered = {key(*case): {**old, **new}[key(*case)] for case in CASES}
    HASHES.write_text(json.dumps(ordered, indent=1) + "\n")
    print(f"{len(new)} of {len(ordered)} entries written: name in the commit what it changes, and why")


if __name__ == "__main__":
    main()
