"""`tvm-vsq report`."""

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
from tvm_vsq.files import PLOTS


def command(
    model: options.ModelPath,
    calibration: Annotated[Path, typer.Option(help="Sample inputs, as for compile.")],
    target: options.Target = "vsq-accel",
    quant: options.Quant = None,
    data: Annotated[
        Path | None, typer.Option(help="Inputs to compare with fp32 on. Default: the calibration data.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Also write a plot (.png, .svg, .pdf).")] = None,
    shape: options.Shapes = None,
    check_import: options.CheckImport = True,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Report what quantization does to each layer of MODEL: SQNR, bits per element, clipping, codes."""
    check_outputs((plot, PLOTS))
    check_inputs(model, target, calibration, data)
    example_inputs, config = example_inputs_of(shape, model), read_quant(quant)
    result = tvm_vsq.quantization_report(
        read_model(model),
        target,
        quant=config,
        example_inputs=example_inputs,
        calibration=read_arrays(calibration),
        data=None if data is None else read_arrays(data),
        progress=not as_json,
        check_import=check_import,
    )
    if plot is not None:
        result.plot(plot)
    print(result.to_json() if as_json else result.to_str(wide=wide))
