"""`tvm-vsq tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import tvm_vsq
from tvm_vsq.cli import options
from tvm_vsq.cli.inputs import check_inputs, example_inputs_of, read_model, read_quant
from tvm_vsq.cli.printing import print_result
from tvm_vsq.files import check_output


def command(
    model: options.ModelPath,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Database to write; an existing one is extended.")
    ],
    target: options.Target = "vsq-accel",
    quant: options.Quant = None,
    trials: Annotated[int, typer.Option(min=1, help="Schedules measured for each distinct layer.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    shape: options.Shapes = None,
    check_import: options.CheckImport = True,
    wide: options.Wide = False,
    as_json: options.Json = False,
) -> None:
    """Search the schedules of MODEL's layers for fewer simulated cycles, and less energy times cycles."""
    check_output(output)
    check_inputs(model, target)
    example_inputs, config = example_inputs_of(shape), read_quant(quant)
    database = tvm_vsq.tune(
        read_model(model),
        target,
        trials=trials,
        example_inputs=example_inputs,
        quant=config,
        seed=seed,
        database=output,
        progress=not as_json,
        check_import=check_import,
    )
    rows = [record.model_dump() for record in database.records]
    print_result(rows, f"{database.to_str(wide=wide)}\nwrote {output}", as_json)
