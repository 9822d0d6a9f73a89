"""`tvm-vsq compile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import tvm_vsq
from tvm_vsq.cli import options
from tvm_vsq.cli.inputs import check_inputs, example_inputs_of, read_arrays, read_model, read_quant
from tvm_vsq.cli.printing import print_result
from tvm_vsq.files import check_output, check_output_folder


def command(
    model: options.ModelPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .so file to write.")],
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Sample inputs, samples along axis 0: .npy, or .npz with an array an input, by its name. "
            "Not for a model that is quantized already."
        ),
    ] = None,
    target: options.Target = "vsq-accel",
    quant: options.Quant = None,
    schedules: options.Schedules = "auto",
    shape: options.Shapes = None,
    check_import: options.CheckImport = True,
    strict: options.Strict = False,
    dump: Annotated[
        Path | None,
        typer.Option(
            help="A new or empty folder for what each phase makes of the model: Relax, and TensorIR and "
            "instructions of each layer."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Quantize MODEL, unless it is quantized already, and compile it for an accelerator."""
    check_output(output, ".so")
    if dump is not None:
        check_output_folder(dump)
    check_inputs(model, target, calibration)
    example_inputs, config = example_inputs_of(shape, model), read_quant(quant)
    exe = tvm_vsq.compile(
        read_model(model),
        target,
        example_inputs=example_inputs,
        quant=config,
        calibration=None if calibration is None else read_arrays(calibration),
        schedules=schedules,
        check_import=check_import,
        strict=strict,
        dump=dump,
        progress=not as_json,
    )
    exe.save(output, progress=not as_json)
    layers = exe.explain().layers
    data = {
        "output": str(output),
        "target": exe.hardware.label,
        "quant": exe.hardware.notation,
        "layers": layers,
    }
    print_result(
        data, f"wrote {output}: {layers} layers on {exe.hardware.label} {exe.hardware.built_for}", as_json
    )
