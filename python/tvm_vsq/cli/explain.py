"""`tvm-vsq explain`."""

from __future__ import annotations

from tvm_vsq.cli import options
from tvm_vsq.cli.inputs import load_artifact
from tvm_vsq.cli.printing import print_result


def command(artifact: options.Artifact, wide: options.Wide = False, as_json: options.Json = False) -> None:
    """List every operator of ARTIFACT, where it runs and why."""
    rows = load_artifact(artifact).explain()
    print_result([row.model_dump() for row in rows], rows.to_str(wide=wide), as_json)
