"""`tvm-vsq mix`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
from tvm_vsq.files import PLOTS, write_text


def command(
    model: options.ModelPath,
    calibration: Annotated[Path, typer.Option(help="Sample inputs, as for compile.")],
    formats: Annotated[
        str, typer.Option(help="W/A/ws/as to choose from, separated by commas, for example 4/4/4/4,8/8/-/-.")
    ],
    target: options.Target = "vsq-accel",
    quant: options.Quant = None,
    target_sqnr_db: Annotated[
        float | None, typer.Option(help="Least signal-to-error ratio of the results in dB.")
    ] = None,
    max_energy_ratio: Annotated[
        float | None, typer.Option(help="Most energy, as part of that of the most expensive format.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the config as JSON, for --quant.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Also plot how sensitive each layer is.")] = None,
    shape: options.Shapes = None,
    check_import: options.CheckImport = True,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Choose a number format for each layer of MODEL, under an aim for accuracy or energy."""
    check_outputs((output, ()), (plot, PLOTS))
    check_inputs(model, target, calibration)
    example_inputs, config = example_inputs_of(shape, model), read_quant(quant)
    result = tvm_vsq.choose_formats(
        read_model(model),
        target,
        formats=formats.split(","),
        target_sqnr_db=target_sqnr_db,
        max_energy_ratio=max_energy_ratio,
        quant=config,
        example_inputs=example_inputs,
        calibration=read_arrays(calibration),
        progress=not as_json,
        check_import=check_import,
    )
    if output is not None:
        write_text(output, result.config.to_json())
    if plot is not None:
        result.sensitivity.plot(plot)
    print(result.to_json() if as_json else result.to_str(wide=wide))
