"""`tvm-vsq disasm`."""

from __future__ import annotations

from tvm_vsq.cli import options
from tvm_vsq.cli.inputs import load_artifact
from tvm_vsq.cli.printing import print_json


def command(artifact: options.Artifact, as_json: options.Json = False) -> None:
    """Print every instruction of ARTIFACT with the layer it came from."""
    exe = load_artifact(artifact)
    if as_json:
        print_json(exe.instructions())
    else:
        print(exe.disassemble(), end="")
