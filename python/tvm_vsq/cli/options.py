"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tvm_vsq.cli import completion

ModelPath = Annotated[
    Path, typer.Argument(help="A torch.export .pt2 file, an .onnx file, or a Relax module as .json.")
]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        help="Shape of an input of an .onnx file with dynamic axes, as 1x3x32x32; once for each. A .pt2 file "
        "has its shapes, which must be these; so has a .json file, which takes none.",
    ),
]
Artifact = Annotated[Path, typer.Argument(help="A .so file written by `tvm-vsq compile`.")]
_A_TARGET = "Name of a shipped accelerator, or the path of a YAML file."
Target = Annotated[str, typer.Option(help=_A_TARGET, autocompletion=completion.targets)]
TargetName = Annotated[str, typer.Argument(help=_A_TARGET, autocompletion=completion.targets)]
Quant = Annotated[
    str | None,
    typer.Option(
        help="W/A/ws/as, for example 4/4/4/4, or a QuantConfig as .json. Default: the target's own widths."
    ),
]
Schedules = Annotated[
    str, typer.Option(help="auto (shipped and matching), default (none), or a database file.")
]
CheckImport = Annotated[
    bool, typer.Option(help="Run the imported graph once beside the model, and refuse it where they differ.")
]
Strict = Annotated[
    bool, typer.Option(help="Refuse a network of which something between its layers would run on the CPU.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Wide = Annotated[
    bool, typer.Option("--wide", help="All columns of the tables, however wide the terminal is.")
]
