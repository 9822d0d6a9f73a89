"""`tvm-vsq compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import tvm_vsq
from tvm_vsq.cli import options
from tvm_vsq.cli.inputs import (
    check_inputs,
    check_outputs,
    example_inputs_of,
    read_arrays,
    read_model,
    read_quant,
)
from tvm_vsq.cli.printing import print_result
from tvm_vsq.errors import InputError
from tvm_vsq.study.compare.targets import TargetComparison

_OF_A_MODEL = ("calibration", "quant", "schedules", "shape", "check_import")


def command(
    context: typer.Context,
    items: Annotated[
        list[str],
        typer.Argument(
            help="Two or more .so files written by `tvm-vsq compile`, or two or more targets: names of "
            "shipped accelerators, or paths of YAML files."
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option(help="Compile this .pt2, .onnx or .json file for each target, and compare inferences."),
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Sample inputs for --model, as for compile.")
    ] = None,
    quant: options.Quant = None,
    schedules: options.Schedules = "auto",
    technology: Annotated[
        str | None,
        typer.Option(help="Energies and areas of this process: a name or YAML path. Default: each target's."),
    ] = None,
    dram: Annotated[str | None, typer.Option(help="Energies with this kind of DRAM: likewise.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write a page; of artifacts, or with --model.")
    ] = None,
    shape: options.Shapes = None,
    check_import: options.CheckImport = True,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Show artifacts of one network, or targets, side by side, and what makes the difference to the first."""
    if model is None:
        _refuse_what_is_of_a_model(context)
    check_outputs((html, ()))
    compared: list[Any] = list(items)
    if model is not None:
        compared = _compiled(items, model, calibration, quant, schedules, shape, check_import, not as_json)
    result = tvm_vsq.compare(*compared, technology=technology, dram=dram)
    if html is not None:
        if isinstance(result, TargetComparison):
            raise InputError("--html is of inferences: give artifacts, or --model for these targets")
        result.to_html(html)
    print_result(result.to_dict(), result.to_str(wide=wide), as_json)


def _refuse_what_is_of_a_model(context: typer.Context) -> None:
    for name in _OF_A_MODEL:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                "give --model, too: nothing else is compiled", param_hint=f"--{name.replace('_', '-')}"
            )


def _compiled(
    targets: list[str],
    model: Path,
    calibration: Path | None,
    quant: str | None,
    schedules: str,
    shape: list[str] | None,
    check_import: bool,
    progress: bool,
) -> list[Any]:
    """The model for each target."""
    for target in targets:
        if target.endswith(".so"):
            raise InputError(f"'{target}' is an artifact: --model is compiled for targets; give their names")
        check_inputs(model, target, calibration)
    example_inputs, config = example_inputs_of(shape, model), read_quant(quant)
    samples = None if calibration is None else read_arrays(calibration)
    return [
        tvm_vsq.compile(
            read_model(model),
            target,
            example_inputs=example_inputs,
            quant=config,
            calibration=samples,
            schedules=schedules,
            check_import=check_import,
            progress=progress,
        )
        for target in targets
    ]
